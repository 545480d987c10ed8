"""Words of others that are shown to people: they must not move their cursors, colour their screens or hide letters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from jobrun.wire.gen.jobrun.v1 import token_service_pb2
from tests.attack.caller import Caller, Refused, attempt, password_grant, refused
from tests.attack.victim import Victim
from tests.e2e.accounts import Account

EVIL = "a\x1b]0;owned\x07\x1b[2J\x9b31m\u202eb\u2066c\u200bd\re\x7ff\x08"
"""Sets a title, clears the screen, colours by C1, turns the direction, hides, overwrites."""


@pytest.fixture(scope="module")
def reader(cache: Path, server: Victim) -> Iterator[Account]:
    """The admin, who looks at what others left."""
    account = Account(cache, server, "admin", server.admin_password)
    account.log_in().passed()
    yield account
    account.close()


def raw(text: str) -> set[str]:
    """What in a text a terminal would act on, or not show."""
    return {letter for letter in text if not letter.isprintable() and letter != "\n"}


@pytest.fixture(scope="module")
def evil_job(ann: Caller) -> str:
    """A job of ann's whose every word is evil."""
    job = ann.start("/bin/sh", "-c", "exit 3", EVIL, name=EVIL[:100], env={"A": EVIL.encode()})
    ann.finished(job)
    return job


@pytest.fixture(scope="module")
def never_ran(ann: Caller) -> str:
    """A job of ann's whose program is not there: the path comes back as evidence."""
    job = ann.start(f"/nowhere/{EVIL}", cwd=f"/nowhere/{EVIL}")
    ann.finished(job)
    return job


@pytest.mark.parametrize("words", [["list", "-a", "--all-users"], ["status", "JOB"], ["status", "OTHER"]])
def test_a_jobs_own_words(reader: Account, evil_job: str, never_ran: str, words: list[str]) -> None:
    """A user would write into an admin's terminal, or hide what he ran."""
    done = reader.jobrun(*({"JOB": evil_job, "OTHER": never_ran}.get(word, word) for word in words)).passed()
    assert "owned" in done.out, "the text is there"
    assert not raw(done.out), done.out
    assert not raw(done.err), done.err


def test_json_is_json(reader: Account, evil_job: str) -> None:
    """A program would be fed half a line."""
    lines = reader.jobrun("list", "-a", "--all-users", "--json").passed().out.splitlines()
    assert EVIL[:100] in [json.loads(line)["spec"]["name"] for line in lines]


def test_errors(reader: Account) -> None:
    """What is echoed from a command line was pasted from somewhere."""
    for words in (["status", EVIL], ["stop", EVIL], ["user", "set", EVIL, "--role", "user"], ["token", "revoke", EVIL]):
        done = reader.jobrun(*words)
        assert done.code != 0
        assert not raw(done.err), done.err


def test_a_login_by_an_evil_name(server: Victim, reader: Account) -> None:
    """Anybody at all would write into the log, and into the terminal of whoever reads it."""
    wire = server.wire()
    for name in (EVIL, "x" * 100_000, "a\n2026-01-01 INFO all is well", '{"outcome":"ok"}'):
        refused(wire.auth.IssueToken, password_grant(name, "wrong wrong", client_name=EVIL))
    wire.auth.IssueToken(password_grant("ann", "correct horse battery", client_name=EVIL[:60]))
    shown = reader.jobrun("audit", "show", "-n", "1000").passed().out
    assert not raw(shown), shown
    assert not raw(server.log()), server.log()[-2000:]
    assert "\n2026-01-01 INFO all is well" not in server.log()
    for line in (server.read("audit.jsonl") + server.read("audit-jobs.jsonl")).decode().splitlines():
        assert json.loads(line)
        assert not raw(line), line
        assert len(line) < 5000, "anybody fills the disk"


def test_a_machine_tokens_name(reader: Account, ann: Caller) -> None:
    """An admin who looks through the tokens would see others."""
    request = token_service_pb2.CreateMachineTokenRequest(name=EVIL[:60])
    answer = attempt(ann.tokens.CreateMachineToken, request)
    if isinstance(answer, Refused):
        assert answer.code == grpc.StatusCode.INVALID_ARGUMENT
        assert not raw(answer.text)
    shown = reader.jobrun("token", "list", "--all-users").passed().out
    assert not raw(shown), shown


def test_a_jobs_own_bytes_are_raw(reader: Account, ann: Caller) -> None:
    """The output of a job is the job's: a progress bar would come out as backslashes."""
    job = ann.start("printf", "\\033[31mred\\007")
    ann.finished(job)
    assert reader.jobrun("logs", job).passed().stdout == b"\x1b[31mred\x07"
