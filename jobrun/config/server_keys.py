"""What a server's config file may say: the one table by which it is read and told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jobrun.config.listen import parse_listen
from jobrun.config.numbers import UNIT_NS, parse_count, parse_duration

LONGEST_ACCESS_NS = UNIT_NS["h"]
"""Of an access token: it is judged without a look at the disk for that long."""
COLUMN = 36
"""Where the text beside a key begins in help."""


class Key(NamedTuple):
    """One key: where it goes in ServerFile, what makes a value of its text and the file's folder; `value` and `help`
    are for people."""

    field: str
    parse: Callable[[str, Path], Any]
    value: str
    help: str


def _listen(text: str, folder: Path) -> str:
    return parse_listen(text, "")


def _path(text: str, folder: Path) -> Path:
    """Relative ones begin at the config file's folder."""
    return folder / text


def _slots(text: str, folder: Path) -> int:
    return parse_count(text)


def _lifetime(text: str, folder: Path) -> int:
    """Nanoseconds of a second or more."""
    duration = parse_duration(text)
    if duration < UNIT_NS["s"]:
        raise ValueError(f"{text} is too short: at least 1s")
    return duration


def _access_lifetime(text: str, folder: Path) -> int:
    duration = _lifetime(text, folder)
    if duration > LONGEST_ACCESS_NS:
        raise ValueError(f"{text} is too long: at most {LONGEST_ACCESS_NS // UNIT_NS['m']}m")
    return duration


KEYS: Mapping[str, Mapping[str, Key]] = {
    "server": {
        "listen": Key("listen", _listen, "HOST:PORT", "as --listen, which wins"),
        "certificate": Key("certificate", _path, "FILE", "your own, PEM, with its chain; goes with key"),
        "key": Key("key", _path, "FILE", "its private key, PEM"),
        "slots": Key("slots", _slots, "N", "as --slots, which wins"),
    },
    "login": {
        "access_token_lifetime": Key(
            "access_token_lifetime_ns", _access_lifetime, "DUR", "how long an access token holds: 10m; at most 1h"
        ),
        "session_idle": Key("session_idle_ns", _lifetime, "DUR", "how long after its last refresh a session ends: 14d"),
        "session_lifetime": Key(
            "session_lifetime_ns", _lifetime, "DUR", "how long after its login it ends at the latest: 90d"
        ),
    },
}
"""All there are, by section."""


def keys_in_words() -> str:
    """The table as help shows it."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    for section, keys in KEYS.items():
        yield f"  [{section}]"
        for name, key in keys.items():
            yield f"  {f'{name} = {key.value}':<{COLUMN - 2}}{key.help}"
