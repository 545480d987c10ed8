"""Where things lie: the config home, data folders, sockets; and the check that such a folder is ours alone.

Paths are text with surrogateescape. Only os.path in here: a `run` that is already warm has no use for pathlib."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from jobrun.config.environment import Environment
from jobrun.config.errors import Refusal

SOCKET_PATH_MOST = 107
"""Bytes of a unix socket's path: sun_path in unix(7), less its NUL."""
NETWORK_FILE_SYSTEMS = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "orangefs"),
        *("fuse.ceph", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone"),
    }
)
"""As mountinfo names them: POSIX locks or SQLite's WAL can not be relied on there."""
OTHERWISE = "set HOME or XDG_STATE_HOME"
"""Where the data folder of the private server can not be used."""
OTHER_RUNTIME = "set XDG_RUNTIME_DIR"
"""Where the folder of its socket can not be used."""
FOLDERS = (
    ("logins and known servers", "JOBRUN_CONFIG_DIR; else jobrun in XDG_CONFIG_HOME or ~/.config"),
    (
        "a server's data",
        "--data; JOBRUN_DATA_DIR; for root /var/lib/jobrun; else jobrun/server in XDG_STATE_HOME or ~/.local/state",
    ),
    (
        "the private server's data",
        "jobrun/private in XDG_STATE_HOME or ~/.local/state; in /var/tmp/jobrun-UID where that is no local disk",
    ),
    (
        "the private server's socket",
        "in jobrun in XDG_RUNTIME_DIR; else in /tmp/jobrun-UID; named after the data folder",
    ),
    (
        "what the file unpacks",
        "JOBRUN_CACHE; else jobrun in XDG_CACHE_HOME or ~/.cache; else jobrun-cache-UID in TMPDIR, /var/tmp, /dev/shm",
    ),
)
"""What lies where, for people."""


class FolderRefused(Refusal):
    """A folder that must be ours alone is not."""


class Place(NamedTuple):
    """Where the private server lives: its data folder, its runtime folder, its socket."""

    data: str
    runtime: str
    socket: str


def state_home(environment: Environment) -> str:
    """XDG_STATE_HOME, else ~/.local/state (XDG Base Directory: a relative path counts as not set)."""
    named = environment.get("XDG_STATE_HOME") or ""
    return named if named.startswith("/") else os.path.join(home(environment), ".local/state")


def home(environment: Environment) -> str:
    """HOME, else what the password database says, else a folder in /var/tmp."""
    named = environment.get("HOME") or ""
    if named.startswith("/"):
        return named
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return user_folder("/var/tmp")


def config_home(environment: Environment) -> str:
    """JOBRUN_CONFIG_DIR, else `jobrun` in XDG_CONFIG_HOME or ~/.config."""
    own = environment.get("JOBRUN_CONFIG_DIR")
    if own:
        return os.path.abspath(own)
    named = environment.get("XDG_CONFIG_HOME") or ""
    return os.path.join(named if named.startswith("/") else os.path.join(home(environment), ".config"), "jobrun")


def server_data(environment: Environment) -> str:
    """The data folder of `jobrun server` that was given no --data."""
    own = environment.get("JOBRUN_DATA_DIR")
    if own:
        return os.path.abspath(own)
    if os.geteuid() == 0:
        return "/var/lib/jobrun"
    return os.path.join(state_home(environment), "jobrun/server")


def private_data(environment: Environment, build: str) -> str:
    """The private server's data folder; `build` is empty for a release: all releases share one."""
    parent = os.path.join(state_home(environment), "jobrun")
    if not _can_hold(parent, environment) or on_network_file_system(parent):
        parent = user_folder("/var/tmp")
    return os.path.join(parent, f"private-{build}" if build else "private")


def _can_hold(folder: str, environment: Environment) -> bool:
    """Whether `folder` is there or can be made, without making a home for a user that has none."""
    base = home(environment)
    if not os.path.isdir(base) and _within(folder, base):
        return False
    there = _existing(folder)
    return os.access(there, os.W_OK | os.X_OK) and (there == folder or _may_make_in(there))


def release_of(version: str) -> tuple[int, ...] | None:
    """The numbers of a release version such as `1.2.0`; None for any other, such as `1.2.0.dev0`."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isascii() and part.isdigit() for part in parts) else None


def private_build(version: str, build: str) -> str:
    """The `build` for private_place: a program that is no release has a folder of its own, also one run from source."""
    return "" if release_of(version) else build or "source"


def private_place(environment: Environment, build: str) -> Place:
    """Where the private server is to be; nothing is made or checked."""
    data = private_data(environment, build)
    from _blake2 import blake2b  # hashlib loads OpenSSL: 3 ms of each command

    name = blake2b(os.fsencode(os.path.realpath(data)), digest_size=8).hexdigest() + ".sock"
    runtime = _runtime_folder(environment, name)
    return Place(data, runtime, os.path.join(runtime, name))


def make_place(place: Place) -> Place:
    """Makes its folders. Raises FolderRefused."""
    for folder, otherwise in _folders(place):
        make_private_folder(folder, otherwise)
    return place


def check_place(place: Place) -> Place:
    """Checks those of its folders that are there; makes none. Raises FolderRefused."""
    for folder, otherwise in _folders(place):
        if os.path.lexists(folder):
            check_private_folder(folder, otherwise)
    return place


def _folders(place: Place) -> tuple[tuple[str, str], ...]:
    """Each with what names another one."""
    return (os.path.dirname(place.data), OTHERWISE), (place.data, OTHERWISE), (place.runtime, OTHER_RUNTIME)


def _runtime_folder(environment: Environment, name: str) -> str:
    named = environment.get("XDG_RUNTIME_DIR") or ""
    folder = os.path.join(named, "jobrun")
    short = len(os.fsencode(os.path.join(folder, name))) <= SOCKET_PATH_MOST
    if named.startswith("/") and short and os.path.isdir(named) and _usable(named):
        return folder
    return user_folder("/tmp")


def _usable(folder: str) -> bool:
    """Ours, and writable: after `su` XDG_RUNTIME_DIR often still names another user's folder."""
    return os.stat(folder).st_uid == os.geteuid() and os.access(folder, os.W_OK | os.X_OK)


