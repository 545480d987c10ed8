"""The throttle: how often one may be wrong."""

from __future__ import annotations

import pytest

from jobrun.auth.throttle import Buckets, Throttle
from jobrun.model.errors import LoginThrottled
from tests.unit.auth_ground import Times


def tries(throttle: Throttle, user: str, address: str, most: int = 1000) -> int:
    """How many are let through."""
    for number in range(most):
        try:
            throttle.check(user, address)
        except LoginThrottled:
            return number
    return most


def throttle(times: Times) -> Throttle:
    return Throttle(times.clocks().steady_ns, 600)


def test_one_user_from_one_address() -> None:
    """All of a list of a thousand passwords in an hour."""
    times = Times()
    guessed = throttle(times)
    assert tries(guessed, "ann", "192.0.2.1") == 5
    times.turn(4.9)
    assert tries(guessed, "ann", "192.0.2.1") == 0
    times.turn(0.1)
    assert tries(guessed, "ann", "192.0.2.1") == 1
    times.turn(86_400)
    assert tries(guessed, "ann", "192.0.2.1") == 5


def test_many_users_from_one_address() -> None:
    """One password tried on every name."""
    times = Times()
    guessed = throttle(times)
    assert sum(tries(guessed, f"u{number}", "192.0.2.1", 1) for number in range(100)) == 20
    times.turn(3)
    assert sum(tries(guessed, f"u{number}", "192.0.2.1", 1) for number in range(100)) == 3
    assert tries(guessed, "u1", "192.0.2.2") == 5


def test_one_user_from_everywhere() -> None:
    """A botnet that fails from everywhere would lock ann out."""
    guessed = throttle(Times())
    for number in range(200):
        tries(guessed, "ann", f"192.0.2.{number}")
    assert tries(guessed, "ann", "198.51.100.1") == 5


def test_who_is_refused_in_one_place_spends_nothing_elsewhere() -> None:
    """One address that hammers would use up what a user has from everywhere: he would be locked out."""
    times = Times()
    guessed = throttle(times)
    for _ in range(1000):
        tries(guessed, "ann", "192.0.2.1", 1)
        times.turn(0.01)
    assert tries(guessed, "ann", "192.0.2.2") == 5


def test_what_was_right_does_not_count() -> None:
    """A hundred good logins in a minute, from one office."""
    guessed = throttle(Times())
    for number in range(500):
        guessed.check(f"u{number % 3}", "192.0.2.1")
        guessed.was_right(f"u{number % 3}", "192.0.2.1")
    assert tries(guessed, "u1", "192.0.2.1") == 5


def test_an_ipv6_network_is_one_guesser() -> None:
    """Everybody with an IPv6 line has 2^64 addresses."""
    guessed = throttle(Times())
    assert sum(tries(guessed, "ann", f"2001:db8::{number:x}", 1) for number in range(1, 100)) == 5
    assert tries(guessed, "ann", "2001:db8:0:1::1") == 5


@pytest.mark.parametrize(("access_token_s", "one_each_s"), [(3600, 360), (600, 60), (3, 1)])
def test_refreshes_that_are_right(access_token_s: int, one_each_s: int) -> None:
    """A client with a fault writes on a disk as fast as it can; or one whose tokens are short can not go on."""
    times = Times()
    throttle = Throttle(times.clocks().steady_ns, access_token_s)
    for _ in range(20):
        throttle.check_refresh("s1")
    with pytest.raises(LoginThrottled):
        throttle.check_refresh("s1")
    throttle.check_refresh("s2")
    times.turn(one_each_s)
    throttle.check_refresh("s1")
    with pytest.raises(LoginThrottled):
        throttle.check_refresh("s1")


def test_refreshes_that_fail() -> None:
    """A thousand guesses a second at a session."""
    times = Times()
    guessed = throttle(times)
    for _ in range(20):
        guessed.check_wrong_refresh("192.0.2.1")
    with pytest.raises(LoginThrottled):
        guessed.check_wrong_refresh("192.0.2.1")
    guessed.check_wrong_refresh("192.0.2.2")
    times.turn(1)
    guessed.check_wrong_refresh("192.0.2.1")


def test_buckets_are_bounded_and_what_is_fresh_stays() -> None:
    """An address for each guess would fill the server's memory; or push out what is known of the others."""
    times = Times()
    buckets = Buckets(5, 5, times.clocks().steady_ns, keys=100)
    for number in range(1000):
        if number < 5 or number % 50 == 0:
            buckets.take("ann")
        buckets.take(number)
    assert len(buckets._full_at) == 100
    assert not buckets.has("ann")
