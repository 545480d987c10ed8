"""What an engine is told, and what it tells."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from jobrun.model.job import End, JobSpec, Usage
from jobrun.model.lifecycle import State


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """What a supervisor is told, but for the secrets. `work_dir`: the job's fresh folder, "" where it has none."""

    spec: JobSpec
    user: str
    machine_token: str = ""
    env_base: Mapping[str, bytes]
    work_dir: str
    cpuset: tuple[int, ...]
    created_ns: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class StopOrder:
    """`signal` 0: none, it only joins a stop that is under way. `request`: see request_hash.stop_request."""

    signal: int
    grace_ns: int
    by: str
    request: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Observation:
    """What a job's file says now."""

    state: State
    started_ns: int = 0
    pid: int = 0
    stopping_since_ns: int = 0
    usage: Usage | None = None
    end: End | None = None


class Verdict(enum.Enum):
    """What a judge finds."""

    ALIVE = "a supervisor holds the file's lock"
    READY = "no supervisor has claimed it"
    ENDED = "its end is on record"