def user_folder(parent: str) -> str:
    """This user's own folder in a folder that all share."""
    return os.path.join(parent, f"jobrun-{os.geteuid()}")


def make_private_folder(folder: str, otherwise: str = OTHERWISE) -> str:
    """Makes `folder` (0700) and what is missing above it, then checks it. Raises FolderRefused; `otherwise`: what
    names another place."""
    try:
        _refuse_below_foreign(folder, otherwise)
        os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass  # checked below, whoever made it
    except OSError as error:
        text = f"cannot make the folder {folder}: {error.strerror}: make it yourself, or {otherwise}"
        raise FolderRefused(text) from error
    mode = check_private_folder(folder, otherwise)
    if mode != 0o700:
        try:
            os.chmod(folder, 0o700)
        except OSError as error:
            raise FolderRefused(f"cannot use the folder {folder}: {error.strerror}: {otherwise}") from error
    return folder


def check_private_folder(folder: str, otherwise: str) -> int:
    """Its permission bits. Refuses a symlink, another user's, one that all share as /tmp, and one with something in it
    that others may look into: it may be a folder for something else. Changes nothing. Raises FolderRefused;
    `otherwise`: as above."""
    try:
        found = os.lstat(folder)
        _refuse_foreign(folder, found, otherwise)
        mode = stat.S_IMODE(found.st_mode)
        if mode & stat.S_ISVTX or folder == "/":
            raise FolderRefused(f"{folder} is for everybody: {otherwise}")
        if mode & 0o077 and os.listdir(folder):
            text = f"others may look into {folder}: if it is jobrun's alone, chmod 700 it, else {otherwise}"
            raise FolderRefused(text)
    except OSError as error:
        raise FolderRefused(f"cannot use the folder {folder}: {error.strerror}: {otherwise}") from error
    return mode


def _refuse_below_foreign(folder: str, otherwise: str) -> None:
    """Root with another's HOME would leave folders there that are in that user's way."""
    above = _existing(folder)
    if above != folder and not _may_make_in(above):
        text = f"cannot make the folder {folder}: {above} belongs to uid {os.stat(above).st_uid}: {otherwise}"
        raise FolderRefused(text)


def _existing(folder: str) -> str:
    """`folder`, or the nearest above it that is there."""
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    return folder


def _may_make_in(folder: str) -> bool:
    """Ours, root's, or one that all share, as /tmp is, whoever owns it in this namespace."""
    found = os.stat(folder)
    return found.st_uid in (os.geteuid(), 0) or bool(found.st_mode & stat.S_ISVTX)


def _refuse_foreign(folder: str, found: os.stat_result, otherwise: str) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise FolderRefused(f"{folder} is a symlink: put a folder in its place, or {otherwise}")
    if not stat.S_ISDIR(found.st_mode):
        raise FolderRefused(f"{folder} is no folder: move it away, or {otherwise}")
    if found.st_uid != os.geteuid():
        raise FolderRefused(f"{folder} belongs to uid {found.st_uid}: move it away, or {otherwise}")


def on_network_file_system(path: str) -> bool:
    """Whether `path`, or what of it exists, lies on a file system that other machines share."""
    return file_system(path) in NETWORK_FILE_SYSTEMS


def file_system(path: str) -> str:
    """The type of the file system that holds `path`, as proc(5) mountinfo has it; empty if it can not be told."""
    real = os.path.realpath(path)
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mounts = [_mount(line) for line in file]
    except OSError:
        return ""
    held = [(len(point), kind) for point, kind in mounts if _within(real, point)]
    # Of two mounts on one point the later line covers the earlier one; sort is stable.
    return sorted(held, key=lambda mount: mount[0])[-1][1] if held else ""


def _mount(line: str) -> tuple[str, str]:
    """Mount point and type of one line; octal escapes are for space, tab, newline and backslash."""
    before, _, after = line.partition(" - ")
    point = before.split(" ")[4]
    for escape, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(escape, plain)
    return point, after.split(" ")[0]


def _within(path: str, folder: str) -> bool:
    return folder == "/" or path == folder or path.startswith(folder + "/")
