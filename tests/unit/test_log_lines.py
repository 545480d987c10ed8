"""Times of `logs`: before each line, and back again by --since."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrun.cli.render import time_text
from jobrun.cli.stamps import LineStamper, local_time
from jobrun.cli.times import parse_since
from jobrun.wire.times import timestamp

TIME_NS = 1_767_323_045_123_456_789


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(
    st.lists(st.sampled_from([b"a", b"\n", b"\xff", b"bc"]), max_size=30).map(b"".join), st.lists(st.integers(0, 99))
)
def test_one_time_a_line_however_it_was_cut(data: bytes, places: list[int]) -> None:
    """A line of a megabyte comes in many records: it has one time, and no time lands within it."""
    stamper = LineStamper()
    stamped = b"".join(stamper.stamp(piece, TIME_NS) for piece in cut(data, places))
    mark = local_time(TIME_NS).encode() + b" "
    assert stamped == b"".join(mark + line for line in data.splitlines(keepends=True) if b"\r" not in data)


def test_a_line_without_its_end_is_not_held_back() -> None:
    """Nothing waits for a newline."""
    stamper = LineStamper()
    assert stamper.stamp(b"a", TIME_NS).endswith(b" a")
    assert stamper.stamp(b"b\n", TIME_NS) == b"b\n"


def test_a_gap_ends_the_line_before_it() -> None:
    """What comes behind the gap is not shown as the rest of that line."""
    stamper = LineStamper()
    assert stamper.break_line() == b""
    stamper.stamp(b"cut", TIME_NS)
    assert stamper.break_line() == b"\n"
    assert stamper.stamp(b"next", TIME_NS).endswith(b" next")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/St_Johns"])
def test_the_time_that_is_shown_can_be_asked_for(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--since` with the very time of `-t` begins at that very record, wherever one lives."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert parse_since(local_time(TIME_NS)) == TIME_NS
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/St_Johns", "UTC"])
def test_a_time_of_a_table_can_be_asked_from(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who copies a time out of `audit show` would be told that it is none."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert parse_since(time_text(timestamp(TIME_NS))) == TIME_NS // 10**9 * 10**9
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-02T03:04:05Z", 1_767_323_045),
        ("2026-01-02t03:04:05z", 1_767_323_045),
        ("2026-01-02T08:49:05+05:45", 1_767_323_045),
        ("2026-01-02 08:49:05+0545", 1_767_323_045),
        ("1970-01-01T00:00:00Z", 0),
        ("1960-01-01T00:00:00Z", 0),
    ],
)
def test_z_is_utc_and_an_offset_counts(text: str, seconds: int) -> None:
    """Never local time by accident."""
    assert parse_since(text) == seconds * 10**9


@pytest.mark.parametrize("text", ["1h", "90s", "1.5d"])
def test_a_duration_is_that_long_ago(text: str) -> None:
    """The usual way to ask."""
    assert 0 < parse_since(text) < time.time_ns()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-02T03:04:05",
        "2026-01-02",
        "2026-13-02T03:04:05Z",
        "2026-01-02T25:04:05Z",
        "1w",
        "12",
        "2026-01-02T03:04:05+99:99",
        "0s",
        "2026-01-02T03:04:05.Z",
    ],
)
def test_a_time_without_zone_is_refused(text: str) -> None:
    """RFC 3339 has none, and a guess would be hours off."""
    with pytest.raises(ValueError, match=r"."):
        parse_since(text)
