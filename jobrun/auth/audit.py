"""The audit record: each security decision is one JSON line in a file that only grows. No secret is ever in it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from jobrun.auth.addresses import LOCAL, network_of
from jobrun.auth.clock import Clocks
from jobrun.model.caller import Caller
from jobrun.model.errors import StoreError
from jobrun.model.user import AuditEvent

log = logging.getLogger(__name__)

MINUTE_NS: Final = 60 * 10**9
KINDS: Final = 1024
"""Kinds of floods that are counted apart in one minute, 0.5 MB; beyond, by what was asked and refused alone."""
SEARCHED: Final = 16 << 20
"""Bytes that one question looks at, from the end: 80,000 lines, half a second of a thread."""
BLOCK: Final = 1 << 16
MOST_LINE: Final = 4096
"""Bytes; ours have a tenth."""
MANY: Final = "many"
"""In place of an address where there were too many."""


@dataclasses.dataclass
class _Flood:
    """What came more than once in a minute. `since_ns`: by the steady clock."""

    since_ns: int
    more: int = 0


class _Kind(NamedTuple):
    """What is counted as one."""

    network: str
    action: str
    outcome: str
    user: str = ""
    machine_token: str = ""
    target: str = ""


class Audit:
    """Appends and reads. Lines are with the kernel when `note` returns, and on disk within a minute."""

    def __init__(self, path: Path, clocks: Clocks) -> None:
        """Raises StoreError."""
        self._path, self._clocks = path, clocks
        self._fd = _opened(path)
        self._torn = False
        """A line was cut by a full disk: the next one begins on its own."""
        self._failing = False
        self._floods: dict[_Kind, _Flood] = {}
        self._one_reader = asyncio.Semaphore(1)

    def note(self, who: Caller | str, address: str, action: str, target: str = "", outcome: str = "ok") -> None:
        """One decision; `address` empty: the caller's, or else the server's own machine. Never raises: a full disk is
        told in the server's log."""
        self._write(self._event(who, address, action, target, outcome))

    def note_often(self, who: Caller | str, address: str, action: str, target: str = "", outcome: str = "ok") -> None:
        """The same of what can come in floods: the first of its kind from its network is a line, the others of that
        minute are one line with their count. What is not said by somebody known is not told apart by target."""
        event = self._event(who, address, action, target, outcome)
        kind = _Kind(network_of(event.address), action, outcome)
        if isinstance(who, Caller):
            kind = kind._replace(user=event.user, machine_token=event.machine_token, target=target)
        if kind not in self._floods and len(self._floods) >= KINDS:
            kind = _Kind(MANY, action, outcome)
        flood = self._floods.get(kind)
        if flood is None:
            self._floods[kind] = _Flood(self._clocks.steady_ns())
            self._write(event)
        else:
            flood.more += 1

    def sum_up(self) -> None:
        """Writes what was counted for a minute; to be called each minute."""
        now_ns = self._clocks.steady_ns()
        for kind, flood in [*self._floods.items()]:
            if now_ns - flood.since_ns >= MINUTE_NS:
                self._tell(kind, self._floods.pop(kind))

    def sync(self) -> None:
        """What was noted outlasts a power cut now; takes as long as the disk does. For any thread. Never raises."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            log.error("%s is not on disk: %s", self._path, error.strerror)

    async def events(self, most: int, *, user: str = "", since_ns: int = 0) -> list[AuditEvent]:
        """The newest `most`, newest last; of one user alone, or none from before `since_ns`. Raises OSError."""
        for kind, flood in self._floods.items():
            self._tell(kind, flood)
            flood.more = 0
        async with self._one_reader:
            return await asyncio.to_thread(_newest, self._path, most, user, since_ns)

    def reopen(self) -> None:
        """For who has moved the file away. Where that can not be, the old one goes on, and the server's log says so."""
        try:
            fresh = _opened(self._path)
        except StoreError as error:
            log.error("the audit record goes on in the old file: %s", error)
            return
        self.sync()
        os.dup2(fresh, self._fd, inheritable=False)
        os.close(fresh)

    def close(self) -> None:
        """Writes what was counted."""
        for kind, flood in self._floods.items():
            self._tell(kind, flood)
        self.sync()
        os.close(self._fd)

    def _event(self, who: Caller | str, address: str, action: str, target: str, outcome: str) -> AuditEvent:
        if isinstance(who, Caller):
            user, machine_token, his = who.user, who.machine_token, who.address
        else:
            user, machine_token, his = who, "", ""
        return AuditEvent(
            time_ns=self._clocks.wall_ns(),
            user=user,
            machine_token=machine_token,
            address=address or his or LOCAL,
            action=action,
            target=target,
            outcome=outcome,
        )

    def _tell(self, kind: _Kind, flood: _Flood) -> None:
        if flood.more:
            event = self._event(kind.user, kind.network, kind.action, kind.target, kind.outcome)
            self._write(dataclasses.replace(event, machine_token=kind.machine_token, count=flood.more))

    def _write(self, event: AuditEvent) -> None:
        line = json.dumps(dataclasses.asdict(event)).encode() + b"\n"
        try:
            self._append(b"\n" + line if self._torn else line)
        except OSError as error:
            if not self._failing:
                log.error("%s can not be written, decisions are not on record: %s", self._path, error.strerror)
            self._failing = True
        else:
            self._failing = False

    def _append(self, data: bytes) -> None:
        """In one write(2), so that two processes' lines do not mix."""
        written = os.write(self._fd, data)
        self._torn = written < len(data)


def _opened(path: Path) -> int:
    """Its group may read it: a collector of logs. Raises StoreError."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}: move it away, or give this user the right to write it") from error
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        os.close(fd)
        raise StoreError(f"{path} must be a file of this user, written by nobody else: move it away, or chmod 600 it")
    return fd


def _newest(path: Path, most: int, user: str, since_ns: int) -> list[AuditEvent]:
    found: list[AuditEvent] = []
    for line in _lines_backwards(path):
        event = _parsed(line)
        if event is None or (user and event.user != user) or event.time_ns < since_ns:
            continue
        found.append(event)
        if len(found) >= most:
            break
    return found[::-1]


def _lines_backwards(path: Path) -> Iterator[bytes]:
    """Whole lines within the last SEARCHED bytes."""
    with open(path, "rb", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        least, rest = max(0, end - SEARCHED), b""
        while end > least:
            start = max(least, end - BLOCK)
            file.seek(start)
            first, *lines = (file.read(end - start) + rest).split(b"\n")
            yield from reversed(lines)
            end, rest = start, first[:MOST_LINE]
        if least == 0:
            yield rest


def _parsed(line: bytes) -> AuditEvent | None:
    """None for what a cut write left."""
    try:
        return AuditEvent(**json.loads(line))
    except (ValueError, TypeError):
        return None
