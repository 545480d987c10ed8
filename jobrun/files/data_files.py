"""A data folder's private files, keys and the first password, and what its owner is told where one can not be used."""

from __future__ import annotations

from pathlib import Path

from jobrun.files.data_folder import raise_storage
from jobrun.files.private_files import NotPrivate, read_private, write_private
from jobrun.model.errors import StoreError


def read_data_file(path: Path, most: int) -> bytes:
    """The whole file. FileNotFoundError where there is none; StoreError for one that another user could have read or
    put there, or of more than `most` bytes."""
    try:
        return read_private(str(path), most)
    except NotPrivate as error:
        do = "make new ones, or chmod 600 it" if error.shared else "put a backup back"
        raise StoreError(f"{path} {error}: {do}") from error


def write_data_file(path: Path, content: bytes) -> None:
    """Puts `content` in the place of what is there, at once and for good. StorageFull, OSError."""
    try:
        write_private(str(path), content)
    except OSError as error:
        raise_storage(error)
