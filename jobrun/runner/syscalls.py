"""System calls that the standard library has no name for, through libc."""

from __future__ import annotations

import ctypes
import os

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36
_CLOSE_RANGE = 436  # the same number on every CPU (asm-generic/unistd.h)
_PUNCH_HOLE_KEEP_SIZE = 3
_RT_SIGACTION = {"x86_64": 13, "aarch64": 134}
_SIGSET_SIZE = 8
LIBC_SIGNALS = (32, 33)
"""Of libc itself: posix_spawn(3) has them ignored, exec passes that on, and sigaction(3) refuses to change them."""


class Syscalls:
    """One a process, made before it forks: looking libc up is not done again in each child."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)

    def _check(self, result: int) -> None:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def become_subreaper(self) -> None:
        """Orphans among the descendants become children of this process: prctl(2), not inherited by fork."""
        self._check(self._libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))

    def die_with_parent(self, signal: int) -> None:
        """prctl(2) PR_SET_PDEATHSIG: forgotten at a change of credentials, so to be called after the last one."""
        self._check(self._libc.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0))

    def hide_memory(self) -> None:
        """prctl(2) PR_SET_DUMPABLE: other processes of this uid can not read or trace this one, and there is no core
        dump; its /proc/PID is root's. Ends with the next exec."""
        self._check(self._libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0))

    def restore_libc_signals(self) -> None:
        """Their default action, by the system call itself; nothing on a CPU whose number of it is not known."""
        number = _RT_SIGACTION.get(os.uname().machine)
        default = bytes(32)  # struct sigaction of the kernel: SIG_DFL, no flags, an empty mask
        for signal in LIBC_SIGNALS if number else ():
            self._check(self._libc.syscall(number, signal, default, None, _SIGSET_SIZE))

    def close_from(self, lowest: int) -> None:
        """close_range(2) from there on, all of them; a kernel before 5.9 closes one by one."""
        if self._libc.syscall(_CLOSE_RANGE, lowest, 0x7FFFFFFF, 0) < 0:
            os.closerange(lowest, os.sysconf("SC_OPEN_MAX"))

    def punch_hole(self, fd: int, start: int, length: int) -> None:
        """fallocate(2): the blocks come back, the size stays. OSError where the file system can not."""
        self._check(self._libc.fallocate(fd, _PUNCH_HOLE_KEEP_SIZE, start, length))
