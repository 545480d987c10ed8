"""Times and durations: google.protobuf's seconds and nanos on the wire, whole nanoseconds in the model."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from jobrun.model.errors import InvalidRequest

SECOND_NS = 10**9
MOST_SECONDS = 315_576_000_000
"""Ten thousand years, google/protobuf/duration.proto and timestamp.proto."""


def timestamp(ns: int) -> Timestamp:
    """Since the epoch, UTC."""
    seconds, nanos = divmod(ns, SECOND_NS)
    return Timestamp(seconds=seconds, nanos=nanos)


def duration(ns: int) -> Duration:
    """`ns` is not negative."""
    seconds, nanos = divmod(ns, SECOND_NS)
    return Duration(seconds=seconds, nanos=nanos)


def duration_ns(value: Duration, field: str) -> int:
    """Raises InvalidRequest for what is no duration, or a negative one."""
    if not (0 <= value.seconds <= MOST_SECONDS and 0 <= value.nanos < SECOND_NS):
        raise InvalidRequest(field, f"{value.seconds} s and {value.nanos} ns are no duration of 0 or more")
    return value.seconds * SECOND_NS + value.nanos


def timestamp_ns(value: Timestamp, field: str) -> int:
    """Raises InvalidRequest for what is no time since the epoch."""
    if not (0 <= value.seconds <= MOST_SECONDS and 0 <= value.nanos < SECOND_NS):
        raise InvalidRequest(field, f"{value.seconds} s and {value.nanos} ns are no time since 1970")
    return min(value.seconds * SECOND_NS + value.nanos, (1 << 63) - 1)
