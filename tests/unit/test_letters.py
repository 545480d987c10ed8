"""Random names that people read aloud."""

from __future__ import annotations

import collections

from jobrun.model.letters import LETTERS, random_letters


def test_each_letter_is_as_likely_as_any_other() -> None:
    """A first password, or a machine token's id, would be easier to guess than it is said to be."""
    counted = collections.Counter("".join(random_letters(8) for _ in range(15_000)))
    assert counted.keys() == set(LETTERS)
    assert all(3_500 < count < 4_500 for count in counted.values()), "4,000 of each, give or take 8 deviations"


def test_so_many_letters() -> None:
    """An id of another length is none: nothing could be asked about the job."""
    assert [len(random_letters(length)) for length in range(1, 40)] == list(range(1, 40))
