"""The server, put together: everything is built here, in the order in which it is needed, and taken down in reverse.

Jobs are not part of it: they go on, and the next server takes them over."""

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
from typing import TYPE_CHECKING, Any, TypeAlias

from jobrun.config.server_settings import ServerSettings
from jobrun.files.data_folder import DataFolder
from jobrun.files.data_lock import DataLock
from jobrun.jobs.local_engine import LocalEngine
from jobrun.model.errors import JobrunError

if TYPE_CHECKING:
    from jobrun.api.calls import Calls
    from jobrun.api.server import ApiServer
    from jobrun.jobs.service import JobService
    from jobrun.store.jobs import JobStore

    Helpers: TypeAlias = list[asyncio.Task[None]]

TAKE_OVER_S = 10.0
"""How long a private server waits for one that is ending."""
DRAIN_S = 5.0
"""For calls that are under way when the server ends; those that wait for jobs end at once."""

log = logging.getLogger(__name__)


def serve(settings: ServerSettings) -> int:
    """Serve until a signal, or until idle. Answers the exit code; what keeps it from starting is one line on stderr."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    lock = DataLock(settings.data)
    try:
        lock.take(
            f"{settings.version} {settings.build}\n{settings.socket or ''}", TAKE_OVER_S if settings.private else 0.0
        )
        engine = LocalEngine(DataFolder(settings.data))
        engine.start()  # before grpc, whose threads no fork may meet
        _raise_open_files(engine)  # and behind the spawner: jobs keep what the server was started with
        asyncio.run(_run(settings, engine))
    except (JobrunError, OSError) as error:
        sys.stderr.write(f"jobrun: {error}\n")
        return 1
    except Exception:
        log.exception("a fault of jobrun's own ends the server: jobs go on, start it again")
        return 1
    return 0


async def _run(settings: ServerSettings, engine: LocalEngine) -> None:
    async with contextlib.AsyncExitStack() as stack:
        signals = Signals()
        jobs, helpers = await _open_jobs(settings, engine, stack)
        calls, api = await _open_api(settings, jobs)
        stack.push_async_callback(_close_api, api, signals)
        _say_ready(settings, await _listen(settings, api))
        reason = await _first(signals.first.wait(), _idle(settings, jobs, calls), _one_fails(helpers))
        log.info("ending: %s", reason)


async def _open_jobs(
    settings: ServerSettings, engine: LocalEngine, stack: contextlib.AsyncExitStack
) -> tuple[JobService, Helpers]:
    from jobrun.files.workdir import WorkFolders
    from jobrun.jobs import retention, spec_checks
    from jobrun.jobs.cpus import Cpus
    from jobrun.jobs.dispatcher import Tools
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
    ground = spec_checks.Ground(cpus=cpus.count, slots=settings.slots, fresh_folders=not settings.private)
    jobs = JobService(tools, ground)
    jobs.open()
    stack.push_async_callback(jobs.close)
    bounds = retention.PRIVATE if settings.private else retention.SHARED
    work = (jobs.sweep_for_ever(), retention.retain(store, jobs.forget, bounds), _store_fails(store))
    helpers = [loop.create_task(one) for one in work]
    stack.push_async_callback(_end_all, helpers)
    return jobs, helpers


async def _store_fails(store: JobStore) -> None:
    raise await store.failed()


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


async def _open_api(settings: ServerSettings, jobs: JobService) -> tuple[Calls, ApiServer]:
    from jobrun.api.calls import Calls
    from jobrun.api.server import ApiServer
    from jobrun.model.caller import Caller, Role
    from jobrun.wire.allocation import keep_freed_blocks

    keep_freed_blocks()
    everybody = Caller(user=settings.user_name, role=Role.ADMIN)  # no login yet: whoever reaches it is its owner
    calls = Calls(asyncio.get_running_loop())
    return calls, ApiServer(jobs, calls, lambda _: everybody)


async def _listen(settings: ServerSettings, api: ApiServer) -> str:
    """What the ready line says."""
    places = []
    if settings.socket is not None:
        api.listen_unix(settings.socket)
        places.append(f"unix:{settings.socket}")
    if settings.listen:
        port = api.listen_tcp(settings.listen)
        places.append(f"insecure:{settings.listen.rpartition(':')[0]}:{port}")
    await api.start()
    return " ".join(places)


async def _close_api(api: ApiServer, signals: Signals) -> None:
    """Drain; a second signal cuts that short."""
    await _first(api.stop(DRAIN_S), signals.second.wait())
    await api.stop(0)


def _say_ready(settings: ServerSettings, places: str) -> None:
    if settings.insecure:
        sys.stderr.write("jobrun: --insecure: every user of this machine gets the rights of this one\n")
    sys.stdout.write(f"ready {places}\n")
    sys.stdout.flush()
    if settings.notify_socket:
        _notify(settings.notify_socket, b"READY=1")


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
    """SIGTERM and SIGINT: the first one drains, the second one ends at once."""

    def __init__(self) -> None:
        self.first, self.second = Told(), Told()
        loop = asyncio.get_running_loop()
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
