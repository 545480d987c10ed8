"""Whether dist/jobrun is what the sources make: asked at each `build.py run`, so it must stay quick."""

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from builder.environment import BUILD, CODE, CODE_SUFFIXES, PACKAGING, ROOT, RUNTIME_LOCK, alone

DIST = ROOT / "dist" / "jobrun"
_MARK = BUILD / "dist-of"


def fresh_dist() -> Path:
    """dist/jobrun for this machine and Python, built anew if it is not what the sources are now."""
    sources = _sources()
    if not _is_made_of(sources):
        from builder import assemble

        with alone():
            if not _is_made_of(sources):  # nobody else did it meanwhile
                assemble.build_this_machine(DIST, assemble.source_version())
                _MARK.write_text(f"{sources} {_identity(DIST)}")  # of the sources as they were before
    return DIST


def record() -> None:
    """Note that dist/jobrun was just made of the sources, for all targets: it will do here as well."""
    _MARK.write_text(f"{_sources()} {_identity(DIST)}")


def _is_made_of(sources: str) -> bool:
    return _known() == f"{sources} {_identity(DIST)}"


def _known() -> str | None:
    try:
        return _MARK.read_text()
    except FileNotFoundError:
        return None


def _identity(path: Path) -> str:
    """Changes whenever somebody else writes the file; empty where it is missing."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return ""
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"


def _sources() -> str:
    """A hash of all that decides what is built here."""
    total = hashlib.sha256(f"{os.path.realpath(sys.executable)} {sys.version}".encode())
    for path in _source_files():
        with open(path, "rb") as file:
            data = file.read()
        total.update(f"{path} {len(data)}\n".encode() + data)
    return total.hexdigest()


def _source_files() -> Iterator[str]:
    yield str(RUNTIME_LOCK)
    for folder in (CODE, PACKAGING):
        for where, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            yield from (os.path.join(where, name) for name in sorted(names) if name.endswith((*CODE_SUFFIXES, ".sh")))
