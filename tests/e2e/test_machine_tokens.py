"""Machine tokens: one string in one variable, with which a pipeline runs jobs and can do little else."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.accounts import Account, Accounts
from tests.e2e.deadline import Deadline
from tests.e2e.home import Home, new_home

pytestmark = pytest.mark.usefixtures("accounts")


class Pipeline:
    """A HOME that has never logged in, with a token in its environment."""

    def __init__(self, home: Home, token: str) -> None:
        self.home = home
        home.env["JOBRUN_TOKEN"] = token

    def ids(self, *words: str) -> set[str]:
        """What `list -q` prints."""
        return set(self.home.jobrun("list", "-q", "-a", *words).passed().out.split())


@pytest.fixture(scope="module")
def owner(accounts: Accounts) -> Account:
    """The user whose tokens they are."""
    return accounts.add(name="owner")


@pytest.fixture
def pipelines(accounts: Accounts, owner: Account) -> Iterator[contextlib.ExitStack]:
    """What ends the pipelines of a test."""
    with contextlib.ExitStack() as stack:
        yield stack


NAMES = (f"t{n}" for n in itertools.count())


def create(owner: Account, *options: str, name: str | None = None) -> str:
    """A new token: its string, which stands alone on stdout."""
    created = owner.jobrun("token", "create", *options, name or next(NAMES)).passed()
    assert re.fullmatch(r"jrt1\.[A-Za-z0-9._-]+\n", created.out)
    return created.out.strip()


def pipeline(stack: contextlib.ExitStack, owner: Account, *options: str, name: str | None = None) -> Pipeline:
    """A pipeline with a token of its own."""
    return Pipeline(stack.enter_context(new_home(owner.cache)), create(owner, *options, name=name))


def test_the_string_alone_runs_jobs(owner: Account, pipelines: contextlib.ExitStack) -> None:
    """A pipeline would need a login, a config folder, a fingerprint."""
    one = pipeline(pipelines, owner)
    ran = one.home.jobrun("run", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (ran.code, ran.out, ran.err) == (3, "out\n", "err\n")
    assert one.home.jobrun("whoami").passed().out.count("owner")
    assert one.home.server_pids() == [], "no private server"
    assert not list(one.home.root.joinpath("c").rglob("*token*")), "it stays in the environment"


def test_a_token_is_no_part_of_a_jobs_environment(owner: Account, pipelines: contextlib.ExitStack) -> None:
    """Any build step could take the token with it."""
    one = pipeline(pipelines, owner)
    assert b"JOBRUN_TOKEN" not in one.home.jobrun("run", "env", "-0").passed().stdout
    assert b"JOBRUN_TOKEN" not in one.home.jobrun("run", "--local", "env", "-0").passed().stdout


def test_many_use_it_at_once(owner: Account, pipelines: contextlib.ExitStack) -> None:
    """A pipeline of eight parallel steps would log itself out."""
    one = pipeline(pipelines, owner)
    clients = [one.home.client("run", "echo", str(n)) for n in range(8)]
    assert [client.finish().passed().out for client in clients] == [f"{n}\n" for n in range(8)]


def test_a_token_sees_the_jobs_that_it_started(owner: Account, pipelines: contextlib.ExitStack) -> None:
    """A token that leaked from one pipeline would show and stop all work of its user."""
    owners = owner.start("sleep", "300")
    first, second = pipeline(pipelines, owner), pipeline(pipelines, owner)
    job = first.home.start("sleep", "300")
    assert first.ids() == {job}
    first.home.jobrun("list", "--all-users").refused(1)
    assert second.ids() == set()
    for stranger, hidden in ((first, owners), (second, job)):
        for words in (["status"], ["logs"], ["stop"], ["rm", "-f"]):
            stranger.home.jobrun(*words, hidden).refused(3)
    second.home.jobrun("stop", "--all").passed()
    assert "running" in owner.status(job)
    assert "running" in owner.status(owners)
    first.home.jobrun("stop", job).passed()
    owner.jobrun("stop", owners).passed()


def test_all_jobs_is_said_when_it_is_made(owner: Account, pipelines: contextlib.ExitStack) -> None:
    """A dashboard could not show what its user runs."""
    wide = pipeline(pipelines, owner, "--all-jobs")
    job = owner.start("sleep", "300")
    assert job in wide.ids()
    wide.home.jobrun("stop", job).passed()


def test_a_token_that_reads_only(owner: Account, pipelines: contextlib.ExitStack) -> None:
    """A status page's token could run commands."""
    reader = pipeline(pipelines, owner, "--scope", "jobs:read", "--all-jobs")
    job = owner.start("echo", "hi")
    assert owner.wait(job) == 0
    assert reader.home.jobrun("logs", job).passed().out == "hi\n"
    reader.home.jobrun("start", "true").refused(1)
    reader.home.jobrun("run", "true").refused(125)
    reader.home.jobrun("stop", job).refused(1)
    reader.home.jobrun("rm", job).refused(1)
    assert owner.status(job)


