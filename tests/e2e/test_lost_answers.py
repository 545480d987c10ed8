"""The connection breaks after the server has done what was asked, and before its answer arrives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.accounts import Account, Accounts
from tests.e2e.relay import Relay, relay_to
from tests.e2e.tls_server import TlsServer

NEW = b"correct horse battery\n"


@pytest.fixture(scope="module")
def relay(accounts: Accounts) -> Iterator[Relay]:
    """What loses answers."""
    with relay_to(accounts.server) as relaying:
        yield relaying


@pytest.fixture(scope="module")
def admin(cache: Path, accounts: Accounts, relay: Relay) -> Iterator[Account]:
    """An admin whose way leads through it."""
    server: TlsServer = accounts.server
    client = Account(cache, server, "admin", server.admin_password)
    client.server_address = relay.address
    client.log_in().passed()
    yield client
    client.close()


FOR_GOOD = 1000
"""More often than a client asks again."""


def lost(relay: Relay, method: str, times: int = 1) -> None:
    """The next answers of that method are lost."""
    relay.calls.clear()
    relay.busy, relay.lose = {}, {method: times}


def not_begun(relay: Relay, method: str, times: int = 1) -> None:
    """The next calls of that method are refused by a server that is ending."""
    relay.calls.clear()
    relay.busy, relay.lose = {method: times}, {}


def token_names(account: Account) -> set[str]:
    """Of all its tokens."""
    return {token["name"] for token in account.facts("token", "list")}


def test_a_token_whose_answer_is_lost(admin: Account, relay: Relay) -> None:
    """The second try would say "exists", of a token that nobody has: it would hold for 90 days."""
    lost(relay, "CreateMachineToken")
    error = admin.jobrun("token", "create", "half").refused(1)
    assert "jobrun token list" in error
    assert "jobrun token revoke half" in error
    assert relay.calls.count("CreateMachineToken") == 1
    assert "half" in token_names(admin)
    lost(relay, "RevokeMachineToken")
    done = admin.jobrun("token", "revoke", "half").passed()
    assert "half" in done.out + done.err
    assert relay.calls.count("RevokeMachineToken") == 2
    assert "half" not in token_names(admin)
    admin.jobrun("token", "revoke", "half").refused(3)


def test_a_user_whose_answer_is_lost(admin: Account, relay: Relay) -> None:
    """Whoever adds a user would be told that the name is taken for ever; whoever removes one, that he never was."""
    lost(relay, "CreateUser")
    error = admin.jobrun("user", "add", "--password-stdin", "halfway", stdin=NEW).refused(1)
    assert "jobrun user list" in error
    assert relay.calls.count("CreateUser") == 1
    lost(relay, "RemoveUser")
    assert "halfway" in admin.jobrun("user", "remove", "halfway").passed().out
    assert "halfway" not in {user["username"] for user in admin.facts("user", "list")}
    admin.jobrun("user", "remove", "halfway").refused(3)


def test_what_was_not_begun_is_not_done(admin: Account, relay: Relay) -> None:
    """A name mistyped while the server restarts would be told as ended, and the thing that was meant would stay."""
    for words, method in ((["token", "revoke"], "RevokeMachineToken"), (["user", "remove"], "RemoveUser")):
        not_begun(relay, method)
        admin.jobrun(*words, "typo").refused(3)
        assert relay.calls.count(method) == 2


def test_a_token_that_can_not_be_taken_back(admin: Account, relay: Relay) -> None:
    """Whoever reads that it is revoked would leave it for 90 days."""
    not_begun(relay, "RevokeMachineToken", FOR_GOOD)
    told = admin.shell("jobrun token create unseen >/dev/full").complained(1)
    (token,) = (token for token in admin.facts("token", "list") if token["name"] == "unseen")
    assert f"may still hold, and nobody has it: jobrun token revoke {token['id']}" in told
    assert "revoked again" not in told
    not_begun(relay, "", 0)
    admin.jobrun("token", "revoke", token["id"]).passed()


def test_a_logout_whose_answer_is_lost(accounts: Accounts, relay: Relay) -> None:
    """Whoever ends all of his sessions, after a theft, would read that none was ended; or that it was, where it is
    not known."""
    user = accounts.add_only()
    user.server_address = relay.address
    for words in ([], ["--all"]):
        user.log_in().passed()
        lost(relay, "RevokeToken")
        assert user.jobrun("logout", *words).passed().err == ""
        assert relay.calls.count("RevokeToken") == 2
    user.log_in().passed()
    lost(relay, "RevokeToken", FOR_GOOD)
    refused = user.jobrun("logout", "--all").passed().err
    assert "logged out here; the session and your others may go on" in refused


def test_a_password_whose_answer_is_lost(accounts: Accounts, relay: Relay) -> None:
    """The second try would say that the current password is wrong, and nobody would know which one holds."""
    user = accounts.add_only()
    user.server_address = relay.address
    user.log_in().passed()
    lost(relay, "ChangePassword")
    words = f"{user.password}\na much better one\n".encode()
    error = user.jobrun("passwd", "--password-stdin", stdin=words).refused(1)
    assert "may be changed" in error
    assert relay.calls.count("ChangePassword") == 1
    user.log_in(password="a much better one").passed()


def test_what_may_be_done_twice_is_asked_again(admin: Account, relay: Relay) -> None:
    """Every short outage would be an error."""
    for words, method in ((["user", "list"], "ListUsers"), (["user", "set", "--enable", "admin"], "UpdateUser")):
        lost(relay, method)
        admin.jobrun(*words).passed()
        assert relay.calls.count(method) == 2
