"""A first start's work in the cache, done by __main__.py once a Python fits: 3.10 or newer, so this may be newer too.

A cache is a folder ROOT with an entry for each build: ROOT/BUILD/{boot.py,python,cp311-x86_64/...}.
"""

import errno
import os
import stat
import sys
from collections.abc import Iterator

OLD_BUILDS_KEPT = 4


def check_folder(path: str, *, make: bool) -> None:
    """Make the folder if asked to; OSError unless it is ours alone and programs may run there."""
    if not os.path.isabs(path):
        raise OSError(errno.EINVAL, "not an absolute path", path)
    if make:
        os.makedirs(path, 0o700, exist_ok=True)
    status = os.lstat(path)
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
    return os.path.isdir(_tree(entry)) and os.path.isfile(f"{entry}/boot.py") and _recorded_python(entry) is not None


def prepare(root: str, build: str, file: str, python: str) -> None:
    """Make the entry complete for this Python, whose real path is `python`. OSError where that cannot be."""
    import fcntl

    entry = os.path.join(root, build)
    with open(f"{root}/.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            locked = True
        except OSError:
            locked = False  # no locks on this file system: renames alone keep it right, and nothing is cleared away
        if is_ready(entry):
            return  # another first start was faster
        if locked:
            _remove_left_overs(root)
        _fill(root, entry, file, python)
        if locked:
            _clear(root, build)


def _tree(entry: str) -> str:
    return f"{entry}/cp3{sys.version_info[1]}-{os.uname().machine}"


def _recorded_python(entry: str) -> str | None:
    """The Python that the header starts, if it is still there."""
    try:
        with open(f"{entry}/python") as record:
            path = record.readline().rstrip("\n")
    except (OSError, ValueError):
        return None
    return path if os.access(path, os.X_OK) else None


def _fill(root: str, entry: str, file: str, python: str) -> None:
    import zipfile

    if not os.path.isdir(_tree(entry)):
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
    try:
        _unpack(file, new, tree)
        _sync_all(new)  # or a power cut could leave empty files behind the rename
        os.rename(new, tree)
    except OSError:
        if not os.path.isdir(tree):  # else one that had no lock either was faster
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _unpack(file: str, folder: str, final: str) -> None:
    """Unpack and compile what this Python on this machine needs, which is going to lie in `final`."""
    import compileall
    import zipfile

    with zipfile.ZipFile(file) as archive:
        for name in ("jobrun", "common", os.uname().machine):
            _unpack_one(archive.read(f"packs/{name}.tar.xz"), folder)  # read() checks the CRC; a stream would not
    compileall.compile_dir(folder, quiet=2, stripdir=folder, prependdir=final)


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
    """Keep what a process may still import from, and the newest few others."""
    import shutil

    used = b"\0".join(_command_lines())
    builds = [name for name in os.listdir(root) if len(name) == len(build) and set(name) <= set("0123456789abcdef")]
    idle = [name for name in builds if name != build and os.fsencode(f"/{name}/") not in used]
    idle.sort(key=lambda name: os.lstat(os.path.join(root, name)).st_mtime)
    for name in idle[:-OLD_BUILDS_KEPT]:
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
