"""The engine: real spawner, real supervisors, real jobs, without a server."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import resource
import select
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobrun.jobfile import file, layout, lock
from jobrun.jobs import local_engine
from jobrun.jobs.orders import StopOrder, Verdict
from jobrun.model.lifecycle import EndReason
from tests.unit.engine_machine import DEADLINE_S, Machine, converse


def kill_and_wait(pid: int) -> None:
    """SIGKILL to a process of this test's, and its end."""
    fd = os.pidfd_open(pid)
    signal.pidfd_send_signal(fd, signal.SIGKILL)
    os.close(fd)


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_killed_supervisor_takes_its_tree_along_and_the_job_is_lost(tmp_path: Path) -> None:
    """A job whose supervisor dies is told LOST, and nothing of it goes on unseen."""

    async def body(one: Machine) -> None:
        one.start("a", "sh", "-c", "setsid env -i sleep 300 & echo $!; exec sleep 300")
        first = (await one.running("a")).pid
        (line,) = await one.output("a", lines=1)
        kill_and_wait(one.supervisor("a"))
        seen = await one.ended("a")
        assert seen.end is not None
        assert (seen.end.reason, seen.end.exit_code, seen.end.signal) == (EndReason.LOST, None, None)
        await asyncio.wait_for(asyncio.to_thread(wait_gone, first, int(line)), DEADLINE_S)

    converse(tmp_path, body)


def wait_gone(*pids: int) -> None:
    """Until none of these processes is there."""
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        select.select([fd], [], [])
        os.close(fd)


def test_without_spawner_and_supervisor_the_mark_finds_what_is_left(tmp_path: Path) -> None:
    """Both are killed: the judge still finds every process of the job, also one that left session and environment."""

    async def body(one: Machine) -> None:
        one.start("a", "sh", "-c", "setsid env -i sleep 300 & echo $!; exec sleep 300")
        first = (await one.running("a")).pid
        (line,) = await one.output("a", lines=1)
        supervisor = one.supervisor("a")
        spawner = int(Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[1])
        kill_and_wait(spawner)
        kill_and_wait(supervisor)
        seen = await one.ended("a")
        assert seen.end is not None
        assert seen.end.reason is EndReason.LOST
        await asyncio.wait_for(asyncio.to_thread(wait_gone, first, int(line)), DEADLINE_S)

    converse(tmp_path, body)


def test_a_new_spawner_goes_on(tmp_path: Path) -> None:
    """A killed spawner costs no running job, and the next jobs start."""

    async def body(one: Machine) -> None:
        one.start("a", "sh", "-c", "read x < gate; exit 7".replace("gate", str(tmp_path / "gate")))
        os.mkfifo(tmp_path / "gate")
        await one.running("a")
        spawner = int(Path(f"/proc/{one.supervisor('a')}/stat").read_text().rpartition(")")[2].split()[1])
        kill_and_wait(spawner)
        while await asyncio.wait_for(one.news.get(), DEADLINE_S) != "":
            pass
        one.start("b", "true")
        assert (await one.ended("b")).end is not None
        assert one.engine.judge("a") is Verdict.ALIVE
        (tmp_path / "gate").write_text("go\n")
        seen = await one.ended("a")
        assert seen.end is not None
        assert seen.end.exit_code == 7

    converse(tmp_path, body)


def test_a_dispatch_of_an_earlier_attempt_runs_nothing(tmp_path: Path) -> None:
    """A dispatch that was delayed until another was made does not run the job a second time."""

    async def body(one: Machine) -> None:
        one.create("a", "sh", "-c", f"echo x >> {tmp_path}/ran")
        one.engine._spawner.send("a", 7)  # the file waits for no such attempt
        for _ in range(3):
            one.engine.dispatch("a")
        await one.ended("a")
        one.engine.dispatch("a")
        one.start("b", "true")
        await one.ended("b")
        assert (tmp_path / "ran").read_text() == "x\n"

    converse(tmp_path, body)


def test_a_dispatch_that_meets_a_judge_is_not_lost(tmp_path: Path) -> None:
    """A job that could start at once would wait for the server's next look at all of them."""

    async def body(one: Machine) -> None:
        one.create("a", "true")
        with open(one.engine.log_path("a"), "r+b") as opened:
            assert lock.try_judge(opened.fileno())
            one.engine.dispatch_new("a")
            one.start("b", "true")  # whose supervisor is forked behind the other's
            await one.ended("b")
        await one.ended("a")

    converse(tmp_path, body)


