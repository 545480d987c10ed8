"""A first start's work in the cache, done for start.py once a Python fits: 3.10 or newer, so this may be newer too.

A cache is a folder ROOT with an entry for each build: ROOT/BUILD/{boot.py,python,cp311-x86_64/...}.
"""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from io import FileIO

UNPACKED_BYTES = 44_000_000
"""What a build takes with its compiled code."""

OLD_BUILDS_KEPT = 4
OLD_BUILDS_KEPT_S = 7 * 86400
"""Who goes back and forth between versions unpacks no more than once a week; boot.py notes each day of use."""
JUST_MADE_S = 600
"""However many there are: somebody may be about to fill the entry, or to start from it, whom no command line shows."""

QUIET_WAIT_S = 3
"""For a lock: longer than a first start takes, so that who waits for one that goes well says nothing."""
LOCK_WAIT_S = 7
"""After that. Where it is not enough, one more unpacks, and the first to end counts."""


def check_folder(path: str, *, make: bool) -> None:
    """Make the folder if asked to; OSError unless it is ours alone and programs may run there."""
    if not os.path.isabs(path):
        raise OSError(errno.EINVAL, "not an absolute path", path)
    if make:
        os.makedirs(path, 0o700, exist_ok=True)
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, "a symbolic link", path)
    if not stat.S_ISDIR(status.st_mode):
        raise OSError(errno.ENOTDIR, "not a folder", path)
    if status.st_uid != os.geteuid():
        raise OSError(errno.EPERM, f"belongs to uid {status.st_uid}", path)
    if status.st_mode & 0o022:
        raise OSError(errno.EPERM, "others may write there", path)
    if os.statvfs(path).f_flag & os.ST_NOEXEC:
        raise OSError(errno.EACCES, "mounted noexec", path)


def is_ready(entry: str) -> bool:
    """Whether this Python can start from the entry, and the header has a Python to start."""
    return _size(f"{entry}/boot.py") > 0 and _recorded_python(entry) is not None and _is_whole(_tree(entry))


def require_space(root: str) -> None:
    """OSError at once, not after a second's work, on a full disk or behind a quota, which statvfs(3) does not see."""
    import tempfile

    with tempfile.TemporaryFile(dir=root) as probe:
        try:
            os.posix_fallocate(probe.fileno(), 0, UNPACKED_BYTES)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):  # of all else unpacking itself has to tell
                raise


def prepare(root: str, build: str, file: str, python: str, tell: Callable[[str], None]) -> None:
    """Make the entry complete for this Python, whose real path is `python`. OSError where that cannot be."""
    entry = os.path.join(root, build)
    with _open_lock(root) as lock:
        locked = _lock(lock.fileno(), lambda: tell(f"another first start is busy in '{root}': waiting for it"))
        # Without: renames alone keep it right, and nothing is cleared away.
        check_folder(entry, make=True)  # again: while we waited, an old one may have gone
        if is_ready(entry):
            return  # another first start was faster
        if locked:
            _remove_left_overs(root)
        _fill(root, entry, file, python)
        if locked:
            _clear(root, build)


def _open_lock(root: str) -> FileIO:
    """Whatever lies there: this neither waits for a FIFO's other end nor empties what a link leads to."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    return os.fdopen(os.open(f"{root}/.lock", flags, 0o600), "wb", buffering=0)


def _lock(descriptor: int, tell_of_wait: Callable[[], None]) -> bool:
    """Wait for our turn. False where the file system has no locks, or another first start was stopped in its middle."""
    import fcntl
    import signal

    def wait_aloud(*_: object) -> None:
        tell_of_wait()
        signal.signal(signal.SIGALRM, give_up)
        signal.alarm(LOCK_WAIT_S)

    def give_up(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, wait_aloud)
    signal.alarm(QUIET_WAIT_S)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        return False
    finally:
        signal.alarm(0)
    return True


def _is_whole(tree: str) -> bool:
    """Whether all files are there with the sizes that they had when they were unpacked and compiled."""
    try:
        with open(f"{tree}/sizes") as sizes:
            listed = [line.rstrip("\n").partition(" ") for line in sizes]
        return bool(listed) and all(_size(f"{tree}/{path}") == int(size) for size, _, path in listed)
    except (OSError, ValueError):
        return False


def _size(path: str) -> int:
    """-1 where there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def _tree(entry: str) -> str:
    return f"{entry}/cp3{sys.version_info[1]}-{os.uname().machine}"


def _recorded_python(entry: str) -> str | None:
    """The Python that the header starts, if it is still there."""
    try:
        with open(f"{entry}/python", "rb") as record:
            path, end, _ = record.readline().partition(b"\n")
        return os.fsdecode(path) if end and os.access(path, os.X_OK) else None  # sh's `read` wants the whole line too
    except (OSError, ValueError):
        return None


def _fill(root: str, entry: str, file: str, python: str) -> None:
    import zipfile

    if not _is_whole(_tree(entry)):
        _unpack_aside(root, _tree(entry), file)
    with zipfile.ZipFile(file) as archive:
        _write(f"{entry}/boot.py", archive.read("boot.py"))
    if _recorded_python(entry) is None:
        _write(f"{entry}/python", os.fsencode(python) + b"\n")  # last: the header looks for it
    _sync(entry)


