"""Waiting for a job's output: who is woken by what, and who has to wait meanwhile."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from jobrun.jobfile import file, layout
from jobrun.jobfile.writer import LogWriter
from jobrun.logs.follow import Batch, Beginning, Since, Start, TailLines, read_log
from jobrun.logs.wakeups import Wakeups
from jobrun.runner.syscalls import Syscalls

WITHIN_S = 30
BOTH = frozenset({1, 2})


def test_output_wakes_those_alone_who_read_it(tmp_path: Path) -> None:
    """Each line of a chatty job would cost a look at its whole tree for each one that waits for its end."""
    path = tmp_path / "job"
    path.touch()

    async def use() -> None:
        wakeups = Wakeups(asyncio.get_running_loop())
        with wakeups.of("job") as state, wakeups.of("job", path) as output:
            waits = asyncio.ensure_future(state.wait())
            path.write_bytes(b"x")
            await asyncio.wait_for(output.wait(), WITHIN_S)
            await asyncio.sleep(0)
            assert not waits.done()
            wakeups.wake("job")
            await asyncio.wait_for(waits, WITHIN_S)
            output.clear()
            with wakeups.of("job", path):
                pass
            path.write_bytes(b"xx")
            await asyncio.wait_for(output.wait(), WITHIN_S)
        wakeups.close()

    asyncio.run(use())


def test_a_search_in_a_big_log_is_not_in_the_loop(tmp_path: Path) -> None:
    """`logs --tail` of a big log would stop every other call for its time."""
    path = log_of(tmp_path, b"a line\n" * 10)

    async def others_had_their_turn(start: Start) -> bool:
        turn = asyncio.Event()
        asyncio.get_running_loop().call_soon(turn.set)
        async for event in read_log("job", path, start, BOTH, None):
            assert isinstance(event, Beginning | Batch)
            return turn.is_set()
        raise AssertionError("nothing was read")

    assert asyncio.run(others_had_their_turn(TailLines(3)))
    assert asyncio.run(others_had_their_turn(Since(1)))


def test_a_call_that_is_cut_while_it_searches_leaves_no_descriptor(tmp_path: Path) -> None:
    """The thread would read another file by the same number, or the server would run out of them."""
    path = log_of(tmp_path, b"a line\n" * 10)

    async def use() -> None:
        await asyncio.to_thread(lambda: None)  # the pool has its descriptors now
        before = os.listdir("/proc/self/fd")
        for _ in range(3):
            stream = read_log("job", path, TailLines(3), BOTH, None)
            reading = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait({reading})
        await asyncio.get_running_loop().shutdown_default_executor()
        await asyncio.sleep(0)
        assert os.listdir("/proc/self/fd") == before

    asyncio.run(use())


def log_of(folder: Path, output: bytes) -> Path:
    """A job's file with that output, unfinished."""
    path = folder / "job"
    file.create(str(path), 1, {b"argv": [b"x"]}, b"")
    fd = os.open(path, os.O_RDWR)
    key = layout.read_header(fd).key
    begin = file.frames_begin(fd, key)
    LogWriter(fd, key, layout.read_slot(fd, key), begin, 1 << 20, Syscalls().punch_hole).append(1, output)
    os.close(fd)
    return path
