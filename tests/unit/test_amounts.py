"""What is shown of durations and sizes can be typed again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from jobrun.config.numbers import parse_duration, parse_size
from jobrun.limits import BYTES, COUNT, MOST, NANOSECONDS
from jobrun.model.amounts import amount, counted


@given(some.integers(1, MOST[NANOSECONDS]))
def test_a_duration_is_shown_as_it_was_meant(nanoseconds: int) -> None:
    """`status` would show another limit than the one that holds: 1200500 ms as 1.2005e+06ms."""
    assert parse_duration(amount(nanoseconds, NANOSECONDS)) == nanoseconds


@given(some.integers(0, 40), some.integers(1, MOST[BYTES] >> 40))
def test_a_size_is_shown_as_it_was_meant(shift: int, factor: int) -> None:
    """The same of sizes; most that people use are powers of two."""
    assert parse_size(amount(factor << shift, BYTES)) == factor << shift


def test_the_largest_unit_is_taken() -> None:
    """7200s makes its reader count."""
    shown = [amount(7200 * 10**9, NANOSECONDS), amount(1 << 30, BYTES), amount(1500 * 10**6, NANOSECONDS)]
    assert [*shown, amount(17, COUNT)] == ["2h", "1G", "1500ms", "17"]


def test_a_noun_agrees_with_its_number() -> None:
    """`1 unfinished jobs` reads as a fault."""
    assert [counted(count, "job") for count in (0, 1, 2)] == ["0 jobs", "1 job", "2 jobs"]
