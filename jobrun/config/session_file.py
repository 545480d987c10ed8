"""A login as it lies on disk: a name and a value a line, so that a warm command need not load a parser."""

from __future__ import annotations

import time
from typing import NamedTuple

from jobrun.config.errors import Refusal

NAMES = (
    "user",
    "session",
    "refresh_token",
    "next_refresh_token",
    "access_token",
    "access_boot",
    "access_since_ns",
    "access_life_ns",
    "session_expires_s",
)
LEAST_LEFT_NS = 30 * 10**9
LEAST_LEFT_PART = 5
"""An access token that has less than 30 s left, or a fifth of its life, is replaced before it is used."""
BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Session(NamedTuple):
    """One login. The life of the access token is measured by CLOCK_BOOTTIME, which no one sets, and counts within one
    boot of this machine: the wall clock here may be wrong, or jump."""

    user: str
    session: str
    refresh_token: str
    next_refresh_token: str
    """Not empty: it was on its way to the server, whose answer is not on record. That pair is sent, never a new one."""
    access_token: str
    access_boot: str
    access_since_ns: int
    access_life_ns: int
    session_expires_s: int
    """Seconds since the epoch, by the server's clock; to be shown alone."""

    def __repr__(self) -> str:
        return f"Session({self.user}, ...)"

    def text(self) -> str:
        """The file's content. Raises Refusal where a server's answer could not be read back."""
        values = [str(value) for value in self]
        if not all(value.isascii() and value.isprintable() and " " not in value for value in values):
            raise Refusal("the server's answer has a token that can not be: it may be no jobrun server")
        return "".join(f"{name} {value}\n" for name, value in zip(NAMES, values, strict=True))

    def is_fresh(self, moment: Moment) -> bool:
        """Whether the access token can be used without asking for another."""
        age = moment.boot_ns - self.access_since_ns
        spare = min(LEAST_LEFT_NS, self.access_life_ns // LEAST_LEFT_PART)
        return moment.boot_id == self.access_boot != "" and 0 <= age < self.access_life_ns - spare


class Moment(NamedTuple):
    """A time within one boot of this machine. `boot_id` is empty where it can not be told."""

    boot_id: str
    boot_ns: int


def this_moment() -> Moment:
    """Now (proc(5), clock_gettime(2))."""
    try:
        with open(BOOT_ID, "rb") as file:
            boot_id = file.read(64).decode("ascii", "replace").strip()
    except OSError:
        boot_id = ""
    return Moment(boot_id, time.clock_gettime_ns(time.CLOCK_BOOTTIME))


def parse_session(content: str) -> Session | None:
    """The login of a file's content; None where it is damaged."""
    lines = [line.partition(" ") for line in content.splitlines()]
    if tuple(name for name, _, _ in lines) != NAMES or not content.endswith("\n"):
        return None
    if not all(value.isprintable() for _, _, value in lines):
        return None
    texts, numbers = [value for _, _, value in lines[:6]], [value for _, _, value in lines[6:]]
    if not all(number.isdigit() and len(number) < 20 for number in numbers):
        return None
    since, life, expires = (int(number) for number in numbers)
    return Session(texts[0], texts[1], texts[2], texts[3], texts[4], texts[5], since, life, expires)
