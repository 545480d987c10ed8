"""`--json`: what a program reads."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from tests.e2e.client import BUILT
from tests.e2e.home import Home
from tests.e2e.terminal import Terminal

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
JOB = {"id", "user", "spec", "created_at", "effective_limits", "unix_user", "isolation", "token_name", "enforcements"}


def objects(text: str) -> list[dict[str, Any]]:
    """One a line."""
    return [json.loads(line) for line in text.splitlines()]


def test_start_and_status_print_a_job(warm: Home) -> None:
    """A program would have to read tables."""
    started = objects(warm.jobrun("start", "--json", "--name", "n", "sh", "-c", "exit 7").passed().out)
    assert len(started) == 1
    job = started[0]["id"]
    assert warm.wait(job) == 7
    status = objects(warm.jobrun("status", "--json", job).passed().out)
    assert len(status) == 1
    found = status[0]
    assert set(found) >= JOB
    assert found["spec"]["argv"] == ["sh", "-c", "exit 7"]
    assert found["spec"]["name"] == "n"
    assert TIMESTAMP.fullmatch(found["created_at"])
    assert found["isolation"] == "ISOLATION_NONE"
    assert found["finished"]["reason"] == "END_REASON_EXITED"
    assert found["finished"]["survivors"] == 0, "zero values are printed"
    assert found["finished"]["stopped_by"] == ""


def test_numbers_of_64_bits_are_numbers(warm: Home) -> None:
    """jq would have to turn texts into numbers, by some of the fields alone."""
    warm.jobrun("run", "--log-limit", "3G", "--memory", "8192T", "echo", "hi").passed()
    status = warm.status("@last")
    assert status["effective_limits"]["log_bytes"] == 3 << 30
    assert status["effective_limits"]["memory_bytes"] == 1 << 53
    assert status["usage"]["output_bytes"] == 3


def test_values_of_the_environment_are_never_shown(warm: Home) -> None:
    """A token in a variable would be readable by whoever may see the job, and lie on disk."""
    secret = "correct-horse-battery"
    job = warm.start("--env", "TOKEN_OF_MINE", "true", env={"TOKEN_OF_MINE": secret})
    warm.wait(job)
    spec = warm.status(job)["spec"]
    assert spec["env"]["TOKEN_OF_MINE"] == ""
    assert set(spec["env"].values()) == {""}
    for command in (["status", job], ["list", "-a", "--json"], ["list", "-a"]):
        assert secret not in warm.jobrun(*command).passed().out
    holders = [path for path in warm.state.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert holders == []


def test_list_prints_one_a_line(warm: Home) -> None:
    """A program that reads line by line would get half an object."""
    jobs = [warm.start("--name", "three", "sh", "-c", f"exit {n}") for n in range(3)]
    for job in jobs:
        warm.wait(job)
    listed = objects(warm.jobrun("list", "-a", "--json", "--filter", "name=three").passed().out)
    assert [job["id"] for job in listed] == jobs[::-1], "newest first"
    assert [job["finished"]["exit_code"] for job in listed] == [2, 1, 0]
    assert "exclude each other" in warm.jobrun("list", "-q", "--json").refused(2)


def test_filters(warm: Home) -> None:
    """Nobody could find the failed ones among a thousand."""
    for words in (["--timeout", "100ms", "sleep", "9"], ["sh", "-c", "kill -9 $$"]):
        warm.jobrun("run", "--name", "filtered", *words)
    sleeps = warm.start("--name", "filtered", "sleep", "300")

    def listed(*filters: str) -> list[str]:
        words = [word for text in filters for word in ("--filter", text)]
        found = objects(warm.jobrun("list", "--json", *words).passed().out)
        return [job.get("finished", {}).get("reason", "") for job in found]

    assert listed("name=filtered", "reason=timeout") == ["END_REASON_TIMEOUT"]
    assert listed("name=filtered", "reason=signaled") == ["END_REASON_SIGNALED"]
    assert len(listed("name=filtered", "state=finished")) == 2
    assert listed("name=filtered", "state=running") == [""]
    assert listed("name=filtered") == [""]
    assert warm.jobrun("list", "-q", "-n", "1").passed().out.split() == [sleeps]
    for wrong in ("state=nope", "reason=nope", "color=red", "name"):
        assert "--filter" in warm.jobrun("list", "--filter", wrong).refused(2)
    warm.jobrun("stop", "--grace", "0s", sleeps).passed()


def test_stop_and_wait_print_the_finished_job(warm: Home) -> None:
    """A program would have to ask once more."""
    jobs = [warm.start("sleep", "300") for _ in range(2)]
    stopped = objects(warm.jobrun("stop", "--json", *jobs).passed().out)
    assert [job["finished"]["reason"] for job in stopped] == ["END_REASON_STOPPED"] * 2
    waited = warm.jobrun("wait", "--json", *jobs)
    assert waited.code == 143
    assert objects(waited.out) == stopped


def test_logs_print_one_record_a_line(warm: Home) -> None:
    """Bytes that are no text could not be read by a program."""
    warm.jobrun("run", "sh", "-c", "printf '\\377\\0'; sleep 0.1; echo e >&2").passed()
    first, second = objects(warm.jobrun("logs", "--json", "@last").passed().out)
    assert set(first) == {"time", "stream", "data", "cursor"}
    assert base64.b64decode(first["data"]) == b"\xff\x00"
    assert base64.b64decode(second["data"]) == b"e\n"
    assert TIMESTAMP.fullmatch(first["time"])
    assert first["cursor"] <= second["cursor"]
    again = objects(warm.jobrun("logs", "-f", "--json", "--cursor", str(second["cursor"]), "@last").passed().out)
    assert again == []


def test_an_error_is_no_json(warm: Home) -> None:
    """A program would take an error for a fact."""
    warm.jobrun("status", "--json", "zzzzzz").refused(3)
    mixed = warm.jobrun("stop", "--json", "zzzzzz", "yyyyyy")
    assert (mixed.code, mixed.stdout) == (3, b"")


def test_an_empty_list(home: Home) -> None:
    """A newcomer would not know whether the header is all; a script would find a line that is no job."""
    plain = home.jobrun("list").passed()
    assert plain.out.split()[0] == "ID"
    assert "list -a" not in plain.err
    terminal = Terminal([BUILT, "list"], home.environment(), home.work)
    code, shown = terminal.finish()
    terminal.close()
    assert (code, "jobrun list -a shows" in shown) == (0, True), shown


def test_list_for_people(warm: Home) -> None:
    """The columns that the contract names would not be there."""
    warm.jobrun("run", "--name", "build", "sh", "-c", "exit 1")
    shown = warm.jobrun("list", "-a", "-n", "1").passed().out.splitlines()
    assert shown[0].split() == ["ID", "NAME", "STATE", "USER", "CREATED", "RUNTIME", "COMMAND"]
    assert "exited 1" in shown[1]
    assert "build" in shown[1]
    assert "sh -c" in shown[1]
    assert re.search(r"[+-]\d\d:?\d\d", shown[1]), "times have their offset"
