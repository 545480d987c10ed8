"""Running jobs on this machine: the only place that knows the runner.

Nothing is remembered here: what is so is read from the job's file, and its lock."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from jobrun.files.data_folder import DataFolder, raise_storage
from jobrun.jobfile import file, layout, lock
from jobrun.jobs import job_records
from jobrun.jobs.orders import Observation, Order, StopOrder, Verdict
from jobrun.jobs.spawner_process import SpawnerProcess
from jobrun.logs.watch import IN_ATTRIB, IN_CLOSE_WRITE, IN_Q_OVERFLOW, Inotify
from jobrun.model.errors import JobDamaged, ShuttingDown, TooManyStops
from jobrun.model.job import Secrets
from jobrun.model.lifecycle import State
from jobrun.model.shown import escape

if TYPE_CHECKING:
    from jobrun.jobfile.bencode import Decoded, Value


RESTART_S, MOST_RESTART_S = 0.1, 10.0
"""Between two tries to start a spawner: the first, and at most."""

log = logging.getLogger(__name__)


class LocalEngine:
    """All but `start` and `close` are quick and for the loop's thread."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._jobs = str(folder.jobs)
        self._spawner = SpawnerProcess(folder.path)
        self._ends: Inotify | None = None
        self._restarting: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_change: Callable[[str], None] = lambda job_id: None
        self._on_start: Callable[[str], None] = lambda job_id: None
        self._on_loss: Callable[[], None] = lambda: None
        self.folder_missed = asyncio.Event()
        """Set once a job found no folder for its file: the server can start none any more."""

    def start(self) -> None:
        """The spawner: before grpc is imported, and before any key is read."""
        for path in (self._folder.jobs, self._folder.secrets, self._folder.work):
            path.mkdir(mode=0o700, exist_ok=True)
        self._spawner.start()

    def note_open_files(self, soft: int) -> None:
        """RLIMIT_NOFILE as the server was started with it, for spawners that are started after it was raised."""
        self._spawner.open_files = soft

    def attach(
        self,
        loop: asyncio.AbstractEventLoop,
        on_change: Callable[[str], None],
        on_start: Callable[[str], None],
        on_loss: Callable[[], None],
    ) -> None:
        """From now on `on_start(id)` is called when a job was executed, `on_change(id)` when something else about one
        changed, with "" where that may be any; `on_loss()` when dispatches may have been lost with a spawner."""
        self._loop, self._on_change, self._on_start, self._on_loss = loop, on_change, on_start, on_loss
        self._ends = Inotify()
        self._ends.add(str(self._folder.jobs), IN_CLOSE_WRITE | IN_ATTRIB)  # of a supervisor that goes on killing
        loop.add_reader(self._ends.fd, self._take_ends)
        self._listen_to_spawner()

    async def close(self) -> None:
        """Jobs go on."""
        if self._restarting is not None:
            self._restarting.cancel()
        if self._loop is not None and self._ends is not None:
            self._loop.remove_reader(self._ends.fd)
            self._ends.close()
            self._stop_listening()
        self._spawner.close()

    def _take_ends(self) -> None:
        assert self._ends is not None
        for _, mask, name in self._ends.read():
            if mask & IN_Q_OVERFLOW:
                self._on_change("")
            elif "." not in name:  # else one that is being made
                self._on_change(name)

    def _take_starts(self) -> None:
        for job_id in self._spawner.receive():
            self._on_start(job_id)

    def _take_words(self) -> None:
        for line in self._spawner.receive_words().decode(errors="backslashreplace").splitlines():
            log.error("%s", escape(line))

    def _listen_to_spawner(self) -> None:
        assert self._loop is not None
        self._loop.add_reader(self._spawner.fd, self._take_starts)
        self._loop.add_reader(self._spawner.words, self._take_words)
        self._loop.add_reader(self._spawner.pidfd, self._lose_spawner)

    def _stop_listening(self) -> None:
        if self._loop is not None and self._spawner.is_connected:
            self._loop.remove_reader(self._spawner.fd)
            self._loop.remove_reader(self._spawner.words)
            self._loop.remove_reader(self._spawner.pidfd)

    def _lose_spawner(self) -> None:
        self._stop_listening()
        self._replace_spawner(RESTART_S)

    def _replace_spawner(self, pause_s: float) -> None:
        """Now, and where that fails again later: the machine may have no process to give for a while."""
        assert self._loop is not None
        try:
            self._spawner.restart()
        except OSError as error:
            log.error("no spawner can be started: %s: trying again in %g s", error, pause_s)
            longer = min(2 * pause_s, MOST_RESTART_S)
            self._restarting = self._loop.call_later(pause_s, lambda: self._replace_spawner(longer))
            return
        self._listen_to_spawner()
        self._on_loss()

    # before the start

    def create(self, job_id: str, order: Order, secrets: Secrets | None) -> None:
        """The job's file, READY, in the place of a leftover. `secrets` None: those that were kept while it waited.
        StorageFull where there is no room, ShuttingDown where there is no folder."""
        packed = self._kept_secrets(job_id) if secrets is None else _packed(secrets)
        try:
            file.create(self._path(job_id), order.created_ns, _spec(job_id, order), packed)
        except OSError as error:
            self._refuse(error)

    def _kept_secrets(self, job_id: str) -> bytes:
        try:
            return Path(self._secrets(job_id)).read_bytes()
        except FileNotFoundError:
            return b""  # a power cut took them: the supervisor finds that they are not whole

    def keep_secrets(self, job_id: str, secrets: Secrets) -> None:
        """Of a job that has to wait, in a 0600 file of their own, on disk when this returns. As `create`."""
        try:
            fd = os.open(self._secrets(job_id), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with open(fd, "wb") as out:
                out.write(_packed(secrets))
                out.flush()
                os.fdatasync(fd)
        except OSError as error:
            self.drop_secrets(job_id)
            self._refuse(error)

    def _refuse(self, error: OSError) -> NoReturn:
        if isinstance(error, FileNotFoundError):
            self.folder_missed.set()
            raise ShuttingDown("the server's data folder was removed: it ends, ask the next one") from error
        raise_storage(error)

    def drop_secrets(self, job_id: str) -> None:
        """Of a job that has its file, or will not start."""
        _unlink(self._secrets(job_id))

    def dispatch_new(self, job_id: str) -> None:
        """Tell the spawner of a file that was just created."""
        self._spawner.send(job_id, file.FIRST_ATTEMPT)

    def dispatch(self, job_id: str) -> None:
        """Raise the attempt, then tell the spawner: a supervisor of an earlier dispatch leaves. JobDamaged."""
        with _opened(self._path(job_id), os.O_RDWR) as fd:
            if not lock.try_judge(fd):
                return
            key = layout.read_header(fd).key
            slot = layout.read_slot(fd, key)
            if slot.state != layout.READY or file.has_exit(fd):
                return
            slot.attempt += 1
            layout.write_slot(fd, key, slot)
        self._spawner.send(job_id, slot.attempt)

    # while it runs

    def observe(self, job_id: str, *, usage: bool = False) -> Observation:
        """What the file says; `usage` of a running job costs a walk of its tree. JobDamaged, FileNotFoundError."""
        with _opened(self._path(job_id), os.O_RDONLY) as fd:
            key = layout.read_header(fd).key
            slot = layout.read_slot(fd, key)
            record = file.read_exit(fd, key)
            if record is not None:
                end, used = job_records.end_of(record), job_records.usage_of(record)
                return Observation(state=State.FINISHED, started_ns=end.started_ns, end=end, usage=used)
            stops = layout.read_stops(fd, key)
            executed = slot.state == layout.EXECUTED
            return Observation(
                state=State.RUNNING if executed else State.STARTING,
                started_ns=slot.started_ns,
                pid=slot.pid,
                stopping_since_ns=stops[0].accepted_ns if stops else 0,
                usage=job_records.usage_so_far(fd, key, slot) if usage and executed else None,
            )

    def cpuset(self, job_id: str) -> tuple[int, ...]:
        """The CPUs that the job was given. JobDamaged, FileNotFoundError."""
        with _opened(self._path(job_id), os.O_RDONLY) as fd:
            return _cpus(file.read_spec(fd, layout.read_header(fd).key)[b"cpus"])

    def judge(self, job_id: str) -> Verdict:
        """Alive, ended, or never claimed. Of what a killed supervisor left the rest is killed and the end recorded as
        LOST. JobDamaged, FileNotFoundError."""
        path = self._path(job_id)
        with _opened(path, os.O_RDONLY) as fd:  # closing a descriptor that could write would be an event again
            key = layout.read_header(fd).key
            if file.read_exit(fd, key) is not None:
                return Verdict.ENDED
            if lock.holder(fd) is not None:
                return Verdict.ALIVE
            if layout.read_slot(fd, key).state == layout.READY:
                file.read_spec(fd, key)
                return Verdict.READY
        with _opened(path, os.O_RDWR) as fd:
            if not lock.try_judge(fd):
                return Verdict.ALIVE
            if file.read_exit(fd, key) is None:
                job_records.record_lost(fd, key)
            return Verdict.ENDED

    def stop(self, job_id: str, order: StopOrder) -> None:
        """Onto the control page, then a signal to the supervisor, which reads it. TooManyStops, JobDamaged."""
        with _opened(self._path(job_id), os.O_RDWR) as fd:
            key = layout.read_header(fd).key
            stops = layout.read_stops(fd, key)
            if stops and not order.signal and order.grace_ns >= min(stop.grace_ns for stop in stops):
                return
            if order.request and any(stop.request == order.request for stop in stops):
                return
            wanted = layout.StopRequest(time.time_ns(), order.grace_ns, order.signal, order.by, order.request)
            try:
                layout.append_stop(fd, key, wanted)
            except IndexError:
                raise TooManyStops(
                    f"job {job_id} was told to stop {layout.MOST_STOPS} times: wait for its end"
                ) from None
            job_records.wake_holder(fd)

    # behind the end

    def remove(self, job_id: str) -> None:
        """The file with the output. Nothing where it is gone already."""
        self.drop_secrets(job_id)
        _unlink(self._path(job_id))

    def job_ids(self) -> set[str]:
        """Of which there is a file. What a cut creation left is removed."""
        names = set(os.listdir(self._folder.jobs))
        for name in names:
            if name.endswith(".new"):
                (self._folder.jobs / name).unlink(missing_ok=True)
        return {name for name in names if "." not in name}

    def kept_ids(self) -> set[str]:
        """Of which secrets are kept."""
        return set(os.listdir(self._folder.secrets))

    def log_path(self, job_id: str) -> Path:
        """The file that has the job's output."""
        return Path(self._path(job_id))

    def _path(self, job_id: str) -> str:
        return f"{self._jobs}/{job_id}"

    def _secrets(self, job_id: str) -> str:
        return f"{self._folder.secrets}/{job_id}"


@contextlib.contextmanager
def _opened(path: str, mode: int) -> Iterator[int]:
    """A job's file; what is damaged in it becomes JobDamaged."""
    try:
        fd = os.open(path, mode | os.O_CLOEXEC | os.O_NOFOLLOW)
    except PermissionError:  # it is ours, and so is the job: who may have taken the right away
        os.chmod(path, 0o600)
        fd = os.open(path, mode | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield fd
    except layout.Damaged as error:
        raise JobDamaged(f"the file of job {os.path.basename(path)} is damaged: {error}") from error
    finally:
        os.close(fd)


def _spec(job_id: str, order: Order) -> dict[bytes, Value]:
    cwd = os.path.join(order.work_dir or "/", order.spec.cwd)
    return job_records.spec_record(job_id, order, cwd=cwd)


def _cpus(value: Decoded) -> tuple[int, ...]:
    return tuple(cpu for cpu in value if isinstance(cpu, int)) if isinstance(value, list) else ()


def _packed(secrets: Secrets) -> bytes:
    env = {name.encode(): value for name, value in {**secrets.env, **secrets.secret_env}.items()}
    return file.pack_secrets({b"env": env, b"stdin": secrets.stdin})


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
