"""What an engine is told, and what it tells."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from pathlib import Path

from jobrun.files.workdir import TEMPORARY
from jobrun.model.job import End, Job, JobSpec, Usage
from jobrun.model.lifecycle import State

PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Of a job that does not bring its own."""


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


def order_for(job: Job, cpuset: tuple[int, ...], folder: Path | None) -> Order:
    """`folder`: its fresh one; None: it runs where and with what its caller says."""
    return Order(
        spec=dataclasses.replace(job.spec, limits=job.limits),  # those that hold, asked for or not
        user=job.user,
        machine_token=job.machine_token,
        env_base={} if folder is None else _clean_base(job.unix_user, folder),
        work_dir="" if folder is None else str(folder),
        cpuset=cpuset,
        created_ns=job.created_ns,
    )


def _clean_base(unix_user: str, folder: Path) -> dict[str, bytes]:
    home = bytes(folder)
    return {
        "PATH": PATH,
        "HOME": home,
        "USER": unix_user.encode(),
        "LOGNAME": unix_user.encode(),
        "LANG": b"C.UTF-8",
        "TMPDIR": home + b"/" + TEMPORARY.encode(),
    }


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
