"""Where a command goes: a job on the wrong machine is worse than none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrun.config.address import Address, parse_address
from jobrun.config.environment import Environment
from jobrun.config.errors import LoginNeeded, Refusal, UsageError
from jobrun.config.logins import Logins
from jobrun.config.target import Kind, choose_target, parse_loopback
from jobrun.config.token_string import MachineLogin, compose_token, parse_token

BOX = Address("box", 50443)
BEARER = "jrt1.abcdefghi0." + "s" * 43
TOKEN = compose_token(BOX, "system", BEARER)


def env(**variables: str) -> Environment:
    """An environment with these variables, and a config home that is not there."""
    named = {"JOBRUN_CONFIG_DIR": "/nonexistent/jobrun", **variables}
    return Environment({name.encode(): value.encode() for name, value in named.items()})


def test_without_anything_it_is_the_private_server() -> None:
    """The first command of somebody new would ask for a login."""
    assert choose_target(env(), None, local=False).private


def test_the_option_wins_over_the_variable() -> None:
    """A command would go to another server than the one on its line."""
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


def test_a_token_goes_to_its_own_server_whatever_else_is_set() -> None:
    """It names the server; a variable of another tool does not lead it elsewhere."""
    target = choose_target(env(JOBRUN_TOKEN=TOKEN, JOBRUN_SERVER="unix:/v"), None, local=False)
    assert (target.kind, target.server, target.token) == (Kind.TLS, BOX, MachineLogin(BOX, "system", BEARER))
    assert choose_target(env(JOBRUN_TOKEN=TOKEN), "BOX", local=False) == target


@pytest.mark.parametrize("server", ["box:1", "other", "unix:/x", "insecure:127.0.0.1:50443"])
def test_a_token_for_one_server_and_the_name_of_another_are_a_mistake(server: str) -> None:
    """Neither is the token shown to a stranger, nor the job run without it."""
    with pytest.raises(UsageError, match="JOBRUN_TOKEN belongs"):
        choose_target(env(JOBRUN_TOKEN=TOKEN), server, local=False)


@pytest.mark.parametrize("at", range(0, len(TOKEN), 7))
def test_a_damaged_token_is_one_line_without_it(at: int) -> None:
    """The log of a pipeline is read by many."""
    for damaged in (TOKEN[:at], TOKEN[:at] + "!" + TOKEN[at:], TOKEN[:at] + TOKEN[at + 1 :], TOKEN + "\nx"):
        with pytest.raises(LoginNeeded, match="JOBRUN_TOKEN is ") as caught:
            choose_target(env(JOBRUN_TOKEN=damaged), None, local=False)
        assert "s" * 20 not in str(caught.value)


@pytest.mark.parametrize("pasted", [TOKEN + "\n", " " + TOKEN, f"\t{TOKEN}\r\n"])
def test_white_space_around_a_token_is_none_of_it(pasted: str) -> None:
    """A secret that was pasted with its line's end, as CI systems keep it, would be damaged."""
    assert parse_token(pasted) == parse_token(TOKEN)


def test_a_token_has_one_spelling() -> None:
    """Base64 has spare bits: two texts for one token would hide from whoever looks for a leaked one."""
    head, place, rest = TOKEN.split(".", 2)
    spare = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(place) % 4 == 2
    other = spare[spare.index(place[-1]) ^ 1]
    with pytest.raises(LoginNeeded, match="damaged"):
        parse_token(f"{head}.{place[:-1]}{other}.{rest}")


@given(st.text(max_size=80) | st.from_regex(r"jrt1\.[A-Za-z0-9_-]*\.[a-z0-9]{10}\.[A-Za-z0-9_-]{43}", fullmatch=True))
def test_any_text_is_a_token_or_refused(text: str) -> None:
    """And what is taken has one spelling alone."""
    try:
        token = parse_token(text)
    except LoginNeeded:
        return
    assert compose_token(token.server, token.pin, token.bearer) == text


HOSTS = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,20}[a-z0-9_])?(\.[a-z]{1,9}){1,3}|[a-z][a-z0-9]{0,9}", fullmatch=True)


