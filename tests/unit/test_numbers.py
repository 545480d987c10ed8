"""Durations, sizes and counts of the command line: a limit that is read wrong is a limit that does not hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrun.config.numbers import UNIT_BYTES, UNIT_NS, parse_count, parse_duration, parse_grace, parse_size

DAY_NS = 86_400 * 10**9
SECOND_NS = 10**9


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1ms", 10**6),
        ("1s", SECOND_NS),
        ("90s", 90 * SECOND_NS),
        ("1.5h", 5400 * SECOND_NS),
        ("0.5s", SECOND_NS // 2),
        ("366d", 366 * DAY_NS),
        ("007m", 420 * SECOND_NS),
        ("0.0000000001s", 1),  # rounded up: over 0 stays over 0
        ("1.0000000001s", SECOND_NS + 1),
    ],
)
def test_a_duration_is_read_exactly(text: str, nanoseconds: int) -> None:
    """Else a job ends earlier or later than was asked."""
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "s",
        "1.s",
        ".5s",
        "-1s",
        "+1s",
        " 1s",
        "1s ",
        "1S",
        "1 s",
        "1w",
        "1e3s",
        "1,5s",
        "1s\n",
        "٣s",
        "0s",
        "0.0h",
        "366.1d",
        "8785h",
        "9" * 70 + "s",
        "1" + "0" * 62 + "s",
        "1m30s",
        "inf",
        "nan",
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Else a slip of the finger becomes a limit of another size."""
    with pytest.raises(ValueError, match=r"."):
        parse_duration(text)


def test_only_a_grace_may_be_zero() -> None:
    """0s means KILL at once for --grace, and nothing sensible for any other duration."""
    assert parse_grace("0s") == 0
    assert parse_grace("0.0ms") == 0
    with pytest.raises(ValueError, match="over 0"):
        parse_duration("0s")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("1K", 1024),
        ("512M", 512 << 20),
        ("2G", 2 << 30),
        ("1T", 1 << 40),
        ("8192T", 1 << 53),
        (str(1 << 53), 1 << 53),
        ("0008", 8),
    ],
)
def test_a_size_is_read_in_units_of_1024(text: str, size: int) -> None:
    """Else a job is killed for memory that it was allowed."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0G",
        "K",
        "12Q",
        "1k",
        "1KB",
        "1KiB",
        "1.5G",
        "-1",
        "+1",
        "1 K",
        " 1",
        "1\n",
        "0x10",
        "1_000",
        "٣",
        str((1 << 53) + 1),
        "8193T",
        "9" * 65,
    ],
)
def test_what_is_no_size_is_refused(text: str) -> None:
    """Else `--memory 1.5G` or `1k` is taken for something else than was meant."""
    with pytest.raises(ValueError, match=r"."):
        parse_size(text)


def test_a_size_has_its_least() -> None:
    """--log-limit begins at 1M; the error says so in the words of the option."""
    assert parse_size("1M", least=1 << 20) == 1 << 20
    with pytest.raises(ValueError, match="at least 1M"):
        parse_size("1023K", least=1 << 20)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.0", "1e3", "2147483648", "9" * 65, " 1", "1 ", "٣", "1\n"])
def test_what_is_no_count_is_refused(text: str) -> None:
    """Else `--processes 0` starts a job that can not even exec."""
    with pytest.raises(ValueError, match=r"."):
        parse_count(text)


def test_counts_have_bounds() -> None:
    """--open-files begins at 16, `logs -n` at 0."""
    assert parse_count("2147483647") == (1 << 31) - 1
    assert parse_count("0", least=0) == 0
    assert parse_count("16", least=16) == 16
    with pytest.raises(ValueError, match="from 16 to"):
        parse_count("15", least=16)


@given(st.integers(1, 10**6), st.sampled_from(sorted(UNIT_NS)))
def test_every_whole_duration_within_bounds_is_exact(number: int, unit: str) -> None:
    """No float on its way: not one nanosecond is lost."""
    wanted = number * UNIT_NS[unit]
    if wanted <= 366 * DAY_NS:
        assert parse_duration(f"{number}{unit}") == wanted


@given(st.integers(1, 1 << 53), st.sampled_from(sorted(UNIT_BYTES)))
def test_every_size_within_bounds_is_exact(number: int, unit: str) -> None:
    """A limit would be a little another one than was asked for."""
    wanted = number * UNIT_BYTES[unit]
    if wanted <= 1 << 53:
        assert parse_size(f"{number}{unit}") == wanted


@given(st.text())
def test_any_text_is_a_number_within_bounds_or_a_clear_error(text: str) -> None:
    """Whatever is typed: never a traceback, never a number outside its bounds."""
    for parse, most in ((parse_duration, 366 * DAY_NS), (parse_size, 1 << 53), (parse_count, (1 << 31) - 1)):
        try:
            value = parse(text)
        except ValueError as error:
            assert str(error)  # noqa: PT017
        else:
            assert 1 <= value <= most
