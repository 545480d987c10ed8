"""One job's supervisor: claims its file, runs it, pumps its output, ends its tree, records its end.

It needs no server: what it knows is in the job's file, what it learns goes there."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import os
import time

from jobrun.jobfile import file, layout, lock
from jobrun.runner import ending
from jobrun.runner.claim import Claim
from jobrun.runner.run import Run
from jobrun.runner.wake import wake_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobrun.jobfile.bencode import Value
    from jobrun.runner.syscalls import Syscalls

TRIES, PAUSE_S = 2000, 0.005
"""Ten seconds: then the server looks at all jobs, and sends this one again."""

REHEARSALS = 10
"""CPython specialises a function's code after eight calls."""
REHEARSED: Mapping[bytes, Value] = {
    b"id": b"",
    b"argv": [b""],
    b"cwd": b"",
    b"env_base": {b"": b""},
    b"limits": {},
    b"log_bytes": 1 << 20,
    b"grace_ns": 0,
    b"umask": 0,
    b"cpus": [],
}
"""A job's spec, as far as a supervisor reads it."""


def rehearse(boot: bytes, calls: Syscalls) -> None:
    """What a supervisor does, but for the job: in the spawner, on a file in memory. Python learns by it, as it notes
    where attributes are found and specialises code, in memory that forked processes share. Each supervisor would learn
    it again in a copy of its own: a fifth more memory, a tenth more CPU time."""
    secrets = file.pack_secrets({b"env": {b"": b""}, b"stdin": b""})
    for _ in range(REHEARSALS):
        with open(os.memfd_create("rehearsal"), "rb", buffering=0) as memory:
            fd = memory.fileno()
            file.fill(fd, 0, REHEARSED, secrets)
            claim = _claim(fd, file.FIRST_ATTEMPT)
            assert claim is not None, "nobody else has it"
            order = claim.take(boot)
            assert order is not None, "it was just made"
            Run(claim, order, fd, calls).rehearse()


def supervise(data: str, job_id: str, attempt: int, sock: int, boot: bytes, calls: Syscalls) -> None:
    """Run the job, if this dispatch is the one that its file waits for; returns when its end is recorded."""
    wake = wake_on(_signal.SIGCHLD, _signal.SIGUSR1)  # before the claim: from then on a stop may be signalled
    os.setsid()
    calls.become_subreaper()
    fd = os.open(f"{data}/jobs/{job_id}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    claim = _claim(fd, attempt)
    if claim is None:
        return
    order = claim.take(boot)
    if order is None:
        return
    stops = layout.read_stops(fd, claim.key)
    if stops:
        by = stops[0].by
        claim.end_unstarted(ending.Verdict(ending.STOPPED, f"{by} stopped it before it was executed"), {b"by": by})
        return
    run = Run(claim, order, wake, calls)
    unstarted = run.start()
    if unstarted is not None:
        claim.end_unstarted(*unstarted)
        return
    _tell(sock, job_id)
    run.until_ended()


def _claim(fd: int, attempt: int) -> Claim | None:
    """The file, if it waits for this dispatch. Whoever has it locked meanwhile, a judge or the supervisor of an earlier
    dispatch, leaves it or claims it at once: to leave as well would lose the dispatch."""
    for _ in range(TRIES):
        is_ours = lock.try_own(fd)
        key = layout.read_header(fd).key
        slot = layout.read_slot(fd, key)
        if slot.state != layout.READY or slot.attempt != attempt or file.has_exit(fd):
            return None
        if is_ours:
            return Claim(fd, key, slot)
        time.sleep(PAUSE_S)
    return None


def _tell(sock: int, job_id: str) -> None:
    """A hint that saves the server a look; it finds out without."""
    try:
        os.write(sock, job_id.encode())
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        return
    finally:
        os.close(sock)