def test_a_stop_that_comes_before_the_claim_is_seen(tmp_path: Path) -> None:
    """A stop right after a start is not lost, and nothing is executed."""

    async def body(one: Machine) -> None:
        one.create("a", "sh", "-c", f"touch {tmp_path}/ran")
        one.engine.stop("a", StopOrder(signal=15, grace_ns=10**9, by="me"))
        one.engine.dispatch("a")
        seen = await one.ended("a")
        assert seen.end is not None
        assert (seen.end.reason, seen.end.stopped_by, seen.started_ns) == (EndReason.STOPPED, "me", 0)
        assert not (tmp_path / "ran").exists()

    converse(tmp_path, body)


def test_a_record_of_another_boot_is_lost_and_nobody_is_signalled(tmp_path: Path) -> None:
    """After a reboot a recorded pid, and a mark, are a stranger's: the job is LOST and the stranger lives."""

    async def body(one: Machine) -> None:
        one.create("a", "true")
        stranger = os.posix_spawn("/bin/sleep", ["sleep", "300"], {})
        with open(one.engine.log_path("a"), "r+b") as opened:
            fd = opened.fileno()
            key = layout.read_header(fd).key
            slot = layout.read_slot(fd, key)
            slot.state, slot.supervisor, slot.pid = layout.EXECUTED, stranger, stranger
            slot.boot_id, slot.mark = b"another boot 016", resource.prlimit(stranger, resource.RLIMIT_RTTIME)[1]
            slot.mark = max(slot.mark, 1)
            layout.write_slot(fd, key, slot)
        one.engine.stop("a", StopOrder(signal=9, grace_ns=0, by="me"))
        assert one.engine.judge("a") is Verdict.ENDED
        seen = one.engine.observe("a")
        assert seen.end is not None
        assert seen.end.reason is EndReason.LOST
        assert "restarted" in seen.end.detail
        assert alive(stranger)
        kill_and_wait(stranger)
        os.waitpid(stranger, 0)

    converse(tmp_path, body)


def test_an_environment_that_a_power_cut_took_ends_the_job(tmp_path: Path) -> None:
    """A job without its environment is never run as if it had one."""

    async def body(one: Machine) -> None:
        one.create("a", "true")
        with open(one.engine.log_path("a"), "r+b") as opened:
            file.wipe_secrets(opened.fileno(), layout.read_header(opened.fileno()).key)
        one.engine.dispatch("a")
        seen = await one.ended("a")
        assert seen.end is not None
        assert seen.end.reason is EndReason.LOST

    converse(tmp_path, body)


def test_the_spawner_is_small(tmp_path: Path) -> None:
    """1,000 jobs take 1,000 times what is loaded here: no grpc, no enum, no typing."""

    async def body(one: Machine) -> None:
        one.start("a", "sleep", "300")
        await one.running("a")
        supervisor = one.supervisor("a")
        maps = Path(f"/proc/{supervisor}/maps").read_text()
        assert "cygrpc" not in maps
        assert "_ssl" not in maps
        rollup = dict(
            line.split(":", 1) for line in Path(f"/proc/{supervisor}/smaps_rollup").read_text().splitlines()[1:]
        )
        assert int(rollup["Pss"].split()[0]) < 5000  # kB; shared with the spawner it is alone with here
        one.engine.stop("a", StopOrder(signal=9, grace_ns=0, by="me"))
        await one.ended("a")

    converse(tmp_path, body)


def test_jobs_hold_nothing_of_who_started_the_server(tmp_path: Path) -> None:
    """`jobrun server 2>&1 | tee log`, or `ssh box jobrun server`, would not end before the last job has; and the disk
    that the server was started on could not be taken away."""
    stderr, write = os.pipe()
    before = os.dup(2)
    os.dup2(write, 2)
    os.close(write)

    async def body(one: Machine) -> None:
        os.dup2(before, 2)
        os.close(before)
        one.start("a", "sleep", "300")
        await one.running("a")
        assert os.readlink(f"/proc/{one.supervisor('a')}/cwd") == "/"
        assert select.select([stderr], [], [], DEADLINE_S)[0], "it has an end"
        assert os.read(stderr, 1) == b""
        one.engine.stop("a", StopOrder(signal=9, grace_ns=0, by="me"))
        await one.ended("a")

    converse(tmp_path, body)
    os.close(stderr)


