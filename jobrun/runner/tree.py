"""A job's process tree, seen from its supervisor: a subreaper, so every process of the job is among its descendants.

A pid may be somebody else's by the time that it is used, so no signal goes to a bare one: a pidfd is opened, then the
process is looked at again, then the signal goes through the pidfd."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import os

from jobrun.runner import ending

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_PASSES = 100
"""Of freezing: a bomb that forks faster than it is seen is killed as far as it is known, and looked for again."""


def children(pid: int | str) -> Iterator[int]:
    """Of all threads of a process: proc_pid_task(5). A read gives one page at most, so it goes on to the end."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:  # gone, or hidden: what can not be seen can not be ended either, and is no reason to stop
        return
    for thread in threads:
        try:
            fd = os.open(f"/proc/{pid}/task/{thread}/children", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            found = _read_whole(fd)
        except OSError:
            continue
        finally:
            os.close(fd)
        yield from map(int, found.split())


def _read_whole(fd: int) -> bytes:
    data = b""
    while part := os.read(fd, 4096):
        data += part
    return data


def descendants(root: int) -> dict[int, int]:
    """Pid and parent of every process below that one, parents first."""
    found: dict[int, int] = {}
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        for child in children(parent):
            if child not in found:
                found[child] = parent
                waiting.append(child)
    return found


def stat(pid: int) -> list[bytes] | None:
    """The fields of proc_pid_stat(5) behind the name: state is 0, ppid 1. None: no such process."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, 4096).rpartition(b")")[2].split()
    except OSError:
        return None
    finally:
        os.close(fd)


def send(pid: int, parent: int, signal: int) -> None:
    """To a descendant, if it still is the one that was seen."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        fields = stat(pid)
        if fields is not None and int(fields[1]) in (parent, os.getpid()):
            _signal.pidfd_send_signal(fd, signal)
    except OSError:
        return  # gone, or under another uid: told as a survivor if it stays
    finally:
        os.close(fd)


def signal_all(signal: int) -> None:
    """Once to every process of the tree as it stands."""
    for pid, parent in descendants(os.getpid()).items():
        send(pid, parent, signal)


def kill_all() -> None:
    """Freeze, then kill: what is stopped can not fork, so a tree that grows is caught whole. What was missed is found
    by calling again."""
    seen: set[int] = set()
    for _ in range(MOST_PASSES):
        new = {pid: parent for pid, parent in descendants(os.getpid()).items() if pid not in seen}
        if not new:
            break
        for pid, parent in new.items():
            send(pid, parent, _signal.SIGSTOP)
        seen |= new.keys()
    signal_all(_signal.SIGKILL)


class Sample:
    """What a tree uses now: CPU time and memory (RssAnon + RssShmem), processes and threads."""

    __slots__ = ("largest", "memory_bytes", "system_cpu_ns", "threads", "user_cpu_ns")

    def __init__(self) -> None:
        self.user_cpu_ns = self.system_cpu_ns = self.memory_bytes = self.threads = 0
        self.largest = ""  # "pid 12 (java), 96 MiB"


def sample(supervisor: int) -> Sample:
    """Of the whole tree below a supervisor. A stat has a process's own CPU time, and that of children that it waited
    for: all but the supervisor's own is the job's."""
    found, most = Sample(), 0
    _add_cpu(found, stat(supervisor), own=False)
    for pid in descendants(supervisor):
        fields = stat(pid)
        _add_cpu(found, fields, own=True)
        if fields is None or fields[0] in (b"Z", b"X"):
            continue
        found.threads += int(fields[17])
        memory, name = _memory(pid)
        found.memory_bytes += memory
        if memory > most:
            most, found.largest = memory, f"pid {pid} ({name}) with {ending.size(memory)}"
    return found


def _add_cpu(found: Sample, fields: list[bytes] | None, *, own: bool) -> None:
    if fields is None:
        return
    tick = 10**9 // os.sysconf("SC_CLK_TCK")
    user, system, waited_user, waited_system = map(int, fields[11:15])
    found.user_cpu_ns += (waited_user + user * own) * tick
    found.system_cpu_ns += (waited_system + system * own) * tick


def _memory(pid: int) -> tuple[int, str]:
    try:
        fd = os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0, ""
    try:
        lines = os.read(fd, 8192).split(b"\n")
    except OSError:
        return 0, ""
    finally:
        os.close(fd)
    kib = sum(int(line.split()[1]) for line in lines if line.startswith((b"RssAnon:", b"RssShmem:")))
    return kib << 10, lines[0].partition(b"\t")[2].decode("utf-8", "replace")
