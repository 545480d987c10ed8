"""The limits of the whole tree that no kernel holds here: looked at again and again."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import os
import time

from jobrun.limits import CPU_HARD_AFTER_S
from jobrun.runner import ending, tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobrun.runner.order import Order

PERIOD_NS = 50_000_000
"""Between two looks: a walk of the tree costs about 0.1 ms a process."""
COST_SHARE = 20
"""A look may take one part in so many of the time: a large tree is looked at less often."""
NEVER = 1 << 62
"""A deadline that does not come, a limit that is not reached."""


class Broken:
    """A limit that a tree went beyond, and what it gets for it."""

    __slots__ = ("grace_ns", "signal", "verdict")

    def __init__(self, verdict: ending.Verdict, signal: int = 0, grace_ns: int = 0) -> None:
        self.verdict, self.signal, self.grace_ns = verdict, signal, grace_ns


class LimitWatch:
    """`due`: when to look next (monotonic ns). `peak_memory`: bytes, the most that was seen."""

    def __init__(self, order: Order) -> None:
        limits = order.limits
        self._cpu_ns, self._memory = limits.get("cpu_time", NEVER), limits.get("memory_bytes", NEVER)
        self._processes = limits.get("processes", NEVER)
        self._cpu_only = self._memory == self._processes == NEVER
        self.peak_memory = 0
        self.due = NEVER if self._cpu_only and self._cpu_ns == NEVER else 0
        self._cpu_told = False

    def look(self) -> Broken | None:
        """Measure the tree; the first limit that it went beyond."""
        begun = time.monotonic_ns()
        found = tree.sample(os.getpid())
        self.peak_memory = max(self.peak_memory, found.memory_bytes)
        used, now = found.user_cpu_ns + found.system_cpu_ns, time.monotonic_ns()
        self.due = now + max(PERIOD_NS, COST_SHARE * (now - begun), self._cpu_pause(used))
        if found.memory_bytes > self._memory:
            used_bytes, limit = ending.size(found.memory_bytes), ending.size(self._memory)
            text = f"its tree used {used_bytes} of the {limit} that it may: {found.largest}"
            return Broken(ending.Verdict(ending.MEMORY_LIMIT, text))
        if found.threads > self._processes:
            text = f"its tree had {found.threads} processes and threads of the {self._processes} that it may"
            return Broken(ending.Verdict(ending.PROCESS_LIMIT, text))
        if used > self._cpu_ns and not self._cpu_told:
            return self._cpu_broken(used)
        return None

    def _cpu_broken(self, used_ns: int) -> Broken:
        self._cpu_told = True
        used, limit = ending.seconds(used_ns), ending.seconds(self._cpu_ns)
        verdict = ending.Verdict(ending.CPU_LIMIT, f"its tree used {used} of CPU time of the {limit} that it may")
        return Broken(verdict, _signal.SIGXCPU, CPU_HARD_AFTER_S * 10**9)

    def _cpu_pause(self, used_ns: int) -> int:
        """No tree can use its rest of CPU time sooner than all CPUs at once would."""
        if not self._cpu_only or self._cpu_told:
            return 0
        return max(0, self._cpu_ns - used_ns) // (os.cpu_count() or 1)
