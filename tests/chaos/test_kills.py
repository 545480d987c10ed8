"""SIGKILL at random to server, spawner and supervisors while jobs are started; then the books must balance.

JOBRUN_CHAOS_SEED and JOBRUN_CHAOS_SECONDS choose the run; the seed of a failed one is in its report."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import json
import os
import random
import sys
import threading
import time
from typing import Any

from tests.e2e import processes
from tests.e2e.deadline import Deadline
from tests.e2e.gate import Gate
from tests.e2e.home import Home

SECONDS = float(os.environ.get("JOBRUN_CHAOS_SECONDS", "45"))
SEED = int(os.environ.get("JOBRUN_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
STARTERS = 2
LONG = 10
"""Each job of so many would run for minutes, with a daemon beside it."""


class Starter:
    """Starts numbered jobs until it is told to end; asks again, with the same request id, what had no answer."""

    def __init__(self, home: Home, first: int, enough: threading.Event, gate: Gate) -> None:
        self.ids: dict[int, str] = {}
        self._home, self._next, self._enough, self._gate = home, first, enough, gate

    def run(self) -> dict[int, str]:
        """The id of each number."""
        while not self._enough.is_set():
            self.ids[self._next] = self._start(self._next)
            self._next += STARTERS
        return self.ids

    def _start(self, number: int) -> str:
        deadline = Deadline(30, f"job {number} to be accepted")
        while True:
            result = self._home.jobrun(
                "start", "--request-id", f"n{number}", "sh", "-c", self._script(number), within=60
            )
            if result.code == 0:
                return result.out.strip()
            assert result.code == 1, result
            assert b"Traceback" not in result.stderr, result.err
            deadline.left()

    def _script(self, number: int) -> str:
        mark = f"{self._gate.hold} echo x >>{self._home.work}/mark{number}; "
        if number % LONG == 0:
            return mark + "setsid sleep 300 & sleep 300"
        return mark + f"sleep 0.{number % 4}; exit {number % 7}"


class Killer:
    """Kills one process of a random kind now and then, and counts."""

    def __init__(self, home: Home, dice: random.Random) -> None:
        self.kills: collections.Counter[str] = collections.Counter()
        self._home, self._dice = home, dice

    def run(self, enough: threading.Event) -> None:
        """Until it is told to end."""
        while not enough.wait(self._dice.uniform(0.02, 0.5)):
            kind = self._dice.choices(["server", "spawner", "supervisor"], [3, 1, 4])[0]
            victims = {"server": self._home.server_pids, "spawner": self._spawners, "supervisor": self._supervisors}
            found = victims[kind]()
            if found:
                self._kill(self._dice.choice(found))
                self.kills[kind] += 1

    def _kill(self, pid: int) -> None:
        for process in processes.opened([pid]):
            with contextlib.closing(process):
                process.kill()

    def _spawners(self) -> list[int]:
        servers = self._home.server_pids()
        return [pid for server in servers for pid in processes.descendants(server) if parent_of(pid) == server]

    def _supervisors(self) -> list[int]:
        holders = {processes.lock_holder(path) for path in (self._home.data / "jobs").iterdir()}
        return sorted(holders - {0, *self._home.server_pids()})


def parent_of(pid: int) -> int:
    """Pid of the parent; 0 where the process is gone."""
    try:
        return processes.parent(pid)
    except FileNotFoundError:
        return 0


def ends(home: Home) -> dict[str, Any]:
    """How each finished job ended."""
    listed = home.jobrun("list", "-a", "-n", "100000", "--json", within=60).passed().stdout.splitlines()
    return {job["id"]: job.get("finished") for job in map(json.loads, listed)}


def check_end(number: int, end: dict[str, Any], runs: int) -> None:
    """One job's books: it ran at most once, and nothing is said that was not seen."""
    assert runs <= 1, f"job {number} ran {runs} times: {end}"
    reason = end["reason"].removeprefix("END_REASON_")
    if number % LONG == 0:
        assert reason in ("STOPPED", "LOST"), (number, end)
    elif reason == "EXITED":
        assert (end["exit_code"], runs) == (number % 7, 1), (number, end)
    else:
        assert reason == "LOST", (number, end)
        assert "exit_code" not in end, (number, end)


def test_nothing_runs_twice_and_everything_ends_once(home: Home) -> None:
    """A crash at the wrong moment would do a deployment twice, forget it, or leave it running unseen."""
    sys.stderr.write(f"chaos: seed {SEED}, {SECONDS:g} s\n")
    gate, enough = home.gate(), threading.Event()
    home.jobrun("run", "true").passed()
    killer = Killer(home, random.Random(SEED))
    starters = [Starter(home, n + 1, enough, gate) for n in range(STARTERS)]
    timer = threading.Timer(SECONDS, enough.set)
    timer.start()
    with concurrent.futures.ThreadPoolExecutor(STARTERS) as pool:
        started = [pool.submit(starter.run) for starter in starters]
        killer.run(enough)
        ids = {number: job for future in started for number, job in future.result().items()}
    settle(home, ids)
    gate.wait_released(20)
    sys.stderr.write(f"chaos: {len(ids)} jobs, killed {dict(killer.kills)}\n")
    before = ends(home)
    home.kill_server()
    assert ends(home) == before, "an end never changes"
    assert len(set(ids.values())) == len(ids)
    for number, job in ids.items():
        mark = home.work / f"mark{number}"
        check_end(number, before[job], len(mark.read_text()) // 2 if mark.exists() else 0)


def settle(home: Home, ids: dict[int, str]) -> None:
    """Until all jobs have finished; the long ones are stopped."""
    begun = time.monotonic()
    long = [job for number, job in ids.items() if number % LONG == 0]
    home.jobrun("stop", "--grace", "0s", *long, within=60)
    home.jobrun("wait", *ids.values(), within=60)
    sys.stderr.write(f"chaos: settled in {time.monotonic() - begun:.1f} s\n")