def test_what_a_supervisor_dies_of_is_in_the_servers_log(tmp_path: Path) -> None:
    """A job would be lost, and nobody could find out why."""

    async def body(one: Machine) -> None:
        said: asyncio.Queue[str] = asyncio.Queue()
        handler = logging.Handler()
        handler.emit = lambda record: said.put_nowait(record.getMessage())  # type: ignore[method-assign]
        logger = logging.getLogger(local_engine.__name__)
        logger.addHandler(handler)
        try:
            one.engine._spawner.send("nosuch", 1)
            line = await asyncio.wait_for(said.get(), DEADLINE_S)
        finally:
            logger.removeHandler(handler)
        assert line.startswith("supervisor of nosuch: FileNotFoundError")

    converse(tmp_path, body)


def links(pid: int) -> set[str]:
    """What a process has open, but for /dev/null."""
    found = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
    return found - {"/dev/null"}


def test_a_rehearsal_is_made_and_leaves_nothing_open(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Each job would take a fifth more memory, or be started by a process that holds what it has no use for."""

    async def body(one: Machine) -> None:
        one.start("a", "true")
        await one.ended("a")
        new = links(one.engine._spawner._pid) - links(os.getpid())
        assert sorted(link.partition("[")[0] for link in new) == ["pipe:", "socket:"]  # its wake-ups, its server
        assert "rehearsal" not in capfd.readouterr().err

    converse(tmp_path, body)


def test_a_full_stop_list_is_told(tmp_path: Path) -> None:
    """The 65th stop with a signal of its own is refused, not dropped in silence."""

    async def body(one: Machine) -> None:
        one.create("a", "true")
        for _ in range(layout.MOST_STOPS):
            one.engine.stop("a", StopOrder(signal=15, grace_ns=10**9, by="me"))
        with pytest.raises(Exception, match="64 times"):
            one.engine.stop("a", StopOrder(signal=15, grace_ns=10**9, by="me"))
        one.engine.stop("a", StopOrder(signal=0, grace_ns=10**9, by="me"))

    converse(tmp_path, body)


def test_the_exit_record_survives_a_full_disk(tmp_path: Path) -> None:
    """A job's file has room for its end from the beginning."""
    file.create(str(tmp_path / "job"), 1, {b"argv": []}, b"")
    assert (tmp_path / "job").stat().st_blocks * 512 >= layout.FRAMES_AT


def test_limits_that_leave_no_room_for_an_exec_are_told(tmp_path: Path) -> None:
    """A job that its own limits keep from starting is START_FAILED with the errno; no word of ours is in its log."""

    async def body(one: Machine) -> None:
        one.start("a", "true", *["x" * 100_000] * 9, limits={"memory_bytes": 1})
        seen = await one.ended("a")
        assert seen.end is not None
        assert (seen.end.reason, seen.end.exit_code) == (EndReason.START_FAILED, None)
        assert seen.end.start_failure is not None
        assert seen.end.start_failure.errno == errno.ENOMEM

    converse(tmp_path, body)


def test_a_stop_by_a_long_name_is_a_stop(tmp_path: Path) -> None:
    """A user of the operating system with a long name in another script can stop his job."""

    async def body(one: Machine) -> None:
        one.start("a", "sleep", "300")
        await one.running("a")
        one.engine.stop("a", StopOrder(signal=15, grace_ns=10**9, by="ж" * 17))
        seen = await one.ended("a")
        assert seen.end is not None
        assert (seen.end.reason, seen.end.stopped_by[:16]) == (EndReason.STOPPED, "ж" * 16)

    converse(tmp_path, body)


@contextlib.contextmanager
def rights_of_an_ordinary_user() -> Iterator[None]:
    """Root may open everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_job_can_not_lock_its_server_out() -> None:
    """A job that takes the rights to its own file away could not be seen or stopped any more, and run on."""
    with rights_of_an_ordinary_user(), tempfile.TemporaryDirectory() as data:
        one = Machine(Path(data))
        one.folder.jobs.mkdir()
        one.create("a", "true")
        one.engine.log_path("a").chmod(0)
        one.engine.stop("a", StopOrder(signal=15, grace_ns=10**9, by="me"))
        assert one.engine.observe("a").stopping_since_ns
