"""How a job is started: its arguments, what it inherits, and what can not be executed."""

from __future__ import annotations

import concurrent.futures
import json

import pytest

from tests.e2e import wire
from tests.e2e.home import Home


def test_f03_an_argument_larger_than_a_pipe(warm: Home) -> None:
    """A long command would crash the queue, or block for ever."""
    word = "x" * 100_000
    assert warm.jobrun("run", "printf", "%s", word).passed().out == word


def test_f03_many_arguments(warm: Home) -> None:
    """As above, for `rm` of a folder's 5,000 files."""
    words = [f"argument-{n}" for n in range(5000)]
    assert warm.jobrun("run", "printf", "%s\n", *words).passed().out.split() == words


def test_f03_the_longest_argument_that_the_kernel_takes(warm: Home) -> None:
    """What execve(2) takes, a job would not."""
    word = "y" * 131_071
    assert warm.jobrun("run", "printf", "%s", word).passed().out == word


def test_f05_no_signal_is_ignored_or_blocked(home: Home) -> None:
    """Pipelines would complain of a broken pipe, or never end."""
    job = 'yes | head -n1; grep -E "^Sig(Ign|Blk)" /proc/self/status'
    ignoring = home.shell('trap "" INT HUP PIPE USR1 QUIT CHLD; exec "$JR" run sh -c "$JOB"', JOB=job)
    lines = ignoring.passed().out.splitlines()
    assert lines[0] == "y"
    assert [int(line.split()[1], 16) for line in lines[1:]] == [0, 0]
    assert ignoring.err in ("", "jobrun: no login: running on this machine\n")


def test_f05_not_even_through_a_server_that_was_started_so(home: Home) -> None:
    """As above: `nohup jobrun run` would be the last thing that jobs of the next hours inherit from."""
    home.shell('trap "" INT HUP PIPE TERM; exec "$JR" run true').passed()
    out = home.jobrun("run", "grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status").passed().out
    assert [int(line.split()[1], 16) for line in out.splitlines()] == [0, 0]


def test_f07_only_the_three_descriptors_while_fifty_others_start(warm: Home) -> None:
    """A job would keep the daemon's port or lock, or write into its database."""
    with wire.job_service(warm.address) as stub:
        request = wire.start_request("sh", "-c", "ls /proc/self/fd | tr '\\n' ' '")
        calls = [stub.Start.future(request, timeout=60) for _ in range(50)]
        by_client = warm.jobrun("run", "sh", "-c", "ls /proc/self/fd | tr '\\n' ' '").passed().out
        seen = {wire.output(stub, call.result().job.id).decode() for call in calls}
    assert seen == {"0 1 2 3 "}
    assert by_client == "0 1 2 3 "


def test_f09_a_script_with_windows_line_ends(warm: Home) -> None:
    """ "No such file" of a file that is there."""
    warm.script("dos", "#!/bin/sh\r\necho hi\r\n")
    error = warm.jobrun("run", "./dos").refused(127)
    assert "interpreter" in error
    assert "/bin/sh\\r" in error
    finished = warm.status("@last")["finished"]
    assert finished["reason"] == "END_REASON_START_FAILED"
    assert finished["start_failure"]["step"] == "START_STEP_EXEC"


@pytest.mark.parametrize(
    ("name", "first_line", "wanted"),
    [
        ("blank", "#! /no/such/interpreter -x", "/no/such/interpreter"),
        ("env", "#!/nowhere/env python3", "/nowhere/env"),
    ],
)
def test_f09_an_interpreter_that_is_not_there_is_named(warm: Home, name: str, first_line: str, wanted: str) -> None:
    """As above, for every reason why an interpreter is missing."""
    warm.script(name, f"{first_line}\n")
    assert wanted in warm.jobrun("run", f"./{name}").refused(127)


def test_no_shell_runs_what_the_kernel_can_not_execute(warm: Home) -> None:
    """A text file would be run as a script, line by line."""
    warm.script("plain", "echo not by a shell\n")
    error = warm.jobrun("run", "./plain").refused(126)
    assert "plain" in error


