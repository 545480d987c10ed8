"""What holds for a job, by what it asks for and the ceilings of who asks."""

from __future__ import annotations

import pytest

from jobrun.jobs.ceilings import limits_that_hold
from jobrun.limits import LIMITS
from jobrun.model.errors import InvalidRequest
from jobrun.model.job import DEFAULT_LOG_BYTES


def test_without_ceilings_only_the_log_is_bounded() -> None:
    """A job would be held to a limit that nobody set."""
    assert limits_that_hold({}, {}, 4) == {"log_bytes": DEFAULT_LOG_BYTES}


@pytest.mark.parametrize("limit", [limit.field for limit in LIMITS if limit.field != "cpus"])
def test_a_ceiling_holds_whether_asked_or_not(limit: str) -> None:
    """A user would get round his ceiling by not asking at all, or by asking for more."""
    ceiling = 1 << 21
    assert limits_that_hold({}, {limit: ceiling}, 4)[limit] == ceiling
    assert limits_that_hold({limit: ceiling - 1}, {limit: ceiling}, 4)[limit] == ceiling - 1
    assert limits_that_hold({limit: ceiling}, {limit: ceiling}, 4)[limit] == ceiling
    with pytest.raises(InvalidRequest, match=r"\d+.* is above the ceiling of \d+") as caught:
        limits_that_hold({limit: ceiling + 1}, {limit: ceiling}, 4)
    assert caught.value.field == f"spec.limits.{limit}"


def test_a_ceiling_is_told_as_it_was_typed() -> None:
    """Who asked for 9G would read 9663676416, and count digits."""
    with pytest.raises(InvalidRequest, match="9G is above the ceiling of 8G: ask for less"):
        limits_that_hold({"memory_bytes": 9 << 30}, {"memory_bytes": 8 << 30}, 4)


def test_a_default_below_the_ceiling_stays() -> None:
    """A high ceiling would make every job's output as large."""
    assert limits_that_hold({}, {"log_bytes": DEFAULT_LOG_BYTES + 1}, 4) == {"log_bytes": DEFAULT_LOG_BYTES}
    assert limits_that_hold({"log_bytes": 1 << 40}, {}, 4) == {"log_bytes": 1 << 40}


def test_no_job_gets_more_cpus_than_there_are() -> None:
    """A ceiling of 64 on a small machine would show CPUs that do not exist."""
    assert limits_that_hold({}, {"cpus": 64}, 4)["cpus"] == 4
