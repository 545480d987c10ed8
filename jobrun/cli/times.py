"""Times as people write them: RFC 3339 with an offset, or a duration ago."""

from __future__ import annotations

import datetime
import re
import time

from jobrun.config.numbers import parse_duration

_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9})[0-9]*)?"
    r"(?:[Zz]|([+-][0-9]{2}):?([0-9]{2}))"
)
"""The colon of the offset may be missing, as it is in our tables."""
LATEST_NS = (1 << 63) - 1
"""What a log can hold: until the year 2262."""


def parse_since(text: str) -> int:
    """Nanoseconds since the epoch of `text`, a time of RFC 3339 or a duration ago. Raises ValueError with the end of a
    sentence."""
    if text[:1].isdigit() and "-" not in text[:5]:
        return max(0, time.time_ns() - parse_duration(text))
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text or 'an empty text'} is neither a duration nor a time of RFC 3339 with Z or an offset, such as "
            "2026-01-02T03:04:05Z or 2026-01-02T03:04:05+05:45"
        )
    date, clock, fraction, hours, minutes = match.groups()
    try:
        whole = datetime.datetime.fromisoformat(f"{date}T{clock}{hours or '+00'}:{minutes or '00'}")
        seconds = (whole - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(seconds=1)
    except (ValueError, OverflowError):
        raise ValueError(f"{text} is no time: there is no such day, hour or offset") from None
    return min(max(0, seconds * 10**9 + int((fraction or "").ljust(9, "0"))), LATEST_NS)
