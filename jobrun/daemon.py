"""The server, put together: everything is built here, in the order in which it is needed, and taken down in reverse.

Jobs are not part of it: they go on, and the next server takes them over. But in a container, which ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Coroutine
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeAlias

from jobrun.config.listen import reachable_host
from jobrun.config.server_settings import ServerSettings
from jobrun.files.data_folder import DataFolder
from jobrun.files.data_lock import DataLock, LockText
from jobrun.files.private_files import sweep_scratch
from jobrun.files.ready_file import Ready, ReadyFile
from jobrun.jobs.local_engine import LocalEngine
from jobrun.model.errors import JobrunError, StoreError
from jobrun.model.shown import escape
from jobrun.runner.syscalls import Syscalls

if TYPE_CHECKING:
    from jobrun.api.calls import Calls
    from jobrun.api.login import Login
    from jobrun.api.server import ApiServer
    from jobrun.jobs.service import JobService
    from jobrun.store.jobs import JobStore

    Helpers: TypeAlias = list[asyncio.Task[None]]

TAKE_OVER_S = 10.0
"""How long a private server waits for one that is ending."""
DRAIN_S = 5.0
"""For calls that are under way when the server ends; those that wait for jobs end at once."""
CONTAINED_GRACE_S = 3.0
"""What jobs of a container get between the signal and SIGKILL, where the server's end is theirs: Docker gives 10 s to
all of it, and DRAIN_S comes behind."""
CONTAINED_S = CONTAINED_GRACE_S + 1.5
"""For their ends to be on record; a job that can not be killed holds nobody up for longer."""

LOOK_S = 10.0
"""Between two looks whether the data folder is still there; a Start that misses it tells at once."""

log = logging.getLogger(__name__)


def serve(settings: ServerSettings) -> int:
    """Serve until a signal, or until idle. Answers the exit code; what keeps it from starting is one line on stderr."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    lock = DataLock(settings.data)
    # A reload may be asked for from when the lock is held, and before there is a loop: what is read later is new.
    signal.signal(signal.SIGHUP, _read_later)
    try:
        text = LockText(
            f"{settings.version} {settings.build}",
            str(settings.socket or ""),
            login=settings.login,
            operators=settings.certificate is not None,
        )
        lock.take(text, TAKE_OVER_S if settings.private else 0.0)
        sweep_scratch(str(settings.data))
        engine = LocalEngine(DataFolder(settings.data))
        engine.start()  # before grpc, whose threads no fork may meet
        _raise_open_files(engine)  # and behind the spawner: jobs keep what the server was started with
        asyncio.run(_run(settings, engine, lock))
    except (JobrunError, OSError) as error:
        sys.stderr.write(f"jobrun: {error}\n")
        return 1
    except Exception:
        log.exception("a fault of jobrun's own ends the server: jobs go on, start it again")
        return 1
    return 0


def _read_later(number: int, frame: FrameType | None) -> None:
    """A signal handler that does nothing. Not SIG_IGN: that would be passed on to jobs."""


async def _run(settings: ServerSettings, engine: LocalEngine, lock: DataLock) -> None:
    async with contextlib.AsyncExitStack() as stack:
        signals = Signals()
        file = ReadyFile(settings.data)
        stack.callback(file.remove)
        login = await _open_login(settings, file, stack)
        jobs, helpers = await _open_jobs(settings, engine, login, signals, stack)
        helpers.append(asyncio.create_task(_folder_goes(settings, lock, engine.folder_missed)))
        calls, api = await _open_api(settings, jobs, login)
        stack.push_async_callback(_close_api, api, signals)
        if settings.contained:
            stack.push_async_callback(_end_jobs, jobs, signals)
        ready = await _listen(settings, api, login)
        _say_ready(settings, ready, file, login)
        reason = await _first(signals.first.wait(), _idle(settings, jobs, calls), _one_fails(helpers))
        log.info("ending: %s", reason)


