"""The server's config file: INI, strict. What it does not know it refuses, as a wish that is dropped is a surprise."""

from __future__ import annotations

import configparser
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobrun.config.errors import UsageError
from jobrun.config.server_keys import KEYS

MOST = 1 << 20
"""Bytes of a config file."""


@dataclasses.dataclass(frozen=True)
class ServerFile:
    """What a config file said; None where it said nothing."""

    listen: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    slots: int | None = None
    access_token_lifetime_ns: int | None = None
    session_idle_ns: int | None = None
    session_lifetime_ns: int | None = None


def read_server_file(path: Path) -> ServerFile:
    """Raises UsageError: one line that names the file, and the section and key where it is about one."""
    parser = _parse(path, _read(path))
    values: dict[str, Any] = {}
    for section in parser.sections():
        known = KEYS.get(section)
        if known is None:
            raise _wrong(path, f"[{section}]: no such section: there are {_listed(KEYS)}")
        for name, text in parser.items(section):
            if name not in known:
                raise _wrong(path, f"[{section}] {name}: no such key: there are {_listed(known)}")
            values[known[name].field] = _value(path, section, name, text)
    found = ServerFile(**values)
    if (found.certificate is None) != (found.key is None):
        raise _wrong(path, "[server]: certificate and key go together: give both, or none")
    return found


def _read(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(MOST + 1)
        if len(data) > MOST:
            raise _wrong(path, f"has more than {MOST} bytes: give an INI file")
        return data.decode("utf-8")
    except OSError as error:
        raise _wrong(path, f"can not be read ({error.strerror}): name a file that this user may read") from None
    except UnicodeDecodeError:
        raise _wrong(path, "is no text in UTF-8: give an INI file") from None


def _parse(path: Path, text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(
        delimiters=("=",),
        default_section="",  # there is no section whose keys go to all others
        empty_lines_in_values=False,
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys as they are written
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise _wrong(path, _what_is_wrong(error)) from None
    return parser


def _what_is_wrong(error: configparser.Error) -> str:
    """In a line of ours: the parser's own have line ends and reprs."""
    if isinstance(error, configparser.DuplicateSectionError):
        return f"[{error.section}] is there twice: put all its keys under one"
    if isinstance(error, configparser.DuplicateOptionError):
        return f"[{error.section}] {error.option} is there twice: leave one"
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"line {error.lineno} is in no section: begin with [server]"
    if isinstance(error, configparser.ParsingError):
        return f"line {error.errors[0][0]} is no 'key = value'"
    return "is no INI file"


def _value(path: Path, section: str, name: str, text: str) -> Any:
    where = f"[{section}] {name}"
    if not text:
        raise _wrong(path, f"{where}: is empty: give a value, or leave the line out")
    if "\n" in text or "\0" in text:
        raise _wrong(path, f"{where}: a value is one line")
    try:
        return KEYS[section][name].parse(text, path.absolute().parent)
    except ValueError as error:
        raise _wrong(path, f"{where}: {error}") from None
    except UsageError as error:
        raise _wrong(path, f"{where}{error}") from None


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(names)


def _wrong(path: Path, what: str) -> UsageError:
    return UsageError(f"server: --config {path}: {what}")
