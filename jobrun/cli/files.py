"""The small files that scripts ask for: --id-file and --result."""

from __future__ import annotations

import os
import stat

from jobrun.cli.text import raw
from jobrun.config.errors import Refusal


def check_can_write(option: str, name: str | None) -> None:
    """Raises Refusal where the file can surely not be written: before a job is started, not after. What an earlier call
    left there goes, so that nobody takes it for this one's."""
    if name is None:
        return
    path = raw(name)
    folder = os.path.dirname(path) or b"."
    writable = os.access(path if os.path.exists(path) else folder, os.W_OK)
    if not name or os.path.isdir(path) or not writable:
        raise Refusal(f"{option}: cannot write {name or 'an empty name'}: give a file that you may write to")
    if os.path.isfile(path):
        os.truncate(path, 0)


def write_file(option: str, name: str, text: str) -> None:
    """Writes the file so that a reader sees all of it or nothing; what is no regular file, such as /dev/fd/3, is just
    written to. Raises Refusal."""
    path = raw(name)
    try:
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            _write(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, text)
        else:
            aside = path + b".%d.new" % os.getpid()
            _write(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, text)
            os.replace(aside, path)
    except OSError as error:
        raise Refusal(f"{option}: cannot write {name}: {error.strerror}") from error


def _write(path: bytes, flags: int, text: str) -> None:
    with open(os.open(path, flags | os.O_CLOEXEC, 0o666), "wb") as file:
        file.write(text.encode("utf-8"))