def test_f10_a_program_that_was_just_written(warm: Home) -> None:
    """ "Text file busy": a forked sibling of ours would hold it open for writing."""
    loop = "for n in 1 2 3; do cp /bin/true t$N-$n && jobrun run ./t$N-$n || exit 1; done"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: warm.shell(loop, within=60, N=str(n)), range(8)))
    assert [(r.code, r.err) for r in results] == [(0, "")] * 8


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 42", 42),
        ("exit 255", 255),
        ("kill -9 $$", 137),
        ("kill -SEGV $$", 139),
        ("kill $$", 143),
    ],
)
def test_f11_the_code_is_the_first_processes(warm: Home, script: str, code: int) -> None:
    """A crash would count as success, and the build go on."""
    assert warm.jobrun("run", "sh", "-c", script).code == code
    finished = warm.status("@last")["finished"]
    if code > 128 and code != 255:
        assert (finished["reason"], finished["signal"]) == ("END_REASON_SIGNALED", code - 128)
        assert "exit_code" not in finished
    else:
        assert (finished["reason"], finished["exit_code"]) == ("END_REASON_EXITED", code)


def test_a_missing_folder(warm: Home) -> None:
    """The job would run somewhere else."""
    error = warm.jobrun("run", "--cwd", "/no/such/folder", "true").refused(125)
    assert "/no/such/folder" in error
    finished = warm.status("@last")["finished"]
    assert finished["reason"] == "END_REASON_START_FAILED"
    assert finished["start_failure"] == {"step": "START_STEP_CHDIR", "errno": 2, "path": "/no/such/folder"}


def test_what_start_prints_is_the_id_alone(warm: Home) -> None:
    """A script could not take it."""
    started = warm.jobrun("start", "--id-file", "id", "true").passed()
    job = started.out.removesuffix("\n")
    assert job.isalnum()
    assert job == job.lower()
    assert started.err == ""
    assert (warm.work / "id").read_text().strip() == job


def test_result_file_holds_the_finished_job(warm: Home) -> None:
    """A pipeline could not learn more than the code."""
    assert warm.jobrun("run", "--result", "r.json", "sh", "-c", "exit 3").code == 3
    job = json.loads((warm.work / "r.json").read_text())
    assert job["finished"]["exit_code"] == 3


def test_a_request_id_starts_one_job(warm: Home) -> None:
    """A retry after a lost answer would run the job twice."""
    words = ["--request-id", "deploy-1", "sh", "-c", "echo x >>deployed"]
    first = warm.start(*words)
    assert warm.start(*words) == first
    assert warm.wait(first) == 0
    assert (warm.work / "deployed").read_text() == "x\n"
    warm.jobrun("start", "--request-id", "deploy-1", "true").refused(1)


def test_a_request_id_of_a_removed_job_is_not_taken_again(warm: Home) -> None:
    """As above, where the job was cleared away before the retry came."""
    job = warm.start("--request-id", "deploy-2", "true")
    warm.wait(job)
    warm.jobrun("rm", job).passed()
    warm.jobrun("start", "--request-id", "deploy-2", "true").refused(1)


def test_a_daemon_that_holds_the_output_is_gone_afterwards(warm: Home) -> None:
    """`run` would never end, and what the job left would go on for ever."""
    gate = warm.gate()
    daemon = f"{gate.hold} setsid sh -c 'setsid sleep 300 & sleep 300' & echo first is done"
    assert warm.jobrun("run", "--grace", "1s", "sh", "-c", daemon).passed().out == "first is done\n"
    gate.wait_released()


def test_a_daemon_that_ignores_term_gets_the_grace_and_kill(warm: Home) -> None:
    """As above, for a stubborn one; what it wrote until then is kept."""
    gate = warm.gate()
    latch = warm.latch()
    stubborn = "trap 'echo got term' TERM; echo ready >&9; while :; do sleep 0.05; done"
    script = f'{gate.hold} setsid sh -c "{stubborn}" & {latch.wait}'
    client = warm.client("run", "--grace", "500ms", "sh", "-c", script)
    gate.wait_for(b"ready\n")
    latch.open()
    assert client.finish().passed().out == "got term\n"
    gate.wait_released()
