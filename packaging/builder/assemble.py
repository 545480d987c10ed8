"""From the sources and the locked wheels to the file.

The dependencies' packs are kept in build/ until the lock changes.
"""

import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from builder import pack
from builder.environment import (
    BUILD,
    CODE,
    CODE_SUFFIXES,
    PACKAGING,
    RUNTIME_LOCK,
    BuildError,
    digest,
    make_venv,
    pip_install,
    say,
)

# A third of the time of a better one, and one development build is unpacked once.
_FAST_PRESET = 0


def source_version() -> str:
    """VERSION of jobrun/version.py."""
    found = re.search(r'^VERSION = "([^"]+)"$', (CODE / "version.py").read_text(), re.M)
    if found is None:
        raise BuildError("jobrun/version.py has no VERSION line")
    return found[1]


def build_this_machine(output: Path, version: str) -> None:
    """Write the file for this CPU and the minor version of this Python only."""
    targets = [pack.Target(os.uname().machine, sys.version_info[1])]
    packs = _dependency_packs(targets, preset=_FAST_PRESET)
    header = (PACKAGING / "header.sh").read_bytes()
    scripts = {name: (PACKAGING / name).read_bytes() for name in pack.SCRIPTS}
    code = {f"jobrun/{path}": data for path, data in pack.read_tree(CODE, CODE_SUFFIXES).items()}
    say(f"packing {os.path.relpath(output)}")
    python = os.path.realpath(sys.executable)
    pack.write_file(pack.Contents(version, targets, header, scripts, packs, code, python), output)


def _dependency_packs(targets: Sequence[pack.Target], *, preset: int) -> dict[str, bytes]:
    what = f"{digest(RUNTIME_LOCK, Path(pack.__file__))} {targets} {preset}"
    kept = BUILD / "packs" / hashlib.sha256(what.encode()).hexdigest()[:16]
    if not kept.is_dir():
        _make_packs(targets, kept, preset=preset)
    return {path.name.partition(".")[0]: path.read_bytes() for path in kept.iterdir()}


def _make_packs(targets: Sequence[pack.Target], kept: Path, *, preset: int) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as name:
        trees = {target: _fetch(target, Path(name)) for target in targets}
        say("compressing the dependencies, once")
        made = Path(name) / "packs"
        made.mkdir()
        for pack_name, entries in pack.split_trees(trees).items():
            (made / f"{pack_name}.tar.xz").write_bytes(pack.compress(entries, preset=preset))
        shutil.rmtree(kept, ignore_errors=True)
        made.rename(kept)


def _fetch(target: pack.Target, into: Path) -> dict[str, bytes]:
    """The files of the locked wheels for a target, which for now is this machine with this Python."""
    make_venv()
    say("installing the dependencies (packaging/requirements.txt)")
    tree = into / f"{target.machine}-3.{target.minor}"
    pip_install("--no-compile", "--target", tree, "-r", RUNTIME_LOCK, why="installing the dependencies")
    return pack.read_tree(tree)
