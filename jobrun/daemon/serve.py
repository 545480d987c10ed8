"""The server, put together: everything is built here, in the order in which it is needed, and taken down in reverse.

Jobs are not part of it: they go on, and the next server takes them over. But in a container, which ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, TypeAlias

from jobrun.config.server_settings import ServerSettings
from jobrun.daemon.ready import say_ready
from jobrun.daemon.signals import Signals, first_of
from jobrun.files.data_folder import DataFolder
from jobrun.files.data_lock import DataLock, LockText
from jobrun.files.private_files import sweep_scratch
from jobrun.files.ready_file import Ready, ReadyFile
from jobrun.jobs.local_engine import LocalEngine
from jobrun.model.errors import JobrunError, StoreError
from jobrun.runner.syscalls import Syscalls

if TYPE_CHECKING:
    from jobrun.api.calls import Calls
    from jobrun.api.login import Login
    from jobrun.api.server import ApiServer
    from jobrun.jobs.dispatcher import Tools
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
        file.remove()  # of one that was killed
        stack.callback(file.remove)
        login = await _open_login(settings, file, stack)
        jobs, helpers = await _open_jobs(settings, engine, login, signals, stack)
        helpers.append(asyncio.create_task(_folder_goes(settings, lock, engine.folder_missed)))
        calls, api = await _open_api(settings, jobs, login)
        stack.push_async_callback(_close_api, api, signals)
        if settings.contained:
            stack.push_async_callback(_end_jobs, jobs, signals)
        ready = await _listen(settings, api, login)
        say_ready(settings, ready, file, login)
        reason = await first_of(signals.first.wait(), _idle(settings, jobs, calls), _one_fails(helpers))
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
    from jobrun.jobs import retention, spec_checks
    from jobrun.jobs.hard_limits import hard_limits
    from jobrun.jobs.service import JobService

    tools = _open_tools(settings, engine, stack)
    ground = spec_checks.Ground(
        hard_limits=hard_limits(), cpus=tools.cpus.count, slots=settings.slots, fresh_folders=not settings.private
    )
    jobs = JobService(tools, ground)
    jobs.open()
    stack.push_async_callback(jobs.close)
    bounds = retention.PRIVATE if settings.private else retention.SHARED
    work = [jobs.sweep_for_ever(), retention.retain(tools.store, jobs.forget, bounds), _store_fails(tools.store)]
    if login is not None:
        work += [login.auth.keep_up_for_ever(), login.reload_for_ever(signals.hangup)]
    helpers = [asyncio.create_task(one) for one in work]
    stack.push_async_callback(_end_all, helpers)
    return jobs, helpers


def _open_tools(settings: ServerSettings, engine: LocalEngine, stack: contextlib.AsyncExitStack) -> Tools:
    from jobrun.files.workdir import WorkFolders
    from jobrun.jobs.cpus import Cpus
    from jobrun.jobs.dispatcher import Tools
    from jobrun.jobs.queue import Queue
    from jobrun.logs.wakeups import Wakeups
    from jobrun.store.jobs import JobStore

    loop = asyncio.get_running_loop()
    store = JobStore(settings.data / "jobs.db", loop)
    stack.push_async_callback(store.close)
    wakeups = Wakeups(loop)
    stack.callback(wakeups.close)
    stack.push_async_callback(engine.close)
    return Tools(
        store=store,
        engine=engine,
        queue=Queue(settings.slots),
        cpus=Cpus(os.sched_getaffinity(0)),
        wakeups=wakeups,
        folders=None if settings.private else WorkFolders(DataFolder(settings.data).work),
        unix_user=settings.user_name,
    )


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
    await first_of(api.stop(DRAIN_S), signals.second.wait())
    await api.stop(0)


async def _end_jobs(jobs: JobService, signals: Signals) -> None:
    """Clients still hear of their ends; a second signal cuts that short."""
    grace_ns = int(CONTAINED_GRACE_S * 1e9)
    await first_of(jobs.stop_running("its server", grace_ns), asyncio.sleep(CONTAINED_S), signals.second.wait())


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


def _raise_open_files(engine: LocalEngine) -> None:
    """A follower has a file open, a client a connection: as many as may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    engine.note_open_files(soft)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
