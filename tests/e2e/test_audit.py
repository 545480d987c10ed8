"""Who did what, from where: on record, and readable by admins alone."""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.e2e.accounts import Account, Accounts


@pytest.fixture(scope="module")
def user(accounts: Accounts) -> Account:
    """Somebody with a past."""
    mallory = accounts.add(name="mallory")
    mallory.log_in(password="not this one").refused(1)
    job = mallory.start("sleep", "300")
    mallory.jobrun("stop", job).passed()
    mallory.jobrun("rm", job).passed()
    token = mallory.jobrun("token", "create", "nightly").passed().out.strip()
    mallory.jobrun("run", "true", env={"JOBRUN_TOKEN": token}).passed()
    mallory.jobrun("token", "revoke", "nightly").passed()
    mallory.jobrun("list", env={"JOBRUN_TOKEN": token}).refused(4)
    mallory.jobrun("user", "list").refused(1)
    words = f"{mallory.password}\na much better one\n".encode()
    mallory.jobrun("passwd", "--password-stdin", stdin=words).passed()
    mallory.jobrun("logout").passed()
    return mallory


WANTED = [
    ("login", "ok"),
    ("login", "LOGIN_FAILED"),
    ("job.start", "ok"),
    ("job.stop", "ok"),
    ("job.remove", "ok"),
    ("token.create", "ok"),
    ("token.revoke", "ok"),
    ("password", "ok"),
    ("logout", "ok"),
]


@pytest.mark.parametrize(("action", "outcome"), WANTED, ids=[f"{a} {o}" for a, o in WANTED])
def test_it_is_on_record(accounts: Accounts, user: Account, action: str, outcome: str) -> None:
    """After a break-in nobody could say what happened."""
    found = accounts.audit(action=action, outcome=outcome, username="mallory")
    assert found, accounts.audit(username="mallory")
    assert {event["address"] for event in found} == {"127.0.0.1"}


def test_what_admins_do_is_on_record(accounts: Accounts, user: Account) -> None:
    """An admin could let somebody in, and nobody know who it was."""
    made = accounts.audit(action="user.create", target="mallory role=user")
    assert [event["username"] for event in made] == ["admin"]


def test_a_machine_tokens_deeds_bear_its_name(accounts: Accounts, user: Account) -> None:
    """One could not tell a pipeline from its owner."""
    started = accounts.audit(action="job.start", username="mallory")
    assert [event["machine_token"] != "" for event in started] == [False, True]


def test_who_looks_at_his_own_jobs_is_refused_nothing(accounts: Accounts, user: Account) -> None:
    """Who really tries others' jobs would be one of many: every stop and status of a user would be a denial."""
    assert accounts.audit(username="mallory", action="job.stop")
    assert accounts.audit(username="mallory", outcome="NOT_ALLOWED") == []


def test_a_refused_token_is_on_record(accounts: Accounts, user: Account) -> None:
    """Somebody who tries stolen tokens would not be seen."""
    refused = [event for event in accounts.audit() if event["outcome"] in ("SESSION_ENDED", "TOKEN_INVALID")]
    assert refused


def test_the_newest_come_last_and_can_be_chosen(accounts: Accounts, user: Account) -> None:
    """A record that nobody can search is none."""
    times = [event["time"] for event in accounts.audit()]
    assert times == sorted(times)
    assert len(accounts.admin.facts("audit", "show", "-n", "3")) == 3
    shown = accounts.admin.jobrun("audit", "show").passed().out
    assert "mallory" in shown
    assert "token.revoke" in shown


def test_the_file_is_one_json_object_a_line_and_private(accounts: Accounts, user: Account) -> None:
    """A tool that collects records could not read it; another user could."""
    file = accounts.server.data / "audit.jsonl"
    assert file.stat().st_mode & 0o777 == 0o600
    lines = file.read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert not re.search(r"jrt1\.|eyJ|correct horse|much better|not this one", file.read_text())


def test_a_user_may_not_read_it(user: Account) -> None:
    """Everybody would know when everybody else comes and goes."""
    user.log_in(password="a much better one").passed()
    user.jobrun("audit", "show").refused(1)


def test_a_record_that_is_shown_in_part_says_so(accounts: Accounts) -> None:
    """Who looks for a break-in by `--since 1d` would take the last hundred lines for the whole day."""
    line = {"time_ns": time.time_ns(), "user": "ghost", "machine_token": "", "address": "192.0.2.1"}
    line |= {"action": "login", "target": "", "outcome": "ok", "count": 1}
    with open(accounts.server.data / "audit.jsonl", "a") as file:
        file.write(f"{json.dumps(line)}\n" * 101)
    part = accounts.admin.jobrun("audit", "show", "--user", "ghost", "--since", "1d").passed()
    assert part.out.count("ghost") == 100
    assert part.err == "jobrun: the newest 100, and there may be more: -n takes up to 1000\n"
    whole = accounts.admin.jobrun("audit", "show", "--user", "ghost", "-n", "1000").passed()
    assert (whole.out.count("ghost"), whole.err) == (101, "")
