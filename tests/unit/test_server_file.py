"""The server's config file: what it takes, and the line that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobrun.cli.help import command_help
from jobrun.cli.registry import load
from jobrun.config.errors import UsageError
from jobrun.config.listen import parse_listen, reachable_host
from jobrun.config.server_file import ServerFile, read_server_file
from jobrun.config.server_keys import KEYS

WHOLE = """\
# a comment
[server]
listen = 0.0.0.0:50443
certificate = tls/server.crt
key = /etc/ssl/private/server.key
slots = 12

[login]
access_token_lifetime = 90s
session_idle = 1.5h
session_lifetime=30d
"""


def read(folder: Path, text: str | bytes) -> ServerFile:
    """What a file of that content says."""
    path = folder / "server.ini"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_server_file(path)


def refusal(folder: Path, text: str | bytes) -> str:
    """Why it is refused: one line that names the file."""
    with pytest.raises(UsageError) as caught:
        read(folder, text)
    line = str(caught.value)
    assert line.startswith(f"server: --config {folder / 'server.ini'}: ")
    assert len(line.splitlines()) == 1
    return line


def test_everything_that_there_is(tmp_path: Path) -> None:
    """A setting would be read and not used."""
    assert read(tmp_path, WHOLE) == ServerFile(
        listen="0.0.0.0:50443",
        certificate=tmp_path / "tls/server.crt",
        key=Path("/etc/ssl/private/server.key"),
        slots=12,
        access_token_lifetime_ns=90 * 10**9,
        session_idle_ns=5400 * 10**9,
        session_lifetime_ns=30 * 86_400 * 10**9,
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "[server]\n", "[login]\n[server]\n"])
def test_nothing_given(tmp_path: Path, text: str) -> None:
    """An empty file would be an error, or a default appear from nowhere."""
    assert read(tmp_path, text) == ServerFile()


def test_percent_and_dollar_are_plain(tmp_path: Path) -> None:
    """A path with a percent sign would be an error of interpolation."""
    found = read(tmp_path, "[server]\ncertificate = /a%b\nkey = /c$d\n")
    assert (found.certificate, found.key) == (Path("/a%b"), Path("/c$d"))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[sever]\nlisten = x:1\n", ("[sever]", "server, login")),
        ("[DEFAULT]\nslots = 1\n", ("[DEFAULT]",)),
        ("[server]\nlisen = x:1\n", ("[server] lisen", "listen")),
        ("[server]\nSlots = 1\n", ("[server] Slots",)),
        ("[login]\nslots = 1\n", ("[login] slots",)),
        ("[server]\nslots = 0\n", ("[server] slots", "0")),
        ("[server]\nslots = many\n", ("[server] slots", "many")),
        ("[server]\nslots =\n", ("[server] slots", "empty")),
        ("[server]\nlisten = 127.0.0.1\n", ("[server] listen", "port")),
        ("[server]\nlisten = 127.0.0.1:70000\n", ("[server] listen", "70000")),
        ("[server]\ncertificate = /a\n", ("[server]", "key")),
        ("[server]\nkey = /a\n", ("[server]", "certificate")),
        ("[login]\naccess_token_lifetime = 500ms\n", ("[login] access_token_lifetime", "1s")),
        ("[login]\naccess_token_lifetime = 1s\n", ("[login] access_token_lifetime", "2s")),
        ("[login]\naccess_token_lifetime = 61m\n", ("[login] access_token_lifetime", "60m")),
        ("[login]\naccess_token_lifetime = 600\n", ("[login] access_token_lifetime", "600")),
        ("[login]\nsession_idle = 0s\n", ("[login] session_idle",)),
        ("[login]\nsession_lifetime = 367d\n", ("[login] session_lifetime", "366d")),
        ("[login]\nsession_lifetime = -1d\n", ("[login] session_lifetime", "-1d")),
        ("listen = x:1\n", ("line 1",)),
        ("[server]\nlisten\n", ("line 2",)),
        ("[server]\nslots = 1\nslots = 2\n", ("[server] slots", "twice")),
        ("[server]\n[server]\n", ("[server]", "twice")),
        ("[server]\nslots = 1\n  2\n", ("[server] slots",)),
        (b"[server]\nlisten = \xff:1\n", ("UTF-8",)),
        (b"\0" * 64, ()),
        ("[server]\n#" + "x" * (1 << 20), ("bytes",)),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str | bytes, names: tuple[str, ...]) -> None:
    """A typing error in a setting would be dropped without a word, and the server run without it."""
    line = refusal(tmp_path, text)
    assert all(name in line for name in names), line


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The server would run with defaults where its settings were meant."""
    for path in (tmp_path / "none.ini", tmp_path):
        with pytest.raises(UsageError, match="can not be read"):
            read_server_file(path)


@pytest.mark.parametrize(
    "text", ["127.0.0.1:0", "0.0.0.0:50443", "[::1]:0", "[::]:0", "localhost:1", "box.example.org:1"]
)
def test_where_it_may_listen(text: str) -> None:
    """An operator's address would be refused."""
    assert parse_listen(text, "--listen") == text


@pytest.mark.parametrize(
    "text", ["", ":", ":1", "x", "x:", "::1:50443", "[::1]", "[x]:1", "1.2.3:4", "a b:1", "x:65536", "x:-1", "é:1"]
)
def test_where_it_may_not_listen(text: str) -> None:
    """gRPC would say something obscure, or listen somewhere else."""
    with pytest.raises(UsageError, match=r"^--listen: "):
        parse_listen(text, "--listen")


def test_what_others_type() -> None:
    """The line to paste would say 0.0.0.0, which is everybody's own machine."""
    assert reachable_host("127.0.0.1") == "127.0.0.1"
    assert reachable_host("0.0.0.0") == reachable_host("[::]") != "0.0.0.0"


def test_help_tells_all_that_a_file_may_say(tmp_path: Path) -> None:
    """An operator would have to find the keys in the errors, one by one."""
    told = command_help(load("server"))
    for section, keys in KEYS.items():
        assert f"[{section}]" in told
        for name, key in keys.items():
            assert f"{name} = {key.value}" in " ".join(told.split())
            assert getattr(read(tmp_path, WHOLE), key.field) is not None, "the example has them all"
