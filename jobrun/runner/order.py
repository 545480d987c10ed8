"""What a supervisor is told to run: the job's spec, and its secrets."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobrun.jobfile.bencode import Decoded


class Order:
    """Paths and arguments are bytes, as execve(2) has them; durations nanoseconds. `limits` by field of
    jobrun.limits."""

    __slots__ = ("argv", "cpus", "cwd", "env", "grace_ns", "limits", "log_bytes", "stdin", "umask")

    def __init__(self, spec: dict[bytes, Decoded], secrets: dict[bytes, Decoded]) -> None:
        self.argv: list[bytes] = spec[b"argv"]  # type: ignore[assignment]  # as local_engine wrote it
        self.cwd: bytes = spec[b"cwd"]  # type: ignore[assignment]
        self.grace_ns: int = spec[b"grace_ns"]  # type: ignore[assignment]
        self.umask: int = spec[b"umask"]  # type: ignore[assignment]
        self.cpus: list[int] = spec[b"cpus"]  # type: ignore[assignment]
        self.log_bytes: int = spec[b"log_bytes"]  # type: ignore[assignment]
        limits: dict[bytes, int] = spec[b"limits"]  # type: ignore[assignment]
        self.limits = {name.decode(): value for name, value in limits.items()}
        env: dict[bytes, bytes] = spec[b"env_base"]  # type: ignore[assignment]
        job_id: bytes = spec[b"id"]  # type: ignore[assignment]
        own: dict[bytes, bytes] = secrets[b"env"]  # type: ignore[assignment]
        self.env: dict[bytes, bytes] = {**env, **own, b"JOBRUN_JOB_ID": job_id}
        self.stdin: bytes = secrets[b"stdin"]  # type: ignore[assignment]