def _unpack_aside(root: str, tree: str, file: str) -> None:
    """A tree is there whole or not at all, whenever the machine dies."""
    import shutil
    import tempfile

    new = tempfile.mkdtemp(prefix=".new-", dir=root)
    old = os.path.join(root, os.path.basename(new).replace(".new-", ".old-"))
    try:
        _unpack(file, new, tree)
        _sync_all(new)  # or a power cut could leave empty files behind the rename
        if _is_whole(tree):
            return  # one that had no lock either was faster, and runs from there by now
        if os.path.lexists(tree):
            os.rename(tree, old)  # damaged
        os.rename(new, tree)
    except OSError:
        if not _is_whole(tree):  # else as above
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _unpack(file: str, folder: str, final: str) -> None:
    """Unpack and compile what this Python on this machine needs, which is going to lie in `final`."""
    import compileall
    import py_compile
    import zipfile

    with zipfile.ZipFile(file) as archive:
        for name in ("jobrun", "common", os.uname().machine):
            _unpack_one(archive.read(f"packs/{name}.tar.xz"), folder)  # read() checks the CRC; a stream would not
    by_date = py_compile.PycInvalidationMode.TIMESTAMP  # SOURCE_DATE_EPOCH would have each start hash all sources
    compileall.compile_dir(folder, quiet=2, stripdir=folder, prependdir=final, invalidation_mode=by_date)
    _list_sizes(folder)


def _list_sizes(folder: str) -> None:
    """For boot.py, which looks at the compiled modules alone, and for _is_whole."""
    paths = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]
    paths.sort(key=lambda path: not path.endswith(".so"))
    with open(f"{folder}/sizes", "w") as sizes:
        sizes.writelines(f"{os.stat(path).st_size} {os.path.relpath(path, folder)}\n" for path in paths)


def _unpack_one(pack: bytes, folder: str) -> None:
    """All files of a pack but those named for another Python, which come sorted by Python."""
    import io
    import lzma
    import shutil
    import tarfile

    mine = f".cpython-3{sys.version_info[1]}-"
    found = False
    with lzma.open(io.BytesIO(pack)) as plain, tarfile.open(fileobj=plain, mode="r|") as entries:
        for entry in entries:
            if ".cpython-3" in entry.name and mine not in entry.name:
                if found:
                    return  # the other Pythons' come behind
                continue
            found = found or mine in entry.name
            path = os.path.join(folder, entry.name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                shutil.copyfileobj(entries.extractfile(entry), out, 1 << 20)


def _sync_all(folder: str) -> None:
    """File by file: os.sync() would wait for everybody's writes, 24 s on a busy machine."""
    for where, _, names in os.walk(folder):
        for path in [*(os.path.join(where, name) for name in names), where]:
            _sync(path)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: str, data: bytes) -> None:
    """Whole or not at all. By a name of its own: one that had no lock either may be at it."""
    new = f"{path}.{os.getpid()}"
    with open(new, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    os.replace(new, path)


def _remove_left_overs(root: str) -> None:
    import shutil

    for name in os.listdir(root):
        if name.startswith((".new-", ".old-")):
            shutil.rmtree(os.path.join(root, name), ignore_errors=True)


def _clear(root: str, build: str) -> None:
    """Keep what a process may still import from, and the few others that were used last, not long ago."""
    import contextlib
    import time

    with contextlib.suppress(OSError):  # this build is there, which is what counts; the next one tries again
        age = {name: time.time() - os.lstat(os.path.join(root, name)).st_mtime for name in _builds(root, build)}
        others = sorted(age.keys() - {build}, key=lambda name: age[name])
        old = {name for name in others if age[name] > OLD_BUILDS_KEPT_S}
        many = {name for name in others[OLD_BUILDS_KEPT:] if age[name] > JUST_MADE_S}
        _remove_unused(root, old | many)


def clear_stand_ins(roots: Sequence[str], build: str) -> None:
    """Take away what caches hold that were used while a better one could not be, but for what runs from there."""
    import contextlib
    import fcntl

    for root in roots:
        with contextlib.suppress(OSError):  # not there, or a first start is at it: it needs that place
            check_folder(root, make=False)
            with _open_lock(root) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove_left_overs(root)
                _remove_unused(root, _builds(root, build), os.path.basename(root))


def _builds(root: str, build: str) -> set[str]:
    """All builds that are there: what has a name of the form of this one's."""
    return {name for name in os.listdir(root) if len(name) == len(build) and set(name) <= set("0123456789abcdef")}


def _remove_unused(root: str, builds: set[str], within: str = "") -> None:
    """`within`: what each way to write the root ends with, where that is known. Else one that runs anywhere counts."""
    import shutil

    used = b"\0".join(_command_lines())
    for name in builds:
        if os.fsencode(f"{within}/{name}/") not in used:
            gone = os.path.join(root, f".old-{name}")
            os.rename(os.path.join(root, name), gone)  # at once: half an entry must never look ready
            shutil.rmtree(gone, ignore_errors=True)


def _command_lines() -> Iterator[bytes]:
    """Of all processes that we may look at. Whatever runs from an entry names it there."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as line:
                yield line.read()
        except OSError:
            continue  # it ended meanwhile
