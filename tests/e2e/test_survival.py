"""Whatever dies in between, nothing is lost: server, supervisor, disk space."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import processes
from tests.e2e.client import BUILT
from tests.e2e.deadline import patience
from tests.e2e.home import Home

KILLS = 10
WRITER = """
import os, sys, time
flag, copy = sys.argv[1:]
with open(copy, "wb", buffering=0) as file:
    n = 0
    while not os.path.exists(flag):
        n += 1
        line = b"%07d " % n + os.urandom(40) + b"\\n"
        file.write(line)
        os.write(1, line)
        time.sleep(0.001)
"""
"""Writes lines to a file and to stdout alike, until the flag is there."""


def test_a_server_that_is_killed_ten_times_loses_no_byte(home: Home) -> None:
    """Output would be missing or doubled after a crash of the server, or the job be gone."""
    gate = home.gate()
    flag, copy = home.work / "flag", home.work / "copy"
    script = f'{gate.hold} exec "{sys.executable}" -c "$WRITER" {flag} {copy}'
    run = home.client("run", "sh", "-c", script, env={"WRITER": WRITER})
    gate.wait_opened()
    job = home.jobrun("list", "-q").passed().out.strip()
    readers = [run, home.client("attach", job), home.client("logs", "-f", job)]
    for _ in range(KILLS):
        for reader in readers:
            reader.read_to(copy.stat().st_size + 1)
        home.kill_server()
    for reader in readers:
        reader.read_to(copy.stat().st_size + 1)
    assert gate.held(), "the job goes on"
    flag.touch()
    results = [reader.finish(60).passed() for reader in readers]
    wrote = hashlib.sha256(copy.read_bytes()).hexdigest()
    assert [hashlib.sha256(result.stdout).hexdigest() for result in results] == [wrote] * 3
    assert [result.err.replace("jobrun: no login: running on this machine\n", "") for result in results] == [""] * 3


def test_f13_an_end_without_a_server_is_on_record(home: Home) -> None:
    """After a restart jobs would be "exited 0", or "running" for ever."""
    gate, latch = home.gate(), home.latch()
    job = home.start("sh", "-c", f"{gate.hold} {latch.wait} echo late; exit 7")
    gate.wait_opened()
    home.kill_server()
    latch.open()
    gate.wait_released()
    assert home.wait(job) == 7
    assert home.status(job)["finished"]["reason"] == "END_REASON_EXITED"
    assert home.jobrun("logs", job).passed().out == "late\n"


@pytest.mark.parametrize("killed", ["supervisor and server", "supervisor"])
def test_f13_an_end_that_nobody_saw_is_lost(home: Home, killed: str) -> None:
    """As above, where the code can not be known: it would be guessed. What was written stays."""
    gate = home.gate()
    job = home.start("sh", "-c", f"echo kept; {gate.hold} setsid sleep 300 & sleep 300")
    gate.wait_opened()
    supervisor = processes.parent(home.status(job)["running"]["pid"])
    follower = home.client("logs", "-f", job)
    follower.read_until(b"kept\n")
    if killed.endswith("server"):
        home.kill_server()
    with contextlib.closing(processes.Process(supervisor)) as process:
        process.kill()
    assert home.wait(job) == 125
    gate.wait_released()
    finished = home.status(job)["finished"]
    assert finished["reason"] == "END_REASON_LOST"
    assert "exit_code" not in finished
    assert "signal" not in finished
    follower.finish().passed()
    assert home.jobrun("logs", job).passed().out == "kept\n"


def test_f14_no_job_runs_twice(home: Home) -> None:
    """A deployment would be done once more after a restart."""
    jobs = []
    for n in range(12):
        jobs.append(home.start("sh", "-c", f"echo x >>once{n}; exit 2"))
        if n % 3 == 2:
            home.kill_server()
    codes = [home.wait(job) for job in jobs]
    runs = [len(path.read_text()) // 2 for path in sorted(home.work.glob("once*"))]
    assert set(runs) == {1}, runs
    assert set(codes) <= {2, 125}, codes
    assert codes.count(2) == len(runs), "only what did not run is lost"


def test_the_job_dies_with_its_supervisor(home: Home) -> None:
    """A job that nobody watches any more would go on without its limits."""
    gate = home.gate()
    job = home.start("sh", "-c", f"{gate.hold} setsid sleep 300 & exec sleep 300")
    gate.wait_opened()
    supervisor = processes.parent(home.status(job)["running"]["pid"])
    with contextlib.closing(processes.Process(supervisor)) as process:
        process.kill()
    gate.wait_released()


def test_a_dead_spawner_is_replaced(home: Home) -> None:
    """No job would start any more; those that run would be lost."""
    gate, latch = home.gate(), home.latch()
    job = home.start("sh", "-c", f"{gate.hold} {latch.wait} exit 6")
    gate.wait_opened()
    with contextlib.closing(processes.Process(spawner(home))) as process:
        process.kill()
    assert home.jobrun("run", "echo", "hi").passed().out == "hi\n"
    latch.open()
    assert home.wait(job) == 6


def spawner(home: Home) -> int:
    """Pid of the process that starts the jobs: the server's only child."""
    children = [pid for pid in processes.descendants(home.server_pid()) if processes.parent(pid) == home.server_pid()]
    assert len(children) == 1, [processes.cmdline(pid) for pid in children]
    return children[0]


