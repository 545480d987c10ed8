"""Where things lie in a server's data folder, and what is said where it has no room."""

from __future__ import annotations

import dataclasses
import errno
from pathlib import Path
from typing import NoReturn

from jobrun.model.errors import StorageFull

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@dataclasses.dataclass(frozen=True)
class DataFolder:
    """One server's."""

    path: Path

    @property
    def jobs(self) -> Path:
        """One file a job."""
        return self.path / "jobs"

    @property
    def secrets(self) -> Path:
        """One file a job that has not started: its environment, its stdin."""
        return self.path / "secrets"

    @property
    def work(self) -> Path:
        """One folder a job, where jobs get fresh ones."""
        return self.path / "work"

    @property
    def tls(self) -> Path:
        """Key and certificate of the server's own."""
        return self.path / "tls.pem"

    @property
    def users(self) -> Path:
        """The database of users, sessions and machine tokens; there once a server with login was started."""
        return self.path / "users.db"


def raise_storage(error: OSError) -> NoReturn:
    """StorageFull where it is that; else the error as it is."""
    if error.errno in NO_ROOM:
        raise StorageFull("the data folder's file system is full: free some room there, or remove jobs") from error
    raise error
