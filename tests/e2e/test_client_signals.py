"""What the client does on a signal, and when its reader goes away."""

from __future__ import annotations

import fcntl
import os
import signal

import pytest

from tests.e2e.client import BUILT, Client
from tests.e2e.gate import Gate
from tests.e2e.home import Home

WAITS = "while :; do sleep 0.05; done"


def running(home: Home, gate: Gate, trap: str = "") -> Client:
    """A `run` whose job has started."""
    client = home.client("run", "sh", "-c", f"{trap} {gate.hold} echo out; {WAITS}")
    gate.wait_opened()
    client.read_until(b"out\n")
    return client


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_f27_a_signal_stops_the_job_with_it(warm: Home, number: int, code: int) -> None:
    """Ctrl-C would end the local tool, and the command run on over there."""
    gate = warm.gate()
    client = running(warm, gate)
    client.signal(number)
    assert client.finish().code == code
    gate.wait_released(within=1)
    finished = warm.status("@last")["finished"]
    assert (finished["reason"], finished["signal"]) == ("END_REASON_STOPPED", number)


def test_f27_what_the_job_says_at_its_end_is_seen(warm: Home) -> None:
    """The end would not be waited for: clean-up and its messages were lost."""
    gate = warm.gate()
    client = running(warm, gate, "trap 'sleep 0.3; echo cleaned up; exit 4' INT;")
    client.signal(signal.SIGINT)
    result = client.finish()
    assert result.stdout == b"out\ncleaned up\n"
    assert result.code == 4


def test_f27_a_wrapper_that_forwards_int_to_the_group(warm: Home) -> None:
    """One key press that reaches the client twice would be taken for two: nobody waited for the end."""
    gate = warm.gate()
    wrapper = "import os, signal, subprocess, sys\nsignal.signal(signal.SIGINT, lambda *_: child.send_signal(2))\n"
    wrapper += "child = subprocess.Popen(sys.argv[1:])\nsys.exit(child.wait())"
    job = f"trap 'sleep 0.3; echo cleaned up; exit 4' INT; {gate.hold} echo out; {WAITS}"
    client = warm.command("python3", "-c", wrapper, BUILT, "run", "sh", "-c", job)
    gate.wait_opened()
    client.read_until(b"out\n")
    os.killpg(client.pid, signal.SIGINT)
    result = client.finish()
    assert (result.stdout, result.code) == (b"out\ncleaned up\n", 4)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_one_leaves_at_once(warm: Home, number: int, code: int) -> None:
    """Somebody in a hurry would be held by a job that takes its time."""
    gate = warm.gate()
    client = running(warm, gate, "trap 'echo trapped >&9' INT TERM;")
    client.signal(number)
    gate.wait_for(b"trapped\n")
    client.signal(number)
    result = client.finish(within=5)
    assert result.code == code
    job = warm.jobrun("list", "-q").passed().out.strip()
    assert f"job {job} is stopping" in result.err
    warm.jobrun("stop", "--grace", "0s", job).passed()
    gate.wait_released()


def test_hangup_leaves_the_job_running(warm: Home) -> None:
    """A closed terminal would end the build of the night."""
    gate = warm.gate()
    client = running(warm, gate)
    client.signal(signal.SIGHUP)
    assert client.finish().code in (129, -signal.SIGHUP), "a shell shows 129 for both"
    assert still_running(warm)


def test_a_killed_client_leaves_the_job_running(warm: Home) -> None:
    """A laptop that dies would end the build of the night."""
    gate = warm.gate()
    client = running(warm, gate)
    client.signal(signal.SIGKILL)
    client.finish()
    assert still_running(warm)


def still_running(home: Home) -> bool:
    """Whether @last runs; it is stopped then."""
    job = home.status("@last")
    home.jobrun("stop", "--grace", "0s", job["id"]).passed()
    return "running" in job


def test_a_broken_stdout_stops_the_job(warm: Home) -> None:
    """`jobrun run -- make | head` would leave make running, unseen."""
    gate = warm.gate()
    client = warm.client("run", "sh", "-c", f"{gate.hold} exec yes")
    client.read_to(1)
    client.close_stdout()
    gate.wait_released()
    result = client.finish_unread()
    assert (result.code, result.stderr) == (141, b"")
    assert warm.status("@last")["finished"]["reason"] == "END_REASON_STOPPED"


@pytest.mark.parametrize("way", [["attach"], ["logs", "-f"]], ids=["attach", "logs"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_looking_only_looks(warm: Home, way: list[str], number: int) -> None:
    """Whoever looks at a job and presses Ctrl-C would stop it for all."""
    gate = warm.gate()
    job = warm.start("sh", "-c", f"{gate.hold} echo out; {WAITS}")
    client = warm.client(*way, job)
    client.read_until(b"out\n")
    client.signal(number)
    result = client.finish()
    assert result.code == 128 + number
    assert b"Traceback" not in result.stderr
    assert "running" in warm.status(job)
    warm.jobrun("stop", "--grace", "0s", job).passed()
    gate.wait_released()


@pytest.mark.parametrize("way", [["attach"], ["logs", "-f"]], ids=["attach", "logs"])
def test_looking_through_a_broken_pipe(warm: Home, way: list[str]) -> None:
    """`jobrun attach ID | head` would stop somebody's job."""
    gate = warm.gate()
    job = warm.start("sh", "-c", f"{gate.hold} exec yes")
    client = warm.client(*way, job)
    client.read_to(1)
    client.close_stdout()
    result = client.finish_unread()
    assert (result.code, result.stderr) == (141, b"")
    assert "running" in warm.status(job)
    warm.jobrun("stop", "--grace", "0s", job).passed()
    gate.wait_released()


@pytest.mark.parametrize("command", [["list"], ["logs", "@last"], ["status", "@last"]], ids=lambda words: words[0])
def test_a_pipe_that_nobody_reads_any_more(warm: Home, command: list[str]) -> None:
    """`jobrun list | head -n0` would show a traceback."""
    warm.jobrun("run", "sh", "-c", "seq 1 30000").passed()
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = warm.client(*command, stdout=writer).finish()
    finally:
        os.close(writer)
    assert (result.code, result.stderr) == (141, b"")


def test_ctrl_c_of_a_shell_that_ignores_it_is_ignored_too(warm: Home) -> None:
    """`jobrun run &` in a script would be stopped by the Ctrl-C that was meant for another command."""
    gate, latch = warm.gate(), warm.latch()
    job = f"{gate.hold} echo out; {latch.wait} exit 6"
    client = warm.command("sh", "-c", 'trap "" INT; exec "$0" run sh -c "$1"', BUILT, job)
    gate.wait_opened()
    client.read_until(b"out\n")
    client.signal(signal.SIGINT)
    latch.open()
    assert client.finish().code == 6


@pytest.mark.parametrize("command", ["run", "start", "list"])
def test_who_waits_for_another_client_says_so_and_leaves(home: Home, command: str) -> None:
    """Behind one that was stopped while it starts the server, `run` would hang without a word, whatever is pressed."""
    home.jobrun("run", "true").passed()
    home.end_server()
    with open(home.data / "start.lock", "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        client = home.client(command, *(["true"] if command != "list" else []))
        assert client.read_error_line().startswith(b"jobrun: waiting for another jobrun")
        client.signal(signal.SIGINT)
        assert client.finish().code == 130
    assert home.server_pid() == 0
