"""Durations, sizes and counts as options take them: what is shown can be typed again, and is the same."""

from __future__ import annotations

from jobrun.limits import BYTES, NANOSECONDS

DURATION_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"))
SIZE_UNITS = ((40, "T"), (30, "G"), (20, "M"), (10, "K"))
"""Each as the power of two that it is."""


def amount(value: int, unit: str) -> str:
    """A limit's value in its unit: `90s`, `2G`, `17`."""
    if unit == NANOSECONDS:
        return exact_duration(value)
    return exact_size(value) if unit == BYTES else str(value)


def exact_duration(nanoseconds: int) -> str:
    """In the largest unit that it fills, below a second's multiple in `ms`."""
    seconds, rest = divmod(nanoseconds, 10**9)
    if rest:
        whole, part = divmod(nanoseconds, 10**6)
        return f"{whole}.{part:06d}".rstrip("0").rstrip(".") + "ms"
    for length, unit in DURATION_UNITS:
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def exact_size(size: int) -> str:
    """In the largest unit that it fills."""
    for shift, unit in SIZE_UNITS:
        if size and size % (1 << shift) == 0:
            return f"{size >> shift}{unit}"
    return str(size)


def counted(count: int, noun: str) -> str:
    """`1 job`, `2 jobs`: for a noun whose plural takes an s."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
