"""Passwords from the terminal, or from stdin with --password-stdin. Never from arguments, which everybody sees."""

from __future__ import annotations

import os

from jobrun.cli.options import Option, Parsed
from jobrun.cli.terminal import Terminal
from jobrun.cli.text import is_utf8
from jobrun.config.errors import Refusal

PASSWORD_STDIN = Option("--password-stdin", "read passwords from stdin, one a line, instead of asking")
MOST = 1 << 16
"""Bytes of stdin: a password has 72 at most, and a wrong file is not read to its end."""
OTHERWISE = "no terminal to ask for the password at: give it by --password-stdin"


def read_password(parsed: Parsed, terminal: Terminal, question: str) -> str:
    """A password that exists."""
    if parsed.flag(PASSWORD_STDIN.key):
        return _lines(parsed, 1)[0]
    return _checked(terminal.ask_secret(question, OTHERWISE))


def read_new_password(parsed: Parsed, terminal: Terminal, whose: str) -> str:
    """A password to be set: at the terminal twice."""
    if parsed.flag(PASSWORD_STDIN.key):
        return _lines(parsed, 1)[0]
    return _ask_twice(terminal, whose)


def read_change(parsed: Parsed, terminal: Terminal) -> tuple[str, str]:
    """The present password and a new one; on stdin a line each."""
    if parsed.flag(PASSWORD_STDIN.key):
        current, new = _lines(parsed, 2)
        return current, new
    return _checked(terminal.ask_secret("current password: ", OTHERWISE)), _ask_twice(terminal, "you")


def _ask_twice(terminal: Terminal, whose: str) -> str:
    new = _checked(terminal.ask_secret(f"new password for {whose}: ", OTHERWISE))
    if terminal.ask_secret("the same again: ", OTHERWISE) != new:
        raise Refusal("the two are not the same: nothing was changed")
    return new


def _lines(parsed: Parsed, wanted: int) -> list[str]:
    content = b""
    while len(content) <= MOST and (chunk := os.read(0, MOST + 1 - len(content))):
        content += chunk
    lines = [line.removesuffix(b"\r") for line in content.removesuffix(b"\n").split(b"\n")]
    if len(lines) != wanted or not content:
        what = "one line: the password" if wanted == 1 else "two lines: the current password, and the new one"
        raise Refusal(f"{parsed.command}: {PASSWORD_STDIN.key}: stdin must hold {what}")
    return [_checked(line.decode("utf-8", "surrogateescape")) for line in lines]


def _checked(password: str) -> str:
    if not is_utf8(password):
        raise Refusal("the password is no UTF-8: this terminal or file has another encoding")
    return password
