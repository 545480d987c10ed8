"""Between fork and exec: what a job's first process becomes, step by step. It never returns."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import errno
import os
import resource

from jobrun.limits import CPU_HARD_AFTER_S, LIMITS, NANOSECONDS, RLIMIT_CORE, RLIMIT_CPU, Limit
from jobrun.runner.wake import IGNORED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from jobrun.runner.order import Order
    from jobrun.runner.syscalls import Syscalls

STEP_LIMITS, STEP_CHDIR, STEP_EXEC = 2, 3, 4
"""As jobrun.v1.StartStep numbers them."""

DEFAULT_PATH = b"/bin:/usr/bin"
"""Where a job has no PATH: what confstr(3) says of _CS_PATH, as execvp(3)."""

OOM_SCORE = 500
"""Of every job, at least: when memory ends, the kernel takes these before supervisors and server."""

REPORT_FD = 3

MOST_PATH = 1024
"""Bytes of a path in an exit record."""


def run(
    order: Order, streams: tuple[int, int, int], report: int, mark: int, supervisor: int, calls: Syscalls
) -> NoReturn:
    """Become the job. What fails is told through `report`, a pipe that exec closes: step, errno, path."""
    step, path = STEP_LIMITS, b""
    try:
        os.setsid()
        _place_descriptors(streams, report, calls)
        os.umask(order.umask)
        _limit(order, mark)
        step, path = STEP_CHDIR, order.cwd
        os.chdir(order.cwd)
        _reset_signals()
        calls.die_with_parent(_signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(1)
        step = STEP_EXEC
        failed, path = _execute(order.argv, order.env)
        number = failed
    except _LimitRefused as error:
        number, path = errno.EPERM, str(error.strerror).encode()
    except OSError as error:
        number = error.errno or errno.EIO
    except MemoryError:  # its own limits leave no room for the arguments of execve(2)
        number = errno.ENOMEM
    os.write(REPORT_FD, b"%d %d " % (step, number) + path)
    os._exit(127)


def _place_descriptors(streams: tuple[int, int, int], report: int, calls: Syscalls) -> None:
    for target, fd in enumerate((*streams, report)):
        os.dup2(fd, target, inheritable=target != REPORT_FD)
    calls.close_from(REPORT_FD + 1)


def _limit(order: Order, mark: int) -> None:
    _offer_to_oom_killer()
    if order.cpus:
        os.sched_setaffinity(0, order.cpus)
    for limit in LIMITS:
        if limit.rlimit >= 0 and limit.field in order.limits:
            soft = order.limits[limit.field]
            if limit.unit == NANOSECONDS:
                soft = -(-soft // 10**9)
            hard = soft + CPU_HARD_AFTER_S if limit.rlimit == RLIMIT_CPU else soft
            _set_rlimit(limit, soft, hard)
    resource.setrlimit(RLIMIT_CORE, (0, 0))
    if mark:
        resource.setrlimit(resource.RLIMIT_RTTIME, (mark, mark))


def _offer_to_oom_killer() -> None:
    fd = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
    if int(os.read(fd, 16)) < OOM_SCORE:
        os.pwrite(fd, b"%d" % OOM_SCORE, 0)
    os.close(fd)


class _LimitRefused(OSError):
    """One that the kernel does not take: above the hard one that the server was started with."""


def _set_rlimit(limit: Limit, soft: int, hard: int) -> None:
    try:
        resource.setrlimit(limit.rlimit, (soft, hard))
    except (OSError, ValueError, OverflowError):  # Python says "not allowed to raise maximum limit" by ValueError
        raise _LimitRefused(errno.EPERM, limit.flag) from None


def _reset_signals() -> None:
    for number in IGNORED:  # handlers go with exec, and the mask is empty since the spawner's start
        _signal.signal(number, _signal.SIG_DFL)


def _execute(argv: list[bytes], env: dict[bytes, bytes]) -> tuple[int, bytes]:
    """errno and path of the failure, as execvp(3) chooses them: what was found but may not be run counts before what
    was not found. No shell is asked about a file that the kernel does not know."""
    program = argv[0]
    if b"/" in program:
        return _try(program, argv, env), program
    worse, worse_path = errno.ENOENT, program
    for folder in env.get(b"PATH", DEFAULT_PATH).split(b":"):
        path = (folder or b".") + b"/" + program
        number = _try(path, argv, env)
        if number not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            return number, path
        if worse_path == program and os.path.isfile(path):  # there, but not to be run: by its mode, or its interpreter
            worse, worse_path = number, path
    return worse, worse_path


def _try(path: bytes, argv: list[bytes], env: dict[bytes, bytes]) -> int:
    try:
        os.execve(path, argv, env)
    except OSError as error:
        return error.errno or errno.EIO
    except ValueError:  # a NUL inside, which the server refused before
        return errno.EINVAL
