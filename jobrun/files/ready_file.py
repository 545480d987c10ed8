"""`DATA/ready`: the ready line of the server that serves from this folder, for whoever wants to dial it from here."""

from __future__ import annotations

import contextlib
import logging
import threading
from pathlib import Path
from typing import NamedTuple

from jobrun.files.data_files import read_data_file, write_data_file
from jobrun.model.errors import StorageFull, StoreError
from jobrun.model.fingerprint import PREFIX

INSECURE = "insecure:"
MOST = 1024
"""Bytes of the line."""

log = logging.getLogger(__name__)


class Ready(NamedTuple):
    """What the line says: where the server listens, and the fingerprint of its certificate (None: plaintext)."""

    host: str
    port: int
    fingerprint: str | None

    def line(self) -> str:
        """As it is printed, without its end."""
        if self.fingerprint is None:
            return f"ready {INSECURE}{self.host}:{self.port}"
        return f"ready {self.host}:{self.port} {self.fingerprint}"


class ReadyFile:
    """Written by the server alone. A clean end removes it. After a kill it tells of a server that is gone: the next
    one removes it first of all, and who reads it looks at the lock."""

    def __init__(self, folder: Path) -> None:
        self._path = ready_path(folder)
        self._lock = threading.Lock()
        self._said: Ready | None = None

    def write(self, ready: Ready) -> None:
        """From now on the server can be dialled."""
        with self._lock:
            self._said = ready
            self._put(ready)

    def change_fingerprint(self, fingerprint: str) -> None:
        """The server has another certificate; in any thread."""
        with self._lock:
            if self._said is not None:
                self._said = self._said._replace(fingerprint=fingerprint)
                self._put(self._said)

    def remove(self) -> None:
        """The server has ended, or is not ready yet."""
        with self._lock:
            self._said = None
            self._take_away()

    def _put(self, ready: Ready) -> None:
        """Only a health check suffers where that can not be written down, so it is told and no more; an older line
        would lie."""
        try:
            write_data_file(self._path, f"{ready.line()}\n".encode())
        except (OSError, StorageFull) as error:
            log.warning("%s can not be written, server health finds no server: %s", self._path, error)
            self._take_away()

    def _take_away(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()


def ready_path(folder: Path) -> Path:
    """Of a data folder."""
    return folder / "ready"


def read_ready(folder: Path) -> Ready | None:
    """What the folder's last server said; None where it ended cleanly, or none was there. Raises StoreError."""
    try:
        words = read_data_file(ready_path(folder), MOST).decode(errors="replace").split()
    except FileNotFoundError:
        return None
    address = words[1] if len(words) in (2, 3) and words[0] == "ready" else ""
    host, _, port = address.removeprefix(INSECURE).rpartition(":")
    secure = len(words) == 3 and words[2].startswith(PREFIX)
    if not host or not port.isdigit() or secure == address.startswith(INSECURE):
        raise StoreError(f"{ready_path(folder)} holds no ready line: start the server again")
    return Ready(host, int(port), words[2] if secure else None)
