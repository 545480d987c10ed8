"""What a server's config file may say: the one table by which it is read and told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jobrun.config.listen import parse_listen
from jobrun.config.numbers import UNIT_NS, parse_count, parse_duration
from jobrun.config.server_settings import DAY_S, LISTEN, MINUTE_S, SLOTS_PER_CPU, ServerSettings

SHORTEST_ACCESS_NS = 2 * UNIT_NS["s"]
"""Times in a token are whole seconds, so that it holds for up to one less than it is told to."""
LONGEST_ACCESS_NS = UNIT_NS["h"]
"""Of an access token: it is judged without a look at the disk for that long."""


class Key(NamedTuple):
    """One key: where it goes in ServerFile, what makes a value of its text and the file's folder; the others are for
    people: how a value looks, what the key means, what holds without it."""

    field: str
    parse: Callable[[str, Path], Any]
    value: str
    help: str
    usual: str


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
    if duration < SHORTEST_ACCESS_NS:
        raise ValueError(f"{text} is too short: at least {SHORTEST_ACCESS_NS // UNIT_NS['s']}s")
    if duration > LONGEST_ACCESS_NS:
        raise ValueError(f"{text} is too long: at most {LONGEST_ACCESS_NS // UNIT_NS['m']}m")
    return duration


KEYS: Mapping[str, Mapping[str, Key]] = {
    "server": {
        "listen": Key(
            "listen", _listen, "HOST:PORT", "where to listen; port 0 takes a free one; --listen wins over it", LISTEN
        ),
        "certificate": Key(
            "certificate",
            _path,
            "FILE",
            "a certificate of your own, PEM, the server's own first; a path that is relative begins at the file's "
            "folder",
            "one that the server makes",
        ),
        "key": Key("key", _path, "FILE", "its key; certificate and key go together", "one that the server makes"),
        "slots": Key(
            "slots",
            _slots,
            "N",
            "how many jobs of one slot run at a time; --slots wins over it",
            f"{SLOTS_PER_CPU} a CPU",
        ),
    },
    "login": {
        "access_token_lifetime": Key(
            "access_token_lifetime_ns",
            _access_lifetime,
            "DUR",
            "how long an access token holds, 2s to 60m",
            f"{ServerSettings.access_token_s // MINUTE_S}m",
        ),
        "session_idle": Key(
            "session_idle_ns",
            _lifetime,
            "DUR",
            "after how long without a refresh a session ends",
            f"{ServerSettings.session_idle_s // DAY_S}d",
        ),
        "session_lifetime": Key(
            "session_lifetime_ns",
            _lifetime,
            "DUR",
            "how long after its login a session ends at the latest",
            f"{ServerSettings.session_lifetime_s // DAY_S}d",
        ),
    },
}
"""All there are, by section."""


def keys_in_words() -> str:
    """What may stand in the file, in a sentence."""
    sections = (
        f"[{section}] " + ", ".join(f"{name} = {key.value}" for name, key in keys.items())
        for section, keys in KEYS.items()
    )
    return "; ".join(sections)
