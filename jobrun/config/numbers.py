"""Durations, sizes and counts as people write them. Each function raises ValueError with the end of a sentence that
begins with the option's name: `12Q is no size: ...`."""

from __future__ import annotations

import re

from jobrun.limits import BYTES, COUNT, MOST, NANOSECONDS

UNIT_NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86_400 * 10**9}
"""Nanoseconds in each unit of a duration."""
UNIT_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
"""Bytes in each unit of a size."""
LONGEST = 64
"""Characters: what is longer is no number that a person wrote, and int() is not asked about it."""

_DURATION = re.compile(r"([0-9]+)(?:\.([0-9]+))?(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]+)([KMGT]?)")
_COUNT = re.compile(r"[0-9]+")


def parse_duration(text: str, *, zero: bool = False) -> int:
    """Nanoseconds of a duration such as `1.5h`, rounded up; over 0 (with `zero`: or 0) and at most 366d."""
    match = _match(_DURATION, text, "duration: a number and ms, s, m, h or d, such as 90s or 1.5h")
    whole, fraction, unit = match[1], match[2] or "", match[3]
    scaled = int(whole + fraction) * UNIT_NS[unit]
    nanoseconds = -(-scaled // int("1" + "0" * len(fraction)))
    if nanoseconds == 0 and not zero:
        raise ValueError(f"{text} is too short: it must be over 0")
    if nanoseconds > MOST[NANOSECONDS]:
        raise ValueError(f"{text} is too long: at most 366d")
    return nanoseconds


def parse_grace(text: str) -> int:
    """As parse_duration; 0 is allowed and means KILL at once."""
    return parse_duration(text, zero=True)


def parse_size(text: str, *, least: int = 1) -> int:
    """Bytes of a size such as `512M`, between `least` bytes and 2^53."""
    match = _match(_SIZE, text, "size: bytes, or a whole number and K, M, G or T (1024), such as 512M")
    size = int(match[1]) * UNIT_BYTES[match[2]]
    if size < least:
        raise ValueError(f"{text} is too small: at least {_short_size(least)}")
    if size > MOST[BYTES]:
        raise ValueError(f"{text} is too large: at most {MOST[BYTES]} bytes")
    return size


def parse_count(text: str, *, least: int = 1, most: int = MOST[COUNT]) -> int:
    """A whole number from `least` to `most`."""
    count = int(_match(_COUNT, text, f"whole number from {least} to {most}")[0])
    if not least <= count <= most:
        raise ValueError(f"{text} is out of range: from {least} to {most}")
    return count


def _match(pattern: re.Pattern[str], text: str, what: str) -> re.Match[str]:
    match = pattern.fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        shown = text if len(text) <= LONGEST else text[:LONGEST] + "..."
        raise ValueError(f"{shown or 'an empty text'} is no {what}")
    return match


def _short_size(size: int) -> str:
    for unit in ("T", "G", "M", "K"):
        if size % UNIT_BYTES[unit] == 0:
            return f"{size // UNIT_BYTES[unit]}{unit}"
    return str(size)
