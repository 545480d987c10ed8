"""`logs -t`: one time before each line, however the line was cut into records."""

from __future__ import annotations

import time


class LineStamper:
    """The state of one stream: whether the next byte begins a line."""

    def __init__(self) -> None:
        self._at_start = True

    def stamp(self, data: bytes, time_ns: int) -> bytes:
        """`data` with the time before each line that begins in it. A line's time is that of its first byte."""
        if not data:
            return data
        mark = local_time(time_ns).encode() + b" "
        body, ending = (data[:-1], b"\n") if data.endswith(b"\n") else (data, b"")
        stamped = body.replace(b"\n", b"\n" + mark) + ending
        if self._at_start:
            stamped = mark + stamped
        self._at_start = bool(ending)
        return stamped

    def break_line(self) -> bytes:
        """Ends a line that a gap cut: what comes behind the gap is no part of it."""
        cut, self._at_start = not self._at_start, True
        return b"\n" if cut else b""


def local_time(time_ns: int) -> str:
    """RFC 3339 in local time with its offset and all nine digits, so that --since takes it back exactly."""
    seconds, nanoseconds = divmod(time_ns, 10**9)
    local = time.localtime(seconds)
    sign, minutes = ("-" if local.tm_gmtoff < 0 else "+"), abs(local.tm_gmtoff) // 60
    date = time.strftime("%Y-%m-%dT%H:%M:%S", local)
    return f"{date}.{nanoseconds:09d}{sign}{minutes // 60:02d}:{minutes % 60:02d}"
