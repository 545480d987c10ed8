"""The private server: found, started where it is not there, replaced where it is of an older release."""

from __future__ import annotations

import _socket
import errno
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from jobrun.client.errors import NoServer
from jobrun.config.environment import Environment
from jobrun.config.paths import OTHERWISE, Place, check_place, make_place, private_build, private_place, release_of
from jobrun.files.record_lock import holder

if TYPE_CHECKING:
    import subprocess

START_S = 40.0
"""Seconds for a start: the server itself waits up to 10 for one that is ending, and may have much to read."""
END_S = 30.0
"""Seconds for an older server to end."""
LOG_MOST = 1 << 20
"""Bytes of server.log that a new start leaves in place; beyond that the log begins anew."""
LOCK_MOST = 8192
"""Bytes of the lock file: four lines, one of them a path (files/data_lock.py, which costs more to import)."""
READY = b"ready "
PASSED_ON = (b"PATH", b"HOME", b"TZ", b"LANG", b"LC_ALL", b"TMPDIR")
"""All that the server gets of the environment: it outlives this call, and its environ(5) would show secrets."""
_CODE = "import sys; sys.path.extend({!r}); from jobrun.cli.main import main; main(sys.argv)"


class PrivateServer:
    """This user's private server. `version` and `build` are this program's; `say` is told what may be of interest to
    its user: that one was started, or what is waited for."""

    def __init__(self, environment: Environment, version: str, build: str, say: Callable[[str], None]) -> None:
        self._environment = environment
        self._version, self._build = version, build
        self._say = say

    def dial(self) -> str:
        """The address of a server that answers; starts it first where it has to. Raises Refusal."""
        release = release_of(self._version)
        place = make_place(self._place())
        socket = _answering(place)
        if socket is None or _is_older(place, release):
            socket = self._start_in_turn(place, release)
        return "unix:" + socket

    def _start_in_turn(self, place: Place, release: tuple[int, ...] | None) -> str:
        from jobrun.config.client_files import FileRefused, locked

        lock = os.path.join(place.data, "start.lock")

        def say_what_for() -> None:
            self._say(f"waiting for another jobrun, which starts the private server: fuser {lock} tells its pid")

        try:
            with locked(lock, START_S + END_S, OTHERWISE, say_what_for):
                return self._start_unless_there(place, release)
        except FileRefused as error:
            raise NoServer(str(error)) from error

    def find(self) -> str:
        """The address of a server that answers, of whatever release; none is started, and nothing is made. Raises
        NoServer."""
        socket = _answering(check_place(self._place()))
        if socket is None:
            raise NoServer("no private server runs here: every other command starts it")
        return "unix:" + socket

    def _place(self) -> Place:
        return private_place(self._environment, private_build(self._version, self._build))

    def _start_unless_there(self, place: Place, release: tuple[int, ...] | None) -> str:
        socket = _answering(place)
        if socket is not None and not _is_older(place, release):
            return socket  # another client was faster
        _end_holder(place)  # an older one, one that is ending, or one whose socket was removed: its jobs go on
        _start(place, self._environment)
        self._say("no login: running on this machine")
        return place.socket


def _answers(path: str) -> bool:
    """Whether somebody listens at the socket. connect(2) on a unix socket does not wait for the other side. The module
    `socket` would cost 3 ms, mostly for enums."""
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
    try:
        error = probe.connect_ex(os.fsencode(path))
    finally:
        probe.close()
    return error in (0, errno.EAGAIN)  # EAGAIN: its backlog is full, so it is there


def _answering(place: Place) -> str | None:
    """The socket of the server that holds the data folder: where it is to be expected, or where that server says. It
    was started with another runtime folder then, as by cron or before a logout. One whose folder was removed may still
    answer for a while, from files that nobody else sees."""
    if _holder(place) is None:
        return None
    said = _lock_lines(place)[1:2]
    return next((path for path in (place.socket, *said) if path and _answers(path)), None)


