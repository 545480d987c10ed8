"""A job's file that a disk, a restore or a power cut has damaged: what is read of it is right, or it is told."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobrun.jobfile import file, frames, layout
from jobrun.jobfile.reader import Batch
from jobrun.jobfile.writer import LogWriter
from jobrun.logs.follow import Cursor, OpenLog, Since, Start, TailLines
from jobrun.model.errors import InvalidRequest
from jobrun.runner.syscalls import Syscalls

BOTH = frozenset({frames.STDOUT, frames.STDERR})
MIB = 1 << 20
STARTS = (Cursor(0), TailLines(3), TailLines(1 << 40), Since(0), Since(1 << 62))


def filled(fd: int, size: int) -> None:
    """A finished job's file with so many bytes of output, of which it keeps 1 MiB."""
    file.fill(fd, 1, {b"argv": [b"x"]}, file.pack_secrets({}))
    key, chance = layout.read_header(fd).key, random.Random(size)
    slot, begin = layout.read_slot(fd, key), file.frames_begin(fd, key)
    writer = LogWriter(fd, key, slot, begin, MIB, Syscalls().punch_hole)
    while writer.output_bytes < size:
        line = b"x" * chance.choice((0, 80, 5000, 60_000)) + b"\n"
        writer.append(chance.choice((frames.STDOUT, frames.STDERR)), line)
    file.write_exit(fd, key, {b"end": writer.offset})


@pytest.fixture(scope="module", params=[0, 20_000, 3 * MIB])
def whole(request: pytest.FixtureRequest) -> Iterator[int]:
    """A file that is not damaged."""
    with open(os.memfd_create("whole"), "rb", buffering=0) as memory:
        filled(memory.fileno(), request.param)
        yield memory.fileno()


def read(fd: int, start: Start) -> tuple[list[tuple[int, int, int]], bool]:
    """Place, stream and length of each record from there on; whether that was all."""
    records = []
    log = OpenLog(fd, BOTH, start)
    while (event := log.next()) is not None:
        if isinstance(event, Batch):
            records += [(after, stream, len(data)) for _, stream, data, after in event.records]
    return records, log.has_ended


@settings(max_examples=40, deadline=None)
@given(
    cut=st.none() | st.floats(0, 1),
    flips=st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.integers(0, 7)), max_size=8),
    zeros=st.none() | st.tuples(st.floats(0, 1), st.integers(1, 1 << 16)),
    longer=st.sampled_from((0, 0, 1, 4096, 32 * MIB)),
)
def test_what_is_read_of_a_damaged_file_is_right_or_it_is_told(
    whole: int,
    cut: float | None,
    flips: list[tuple[bool, float, int]],
    zeros: tuple[float, int] | None,
    longer: int,
) -> None:
    """One bad sector would show a job's output in a wrong order, hide its loss, or hang or end the server."""
    size = os.fstat(whole).st_size
    with open(os.memfd_create("damaged"), "rb", buffering=0) as memory:
        fd = memory.fileno()
        os.pwrite(fd, os.pread(whole, size, 0), 0)
        for of_the_state, at, bit in flips:
            place = int(at * ((layout.FRAMES_AT if of_the_state else size) - 1))
            os.pwrite(fd, bytes([os.pread(fd, 1, place)[0] ^ 1 << bit]), place)
        if zeros is not None:
            os.pwrite(fd, bytes(zeros[1]), int(zeros[0] * size))
        os.ftruncate(fd, (size if cut is None else int(cut * size)) + longer)
        for start in STARTS:
            try:
                found, is_all = read(fd, start)
            except (layout.Damaged, InvalidRequest):
                continue
            if file.read_exit(fd, layout.read_header(fd).key) is not None:
                right, _ = read(whole, start)
                assert found == right[: None if is_all else len(found)]
            else:  # it seems to run on, and its last lines are others
                right, _ = read(whole, Cursor(0))
                assert found == [record for record in right if record in set(found)]
