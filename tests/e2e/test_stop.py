"""`stop` ends a job's whole tree, whenever it comes, and says by whom."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from jobrun.wire.gen.jobrun.v1 import job_pb2, job_service_pb2
from tests.e2e import processes, wire
from tests.e2e.home import Home

TREES = {
    "child": "sh -c 'sleep 300 & wait'",
    "background": "sleep 300 & sleep 300",
    "session": "setsid sleep 300 & sleep 300",
    "daemon": "setsid sh -c 'setsid sh -c \"sleep 300 & sleep 300\" &'; sleep 300",
    "nohup": "nohup sleep 300 >/dev/null 2>&1 & sleep 300",
    "ignores": "trap '' TERM INT HUP; (trap '' TERM; while :; do sleep 0.1; done) & while :; do sleep 0.1; done",
    "bomb": "f() { [ $1 -gt 0 ] && { f $(($1-1)) & f $(($1-1)) & }; sleep 300; }; f 7",
    "setsid bomb": 'again=\'setsid sh -c "$f" f $(($1-1)) &\'; f="[ \\$1 -gt 0 ] && { $again $again }; sleep 300";'
    ' export f; sh -c "$f" f 5',
    "empty environment": "setsid env -i /bin/sleep 300 & sleep 300",
}


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_f26_nothing_of_the_tree_is_left(warm: Home, tree: str) -> None:
    """The shell would be gone and what it started run on."""
    gate = warm.gate()
    job = warm.start("sh", "-c", gate.hold + tree)
    gate.wait_opened()
    warm.jobrun("stop", "--grace", "300ms", job).passed()
    gate.wait_released(within=5)
    finished = warm.status(job)["finished"]
    assert finished["reason"] == "END_REASON_STOPPED"
    assert finished["survivors"] == 0


def test_f26_a_first_process_that_has_gone_leaves_no_tree(warm: Home) -> None:
    """As above, for a job that ended by itself; its code is its own."""
    gate = warm.gate()
    assert warm.jobrun("run", "sh", "-c", f"{gate.hold} setsid sleep 300 & exit 3").code == 3
    gate.wait_released()
    assert warm.status("@last")["finished"]["reason"] == "END_REASON_EXITED"


def test_f28_a_stopped_process_ends_politely(warm: Home) -> None:
    """TERM would stay pending in a SIGSTOPped process until the grace is over."""
    gate = warm.gate()
    job = warm.start("sh", "-c", f"{gate.hold} sh -c 'kill -STOP $$' & kill -STOP $$")
    gate.wait_opened()
    begun = time.monotonic()
    warm.jobrun("stop", "--grace", "5m", job, within=20).passed()
    assert time.monotonic() - begun < 60
    gate.wait_released()
    assert warm.status(job)["finished"]["signal"] == signal.SIGTERM


def test_f29_a_code_of_its_own_is_kept(warm: Home) -> None:
    """A program that cleans up and tells by its code how far it came would be given another one."""
    gate = warm.gate()
    job = warm.start("sh", "-c", f"trap 'exit 123' TERM; {gate.hold} while :; do sleep 0.05; done")
    gate.wait_opened()
    assert "123" in warm.jobrun("stop", job).passed().out
    assert warm.wait(job) == 123
    finished = warm.status(job)["finished"]
    assert (finished["reason"], finished["exit_code"]) == ("END_REASON_STOPPED", 123)
    assert finished["stopped_by"]
    shown = warm.jobrun("status", job).passed().out
    assert finished["stopped_by"] in shown.strip().splitlines()[-1]


def test_a_stopped_job_that_leaves_with_0_counts_as_143(warm: Home) -> None:
    """A stopped build would count as a good one."""
    gate = warm.gate()
    job = warm.start("sh", "-c", f"trap 'exit 0' TERM; {gate.hold} while :; do sleep 0.05; done")
    gate.wait_opened()
    warm.jobrun("stop", job).passed()
    assert warm.wait(job) == 143


def test_f30_a_stop_right_after_the_start(warm: Home) -> None:
    """It would be lost, as nothing is running yet, and the job go on."""
    gate = warm.gate()
    for _ in range(8):
        done = warm.shell(f"jobrun stop $(jobrun start sh -c '{gate.hold} sleep 300')")
        done.passed()
        gate.wait_released(within=1)


def test_f30_a_hundred_of_them_at_once(warm: Home) -> None:
    """As above, out of every moment of a start."""
    gate = warm.gate()
    with wire.job_service(warm.address) as stub, concurrent.futures.ThreadPoolExecutor(8) as pool:

        def start_and_stop(_: int) -> job_pb2.Job:
            job = stub.Start(wire.start_request("sh", "-c", f"{gate.hold} sleep 300")).job
            return stub.Stop(job_service_pb2.StopRequest(job_id=job.id), timeout=60).job

        reasons = {job.finished.reason for job in pool.map(start_and_stop, range(100))}
    assert reasons == {job_pb2.END_REASON_STOPPED}
    gate.wait_released(within=1)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may choose the pid of a new process")
def test_f33_a_strangers_pid_is_never_signalled(home: Home) -> None:
    """After a restart a recorded pid may be anyone's: `stop` would kill the stranger."""
    gate = home.gate()
    job = home.start("sh", "-c", f"{gate.hold} exec sleep 300")
    gate.wait_opened()
    pid = home.status(job)["running"]["pid"]
    supervisor = processes.parent(pid)
    home.kill_server()
    for process in processes.opened([supervisor, pid]):
        with contextlib.closing(process):
            process.kill()
    strangers = [process_with_pid(pid), process_with_pid(supervisor)]
    try:
        stopped = home.jobrun("stop", job)
        assert stopped.code in (0, 1), stopped
        finished = home.status(job)["finished"]
        assert finished["reason"] == "END_REASON_LOST"
        assert home.wait(job) == 125
        assert [stranger.poll() for stranger in strangers] == [None, None]
    finally:
        for stranger in strangers:
            stranger.kill()
            stranger.wait()


