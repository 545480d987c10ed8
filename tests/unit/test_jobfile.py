"""The job's file: what is written comes back, whatever happens between, and nothing else passes for it."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import resource
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobrun.jobfile import bencode, file, frames, layout, lock, reader
from jobrun.jobfile.reader import Batch, Gap, LogReader
from jobrun.jobfile.writer import LogWriter
from jobrun.runner.syscalls import Syscalls

SECRETS = file.pack_secrets({b"env": {b"K": b"a value"}})
BOTH = frozenset({frames.STDOUT, frames.STDERR})
MIB = 1 << 20
values = st.recursive(
    st.integers() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.binary(), inner),
)


class Log:
    """A file with a writer, as a supervisor has it."""

    def __init__(self, path: Path, bound: int) -> None:
        file.create(str(path), 1, {b"argv": [b"x"]}, SECRETS)
        self.fd = os.open(path, os.O_RDWR)
        self.key = layout.read_header(self.fd).key
        self.slot = layout.read_slot(self.fd, self.key)
        begin = file.frames_begin(self.fd, self.key)
        self.writer = LogWriter(self.fd, self.key, self.slot, begin, bound, Syscalls().punch_hole)

    def fill(self, size: int, *, record: int, seed: int = 1) -> bytes:
        """Write random output; what was written."""
        chance = random.Random(seed)
        made, step = chance.randbytes(size), min(record, self.writer.most_bytes)
        for at in range(0, size, step):
            self.writer.append(chance.choice((frames.STDOUT, frames.STDERR)), made[at : at + step])
        return made


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """A log that keeps 1 MiB."""
    made = Log(tmp_path / "job", MIB)
    yield made
    os.close(made.fd)


def everything(log: LogReader) -> tuple[bytes, list[int]]:
    """What a reader gets up to the present end: the bytes, and the sizes of the gaps."""
    data, gaps = b"", []
    while (event := log.read()) is not None:
        if isinstance(event, Gap):
            gaps.append(event.dropped)
        else:
            data += b"".join(body for _, _, body, _ in event.records)
    return data, gaps


@given(values)
def test_bencoding_gives_back_what_it_was_given(value: bencode.Value) -> None:
    """A job is run with the very arguments that were asked for."""
    assert bencode.decode(bencode.encode(value)) == value


@given(st.binary())
def test_damaged_bencoding_is_a_value_error_and_nothing_else(data: bytes) -> None:
    """A damaged record is told as such, not as a fault of the server's."""
    try:
        bencode.decode(data)
    except ValueError:
        return


def test_every_byte_comes_back_in_order(log: Log) -> None:
    """Output that is within the bound is whole."""
    made = log.fill(MIB, record=5000)
    assert everything(LogReader(log.fd, BOTH)) == (made, [])


@pytest.mark.parametrize("record", [1, 100, 4096, 60_000])
def test_beyond_the_bound_beginning_and_end_stay(log: Log, record: int) -> None:
    """A bound of 1 MiB keeps the first and the last bytes, and tells exactly how many went."""
    size = 400_000 if record == 1 else 3 * MIB
    made = log.fill(size, record=record)
    kept, gaps = everything(LogReader(log.fd, BOTH))
    (gap,) = gaps
    assert len(kept) + gap == len(made)
    assert len(kept) <= MIB
    assert len(kept) > MIB * 3 // 4 if record > 8 else len(kept) > MIB // 10
    head = len(os.path.commonprefix([kept, made]))
    assert kept[:head] + made[len(made) - (len(kept) - head) :] == kept


