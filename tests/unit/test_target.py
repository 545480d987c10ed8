"""Where a command goes: a job on the wrong machine is worse than none."""

from __future__ import annotations

import pytest

from jobrun.config.environment import Environment
from jobrun.config.errors import LoginNeeded, NotBuilt, UsageError
from jobrun.config.target import Kind, choose_target, parse_loopback


def env(**variables: str) -> Environment:
    """An environment with these variables alone."""
    return Environment({name.encode(): value.encode() for name, value in variables.items()})


def test_without_anything_it_is_the_private_server() -> None:
    """The zero-configuration default."""
    assert choose_target(env(), None, local=False).private


def test_the_option_wins_over_the_variable() -> None:
    """First match wins."""
    target = choose_target(env(JOBRUN_SERVER="unix:/v"), "unix:/o", local=False)
    assert (target.kind, target.address) == (Kind.UNIX, "unix:/o")


def test_the_variable_names_a_server() -> None:
    """And the private one is no fallback for it."""
    target = choose_target(env(JOBRUN_SERVER="insecure:127.0.0.1:7"), None, local=False)
    assert (target.kind, target.address) == (Kind.INSECURE, "ipv4:127.0.0.1:7")


def test_local_wins_over_the_variable() -> None:
    """It is how one asks for the private server."""
    assert choose_target(env(JOBRUN_SERVER="unix:/v", JOBRUN_TOKEN="t"), None, local=True).private


@pytest.mark.parametrize("variable", ["JOBRUN_SERVER", "JOBRUN_TOKEN"])
def test_a_variable_that_is_set_but_empty_never_falls_through(variable: str) -> None:
    """A pipeline whose secret is missing must not run its job on the build machine."""
    with pytest.raises(LoginNeeded, match=variable):
        choose_target(env(**{variable: ""}), None, local=False)


@pytest.mark.parametrize("server", [None, "unix:/x"])
def test_a_token_is_refused_and_not_ignored(server: str | None) -> None:
    """This version has no tokens: to go on without it would be another server with other rights."""
    with pytest.raises(NotBuilt, match="JOBRUN_TOKEN"):
        choose_target(env(JOBRUN_TOKEN="t"), server, local=False)


def test_two_servers_are_a_mistake() -> None:
    """No guess which one was meant."""
    with pytest.raises(UsageError, match="--local"):
        choose_target(env(), "unix:/x", local=True)


@pytest.mark.parametrize("server", ["box", "box:50443", "127.0.0.1:1", "[::1]:1"])
def test_a_plain_host_is_tls_and_never_plaintext(server: str) -> None:
    """None is ever tried as a fallback for another."""
    with pytest.raises(NotBuilt, match="TLS"):
        choose_target(env(), server, local=False)


@pytest.mark.parametrize(
    "server",
    [
        "",
        "unix:",
        "unix:relative",
        "unix:/" + "x" * 107,
        "insecure:",
        "insecure:127.0.0.1",
        "insecure:127.0.0.1:",
        "insecure:127.0.0.1:0",
        "insecure:127.0.0.1:65536",
        "insecure:127.0.0.1:+1",
        "insecure:127.0.0.1:٣",
        "insecure:localhost:1",
        "insecure:10.0.0.1:1",
        "insecure:128.0.0.1:1",
        "insecure:0.0.0.0:1",
        "insecure::1:1",
        "insecure:127.0.0.1.evil.example:1",
        "insecure:127.1:1",
        "insecure:[::]:1",
        "insecure:127.0.0.256:1",
    ],
)
def test_plaintext_goes_to_loopback_alone(server: str) -> None:
    """A name could lead elsewhere, so only numbers count."""
    with pytest.raises(UsageError, match="--server"):
        choose_target(env(), server, local=False)


def test_loopback_of_both_families() -> None:
    """All of 127/8 is this machine."""
    assert choose_target(env(), "insecure:127.9.9.9:80", local=False).address == "ipv4:127.9.9.9:80"
    assert choose_target(env(), "insecure:[::1]:80", local=False).address == "ipv6:[::1]:80"
    assert parse_loopback("127.0.0.1:0", "--listen", least_port=0) == ("127.0.0.1", 0)