def process_with_pid(pid: int) -> subprocess.Popen[bytes]:
    """A process that has this pid, which must be free (proc(5), ns_last_pid)."""
    for _ in range(50):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        stranger = subprocess.Popen(["/bin/sleep", "300"])
        if stranger.pid == pid:
            return stranger
        stranger.kill()
        stranger.wait()
    pytest.skip("other processes take the pid each time")


def test_stop_is_idempotent(warm: Home) -> None:
    """A script that cleans up would fail where there is nothing to clean."""
    job = warm.start("sh", "-c", "exit 5")
    assert warm.wait(job) == 5
    for _ in range(2):
        warm.jobrun("stop", job).passed()
    assert warm.status(job)["finished"]["reason"] == "END_REASON_EXITED"


def test_a_second_stop_joins_and_may_shorten_the_grace(warm: Home) -> None:
    """Whoever is in a hurry would have to wait for another's five minutes."""
    gate = warm.gate()
    job = warm.start("sh", "-c", f"trap 'echo got-term >&9' TERM; {gate.hold} while :; do sleep 0.05; done")
    gate.wait_opened()
    patient = warm.client("stop", "--grace", "5m", job)
    gate.wait_for(b"got-term\n")
    assert "stopping_since" in warm.status(job)["running"]
    warm.jobrun("stop", "--grace", "0s", job).passed()
    patient.finish().passed()
    gate.wait_released()
    assert gate.got == b"", "a stop that joins sends no second TERM"
    assert warm.status(job)["finished"]["signal"] == signal.SIGKILL


