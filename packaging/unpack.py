"""A first start's work in the cache, done by __main__.py once a Python fits: 3.10 or newer, so this may be newer too.

A cache is a folder ROOT with an entry for each build: ROOT/BUILD/{boot.py,python,cp311-x86_64/...}.
"""

import errno
import os
import stat
import sys
from collections.abc import Iterator

OLD_BUILDS_KEPT = 4
OLD_BUILDS_KEPT_S = 7 * 86400
"""Who goes back and forth between versions unpacks no more than once a week; boot.py notes each day of use."""

LOCK_WAIT_S = 10
"""Five times what a first start takes; where that is not enough, one more unpacks, and the first to end counts."""


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


def prepare(root: str, build: str, file: str, python: str) -> None:
    """Make the entry complete for this Python, whose real path is `python`. OSError where that cannot be."""
    entry = os.path.join(root, build)
    with open(f"{root}/.lock", "w") as lock:
        locked = _lock(lock.fileno())  # else renames alone keep it right, and nothing is cleared away
        if is_ready(entry):
            return  # another first start was faster
        if locked:
            _remove_left_overs(root)
        _fill(root, entry, file, python)
        if locked:
            _clear(root, build)


def _lock(descriptor: int) -> bool:
    """Wait for our turn. False where the file system has no locks, or another first start was stopped in its middle."""
    import fcntl
    import signal

    def give_up(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LOCK_WAIT_S)
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
    old = new.replace("/.new-", "/.old-")
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
    import zipfile

    with zipfile.ZipFile(file) as archive:
        for name in ("jobrun", "common", os.uname().machine):
            _unpack_one(archive.read(f"packs/{name}.tar.xz"), folder)  # read() checks the CRC; a stream would not
    compileall.compile_dir(folder, quiet=2, stripdir=folder, prependdir=final)
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
    with open(f"{path}.new", "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    os.replace(f"{path}.new", path)


def _remove_left_overs(root: str) -> None:
    import shutil

    for name in os.listdir(root):
        if name.startswith((".new-", ".old-")):
            shutil.rmtree(os.path.join(root, name), ignore_errors=True)


def _clear(root: str, build: str) -> None:
    import contextlib

    with contextlib.suppress(OSError):  # this build is there, which is what counts; the next one tries again
        _remove_old_builds(root, build)


def _remove_old_builds(root: str, build: str) -> None:
    """Keep what a process may still import from, and the few others that were used last, not long ago."""
    import shutil
    import time

    used = b"\0".join(_command_lines())
    builds = [name for name in os.listdir(root) if len(name) == len(build) and set(name) <= set("0123456789abcdef")]
    idle = {name: os.lstat(os.path.join(root, name)).st_mtime for name in builds if name != build}
    kept = sorted(idle, key=lambda name: -idle[name])[:OLD_BUILDS_KEPT]
    for name, last_use in idle.items():
        recent = name in kept and last_use > time.time() - OLD_BUILDS_KEPT_S
        if not recent and os.fsencode(f"/{name}/") not in used:
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