@given(HOSTS | st.ip_addresses().map(str), st.integers(1, 65535), st.binary(min_size=32, max_size=32))
def test_what_is_composed_is_parsed_again(host: str, port: int, pin: bytes) -> None:
    """Whatever server a user is logged in to, a token for it can be made and used."""
    server = parse_address(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", "")
    pinned = f"sha256:{pin.hex()}"
    assert parse_token(compose_token(server, pinned, BEARER)) == MachineLogin(server, pinned, BEARER)


def test_a_secret_is_in_no_repr() -> None:
    """A traceback or a log would carry it away."""
    assert "sss" not in repr(choose_target(env(JOBRUN_TOKEN=TOKEN), None, local=False))


def test_the_current_login_is_where_commands_go(tmp_path: Path) -> None:
    """After a login, and never again the private server: after a logout one must say so."""
    home = str(tmp_path / "config")
    Logins(home).set_current("box:50443")
    assert choose_target(env(JOBRUN_CONFIG_DIR=home), None, local=False).server == BOX
    assert choose_target(env(JOBRUN_CONFIG_DIR=home), None, local=True).private
    assert choose_target(env(JOBRUN_CONFIG_DIR=home, JOBRUN_SERVER="unix:/v"), None, local=False).kind is Kind.UNIX
    Logins(home).set_current("")
    with pytest.raises(LoginNeeded, match=r"login.*--local"):
        choose_target(env(JOBRUN_CONFIG_DIR=home), None, local=False)


def test_a_config_home_that_can_not_be_read_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    """Else a job for the big box would run here."""
    home = tmp_path / "config"
    home.mkdir(0o700)
    (home / "current").write_text("box:50443\n")
    (home / "current").chmod(0o644)
    with pytest.raises(LoginNeeded, match="others may use it"):
        choose_target(env(JOBRUN_CONFIG_DIR=str(home)), None, local=False)
    (home / "current").unlink()
    (home / "current").symlink_to(home / "gone")
    with pytest.raises(Refusal, match="symlink"):
        choose_target(env(JOBRUN_CONFIG_DIR=str(home)), None, local=False)


def test_a_config_home_that_lost_its_current_login_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    """Else a job for the big box would run here."""
    home = tmp_path / "config"
    logins = Logins(str(home))
    with logins.locked("box:50443"):
        (home / "sessions" / "box:50443").write_text("")
    with pytest.raises(LoginNeeded, match="gone"):
        choose_target(env(JOBRUN_CONFIG_DIR=str(home)), None, local=False)


def test_no_config_home_can_hold_no_login(tmp_path: Path) -> None:
    """A daemon's HOME is often no folder: it could use nothing at all."""
    (tmp_path / "file").write_text("")
    for name in ("none", "file/jobrun"):
        assert choose_target(env(JOBRUN_CONFIG_DIR=str(tmp_path / name)), None, local=False).private


def test_two_servers_are_a_mistake() -> None:
    """No guess which one was meant."""
    with pytest.raises(UsageError, match="--local"):
        choose_target(env(), "unix:/x", local=True)


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ("box", "box:50443"),
        ("BOX:7", "box:7"),
        ("a.b-c.example", "a.b-c.example:50443"),
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("[::1]", "[::1]:50443"),
        ("[0:0::1]:1", "[::1]:1"),
        ("[FE80::A]:65535", "[fe80::a]:65535"),
    ],
)
def test_a_plain_host_is_tls_and_has_one_spelling(server: str, name: str) -> None:
    """None is ever tried as a fallback for another; one server is never known twice."""
    target = choose_target(env(), server, local=False)
    assert (target.kind, target.name) == (Kind.TLS, name)
    assert choose_target(env(JOBRUN_SERVER=server), None, local=False) == target


@pytest.mark.parametrize(
    "server",
    [
        *(" box", "box ", "bo x", "box\n", "box\x1b[2J", "b\u00f6x", "b\x00x", "\u0661", "box\u202e"),
        *("ann@box", "https://box", "box/", "box:", "box:0", "box:65536", "box:1:2", "box:+1", "box:\u0661", ":1"),
        *("::1", "[::1", "::1]", "[::1]x", "[::1]:", "[]", "[box]", "[::1%lo]", "[127.0.0.1]"),
        *("127.1", "1", "256.0.0.1", "127.0.0.01", "-box", "box-", "box..a", ".box", "box.", "a" * 241),
    ],
)
def test_what_is_no_host_is_refused(server: str) -> None:
    """Nothing that a resolver, a shell or a terminal could take for something else."""
    with pytest.raises(UsageError, match="--server"):
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
