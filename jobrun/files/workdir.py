"""The fresh folder that a job gets on every server but a private one: its HOME, with TMPDIR inside."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from jobrun.files.data_folder import raise_storage

TEMPORARY = ".tmp"
"""TMPDIR, in the folder: so it goes with it."""


class WorkFolders:
    """`DATA/work/ID`, one a job. `root` exists and is the server's alone."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(self, job_id: str) -> Path:
        """An empty one, in the place of a leftover. StorageFull, OSError."""
        folder = self._root / job_id
        self.remove(job_id)
        try:
            folder.mkdir(mode=0o700)
            (folder / TEMPORARY).mkdir(mode=0o700)
        except OSError as error:
            raise_storage(error)
        return folder

    def remove(self, job_id: str) -> None:
        """With all that is in it, whatever rights a job left; no link is followed. Nothing where there is none.

        OSError tells the first thing that could not be removed; the rest is gone. Slow where there is much in it."""
        root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if errors := _remove(root, job_id):
                raise errors[0]
        finally:
            os.close(root)

    def job_ids(self) -> set[str]:
        """Of which there is a folder."""
        return set(os.listdir(self._root))


def _remove(parent: int, name: str) -> list[OSError]:
    """One entry of the folder `parent`; what could not be removed is told, not raised, so that the rest goes on.

    No recursion: a job may nest folders deeper than Python's stack. A folder is opened by its name in its parent's
    descriptor, one level at a time, and found again by "..", checked by its number: nothing is followed, nothing is
    moved away under us unseen."""
    errors: list[OSError] = []
    try:
        if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
            os.unlink(name, dir_fd=parent)
            return errors
        _empty(parent, name, errors)
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        return errors
    except OSError as error:
        errors.append(error)
    return errors


def _empty(parent: int, name: str, errors: list[OSError]) -> None:
    """Remove what is in the folder, depth first."""
    fd = _enter(parent, name)
    trail: list[tuple[str, int]] = [(name, _number(fd))]
    pending = [os.listdir(fd)]
    try:
        while True:
            if pending[-1]:
                entry = pending[-1].pop()
                deeper = _remove_or_enter(fd, entry, errors)
                if deeper is not None:
                    os.close(fd)
                    fd = deeper
                    trail.append((entry, _number(fd)))
                    pending.append(os.listdir(fd))
                continue
            if len(trail) == 1:
                return
            left, _ = trail.pop()
            pending.pop()
            fd = _leave(fd, trail[-1][1])
            _remove_empty(fd, left, errors)
    finally:
        os.close(fd)


def _remove_or_enter(fd: int, entry: str, errors: list[OSError]) -> int | None:
    """The descriptor of a folder that is to be emptied first."""
    try:
        if stat.S_ISDIR(os.lstat(entry, dir_fd=fd).st_mode):
            return _enter(fd, entry)
        os.unlink(entry, dir_fd=fd)
    except OSError as error:
        errors.append(error)
    return None


def _remove_empty(fd: int, name: str, errors: list[OSError]) -> None:
    try:
        os.rmdir(name, dir_fd=fd)
    except OSError as error:
        errors.append(error)


def _enter(parent: int, name: str) -> int:
    """Open a folder by its name, its rights taken back first: chmod(2) follows links, so it is done by descriptor."""
    path = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{path}", 0o700)
    finally:
        os.close(path)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)


def _leave(fd: int, expected: int) -> int:
    """To the folder above, if it is still the one that we came from."""
    above = os.open("..", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
    if _number(above) != expected:
        os.close(above)
        raise OSError("the folder was moved while it was removed")
    os.close(fd)
    return above


def _number(fd: int) -> int:
    return os.fstat(fd).st_ino