def test_a_token_can_not_make_itself_more(owner: Account, pipelines: contextlib.ExitStack) -> None:
    """A token with an end date would renew itself for ever, or lock its user out."""
    one = pipeline(pipelines, owner, "--all-jobs")
    for words in (["token", "create", "more"], ["token", "list"], ["user", "list"], ["audit", "show"]):
        one.home.jobrun(*words).refused(1)
    stdin = b"correct horse battery\nanother password\n"
    one.home.jobrun("passwd", "--password-stdin", stdin=stdin).refused(1)
    one.home.jobrun("logout", "--all").refused(1)
    owner.jobrun("list").passed()


@pytest.mark.parametrize("scopes", [["admin"], ["jobs:write"], ["jobs:run", "admin"]], ids=" ".join)
def test_a_scope_that_its_user_lacks(owner: Account, scopes: list[str]) -> None:
    """A token would be worth more than who made it."""
    words = [word for scope in scopes for word in ("--scope", scope)]
    result = owner.jobrun("token", "create", *words, "more")
    assert result.code in (1, 2)
    result.refused(result.code)


def test_a_token_has_ceilings_of_its_own(owner: Account, pipelines: contextlib.ExitStack) -> None:
    """A pipeline of strangers' code could take the whole machine."""
    small = pipeline(pipelines, owner, "--memory", "64M")
    assert "memory" in small.home.jobrun("start", "--memory", "128M", "true").refused(1)
    assert small.home.status(small.home.start("true"))["effective_limits"]["memory_bytes"] == 64 << 20
    owner.jobrun("run", "--memory", "128M", "true").passed()


def test_the_end_of_a_token(owner: Account, pipelines: contextlib.ExitStack) -> None:
    """A token that was meant for a day would hold for ever; or its end would take the job along."""
    short = pipeline(pipelines, owner, "--ttl", "2s")
    gate = owner.gate()
    running = short.home.client("run", "sh", "-c", f"{gate.hold} sleep 300")
    gate.wait_opened()
    told = running.finish().complained(125)
    assert "is not stopped by that" in told
    assert gate.held()
    short.home.jobrun("list").refused(4)
    short.home.jobrun("run", "true").refused(125)
    owner.jobrun("stop", "--all").passed()
    gate.wait_released()


def test_a_token_that_is_revoked_ends_at_once(owner: Account, pipelines: contextlib.ExitStack) -> None:
    """A leaked token would go on with what it has open."""
    one = pipeline(pipelines, owner, name="leaked")
    gate = owner.gate()
    running = one.home.client("run", "sh", "-c", f"{gate.hold} sleep 300")
    gate.wait_opened()
    owner.jobrun("token", "revoke", "leaked").passed()
    job = next(iter(owner.jobrun("list", "-q").passed().out.split()))
    assert job in running.finish(within=5).complained(125)
    assert gate.held()
    one.home.jobrun("list").refused(4)
    owner.jobrun("stop", job).passed()
    owner.jobrun("token", "revoke", "leaked").refused(3)


def test_the_list_has_no_secrets(accounts: Accounts, owner: Account) -> None:
    """Whoever sees the screen could use the tokens."""
    token = create(owner, "--ttl", "1d", name="listed")
    secret = token.rpartition(".")[2]
    shown = owner.jobrun("token", "list").passed().out
    facts = {entry["name"]: entry for entry in owner.facts("token", "list")}
    everybodys = accounts.admin.jobrun("token", "list", "--all-users").passed().out
    assert "listed" in shown
    assert "listed" in everybodys
    assert secret not in shown + everybodys + str(facts)
    assert facts["listed"]["scope"] == "jobs:run"
    assert not facts["listed"]["all_jobs"]
    owner.jobrun("token", "create", "listed").refused(1)
    owner.jobrun("token", "revoke", facts["listed"]["id"]).passed()


def test_a_token_that_could_not_be_printed(owner: Account) -> None:
    """A token would hold for 90 days that nobody has, as after `>file` on a full disk."""
    full = owner.shell("jobrun token create unseen >/dev/full")
    assert (full.code, full.err.count("\n")) == (1, 1)
    assert "unseen is revoked again" in full.err
    nobody_reads, pipe = os.pipe()
    os.close(nobody_reads)
    left = owner.client("token", "create", "unheard", stdout=pipe).finish()
    os.close(pipe)
    assert (left.code, left.err) == (141, "")
    names = {token["name"] for token in owner.facts("token", "list")}
    assert not names & {"unseen", "unheard"}


@pytest.mark.parametrize("closed", [">&-", ">/dev/null"])
def test_a_token_that_nobody_would_read_is_not_made(owner: Account, closed: str) -> None:
    """It would hold for 90 days, and be nowhere."""
    told = owner.shell(f"jobrun token create unread {closed}").refused(1)
    assert "stdout" in told
    assert "unread" not in {token["name"] for token in owner.facts("token", "list")}


