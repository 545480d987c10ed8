"""Finds events on the audit record, from the end of its files."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from jobrun.auth.audit_file import MOST_ASIDE, aside
from jobrun.model.user import AuditEvent

SEARCHED: Final = 16 << 20
"""Bytes of each kind of file that one question looks at, from the end: 80,000 lines, half a second of a thread."""
BLOCK: Final = 1 << 16
MOST_LINE: Final = 4096
"""Bytes; ours have a tenth."""


def newest(paths: Sequence[Path], most: int, user: str, since_ns: int) -> list[AuditEvent]:
    """At most so many of all files together, newest last; of one user alone where one is named, none from before.
    Raises OSError."""
    found = list[AuditEvent]()
    for path in paths:
        wanted = (
            event for event in _events_backwards(path) if (not user or event.user == user) and event.time_ns >= since_ns
        )
        found += [*itertools.islice(wanted, most)][::-1]
    found.sort(key=lambda event: event.time_ns)  # what was counted was written after what came later
    return found[-most:]


def _events_backwards(path: Path) -> Iterator[AuditEvent]:
    return (event for line in _lines_backwards(path) if (event := _parsed(line)) is not None)


def _lines_backwards(path: Path) -> Iterator[bytes]:
    """Whole lines within the last SEARCHED bytes, of the file and of those put aside."""
    left, seen = SEARCHED, set()
    for place in (path, *(aside(path, number) for number in range(1, MOST_ASIDE + 1))):
        if left <= 0:
            return
        with contextlib.suppress(FileNotFoundError), open(place, "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if status.st_ino not in seen:  # it was put aside since we opened it
                seen.add(status.st_ino)
                yield from _lines_of(file, status.st_size, max(0, status.st_size - left))
                left -= status.st_size


def _lines_of(file: BinaryIO, end: int, least: int) -> Iterator[bytes]:
    rest = b""
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
