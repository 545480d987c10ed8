"""Tokens that expire under way: nothing is lost, nothing is said, nobody is logged out."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.accounts import Accounts, accounts_of
from tests.e2e.client import Client
from tests.e2e.folder_watch import FolderWatch
from tests.e2e.tls_server import tls_server

SHORTEST = "[login]\naccess_token_lifetime = 2s\n"
SHORT = "[login]\naccess_token_lifetime = 5s\n"
TICKS = 40
TICKING = f"i=0; while [ $i -lt {TICKS} ]; do printf '%s|' $i; sleep 0.2; i=$((i+1)); done"


@pytest.fixture(scope="module")
def short_lived(cache: Path, nobodys_cache: Path) -> Iterator[Accounts]:
    """A server whose access tokens live for two seconds."""
    with tls_server(nobodys_cache, config=SHORTEST) as server, accounts_of(cache, server) as accounts:
        yield accounts


@pytest.fixture(scope="module")
def long_runs(cache: Path, nobodys_cache: Path, short_lived: Accounts) -> Iterator[dict[str, Client]]:
    """Two runs that outlive their tokens, under way while the other tests of this module run."""
    with tls_server(nobodys_cache, config=SHORT) as server, accounts_of(cache, server) as accounts:
        script = "for i in 1 2 3 4 5 6 7; do sleep 2; echo $i; done"
        ticker = short_lived.add()
        yield {
            "seven": accounts.admin.client("run", "sh", "-c", script),
            "ticking": ticker.client("run", "sh", "-c", TICKING),
        }


@pytest.mark.usefixtures("long_runs")
def test_commands_go_on_beyond_the_life_of_a_token(short_lived: Accounts) -> None:
    """One would have to log in again every ten minutes."""
    account = short_lived.add()
    for _ in range(2):
        ran = account.jobrun("run", "sh", "-c", "sleep 2.1; echo on").passed()
        assert (ran.out, ran.err) == ("on\n", "")


@pytest.mark.usefixtures("long_runs")
def test_every_long_command_outlives_its_token(short_lived: Accounts) -> None:
    """A pipeline that waits or looks for longer than ten minutes would fail for that alone."""
    account = short_lived.add()
    latch = account.latch()
    job = account.start("sh", "-c", f"echo begin; {latch.wait} echo end; exit 3")
    clients = [account.client(*words) for words in (["attach", job], ["logs", "-f", job], ["wait", job])]
    clients += [account.client("stop", "--grace", "6s", account.start("sh", "-c", "trap '' TERM; sleep 4"))]
    clients[0].read_until(b"begin\n")
    clients[1].read_until(b"begin\n")
    account.jobrun("run", "sleep", "2.5").passed()
    latch.open()
    attached, followed, waited, stopped = (client.finish() for client in clients)
    assert (attached.code, attached.out, attached.err) == (3, "begin\nend\n", "")
    assert (followed.code, followed.out, followed.err) == (0, "begin\nend\n", "")
    assert (waited.code, waited.out, waited.err) == (3, "", "")
    assert (stopped.code, stopped.err) == (0, "")


@pytest.mark.usefixtures("long_runs")
def test_two_processes_refresh_at_once(short_lived: Accounts) -> None:
    """The slower one would throw the session away, and both be logged out."""
    account = short_lived.add()
    runs = [account.client("run", "sh", "-c", "for i in 1 2 3 4 5 6; do sleep 0.6; echo $i; done") for _ in range(3)]
    while any(run.running() for run in runs):
        account.jobrun("list").passed()
    for run in runs:
        ran = run.finish().passed()
        assert (ran.out, ran.err) == ("1\n2\n3\n4\n5\n6\n", "")


def test_a_client_killed_while_it_refreshes(short_lived: Accounts) -> None:
    """A closed laptop, or an impatient Ctrl-C, would log one out for good."""
    seed = random.randrange(1 << 32)
    sys.stderr.write(f"seed {seed}\n")
    chance = random.Random(seed)
    accounts = [short_lived.add() for _ in range(3)]
    caught = 0
    for account in accounts * 6:
        account.forget_age()
        with contextlib.closing(FolderWatch(account.session_file.parent)) as watch:
            client = account.client("list")
            watch.wait()  # its next refresh token is on disk, the current one on its way
            client.kill_after(chance.uniform(0, 0.06))
        caught += account.session()["next_refresh_token"] != ""
    assert caught, "no client was killed between write and answer"
    for account in accounts:
        account.jobrun("list").passed()
    assert short_lived.audit(action="refresh_reuse") == []


def test_an_answer_that_was_lost_is_asked_for_again(short_lived: Accounts) -> None:
    """Who lost the network in the wrong moment would be taken for a thief."""
    account = short_lived.add()
    text = account.session_file.read_text()
    under_way = text.replace("\nnext_refresh_token \n", f"\nnext_refresh_token {'N' * 43}\n")
    assert under_way != text
    for _ in range(3):
        account.session_file.write_text(under_way)  # as a client left it that was killed before it had the answer
        account.forget_age()
        account.jobrun("list").passed()
        assert account.session()["refresh_token"] == "N" * 43
    assert short_lived.audit(action="refresh_reuse") == []


@pytest.mark.parametrize("kill", [False, True], ids=["ended", "killed"])
def test_a_server_that_restarts_under_a_run(short_lived: Accounts, *, kill: bool) -> None:
    """The night's build would be lost with the server's update, since its token is another one afterwards."""
    account = short_lived.add()
    gate = account.gate()
    script = f"{gate.hold} for i in 1 2 3 4 5 6; do echo $i; sleep 0.5; done"
    running = account.client("run", "sh", "-c", script)
    gate.wait_opened()
    short_lived.server.restart(kill=kill)
    ran = running.finish().passed()
    assert ran.out == "".join(f"{n}\n" for n in range(1, 7))
    assert ran.err == ""
    account.jobrun("list").passed()


def test_f39_seven_lines_once_and_in_silence(long_runs: dict[str, Client]) -> None:
    """A followed job would end with "unauthorized" when the token that opened it expires."""
    ran = long_runs["seven"].finish(within=30)
    assert (ran.code, ran.out, ran.err) == (0, "1\n2\n3\n4\n5\n6\n7\n", "")


def test_an_hour_on_short_tokens_in_small(long_runs: dict[str, Client]) -> None:
    """Bytes would be lost, or come twice, where one stream ends and the next begins."""
    ran = long_runs["ticking"].finish(within=30)
    assert (ran.code, ran.out, ran.err) == (0, "".join(f"{n}|" for n in range(TICKS)), "")


def test_f38_twenty_commands_with_an_expired_token_and_one_rotation(cache: Path, nobodys_cache: Path) -> None:
    """Each would rotate the session under the others' hands, and one of them end it."""
    with tls_server(nobodys_cache, config=SHORTEST) as server, accounts_of(cache, server) as accounts:
        account = accounts.add()
        server.restart(config="")
        account.age()
        before = len(accounts.audit(action="refresh", username=account.name))
        clients = [account.client("list") for _ in range(20)]
        for client in clients:
            client.finish(within=40).passed()
        assert len(accounts.audit(action="refresh", username=account.name)) == before + 1

        account.forget_age()
        clients = [account.client("list") for _ in range(20)]
        clients[0].end()
        for client in clients[1:]:
            client.finish(within=40).passed()
        account.jobrun("run", "true").passed()
        assert accounts.audit(action="refresh_reuse") == []
