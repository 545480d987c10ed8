"""Which CPUs a job with `cpus` gets: those that fewest others have. Decisions alone, no I/O."""

from __future__ import annotations

from collections.abc import Iterable


class Cpus:
    """The CPUs that this server may use, and how many jobs each was given to."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._jobs = dict.fromkeys(sorted(numbers), 0)
        self._given: dict[str, tuple[int, ...]] = {}

    @property
    def count(self) -> int:
        """How many a job can have at most."""
        return len(self._jobs)

    def take(self, job_id: str, wanted: int) -> tuple[int, ...]:
        """The least taken ones, in their order; none where `wanted` is 0."""
        least = sorted(self._jobs, key=self._jobs.__getitem__)[:wanted]
        self.restore(job_id, least)
        return tuple(sorted(least))

    def restore(self, job_id: str, numbers: Iterable[int]) -> None:
        """What a job has that an earlier server started; a CPU that went away since is left out."""
        given = tuple(number for number in numbers if number in self._jobs)
        if given:
            self._given[job_id] = given
            for number in given:
                self._jobs[number] += 1

    def give_back(self, job_id: str) -> None:
        """Of a job that has ended."""
        for number in self._given.pop(job_id, ()):
            self._jobs[number] -= 1