async def _open_login(settings: ServerSettings, file: ReadyFile, stack: contextlib.AsyncExitStack) -> Login | None:
    """Users, keys and certificate; all made at the first start. None on a server without login."""
    if not settings.login:
        return None
    Syscalls().hide_memory()  # jobs have this process's uid
    from jobrun.api.login import Login
    from jobrun.api.tls import ReloadingCertificate
    from jobrun.auth import certificate
    from jobrun.auth.auth import open_auth
    from jobrun.auth.sessions import Lifetimes

    lifetimes = Lifetimes(
        access_token_s=settings.access_token_s,
        session_idle_s=settings.session_idle_s,
        session_s=settings.session_lifetime_s,
    )
    auth = await open_auth(settings.data, asyncio.get_running_loop(), lifetimes)
    stack.push_async_callback(auth.close)
    if settings.certificate is not None and settings.key is not None:
        files = certificate.CertificateFiles(settings.certificate, settings.key)
    else:
        files = certificate.own_files(DataFolder(settings.data).tls)
        if not os.path.lexists(files.certificate):
            certificate.make(files.certificate)
    return Login(auth, ReloadingCertificate(files, file.change_fingerprint))


async def _open_jobs(
    settings: ServerSettings,
    engine: LocalEngine,
    login: Login | None,
    signals: Signals,
    stack: contextlib.AsyncExitStack,
) -> tuple[JobService, Helpers]:
    from jobrun.files.workdir import WorkFolders
    from jobrun.jobs import retention, spec_checks
    from jobrun.jobs.cpus import Cpus
    from jobrun.jobs.dispatcher import Tools
    from jobrun.jobs.hard_limits import hard_limits
    from jobrun.jobs.queue import Queue
    from jobrun.jobs.service import JobService
    from jobrun.logs.wakeups import Wakeups
    from jobrun.store.jobs import JobStore

    loop = asyncio.get_running_loop()
    store = JobStore(settings.data / "jobs.db", loop)
    stack.push_async_callback(store.close)
    wakeups = Wakeups(loop)
    stack.callback(wakeups.close)
    stack.push_async_callback(engine.close)
    cpus = Cpus(os.sched_getaffinity(0))
    tools = Tools(
        store=store,
        engine=engine,
        queue=Queue(settings.slots),
        cpus=cpus,
        wakeups=wakeups,
        folders=None if settings.private else WorkFolders(DataFolder(settings.data).work),
        unix_user=settings.user_name,
    )
    ground = spec_checks.Ground(
        hard_limits=hard_limits(), cpus=cpus.count, slots=settings.slots, fresh_folders=not settings.private
    )
    jobs = JobService(tools, ground)
    jobs.open()
    stack.push_async_callback(jobs.close)
    bounds = retention.PRIVATE if settings.private else retention.SHARED
    work = [jobs.sweep_for_ever(), retention.retain(store, jobs.forget, bounds), _store_fails(store)]
    if login is not None:
        work += [login.auth.keep_up_for_ever(), login.reload_for_ever(signals.hangup)]
    helpers = [loop.create_task(one) for one in work]
    stack.push_async_callback(_end_all, helpers)
    return jobs, helpers


async def _store_fails(store: JobStore) -> None:
    raise await store.failed()


async def _folder_goes(settings: ServerSettings, lock: DataLock, missed: asyncio.Event) -> None:
    """A server whose folder was removed would answer from files that nobody else sees, and start no job."""
    while lock.is_in_place() and not missed.is_set():
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(missed.wait(), LOOK_S)
    raise StoreError(f"{settings.data} was removed, or a part of it, so this server ends: start it again")


async def _one_fails(helpers: Helpers) -> str:
    """What serves for ever has failed: that ends the server, as it would do half its work without a word."""
    done, _ = await asyncio.wait(helpers, return_when=asyncio.FIRST_COMPLETED)
    for helper in done:
        helper.result()
    raise AssertionError("they go on for ever")


async def _end_all(helpers: Helpers) -> None:
    for helper in helpers:
        helper.cancel()
    await asyncio.wait(helpers)


async def _open_api(settings: ServerSettings, jobs: JobService, login: Login | None) -> tuple[Calls, ApiServer]:
    from jobrun.api.calls import Calls
    from jobrun.api.server import ApiServer
    from jobrun.auth.gate import OpenGate
    from jobrun.model.caller import Caller, Role
    from jobrun.wire.allocation import keep_freed_blocks

    keep_freed_blocks()
    calls = Calls(asyncio.get_running_loop())
    if login is not None:
        return calls, ApiServer(jobs, calls, login.auth.gate, login.auth)
    everybody = Caller(user=settings.user_name, role=Role.ADMIN)  # whoever reaches it is its owner
    return calls, ApiServer(jobs, calls, OpenGate(everybody), None)


