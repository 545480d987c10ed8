"""What the engine is told to run: the job's environment and folder besides its spec."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from jobrun.files.workdir import TEMPORARY
from jobrun.jobs.orders import Order
from jobrun.model.job import Job

PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Of a job that does not bring its own."""


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
