"""The issuer's clock."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrun.auth.clock import IssuerClock
from tests.unit.auth_ground import DAY_S, Times

SECOND = 10**9


@given(st.lists(st.tuples(st.sampled_from(["pass", "jump", "restart"]), st.integers(-400 * DAY_S, 400 * DAY_S))))
def test_it_never_goes_back_and_never_stands_still(steps: list[tuple[str, int]]) -> None:
    """Expired tokens would be good again, or none would ever expire."""
    times = Times()
    clock = IssuerClock(0, times.clocks())
    for what, seconds in steps:
        before = clock.now_ns()
        if what == "pass":
            times.turn(abs(seconds))
        elif what == "jump":
            times.wall += seconds * SECOND
        else:
            clock = IssuerClock(before, times.clocks())
        passed = abs(seconds) * SECOND if what == "pass" else 0
        assert clock.now_ns() >= max(before + passed, times.wall)


def test_a_clock_far_behind_the_record_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Tokens that end early, and nobody knows why."""
    times = Times()
    with caplog.at_level(logging.WARNING):
        IssuerClock(times.wall + 30 * SECOND, times.clocks())
        assert not caplog.records
        IssuerClock(times.wall + DAY_S * SECOND, times.clocks())
    assert "86400 s behind" in caplog.text
