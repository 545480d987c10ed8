"""The audit record: each security decision is one JSON line. No secret is ever in it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from jobrun.auth.addresses import LOCAL, network_of
from jobrun.auth.audit_file import AuditFile
from jobrun.auth.audit_search import newest
from jobrun.auth.clock import Clocks
from jobrun.auth.throttle import Buckets
from jobrun.model.caller import Caller
from jobrun.model.user import AuditEvent

MINUTE_NS: Final = 60 * 10**9
KINDS: Final = 1024
"""Kinds of floods that are counted apart in one minute, 0.5 MB."""
LINES_OF_REFUSALS: Final = 10, 60
"""Kinds that each user, and all who are not known together, may have on lines of their own: 60 at once, then one each
10 s. So nobody without an account drives out what is on record: all of them make some MiB a day."""
OF_JOBS: Final = "job."
"""Actions that begin so lie in a file of their own: a machine token that starts and stops jobs for a night would else
drive out who logged in, and who was given what."""
MANY: Final = "many"
"""In place of an address where there were too many."""


@dataclasses.dataclass
class _Flood:
    """What came more than once in a minute."""

    since_ns: int
    """By the steady clock."""
    more: int = 0
    """Those that no line tells yet."""
    first_ns: int = 0
    """When the first of them came."""


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
        """Of logins, rights and accounts at `path`; of jobs beside it. Raises StoreError."""
        self._clocks = clocks
        self._paths = path, jobs_path(path)
        self._file = AuditFile(path)
        self._jobs_file = AuditFile(jobs_path(path))
        self._refusals = Buckets(*LINES_OF_REFUSALS, clocks.steady_ns)
        """By user; all who are not known are one."""
        self._floods: dict[_Kind, _Flood] = {}
        self._one_reader = asyncio.Semaphore(1)

    def note(self, who: Caller | str, address: str, action: str, target: str = "", outcome: str = "ok") -> None:
        """One decision; `address` empty: the caller's, or else the server's own machine. Never raises: a full disk is
        told in the server's log."""
        self._write(self._event(who, address, action, target, outcome))

    def note_often(self, who: Caller | str, address: str, action: str, target: str = "", outcome: str = "ok") -> None:
        """The same of what can come in floods: the first of its kind from its network is a line, the others of that
        minute are one line with their count, and the time of their first. What is not said by somebody known is not
        told apart by target. Where there are too many kinds, they are told apart by what was asked and refused
        alone."""
        event = self._event(who, address, action, target, outcome)
        kind = _Kind(network_of(event.address), action, outcome, event.user)
        known = isinstance(who, Caller)
        if known:
            kind = kind._replace(machine_token=event.machine_token, target=target)
        if kind not in self._floods and not self._has_line(event.user if known else ""):
            kind = _Kind(MANY, action, outcome)
        flood = self._floods.get(kind)
        if flood is None:
            self._floods[kind] = _Flood(self._clocks.steady_ns())
            self._write(event)
        else:
            flood.first_ns = flood.first_ns if flood.more else event.time_ns
            flood.more += 1

    def _has_line(self, user: str) -> bool:
        if len(self._floods) >= KINDS or not self._refusals.has(user):
            return False
        self._refusals.take(user)
        return True

    def keep_up(self) -> None:
        """To be called each minute: writes what was counted for one, and looks after the files."""
        now_ns = self._clocks.steady_ns()
        for kind, flood in [*self._floods.items()]:
            if now_ns - flood.since_ns >= MINUTE_NS:
                self._tell(kind, self._floods.pop(kind))
        for file in self._files():
            file.look_after()

    def sync(self) -> None:
        """What was noted outlasts a power cut now; takes as long as the disk does. For any thread. Never raises."""
        for file in self._files():
            file.sync()

    async def events(self, most: int, *, user: str = "", since_ns: int = 0) -> list[AuditEvent]:
        """The newest `most`, newest last; of one user alone, or none from before `since_ns`. Raises OSError."""
        for kind, flood in self._floods.items():
            self._tell(kind, flood)
            flood.more = 0
        async with self._one_reader:
            return await asyncio.to_thread(newest, self._paths, most, user, since_ns)

    def reopen(self) -> None:
        """For who has moved a file away. Where that can not be, the old one goes on, and the server's log says so."""
        for file in self._files():
            file.reopen()

    def close(self) -> None:
        """Writes what was counted."""
        for kind, flood in self._floods.items():
            self._tell(kind, flood)
        for file in self._files():
            file.close()

    def _files(self) -> tuple[AuditFile, AuditFile]:
        return self._file, self._jobs_file

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
            self._write(
                dataclasses.replace(event, time_ns=flood.first_ns, machine_token=kind.machine_token, count=flood.more)
            )

    def _write(self, event: AuditEvent) -> None:
        file = self._jobs_file if event.action.startswith(OF_JOBS) else self._file
        file.append(json.dumps(dataclasses.asdict(event)).encode() + b"\n")


def target_with(name: str, given: Mapping[str, object]) -> str:
    """What a line tells as its target: whom or what, and behind it what was given to it or changed: "vic role=admin
    cpus=none". Secrets do not belong into it."""
    return " ".join([*([name] if name else ()), *(f"{key}={str(value).lower()}" for key, value in given.items())])


def jobs_path(path: Path) -> Path:
    """Where the lines of jobs are: `audit-jobs.jsonl` beside `audit.jsonl`."""
    return path.with_name(f"{path.stem}-jobs{path.suffix}")
