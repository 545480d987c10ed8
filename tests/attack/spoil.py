"""A file that must be one user's alone, spoilt by another: what a program that reads it must refuse."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

STRANGER = 12345
"""A uid that nobody has."""


def _readable(path: Path) -> None:
    path.chmod(0o644)


def _writable(path: Path) -> None:
    path.chmod(0o620)


def _link(path: Path) -> None:
    real = path.with_name("real")
    path.rename(real)
    path.symlink_to(real)


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent.parent / "elsewhere")


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir(0o700)


def _large(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1 << 30)


def _anothers(path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(path, STRANGER, STRANGER)


def anothers_for_all(path: Path) -> None:
    """As somebody else leaves it in a folder that is open to all."""
    _anothers(path)
    path.chmod(0o666)


SPOILED: dict[str, Callable[[Path], None]] = {
    "readable by all": _readable,
    "writable by its group": _writable,
    "a link": _link,
    "a link to nothing": _dangling,
    "a fifo": _fifo,
    "a folder": _folder,
    "1 GiB": _large,
    "another user's": _anothers,
    "another user's, for all to write": anothers_for_all,
}
