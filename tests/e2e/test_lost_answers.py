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


def lost(relay: Relay, method: str) -> None:
    """The next answer of that method is lost."""
    relay.calls.clear()
    relay.lose = method


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
