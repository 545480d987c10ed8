"""The table of exit codes, walked."""

from __future__ import annotations

import pytest

from tests.e2e.home import Home

NOBODY_THERE = "unix:/tmp/jobrun-no-such.sock"

FIRST_PROCESS = [
    ("0", ["true"], 0),
    ("own code", ["sh", "-c", "exit 17"], 17),
    ("125 of its own", ["sh", "-c", "exit 125"], 125),
    ("signal", ["sh", "-c", "kill -TERM $$"], 143),
    ("real-time signal", ["sh", "-c", "kill -40 $$"], 168),
    ("timeout", ["--timeout", "300ms", "sleep", "300"], 124),
    ("timeout, own code", ["--timeout", "500ms", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"], 124),
    ("not found", ["no-such-program"], 127),
    ("not found by path", ["/no/such/program"], 127),
    ("not executable", ["/etc/passwd"], 126),
    ("a folder", ["/tmp"], 126),
    ("missing folder", ["--cwd", "/no/such/folder", "true"], 125),
    ("a file as folder", ["--cwd", "/etc/passwd", "true"], 125),
]


@pytest.mark.parametrize(("words", "code"), [case[1:] for case in FIRST_PROCESS], ids=[c[0] for c in FIRST_PROCESS])
def test_run_attach_and_wait_leave_as_the_job_did(warm: Home, words: list[str], code: int) -> None:
    """A script could not tell from the code what became of its command."""
    assert warm.jobrun("run", *words).code == code
    assert warm.jobrun("attach", "@last").code == code
    assert warm.jobrun("wait", "@last").code == code


OWN_TROUBLE = [
    ("usage", ["run"], 125),
    ("unknown option", ["run", "--no-such-option", "true"], 125),
    ("usage of attach", ["attach"], 125),
    ("usage of wait", ["wait"], 125),
    ("run --json", ["run", "--json", "true"], 125),
    ("no such job: attach", ["attach", "zzzzzz"], 125),
    ("no such job: wait", ["wait", "zzzzzz"], 125),
    ("no server: run", ["run", "--server", NOBODY_THERE, "--reconnect", "1s", "true"], 125),
    ("no server: attach", ["attach", "--server", NOBODY_THERE, "--reconnect", "1s", "abc"], 125),
    ("no server: wait", ["wait", "--server", NOBODY_THERE, "--reconnect", "1s", "abc"], 125),
    ("empty login", ["run", "--server", "", "true"], 125),
    ("command that there is not", ["frobnicate"], 2),
    ("no command", [], 2),
    ("start, usage", ["start"], 2),
    ("status, usage", ["status"], 2),
    ("unknown option of list", ["list", "--no-such-option"], 2),
    ("no such job: status", ["status", "zzzzzz"], 3),
    ("no such job: logs", ["logs", "zzzzzz"], 3),
    ("no such job: stop", ["stop", "zzzzzz"], 3),
    ("no such job: rm", ["rm", "zzzzzz"], 3),
    ("no such job by a forged id", ["status", "../../etc/passwd"], 3),
    ("no server: list", ["list", "--server", NOBODY_THERE], 1),
    ("no server: start", ["start", "--server", NOBODY_THERE, "true"], 1),
    ("no server on a port", ["list", "--server", "insecure:127.0.0.1:1"], 1),
    ("insecure beyond loopback", ["list", "--server", "insecure:192.0.2.1:50443"], 2),
    ("start, refused", ["start", "--cpus", "100000", "true"], 1),
    ("not built: secret", ["run", "--secret", "PATH", "true"], 125),
    ("not built: network", ["run", "--network", "none", "true"], 125),
    ("not built: upload", ["run", "--upload", ".", "true"], 125),
    ("not built: login", ["login", "box"], 1),
    ("not built: token", ["token", "list"], 1),
]


@pytest.mark.parametrize(("words", "code"), [case[1:] for case in OWN_TROUBLE], ids=[c[0] for c in OWN_TROUBLE])
def test_what_is_jobruns_own_trouble(warm: Home, words: list[str], code: int) -> None:
    """A failure of jobrun would be taken for one of the command, or the other way round."""
    warm.jobrun(*words).refused(code)


@pytest.mark.parametrize("variable", ["JOBRUN_SERVER", "JOBRUN_TOKEN"])
def test_a_variable_that_is_empty_never_falls_through(warm: Home, variable: str) -> None:
    """A pipeline whose secret is missing would run its job on the wrong machine."""
    warm.jobrun("list", env={variable: ""}).refused(4)
    warm.jobrun("run", "true", env={variable: ""}).refused(125)


def test_local_asks_for_the_private_server(warm: Home) -> None:
    """There would be no way to the own machine where another one is set."""
    env = {"JOBRUN_SERVER": NOBODY_THERE}
    warm.jobrun("list", env=env).refused(1)
    assert warm.jobrun("run", "--local", "echo", "hi", env=env).passed().out == "hi\n"


def test_server_takes_the_address_of_a_socket(warm: Home) -> None:
    """A program that knows the socket could not use it."""
    words = ["run", "--cwd", "/", "echo", "hi"]
    assert warm.jobrun(*words, env={"JOBRUN_SERVER": warm.address}).passed().out == "hi\n"
    assert warm.jobrun("run", "--server", warm.address, *words[1:]).passed().out == "hi\n"


def test_start_only_starts(warm: Home) -> None:
    """A program that can not be started is found out later, by `wait`."""
    job = warm.start("no-such-program")
    assert warm.wait(job) == 127
    assert warm.end(job)["reason"] == "END_REASON_START_FAILED"


def test_a_stop_before_anything_ran_counts_as_143(warm: Home) -> None:
    """A stopped job would count as a good one."""
    for _ in range(5):
        job = warm.start("sleep", "300")
        warm.jobrun("stop", job).passed()
        assert warm.wait(job) == 143


def test_wait_for_several_is_the_last_named_ones(warm: Home) -> None:
    """A script that waits for the one that matters would get another's code."""
    three, four = warm.start("sh", "-c", "exit 3"), warm.start("sh", "-c", "exit 4")
    assert warm.jobrun("wait", three, four).code == 4
    assert warm.jobrun("wait", four, three).code == 3


def test_wait_has_a_timeout_of_its_own(warm: Home) -> None:
    """A script could not give up waiting; giving up would end the job."""
    job = warm.start("sleep", "300")
    warm.jobrun("wait", "--timeout", "200ms", job).refused(125)
    assert "running" in warm.status(job)
    warm.jobrun("stop", "--grace", "0s", job).passed()


def test_an_id_by_its_beginning(warm: Home) -> None:
    """Nobody types a whole id; a beginning that fits two jobs would hit the wrong one."""
    for _ in range(40):
        last = warm.start("true")
    warm.wait(last)
    jobs = warm.jobrun("list", "-a", "-q").passed().out.split()
    beginnings = [job[0] for job in jobs]
    shared = next(letter for letter in beginnings if beginnings.count(letter) > 1)
    assert shared in warm.jobrun("status", shared).refused(1)
    assert last in warm.jobrun("status", last[:-1]).passed().out


def test_rm_forgets_finished_jobs_alone(warm: Home) -> None:
    """A running job's output could be thrown away, or an old one's never be."""
    done, lives = warm.start("true"), warm.start("sleep", "300")
    warm.wait(done)
    warm.jobrun("rm", done).passed()
    warm.jobrun("status", done).refused(3)
    warm.jobrun("rm", lives).refused(1)
    assert "running" in warm.status(lives)
    warm.jobrun("rm", "-f", lives).passed()
    warm.jobrun("status", lives).refused(3)
    kept = warm.start("true")
    warm.wait(kept)
    warm.jobrun("rm", "--finished", "--older", "1h").passed()
    assert warm.status(kept)
    warm.jobrun("rm", "--finished").passed()
    warm.jobrun("status", kept).refused(3)


def test_a_command_that_works_says_so_in_help(warm: Home) -> None:
    """Nobody could find out what a command takes."""
    assert "run" in warm.jobrun("help").passed().out
    shown = warm.jobrun("run", "--help").passed().out
    for option in ("--name", "--env", "--cwd", "--timeout", "--memory", "--log-limit", "--reconnect", "--grace"):
        assert option in shown
    assert warm.jobrun("version").passed().out.strip()