@pytest.fixture
def small_disk(home: Home) -> Iterator[Path]:
    """64 MiB for the data folder."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64M", "tmpfs", str(home.state)]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no right to mount: {mounted.stderr.decode()}")
    home.state.chmod(0o700)
    yield home.state
    if home.server_pid():
        home.jobrun("stop", "--all", "--grace", "0s")
        home.end_server()
    subprocess.run(["umount", "-l", home.state], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all the room there is."""
    path = folder / "ballast"
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    return path


def test_f15_a_full_disk(home: Home, small_disk: Path) -> None:
    """The server would not start any more, or go on refusing though space is back; the running job's end be lost."""
    gate, latch = home.gate(), home.latch()
    job = home.start("sh", "-c", f"{gate.hold} {latch.wait} exit 5")
    gate.wait_opened()
    server = home.server_pid()
    ballast = fill(small_disk)
    error = home.jobrun("run", "--reconnect", "1s", "true", within=30).refused(125)
    assert "full" in error or "space" in error
    latch.open()
    gate.wait_released()
    assert home.wait(job) == 5
    ballast.unlink()
    assert home.jobrun("run", "echo", "well again").passed().out == "well again\n"
    assert home.server_pid() == server
    assert home.wait(job) == 5


def test_a_first_start_on_a_full_disk(home: Home, small_disk: Path) -> None:
    """The server's own words had no room: the client would say that it said nothing, and point to an empty log."""
    fill(small_disk)
    assert f"no room on the file system of {small_disk}" in home.jobrun("run", "true", within=30).refused(125)


def test_f15_a_server_that_starts_on_a_full_disk(home: Home, small_disk: Path) -> None:
    """As above: what is stored could not even be read."""
    job = home.start("sh", "-c", "echo stored; exit 4")
    home.wait(job)
    home.end_server()
    ballast = fill(small_disk)
    shown = home.jobrun("logs", job)
    assert shown.code in (0, 1)
    assert b"Traceback" not in shown.stderr
    ballast.unlink()
    assert home.jobrun("logs", job).passed().out == "stored\n"
    assert home.wait(job) == 4


def test_f15_a_job_that_fills_the_disk_with_its_output(home: Home, small_disk: Path) -> None:
    """As above: the job would hang in its write, or its end be lost."""
    done = home.jobrun("run", "sh", "-c", "head -c 100M /dev/zero; exit 3", within=60)
    assert done.code == 3
    assert len(done.stdout) <= 100 << 20
    ended = home.status("@last")
    assert ended["finished"]["exit_code"] == 3
    home.jobrun("rm", ended["id"]).passed()
    assert home.jobrun("run", "echo", "well again").passed().out == "well again\n"
    assert small_disk.exists()


def test_two_clients_at_once_start_one_private_server(home: Home) -> None:
    """Two servers would share a folder, and one's jobs be unknown to the other."""
    clients = [home.client("run", "sh", "-c", f"exit {n}") for n in range(6)]
    assert [client.finish(60).code for client in clients] == list(range(6))
    server = home.server_pid()
    running = [pid for pid in processes.touching(home.data) if "server --private" in processes.cmdline(pid)]
    assert running in ([server], [])
    assert len(home.jobrun("list", "-a", "-q").passed().out.split()) == 6


def private_server(home: Home, idle: str) -> subprocess.Popen[bytes]:
    """A private server as a client starts it, ready."""
    command = [str(BUILT), "server", "--private", "--idle", idle]
    server = subprocess.Popen(
        command, env=home.environment(), cwd=home.work, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert server.stdout is not None
    assert server.stdout.readline().startswith(b"ready unix:/")
    return server


def test_a_private_server_ends_by_itself(home: Home) -> None:
    """Everybody who once tried jobrun would have a server for ever."""
    server = private_server(home, "1s")
    out, _ = server.communicate(timeout=patience(20))
    assert server.returncode == 0
    assert b"Traceback" not in out


def test_a_private_server_with_a_job_or_a_follower_stays(home: Home) -> None:
    """A job of the night would be left alone, a follower cut off."""
    server = private_server(home, "1s")
    latch = home.latch()
    job = home.start("sh", "-c", f"sleep 3; {latch.wait} exit 8")
    follower = home.client("wait", job)
    begun = time.monotonic()
    latch.open()
    assert follower.finish().code == 8
    assert time.monotonic() - begun >= 2
    assert home.server_pid() == server.pid
    server.communicate(timeout=patience(20))
    assert server.returncode == 0
    assert home.wait(job) == 8


def test_an_ending_server_leaves_its_jobs(home: Home) -> None:
    """An update of the machine would stop all jobs."""
    gate, latch = home.gate(), home.latch()
    job = home.start("sh", "-c", f"{gate.hold} {latch.wait} echo out; exit 9")
    gate.wait_opened()
    home.end_server()
    assert gate.held()
    attached = home.client("attach", job)
    latch.open()
    result = attached.finish()
    assert (result.code, result.stdout) == (9, b"out\n")


def test_reconnect_has_an_end(home: Home) -> None:
    """A client would try for ever, or give up without a word of how to go on."""
    gate = home.gate()
    home.jobrun("list").passed()
    address = home.address
    words = ["--server", address, "--cwd", "/", "--reconnect", "500ms"]
    client = home.client("run", *words, "sh", "-c", f"{gate.hold} echo up; sleep 300")
    client.read_until(b"up\n")
    job = home.jobrun("list", "-q").passed().out.strip()
    home.kill_server()
    result = client.finish()
    assert result.code == 125
    assert f"job {job} goes on: jobrun attach {job}" in result.err
    assert gate.held()