def _lock_lines(place: Place) -> list[str]:
    """What the last server wrote into the data folder's lock: version and build; its socket."""
    try:
        with open(os.path.join(place.data, "lock"), "rb") as file:
            return os.fsdecode(file.read(LOCK_MOST)).split("\n")
    except FileNotFoundError:
        return []


def _is_older(place: Place, release: tuple[int, ...] | None) -> bool:
    """Whether the server that holds the data folder is of a lower release than this client's."""
    if release is None:
        return False
    words = "".join(_lock_lines(place)[:1]).split()
    theirs = release_of(words[0]) if words else None
    return theirs is not None and theirs < release and _holder(place) is not None


def _holder(place: Place) -> int | None:
    """The pid of the server that holds the data folder's lock, None if none does; 0 or less for one that is out of
    reach."""
    try:
        descriptor = os.open(os.path.join(place.data, "lock"), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return holder(descriptor)
    finally:
        os.close(descriptor)


def _end_holder(place: Place) -> None:
    """Ends the server that holds the data folder; its jobs go on. The pid is asked for again once a pidfd holds it, so
    that no stranger is ever signalled."""
    pid = _holder(place)
    if pid is None or pid <= 0:
        return
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if _holder(place) == pid:
            signal.pidfd_send_signal(process, signal.SIGTERM)
            _await_readable(
                process, END_S, f"the private server (pid {pid}) does not answer, and does not end: end it by hand"
            )
    finally:
        os.close(process)


def _start(place: Place, environment: Environment) -> None:
    import subprocess

    log = _open_log(place)
    before = os.fstat(log).st_size
    try:
        # Not posix_spawn(3): glibc's leaves signals 32 and 33 ignored, and all jobs would inherit that. Mask and
        # dispositions are the server's to reset: a signal in between must not end this client.
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _CODE.format(_import_paths()), *_words(place)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            env={name: environment.variables[name] for name in PASSED_ON if name in environment.variables},
            start_new_session=True,
        )
    finally:
        os.close(log)
    _await_ready(place, process, before)


def _words(place: Place) -> list[str]:
    return ["server", "--private", "--data", place.data, "--socket", place.socket]


def _open_log(place: Place) -> int:
    path = os.path.join(place.data, "server.log")
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if os.fstat(log).st_size > LOG_MOST:
        os.ftruncate(log, 0)
    return log


def _import_paths() -> list[str]:
    """Where jobrun and what it needs lie: its own tree, and a virtual environment's where it runs from source."""
    tree = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    others = [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]
    return [tree, *others]


def _await_ready(place: Place, process: subprocess.Popen[bytes], log_size: int) -> None:
    """Returns once the server says that it is ready; raises NoServer with its own words where it ends before."""
    late = f"the private server (pid {process.pid}) was not ready after {START_S:.0f} s: see {place.data}/server.log"
    assert process.stdout is not None
    said = b""
    with process.stdout as output:
        deadline = time.monotonic() + START_S
        while b"\n" not in said:
            _await_readable(output.fileno(), deadline - time.monotonic(), late)
            read = os.read(output.fileno(), 4096)
            if not read:
                process.wait()
                raise NoServer(f"the private server did not start: {_last_words(place, log_size)}")
            said += read
    if not said.startswith(READY):
        raise NoServer(f"the private server said {said[:200]!r} where it should be ready: see {place.data}/server.log")


def _last_words(place: Place, log_size: int) -> str:
    """The last line of what was written to the server's log since it was `log_size` bytes long."""
    path = os.path.join(place.data, "server.log")
    with open(path, "rb") as file:
        file.seek(log_size)
        lines = file.read(LOG_MOST).decode("utf-8", "replace").strip().splitlines()
    if lines:
        return lines[-1].removeprefix("jobrun: ")
    if not os.statvfs(place.data).f_bavail:  # then its words had no room either
        return f"no room on the file system of {place.data}: make some there"
    return f"it said nothing: see {path}"


def _await_readable(descriptor: int, seconds: float, late: str) -> None:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    if not poller.poll(max(0, round(seconds * 1000))):
        raise NoServer(late)
