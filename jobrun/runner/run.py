"""A job while it runs: its first process, its output, its deadlines, the end of its tree."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import os
import resource
import select
import time

from jobrun.jobfile import file, frames, layout
from jobrun.jobfile.writer import LogWriter
from jobrun.runner import child, ending, tree
from jobrun.runner.pump import Pump
from jobrun.runner.record import exit_record
from jobrun.runner.watch import NEVER, LimitWatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from jobrun.runner.claim import Claim
    from jobrun.runner.order import Order
    from jobrun.runner.syscalls import Syscalls

    Unstarted: TypeAlias = tuple[ending.Verdict, dict[bytes, int | bytes | str]]
    """How a job ended of which no process ran."""

KILL_AGAIN_NS = 20_000_000
"""Between two looks for what a kill has missed; doubled each time, up to a second."""
SURVIVORS_AFTER_NS = 10_000_000_000
"""What lives so long after its KILL is told, and the job is over."""
LONGEST_WAIT_MS = (1 << 31) - 1
"""poll(2) takes an int. What is due later, after 24.8 days, is waited for in parts."""


class Run:
    """One run of one job. All times are nanoseconds of the monotonic clock unless they say otherwise."""

    def __init__(self, claim: Claim, order: Order, wake: int, calls: Syscalls) -> None:
        self._claim, self._order, self._wake, self._calls = claim, order, wake, calls
        begin = file.frames_begin(claim.fd, claim.key)
        self._log = LogWriter(claim.fd, claim.key, claim.slot, begin, order.log_bytes, calls.punch_hole)
        self._pump = Pump(self._log)
        self._limits = LimitWatch(order)
        self._pid = 0
        self._status: int | None = None  # of the first process
        self._verdict: ending.Verdict | None = None
        self._stopped_by = ""
        self._stops_seen = 0
        self._started = 0
        self._timeout_at = self._kill_at = NEVER
        self._term_sent = False
        self._killing_since = 0
        self._kill_pause = KILL_AGAIN_NS
        self._recorded = False

    # the start

    def start(self) -> Unstarted | None:
        """Execute the first process. None: it runs; else how it ended without that."""
        try:
            report = self._fork()
        except OSError as error:  # no descriptor, memory or process to be had
            return self._failed(child.STEP_EXEC, error.errno or 0, self._order.argv[0])
        said = self._await_report(report)
        os.close(report)
        if self._stopped_by:
            verdict = ending.Verdict(ending.STOPPED, f"{self._stopped_by} stopped it before it was executed")
            return verdict, {b"by": self._stopped_by, b"survivors": int(said is None)}
        if said:
            os.waitpid(self._pid, 0)
            step, number, path = said.split(b" ", 2)
            return self._failed(int(step), int(number), path)
        self._note_start()
        return None

    def _failed(self, step: int, number: int, path: bytes) -> Unstarted:
        shown, text = ending.start_failure(step, number, path, self._order)
        verdict = ending.Verdict(ending.START_FAILED, text)
        return verdict, {b"step": step, b"errno": number, b"path": shown[: child.MOST_PATH]}

    def _fork(self) -> int:
        """Where the child reports what fails; it ends once it was executed."""
        report_read, report_write = os.pipe2(os.O_CLOEXEC)
        (out, out_write), (err, err_write) = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        stdin = self._open_stdin()
        supervisor = os.getpid()
        self._pid = os.fork()
        if not self._pid:
            streams = (stdin, out_write, err_write)
            child.run(self._order, streams, report_write, self._claim.slot.mark, supervisor, self._calls)
        for fd in (report_write, out_write, err_write, stdin):
            os.close(fd)
        self._pump.add(out, frames.STDOUT)
        self._pump.add(err, frames.STDERR)
        return report_read

    def _await_report(self, report: int) -> bytes | None:
        """What the child says of its failure; nothing once it was executed. To enter a folder or to execute a file may
        hang, as on a file server that is gone: a stop gets its grace, then kills. None: even that does not end it."""
        poll = select.poll()
        poll.register(report, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        said, kill_at, seen = b"", NEVER, 0
        while True:
            for fd, _ in poll.poll(_milliseconds_to(kill_at)):
                if fd == self._wake:
                    os.read(fd, 4096)  # what ended is looked at later
                elif part := os.read(fd, 8192):
                    said += part
                else:
                    return said
            now, stops = time.monotonic_ns(), layout.read_stops(self._claim.fd, self._claim.key)
            if self._stopped_by:
                if now >= kill_at:
                    return None
                continue
            kill_at = min([kill_at, *(now + stop.grace_ns for stop in stops[seen:])])
            seen = len(stops)
            if now >= kill_at:
                self._stopped_by = stops[0].by
                os.kill(self._pid, _signal.SIGKILL)
                kill_at = now + SURVIVORS_AFTER_NS

    def _open_stdin(self) -> int:
        if not self._order.stdin:
            return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        fd = os.memfd_create("stdin")
        with open(fd, "wb", closefd=False) as whole:
            whole.write(self._order.stdin)
        os.lseek(fd, 0, os.SEEK_SET)
        self._order.stdin = b""
        return fd

    def _note_start(self) -> None:
        slot = self._claim.slot
        slot.state, slot.pid = layout.EXECUTED, self._pid
        slot.started_ns, slot.started_boot_ns = time.time_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._claim.write_slot()
        self._started = time.monotonic_ns()
        timeout = self._order.limits.get("timeout")
        if timeout is not None:
            self._timeout_at = self._started + timeout

    def rehearse(self) -> None:
        """A run without a process that writes one line and ends at once. For who has no children."""
        (out, out_write), (err, err_write) = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        os.write(out_write, b"\n")
        for fd in (out_write, err_write, self._open_stdin()):
            os.close(fd)
        self._pump.add(out, frames.STDOUT)
        self._pump.add(err, frames.STDERR)
        self._note_start()
        self._first_ended(0, 0)
        self.until_ended()

    # the loop

    def until_ended(self) -> None:
        """Wait for output, signals and deadlines until the tree is gone and its end is recorded."""
        self._pump.poll.register(self._wake, select.POLLIN)
        self._read_stops()  # one may have come before the start was over
        while not (self._reap() and self._status is not None):
            if self._status is not None:
                self._end_rest()
            ready = self._pump.poll.poll(self._milliseconds())
            for fd, _ in ready:
                if fd == self._wake:
                    self._take_signals()
                else:
                    self._pump.take(fd)
            self._keep_deadlines()
        self._pump.drain()
        self._record(survivors=0)

    def _milliseconds(self) -> int | None:
        return _milliseconds_to(min(self._timeout_at, self._kill_at, self._limits.due))

    def _take_signals(self) -> None:
        if _signal.SIGUSR1 in os.read(self._wake, 4096):
            self._read_stops()

    def _reap(self) -> bool:
        """Wait for all that ended, adopted orphans too; True: no child is left."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return True
            if ended is None:
                return False
            first = ended.si_pid == self._pid and self._status is None
            met_cpu_limit = first and ending.met_cpu_limit(ended.si_pid, self._order)
            _, status, usage = os.wait4(ended.si_pid, 0)
            if first:
                self._first_ended(status, int((usage.ru_utime + usage.ru_stime) * 1e9), met_cpu_limit=met_cpu_limit)

    def _first_ended(self, status: int, cpu_ns: int, *, met_cpu_limit: bool = False) -> None:
        self._read_stops()  # one that was accepted before counts, though its signal comes after
        self._status = status
        self._timeout_at = NEVER
        if self._verdict is None:
            self._verdict = ending.of_first_process(status, self._order, cpu_ns, met_cpu_limit=met_cpu_limit)

    def _end_rest(self) -> None:
        """What the first process left behind gets the same as a stop would give it. Where a grace runs already, by
        another signal, it gets TERM within that: a shell's background processes ignore INT."""
        if not self._term_sent and not self._killing_since:
            self._end_tree(_signal.SIGTERM, self._order.grace_ns if self._kill_at == NEVER else NEVER)

    # the end

    def _read_stops(self) -> None:
        stops = layout.read_stops(self._claim.fd, self._claim.key)
        for stop in stops[self._stops_seen :]:
            if self._verdict is None:
                self._stopped_by = stop.by
                self._verdict = ending.Verdict(ending.STOPPED, f"{stop.by} stopped it")
            self._end_tree(stop.signal, stop.grace_ns)
        self._stops_seen = len(stops)

    def _end_tree(self, signal: int, grace_ns: int) -> None:
        """The signal once to every process, CONT, the grace, KILL. Never longer than a grace that runs already."""
        self._term_sent = self._term_sent or signal == _signal.SIGTERM
        if signal and grace_ns:
            tree.signal_all(signal)
            tree.signal_all(_signal.SIGCONT)
        self._timeout_at = NEVER
        if not self._killing_since:
            self._kill_at = min(self._kill_at, time.monotonic_ns() + grace_ns)

    def _keep_deadlines(self) -> None:
        now = time.monotonic_ns()
        if now >= self._timeout_at:
            limit = ending.seconds(self._order.limits["timeout"])
            self._verdict = ending.Verdict(ending.TIMEOUT, f"its time limit of {limit} was over")
            self._end_tree(_signal.SIGTERM, self._order.grace_ns)
        if now >= self._limits.due and not self._killing_since:
            self._keep_limits()
        if now >= self._kill_at:
            self._kill(now)

    def _keep_limits(self) -> None:
        broken = self._limits.look()
        if broken is None:
            return
        if self._verdict is None:
            self._verdict = broken.verdict
        self._end_tree(broken.signal, broken.grace_ns)

    def _kill(self, now: int) -> None:
        self._killing_since = self._killing_since or now
        tree.kill_all()
        self._kill_at = now + self._kill_pause
        self._kill_pause = min(2 * self._kill_pause, 10**9)
        if now - self._killing_since >= SURVIVORS_AFTER_NS and not self._recorded:
            self._pump.drain()
            self._record(survivors=len(tree.descendants(os.getpid())))
            os.utime(self._claim.fd)  # to close the file tells the server, but that comes late

    def _record(self, *, survivors: int) -> None:
        if self._recorded:
            return
        self._recorded = True
        verdict = self._verdict or ending.Verdict(ending.LOST, "its first process can not be killed")
        if self._log.refusal:
            lost = f"{self._log.lost} bytes of its output could not be kept: {os.strerror(self._log.refusal)}"
            verdict = ending.Verdict(verdict.reason, "; ".join(filter(None, (verdict.detail, lost))))
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        record = exit_record(verdict, self._claim.slot, self._log.offset)
        record.update(_outcome(self._status))
        record.update({
            b"by": self._stopped_by,
            b"elapsed_ns": time.monotonic_ns() - self._started,
            b"user_cpu_ns": int(used.ru_utime * 1e9),
            b"system_cpu_ns": int(used.ru_stime * 1e9),
            b"peak_memory": max(used.ru_maxrss << 10, self._limits.peak_memory),
            b"output": self._log.output_bytes,
            b"dropped": self._log.dropped_bytes,
            b"unwritten": self._log.unwritten,
            b"survivors": survivors,
        })  # fmt: skip
        file.write_exit(self._claim.fd, self._claim.key, record)


def _milliseconds_to(due: int) -> int | None:
    """For poll(2)."""
    left = -(-(due - time.monotonic_ns()) // 1_000_000)
    return None if due == NEVER else max(0, min(left, LONGEST_WAIT_MS))


def _outcome(status: int | None) -> dict[bytes, int | bytes | str]:
    if status is None:
        return {}
    if os.WIFSIGNALED(status):
        return {b"signal": os.WTERMSIG(status)}
    return {b"code": os.WEXITSTATUS(status)}
