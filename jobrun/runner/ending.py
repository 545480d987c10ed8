"""Why a job ended, from what its supervisor saw: only what was observed is told."""

from __future__ import annotations

import errno
import os
import resource

from jobrun.limits import CPU_HARD_AFTER_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobrun.runner.order import Order

EXITED, SIGNALED, STOPPED, TIMEOUT, CPU_LIMIT, MEMORY_LIMIT, FILE_SIZE_LIMIT, PROCESS_LIMIT = range(1, 9)
START_FAILED, LOST = 9, 10
"""As jobrun.v1.EndReason numbers them."""

SIGKILL, SIGXCPU, SIGXFSZ = 9, 24, 25


class Verdict:
    """A reason, and one sentence for people with the evidence; empty where reason and code are all of it."""

    __slots__ = ("detail", "reason")

    def __init__(self, reason: int, detail: str) -> None:
        self.reason, self.detail = reason, detail


def met_cpu_limit(pid: int, order: Order) -> bool:
    """Whether the kernel sent SIGXCPU to a process that ended and was not reaped yet: as it does, it raises the soft
    limit by a second (Linux, check_process_timers). Of a program that caught it nothing else tells."""
    cpu_time = order.limits.get("cpu_time", 0)
    if not cpu_time:
        return False
    try:
        soft, _ = resource.prlimit(pid, resource.RLIMIT_CPU)
    except OSError:  # another's, such as sudo: what can not be seen is not told
        return False
    return soft == -(-cpu_time // 10**9) + 1


def of_first_process(status: int, order: Order, cpu_ns: int, *, met_cpu_limit: bool) -> Verdict:
    """Of a first process that ended while nothing of ours had told it to: its wait status, its own CPU time, and
    whether the kernel had sent it SIGXCPU."""
    signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    cpu_time = order.limits.get("cpu_time", 0)
    if signal == SIGXCPU and cpu_time and met_cpu_limit:
        return Verdict(CPU_LIMIT, f"SIGXCPU ended it at its limit of {seconds(cpu_time)} of CPU time")
    if signal == SIGXCPU and cpu_time:  # whoever sent it
        text = f"SIGXCPU ended it; its limit was {seconds(cpu_time)} of CPU time, and it had used {seconds(cpu_ns)}"
        return Verdict(CPU_LIMIT, text)
    if signal == SIGKILL and cpu_time and cpu_ns >= cpu_time + CPU_HARD_AFTER_S * 10**9 - 10**8:
        text = f"it went on beyond SIGXCPU at {seconds(cpu_time)} of CPU time, and the kernel killed it"
        return Verdict(CPU_LIMIT, text)
    if met_cpu_limit:
        return Verdict(CPU_LIMIT, f"SIGXCPU came at its limit of {seconds(cpu_time)} of CPU time, which it caught")
    if signal == SIGXFSZ and "file_size_bytes" in order.limits:
        limit = order.limits["file_size_bytes"]
        return Verdict(FILE_SIZE_LIMIT, f"SIGXFSZ ended it as it wrote a file beyond its limit of {limit} bytes")
    if signal:
        return Verdict(SIGNALED, f"signal {signal} ended it, which jobrun did not send")
    return Verdict(EXITED, "")  # its code says all that is known


def seconds(nanoseconds: int) -> str:
    """For people: 1500000000 is "1.5 s"."""
    return f"{nanoseconds / 1e9:g} s"


def size(count: int) -> str:
    """For people: 1572864 is "1.5 MiB"."""
    return f"{round(count / (1 << 20), 1):g} MiB" if count >= 1 << 20 else f"{count} bytes"


def start_failure(step: int, number: int, path: bytes, order: Order) -> tuple[bytes, str]:
    """The path that it was about, and one sentence."""
    shown = path.decode("utf-8", "backslashreplace")
    if step == 2:
        what = f"{shown} is above the hard limit that the server was started with" if path else os.strerror(number)
        return b"", f"a limit could not be set: {what}"
    if step == 3:
        return path, f"the working directory {shown} can not be entered: {os.strerror(number)}"
    if number == errno.ENOENT and os.path.lexists(os.path.join(order.cwd, path)) and b"/" in path:
        return _missing_interpreter(path, order)
    if number == errno.ENOENT and b"/" not in path:
        searched = order.env.get(b"PATH")
        where = "the job has no PATH" if searched is None else "PATH is " + searched.decode("utf-8", "backslashreplace")
        return path, f"{shown} was not found: {where}"
    if number == errno.ENOEXEC:
        return path, f"{shown} is no program that the kernel knows: does its first line lack #!?"
    return path, f"{shown} can not be executed: {os.strerror(number)}"


def _missing_interpreter(path: bytes, order: Order) -> tuple[bytes, str]:
    shown = path.decode("utf-8", "backslashreplace")
    try:
        with open(os.path.join(order.cwd, path), "rb") as file:
            first = file.readline(256).rstrip(b"\n")
    except OSError:
        return path, f"{shown} can not be executed: it leads nowhere"
    if not first.startswith(b"#!"):
        return path, f"{shown} can not be executed: the loader that it names is missing"
    words = first[2:].split(b" ")
    interpreter = next((word for word in words if word), b"")
    text = f"the interpreter {interpreter.decode('utf-8', 'backslashreplace')!r} of {shown} is missing"
    if interpreter.endswith(b"\r"):
        text += ": a carriage return ends its first line, as Windows writes it"
    return interpreter, text