def test_a_second_stop_never_lengthens_the_grace(warm: Home) -> None:
    """A polite second call would put off the end that was promised to the first."""
    gate = warm.gate()
    job = warm.start("sh", "-c", f"trap 'echo got-term >&9' TERM; {gate.hold} while :; do sleep 0.05; done")
    gate.wait_opened()
    hurried = warm.client("stop", "--grace", "1s", job)
    gate.wait_for(b"got-term\n")
    warm.jobrun("stop", "--grace", "10m", job, within=20).passed()
    hurried.finish().passed()


def test_a_second_stop_sends_the_signal_that_it_names(warm: Home) -> None:
    """A program that saves its state on USR1 could not be asked to while it is being stopped."""
    gate = warm.gate()
    traps = "trap 'echo term >&9' TERM; trap 'echo usr1 >&9; exit 9' USR1;"
    job = warm.start("sh", "-c", f"{traps} {gate.hold} while :; do sleep 0.05; done")
    gate.wait_opened()
    first = warm.client("stop", "--grace", "5m", job)
    gate.wait_for(b"term\n")
    warm.jobrun("stop", "-s", "USR1", job).passed()
    gate.wait_for(b"usr1\n")
    first.finish().passed()
    assert warm.wait(job) == 9


@pytest.mark.parametrize("name", ["INT", "SIGINT", "2"])
def test_another_first_signal(warm: Home, name: str) -> None:
    """A server that ends cleanly on INT alone would be cut off."""
    gate = warm.gate()
    job = warm.start("sh", "-c", f"trap 'exit 7' INT; {gate.hold} while :; do sleep 0.05; done")
    gate.wait_opened()
    warm.jobrun("stop", "-s", name, job).passed()
    assert warm.wait(job) == 7


@pytest.mark.parametrize("name", ["NOPE", "0", "65", "-1", ""])
def test_a_signal_that_there_is_not(warm: Home, name: str) -> None:
    """The job would get another one, or none."""
    job = warm.start("true")
    warm.jobrun("stop", "-s", name, job).refused(2)


def test_grace_0_kills_at_once(warm: Home) -> None:
    """A job that must not write any more would get time to."""
    gate = warm.gate()
    job = warm.start("sh", "-c", f"trap 'echo cleaned >&9' TERM; {gate.hold} while :; do sleep 0.05; done")
    gate.wait_opened()
    warm.jobrun("stop", "--grace", "0s", job).passed()
    gate.wait_released()
    assert gate.got == b""
    assert warm.wait(job) == 137


def test_the_jobs_own_grace(warm: Home) -> None:
    """What a job asked for at its start would be forgotten at its stop."""
    gate = warm.gate()
    job = warm.start(
        "--grace", "0s", "sh", "-c", f"trap 'echo cleaned >&9' TERM; {gate.hold} while :; do sleep 0.05; done"
    )
    gate.wait_opened()
    warm.jobrun("stop", job).passed()
    gate.wait_released()
    assert gate.got == b""


def test_a_stop_outlives_the_call_that_asked_for_it(warm: Home) -> None:
    """Whoever loses his connection in the grace would leave a job half stopped."""
    gate = warm.gate()
    job = warm.start("sh", "-c", f"trap 'echo got-term >&9' TERM; {gate.hold} while :; do sleep 0.05; done")
    gate.wait_opened()
    caller = warm.client("stop", "--grace", "1s", job)
    gate.wait_for(b"got-term\n")
    caller.end()
    assert warm.wait(job) == 137


def test_several_ids_and_all(warm: Home) -> None:
    """One wrong id would leave the others running."""
    first, second, third = (warm.start("sleep", "300") for _ in range(3))
    mixed = warm.jobrun("stop", first, "zzzzzz", second)
    assert mixed.code == 3
    assert [warm.status(job)["finished"]["reason"] for job in (first, second)] == ["END_REASON_STOPPED"] * 2
    assert "running" in warm.status(third)
    warm.jobrun("stop", "--all").passed()
    assert warm.status(third)["finished"]["reason"] == "END_REASON_STOPPED"
    assert warm.jobrun("list", "-q").passed().out == ""
