"""Passwords: what they cost a guesser, and what the first one is like."""

from __future__ import annotations

import time

from jobrun.auth.passwords import LEAST_COST, LEAST_NS, MOST_COST, hashed, measured_cost, normalised, readable_password


def test_a_guess_costs_what_it_is_to_cost() -> None:
    """A fast machine would let a thief of the database try ten thousand passwords a second."""
    cost = measured_cost()
    assert LEAST_COST <= cost <= MOST_COST
    best = 10**12
    for _ in range(3):
        before = time.thread_time_ns()
        assert hashed(b"measure", cost).startswith(b"$2b$%02d$" % cost)
        best = min(best, time.thread_time_ns() - before)
    assert best > LEAST_NS * 0.6  # measured on a machine that others use too
    assert cost == LEAST_COST or best < 4 * LEAST_NS


def test_the_first_password_is_random_and_can_be_typed() -> None:
    """`1` or `l`? The first login to a new server would be a riddle; or a guess."""
    made = {readable_password() for _ in range(100)}
    assert len(made) == 100
    for one in made:
        assert normalised(one) == one.encode()
        assert [len(group) for group in one.split("-")] == [5, 5, 5, 5]
        assert not set(one) & set("01loiu")
