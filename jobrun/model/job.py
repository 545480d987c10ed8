"""What a job is: what was asked for, what was seen of it, how it ended. Frozen, no I/O.

Times are nanoseconds since the epoch (UTC); durations are nanoseconds, by a clock that never jumps; 0 where there is
none. Sizes are bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from jobrun.model.lifecycle import EndReason, StartStep, State

DEFAULT_GRACE_NS = 10_000_000_000
"""From the first stop signal to SIGKILL, where the job did not say."""
DEFAULT_LOG_BYTES = 256 << 20
"""Output kept of a job that did not say."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobSpec:
    """What to run. `limits` has a number for each kind of jobrun.limits.LIMITS that was asked for, in its unit."""

    argv: tuple[str, ...]
    name: str = ""
    env_names: tuple[str, ...] = ()
    secret_env_names: tuple[str, ...] = ()
    cwd: str = ""
    limits: Mapping[str, int] = dataclasses.field(default_factory=dict)
    slots: int = 1
    grace_ns: int = DEFAULT_GRACE_NS
    umask: int = 0o022
    asked: frozenset[str] = frozenset()
    """Which of slots, grace, umask, network the caller set himself: answers show only those, and never umask."""
    has_stdin: bool = False


@dataclasses.dataclass(frozen=True, repr=False)
class Secrets:
    """What lives only until the start: values of the environment, and stdin. Its repr shows nothing."""

    env: Mapping[str, bytes]
    secret_env: Mapping[str, bytes]
    stdin: bytes = b""

    def __repr__(self) -> str:
        return "Secrets(***)"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StartFailure:
    """What kept a job from starting."""

    step: StartStep
    errno: int
    path: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Usage:
    """What the process tree used, so far or in all."""

    user_cpu_ns: int = 0
    system_cpu_ns: int = 0
    peak_memory_bytes: int = 0
    output_bytes: int = 0
    output_dropped_bytes: int = 0
    elapsed_ns: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class End:
    """How a job ended; never changes again. At most one of exit_code and signal is set."""

    reason: EndReason
    exit_code: int | None = None
    signal: int | None = None
    started_ns: int = 0
    finished_ns: int = 0
    detail: str = ""
    stopped_by: str = ""
    start_failure: StartFailure | None = None
    survivors: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One job as it stands."""

    id: str
    user: str
    spec: JobSpec
    limits: Mapping[str, int]
    """What holds, by Limit.field: what was asked for, defaults, and the ceilings of who started it."""
    created_ns: int
    state: State
    machine_token: str = ""
    """The id of the machine token that started it; empty: a session did."""
    token_name: str = ""
    """The name that it had."""
    ahead: int = 0
    waits_for: str = ""
    """QUEUED: why it waits, one sentence."""
    started_ns: int = 0
    pid: int = 0
    stopping_since_ns: int = 0
    end: End | None = None
    usage: Usage | None = None
    unix_user: str = ""