def test_a_hole_gives_its_blocks_back(log: Log) -> None:
    """A job that writes for weeks does not fill the disk."""
    log.fill(40 * MIB, record=60_000)
    assert os.fstat(log.fd).st_blocks * 512 < 4 * MIB  # file systems allocate a little ahead


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_a_reader_may_go_on_at_every_cursor(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """A client that reconnects gets what it has not got, once."""
    log = Log(tmp_path_factory.mktemp("log") / "job", 64 * MIB)
    made, chance = log.fill(700_000, record=9000, seed=seed), random.Random(seed)
    got, cursor = b"", 0
    while True:
        one = LogReader(log.fd, BOTH)
        one.seek(cursor)
        for _ in range(chance.randrange(1, 3)):
            event = one.read()
            if event is None:
                break
            assert isinstance(event, Batch)
            got += b"".join(body for _, _, body, _ in event.records)
            cursor = event.next
        if event is None:
            break
    os.close(log.fd)
    assert hashlib.sha256(got).digest() == hashlib.sha256(made).digest()


def test_no_other_number_is_a_cursor(log: Log) -> None:
    """A client that makes a cursor up is told so, also where a job's output looks like a frame."""
    log.fill(100_000, record=1000)
    place = log.writer.offset + frames.HEAD_SIZE
    log.writer.append(frames.STDOUT, b"".join(frames.pack(log.key ^ 1, place, 5, frames.STDOUT, b"forged")))
    given_cursors = {0, file.frames_begin(log.fd, log.key), reader.log_end(log.fd, log.key)}
    one = LogReader(log.fd, BOTH)
    while (event := one.read()) is not None:
        given_cursors.add(event.next)
    for cursor in (1, 8, layout.FRAMES_AT, place, one.cursor - 8, one.cursor + 8, 1 << 62, (1 << 64) - 1):
        assert cursor not in given_cursors
        with pytest.raises(reader.BadCursor):
            LogReader(log.fd, BOTH).seek(cursor)


def test_a_slow_reader_gets_the_gap_and_no_zeros(log: Log) -> None:
    """What was dropped before a slow reader came to it is told, byte for byte, and never read as zeros."""
    one, got, gaps, rounds, records = LogReader(log.fd, BOTH), 0, 0, 8, 1000
    for number in range(rounds * records):
        log.writer.append(frames.STDOUT, struct.pack("<Q", number + 1) * 200)
        while number % records == records - 1 and (event := one.read()) is not None:
            if isinstance(event, Gap):
                gaps += event.dropped
            else:
                for _, _, body, _ in event.records:
                    assert body == body[:8] * 200
                    assert body[:8] != bytes(8)
                    got += len(body)
            if number < rounds * records - 1:
                break
    assert gaps
    assert got + gaps == rounds * records * 1600


@pytest.mark.parametrize("lines", [0, 1, 2, 10, 4999, 5000, 9000])
@pytest.mark.parametrize("ending", [b"", b"unfinished"])
def test_the_last_lines_are_the_last_lines(tmp_path: Path, lines: int, ending: bytes) -> None:
    """`logs -n N` shows N lines of the chosen stream, however rare they are."""
    log = Log(tmp_path / "job", 64 * MIB)
    text = b""
    for number in range(5000):
        log.writer.append(frames.STDOUT, b"%d\n" % number)
        log.writer.append(frames.STDERR, b"x" * 500)
        text += b"%d\n" % number
    if ending:
        log.writer.append(frames.STDOUT, ending)
        text += ending
    wanted = b"".join(text.splitlines(keepends=True)[-lines:]) if lines else b""
    only = frozenset({frames.STDOUT})
    cursor, newlines = reader.seek_lines(log.fd, log.key, lines, only)
    one = LogReader(log.fd, only)
    one.go_to(cursor)
    data, _ = everything(one)
    os.close(log.fd)
    assert data.split(b"\n", newlines)[-1] == wanted


def test_a_time_is_found_by_bisection(log: Log) -> None:
    """`logs --since` begins with the first record of that time, not with one before or behind."""
    log.fill(900_000, record=300)
    one = LogReader(log.fd, BOTH)
    times = []
    while isinstance(event := one.read(), Batch):
        times += [time for time, _, _, _ in event.records]
    for wanted in (0, times[0], times[len(times) // 2], times[-1], times[-1] + 1):
        found = LogReader(log.fd, BOTH)
        found.go_to(reader.seek_time(log.fd, log.key, wanted))
        event = found.read()
        first = next((time for time in times if time >= wanted), None)
        assert (event.records[0][0] if isinstance(event, Batch) else None) == first


@pytest.mark.parametrize("cut", [1, 7, 24, 500, 5000])
def test_a_torn_tail_hides_nothing_that_is_whole(log: Log, cut: int) -> None:
    """A supervisor that was killed in the middle of a write costs that record alone."""
    made = log.fill(300_000, record=4000)
    os.ftruncate(log.fd, log.writer.offset - cut)
    kept, _ = everything(LogReader(log.fd, BOTH))
    assert made.startswith(kept)
    assert len(made) - len(kept) <= cut + 4000
    assert reader.log_end(log.fd, log.key) <= log.writer.offset - cut


@pytest.mark.parametrize("broken", layout.SLOTS_AT)
def test_one_torn_slot_leaves_the_other(log: Log, broken: int) -> None:
    """A kill while the state is written leaves the state before it, or the new one."""
    log.slot.attempt = 5
    layout.write_slot(log.fd, log.key, log.slot)
    log.slot.attempt = 6
    layout.write_slot(log.fd, log.key, log.slot)
    os.pwrite(log.fd, b"torn", broken + 20)
    assert layout.read_slot(log.fd, log.key).attempt in (5, 6)


def test_a_slot_that_could_not_be_written_is_the_next_one_too(log: Log) -> None:
    """The write after one that a disk refused would go over the state that holds: a kill then leaves none, or an old
    one that shows the zeros of a hole as output."""
    layout.write_slot(log.fd, log.key, log.slot)
    before = [os.pread(log.fd, 256, at) for at in layout.SLOTS_AT]
    holds = layout.read_slot(log.fd, log.key).sequence & 1
    with open(f"/proc/self/fd/{log.fd}", "rb") as refusing, pytest.raises(OSError, match="Bad file descriptor"):
        layout.write_slot(refusing.fileno(), log.key, log.slot)
    layout.write_slot(log.fd, log.key, log.slot)
    assert os.pread(log.fd, 256, layout.SLOTS_AT[holds]) == before[holds]
    assert layout.read_slot(log.fd, log.key).sequence & 1 != holds


def test_stops_are_kept_in_their_order(log: Log) -> None:
    """No signal that somebody asked for is lost to a second stop that came at once."""
    for number in range(layout.MOST_STOPS):
        layout.append_stop(log.fd, log.key, layout.StopRequest(number, 10, number % 64, "a" * 32))
    stops = layout.read_stops(log.fd, log.key)
    assert [(stop.accepted_ns, stop.by) for stop in stops] == [(n, "a" * 32) for n in range(layout.MOST_STOPS)]
    with pytest.raises(IndexError):
        layout.append_stop(log.fd, log.key, layout.StopRequest(1, 1, 1, "a"))


def test_an_exit_record_comes_back_whole_or_not_at_all(log: Log) -> None:
    """A half-written end is no end, so that the job is judged again."""
    assert file.read_exit(log.fd, log.key) is None
    file.write_exit(log.fd, log.key, {b"reason": 1, b"detail": "é" * 700})
    assert (file.read_exit(log.fd, log.key) or {})[b"reason"] == 1
    os.pwrite(log.fd, b"\0", layout.EXIT_AT + 20)
    assert file.read_exit(log.fd, log.key) is None


@pytest.mark.parametrize("data", [b"", b"x" * 20_000, bytes(20_000)])
def test_a_foreign_file_is_damaged(tmp_path: Path, data: bytes) -> None:
    """Nothing of a file that is none of ours is believed."""
    path = tmp_path / "job"
    path.write_bytes(data)
    with open(path, "rb") as opened, pytest.raises(layout.Damaged):
        layout.read_header(opened.fileno())


def test_the_lock_names_its_holder_and_ends_with_it(log: Log, tmp_path: Path) -> None:
    """A killed supervisor is seen to be dead at once, though a child of its lives."""
    told, tell = os.pipe()
    gate, hold = os.pipe()
    pid = os.fork()
    if not pid:
        fd = os.open(tmp_path / "job", os.O_RDWR)
        lock.try_own(fd)
        if os.fork():
            os.write(tell, b"x")
        os.close(hold)
        os.read(gate, 1)
        os._exit(0)
    os.read(told, 1)
    assert lock.holder(log.fd) == pid
    assert not lock.try_judge(log.fd)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert lock.holder(log.fd) is None
    assert lock.try_judge(log.fd)
    for fd in (hold, gate, told, tell):
        os.close(fd)


def test_output_that_finds_no_room_is_told_in_its_place(log: Log) -> None:
    """A full disk costs what was written while it was full, and the log says how much, there."""
    before = log.fill(50_000, record=1000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.writer.offset + 1500, hard))
    try:
        lost = log.fill(30_000, record=1000, seed=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    after = log.fill(50_000, record=1000, seed=3)
    kept, gaps = everything(LogReader(log.fd, BOTH))
    assert gaps == [29_000]
    assert kept == before + lost[:1000] + after
    assert log.writer.unwritten == 0
    assert (log.writer.output_bytes, log.writer.dropped_bytes) == (130_000, 29_000)


def no_holes(fd: int, start: int, length: int) -> None:
    """A file system that makes none."""
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


def test_without_holes_the_beginning_stays(tmp_path: Path) -> None:
    """Where a file system punches no holes, what is kept is still within the bound, and the rest is counted."""
    log = Log(tmp_path / "job", MIB)
    log.writer = LogWriter(log.fd, log.key, log.slot, log.writer.offset, MIB, no_holes)
    made = log.fill(3 * MIB, record=10_000)
    kept, gaps = everything(LogReader(log.fd, BOTH))
    os.close(log.fd)
    assert gaps == []
    assert made.startswith(kept)
    assert MIB - 10_000 <= len(kept) <= MIB
    assert log.writer.unwritten == len(made) - len(kept)


def test_secrets_are_wiped_and_the_log_begins_behind_them(log: Log, tmp_path: Path) -> None:
    """A value of the environment is not to be found once the job has started, and every cursor stays."""
    made = log.fill(10_000, record=1000)
    assert file.read_secrets(log.fd, log.key)[b"env"] == {b"K": b"a value"}
    file.wipe_secrets(log.fd, log.key)
    assert b"a value" not in (tmp_path / "job").read_bytes()
    with pytest.raises(layout.Damaged):
        file.read_secrets(log.fd, log.key)
    assert everything(LogReader(log.fd, BOTH)) == (made, [])