async def _listen(settings: ServerSettings, api: ApiServer, login: Login | None) -> Ready | None:
    """Where it can be dialled now; None: at its socket alone."""
    if settings.socket is not None:
        api.listen_unix(settings.socket)
    port = 0
    if settings.listen:
        port = api.listen_tcp(settings.listen, login.certificate.credentials() if login else None)
    await api.start()
    host = settings.listen.rpartition(":")[0]
    return Ready(host, port, login.certificate.fingerprint if login else None) if port else None


async def _close_api(api: ApiServer, signals: Signals) -> None:
    """Drain; a second signal cuts that short."""
    await _first(api.stop(DRAIN_S), signals.second.wait())
    await api.stop(0)


async def _end_jobs(jobs: JobService, signals: Signals) -> None:
    """Clients still hear of their ends; a second signal cuts that short."""
    grace_ns = int(CONTAINED_GRACE_S * 1e9)
    await _first(jobs.stop_running("its server", grace_ns), asyncio.sleep(CONTAINED_S), signals.second.wait())


def _say_ready(settings: ServerSettings, ready: Ready | None, file: ReadyFile, login: Login | None) -> None:
    if settings.insecure:
        sys.stderr.write("jobrun: --insecure: every user of this machine gets the rights of this one\n")
    if ready is not None:
        file.write(ready)
        if login is not None:
            sys.stderr.write(_words_of_login(settings, ready, login))
    places = ([f"ready unix:{settings.socket}"] if settings.socket else []) + ([ready.line()] if ready else [])
    sys.stdout.write(f"{places[0]}\n")
    sys.stdout.flush()
    if settings.notify_socket:
        _notify(settings.notify_socket, b"READY=1")


def _words_of_login(settings: ServerSettings, ready: Ready, login: Login) -> str:
    """What an operator has to know; until the first password was changed also how to log in, as a line to paste: a
    first start may have failed, as for a port in use."""
    name = settings.user_name
    isolation = f"jobrun: jobs have this server's own rights (user {name}): isolation is not in this version\n"
    if not login.auth.password_file.exists():
        return isolation
    words = f"--user admin --fingerprint {ready.fingerprint} {reachable_host(ready.host)}:{ready.port}"
    password = f"jobrun: the first password of admin is in {escape(str(login.auth.password_file))}"
    return f"{isolation}{password}; log in by:\njobrun login {words}\n"


def _notify(address: str, message: bytes) -> None:
    """As sd_notify(3): `@` begins an abstract name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
        notify.connect("\0" + address[1:] if address.startswith("@") else address)
        notify.send(message)


async def _idle(settings: ServerSettings, jobs: JobService, calls: Calls) -> str:
    """Returns once there was neither a job nor a call for as long as the settings say; never where they do not."""
    loop = asyncio.get_running_loop()
    if not settings.idle_s:
        await loop.create_future()
    while True:
        quiet = not jobs.has_unfinished and not calls.count
        left = settings.idle_s - (loop.time() - max(jobs.idle_since, calls.idle_since)) if quiet else settings.idle_s
        if left <= 0:
            return f"no job and no client for {settings.idle_s:g} s"
        await asyncio.sleep(left)


async def _first(*waits: Coroutine[Any, Any, str | None]) -> str | None:
    """What the first of them to end says; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task.result() for task in tasks if task.done())
    finally:
        for task in tasks:
            task.cancel()


class Signals:
    """SIGTERM and SIGINT: the first one drains, the second one ends at once. SIGHUP: look at files again, where there
    is a login; it ends no server."""

    def __init__(self) -> None:
        self.first, self.second = Told(), Told()
        self.hangup = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.hangup.set)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._take, number)

    def _take(self, number: signal.Signals) -> None:
        told = self.second if self.first.text else self.first
        told.tell(f"{number.name} came")


class Told:
    """Something that is said once."""

    def __init__(self) -> None:
        self.text = ""
        self._event = asyncio.Event()

    def tell(self, text: str) -> None:
        """Those who wait get `text`."""
        self.text = text
        self._event.set()

    async def wait(self) -> str:
        """What was said."""
        await self._event.wait()
        return self.text


def _raise_open_files(engine: LocalEngine) -> None:
    """A follower has a file open, a client a connection: as many as may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    engine.note_open_files(soft)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