def test_who_leaves_before_a_token_was_read_knows_how_to_end_it(owner: Account) -> None:
    """After Ctrl-C a token would hold for 90 days that nobody has, and nobody knows of."""
    unread, pipe = os.pipe()
    size = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)
    os.write(pipe, bytes(size))  # the client will wait for room
    left = owner.client("token", "create", "interrupted", stdout=pipe)
    os.close(pipe)
    deadline = Deadline(10, "the token to be made")
    while not (made := [one["id"] for one in owner.facts("token", "list") if one["name"] == "interrupted"]):
        deadline.left()
    left.signal(signal.SIGINT)
    told = left.finish()
    os.close(unread)
    assert (told.code, told.err.count("\n")) == (130, 1)
    assert re.search(rf"jobrun token revoke ({made[0]}|interrupted)\n", told.err), told.err
    owner.jobrun("token", "revoke", made[0]).passed()


def test_a_viewers_token_looks(accounts: Accounts, pipelines: contextlib.ExitStack) -> None:
    """A viewer would have to know that what help calls the default is refused for him."""
    looker = accounts.add("--role", "viewer", name="looker")
    one = pipeline(pipelines, looker, name="board")
    assert [token["scope"] for token in looker.facts("token", "list")] == ["jobs:read"]
    one.home.jobrun("list").passed()
    one.home.jobrun("start", "true").refused(1)
    for scope in ("jobs:run", "admin"):
        assert scope in looker.jobrun("token", "create", "--scope", scope, "more").refused(1)
    help_ = looker.jobrun("token", "create", "--help").passed().out
    assert "of a viewer jobs:read" in " ".join(help_.split())


def test_a_ceiling_above_that_of_its_user(accounts: Accounts) -> None:
    """A token would promise more than its jobs can have."""
    small = accounts.add("--memory", "64M", "--timeout", "1h", name="small")
    told = small.jobrun("token", "create", "--memory", "128M", "more").refused(1)
    assert told == "jobrun: --memory: 128M is above the ceiling of 64M: ask for less"
    small.jobrun("token", "create", "--memory", "64M", "--cpus", "1", "as-much").passed()
    refused = accounts.audit(username="small", action="token.create", outcome="INVALID_REQUEST")
    assert [event["target"] for event in refused] == ["name=more scope=jobs:run all_jobs=false memory_bytes=134217728"]


@pytest.mark.parametrize("name", [" ", "/", "@last", "", ".hidden", "a b", "caf\u00e9", "x" * 65, "a\x1b[2J"])
def test_a_name_that_is_none(owner: Account, name: str) -> None:
    """It could not be typed again to revoke the token, or be taken for something else."""
    assert "name" in owner.jobrun("token", "create", "--", name).refused(2).lower()


def test_another_users_token_is_as_one_that_there_is_not(accounts: Accounts, owner: Account) -> None:
    """Anybody could end anybody's pipelines, or learn what there is."""
    create(owner, name="mine")
    token = next(entry for entry in owner.facts("token", "list") if entry["name"] == "mine")
    other = accounts.add(name="other")
    assert other.facts("token", "list") == []
    other.jobrun("token", "revoke", token["id"]).refused(3)
    other.jobrun("token", "revoke", "mine").refused(3)
    other.jobrun("token", "list", "--all-users").refused(1)
    accounts.admin.jobrun("token", "revoke", token["id"]).passed()
    assert "mine" not in owner.jobrun("token", "list").passed().out


def test_tokens_of_a_user_who_is_gone(accounts: Accounts, pipelines: contextlib.ExitStack) -> None:
    """The tokens of somebody who left would let him in for months."""
    leaver = accounts.add(name="leaver")
    one = pipeline(pipelines, leaver)
    one.home.jobrun("list").passed()
    accounts.admin.jobrun("user", "disable", "leaver").passed()
    one.home.jobrun("list").refused(4)
    accounts.admin.jobrun("user", "set", "--enable", "leaver").passed()
    one.home.jobrun("list").passed()
    accounts.admin.jobrun("user", "remove", "leaver").passed()
    one.home.jobrun("list").refused(4)


@pytest.mark.parametrize("ttl", ["0s", "367d", "soon", "-1d"])
def test_an_end_that_is_none(owner: Account, ttl: str) -> None:
    """It would be cut to some other end."""
    assert "--ttl" in owner.jobrun("token", "create", "--ttl", ttl, "more").refused(2)


DAMAGE: dict[str, Callable[[str], str]] = {
    "cut": lambda token: token[:-5],
    "longer": lambda token: token + "x",
    "another secret": lambda token: token[:-8] + ("AAAAAAAA" if token[-8:] != "AAAAAAAA" else "BBBBBBBB"),
    "no token": lambda token: "jrt1",
    "garbage": lambda token: "\x1b[2J$(id)",
    "of another kind": lambda token: "ghp_0123456789abcdefghij",
    "two lines": lambda token: token + "\nX: y",
}


def test_a_damaged_token(owner: Account, pipelines: contextlib.ExitStack) -> None:
    """A pipeline would fail in a traceback, or run somewhere else."""
    one = pipeline(pipelines, owner)
    for damage in DAMAGE.values():
        token = damage(one.home.env["JOBRUN_TOKEN"])
        error = one.home.jobrun("list", env={"JOBRUN_TOKEN": token}).refused(4)
        assert token[-20:] not in error
    one.home.jobrun("run", "true", env={"JOBRUN_TOKEN": token}).refused(125)
    assert one.home.server_pids() == []
