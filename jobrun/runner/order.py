"""What a supervisor is told to run: the spec frame of the job's file, and the secrets beside it."""

from __future__ import annotations

import os

from jobrun.jobfile import layout

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


def read_secrets(path: bytes) -> dict[bytes, Decoded]:
    """Values of the environment and stdin; Damaged where the file is not whole, as after a power cut."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise layout.Damaged("its environment is gone") from None
    try:
        data = b""
        while part := os.read(fd, 1 << 20):
            data += part
    finally:
        os.close(fd)
    secrets = layout.unpack_block(data, 0)
    if not isinstance(secrets, dict):
        raise layout.Damaged("its environment can not be read")
    return secrets
