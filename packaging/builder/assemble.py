"""From the sources and the locked wheels to the file, and for a release to what lies beside it.

The dependencies' packs are kept in build/ until the lock changes.
"""

import hashlib
import lzma
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from builder import notices, pack, sbom, wheels
from builder.environment import BUILD, CODE, CODE_SUFFIXES, PACKAGING, RUNTIME_LOCK, BuildError, digest, say

# A third of the time of a better one, and one development build is unpacked once.
_FAST_PRESET = 0
# A dictionary of 32 MiB, which holds two Pythons' cygrpc: twice that saves 0.3 MB, and costs a first start 32 MiB.
_BEST_PRESET = 8 | lzma.PRESET_EXTREME
_MAX_BYTES = 30_000_000
_COMPRESSING_AT_ONCE = 2  # takes 400 MB each
_NOTICES = "jobrun/licenses.json"


@dataclass(frozen=True)
class Release:
    """What a build for all targets writes."""

    file: Path
    sbom: Path
    sums: Path


def release_at(output: Path) -> Release:
    """The names of what belongs to a file."""
    return Release(output, output.with_name(output.name + ".cdx.json"), output.with_name("SHA256SUMS"))


def source_version() -> str:
    """VERSION of jobrun/version.py."""
    return _constant("version.py", "VERSION")


def source_license() -> str:
    """OWN of jobrun/cli/licenses.py: SPDX's name of jobrun's own licence."""
    return _constant("cli/licenses.py", "OWN")


def _constant(module: str, name: str) -> str:
    """A string of the product, which nothing here imports."""
    found = re.search(rf'^{name} = "([^"]+)"$', (CODE / module).read_text(), re.M)
    if found is None:
        raise BuildError(f"jobrun/{module} has no {name} line")
    return found[1]


def build_this_machine(output: Path, version: str) -> None:
    """Write the file for this CPU and the minor version of this Python only."""
    targets = [pack.Target(os.uname().machine, sys.version_info[1])]
    kept = _dependencies(targets, preset=_FAST_PRESET)
    release = release_at(output)
    for path in (release.sbom, release.sums):
        path.unlink(missing_ok=True)  # they would tell of another file
    _write(output, version, targets, kept, python=os.path.realpath(sys.executable))


def build_all(output: Path, version: str) -> None:
    """Write the file for all targets, its bill of materials and the checksums of both. BuildError if it is too big."""
    kept = _dependencies(pack.ALL_TARGETS, preset=_BEST_PRESET)
    build = _write(output, version, pack.ALL_TARGETS, kept)
    size = output.stat().st_size
    say(f"{os.path.relpath(output)}: {size:,} bytes for {len(pack.ALL_TARGETS)} targets")
    if size > _MAX_BYTES:
        raise BuildError(f"more than {_MAX_BYTES:,} bytes: see what the wheels brought, and what can be left out")
    release = release_at(output)
    works = notices.from_json((kept / "licenses.json").read_bytes())
    facts = {"version": version, "build": build, "license_": source_license(), "sha256": _sha256(output)}
    release.sbom.write_bytes(sbom.document(works, **facts))
    release.sums.write_text("".join(f"{_sha256(path)}  {path.name}\n" for path in (output, release.sbom)))


def _write(output: Path, version: str, targets: Sequence[pack.Target], kept: Path, *, python: str = "") -> str:
    packs = {path.name.partition(".")[0]: path.read_bytes() for path in kept.glob("*.tar.xz")}
    header = (PACKAGING / "header.sh").read_bytes()
    scripts = {name: (PACKAGING / name).read_bytes() for name in pack.SCRIPTS}
    code = {f"jobrun/{path}": data for path, data in pack.read_tree(CODE, CODE_SUFFIXES).items()}
    say(f"packing {os.path.relpath(output)}")
    return pack.write_file(pack.Contents(version, targets, header, scripts, packs, code, python), output)


def _dependencies(targets: Sequence[pack.Target], *, preset: int) -> Path:
    """The folder with the dependencies' packs and licenses.json."""
    makers = [RUNTIME_LOCK, *(Path(str(module.__file__)) for module in (pack, wheels, notices))]
    what = f"{digest(*makers)} {targets} {preset}"
    kept = BUILD / "packs" / hashlib.sha256(what.encode()).hexdigest()[:16]
    if not kept.is_dir():
        _make_dependencies(targets, kept, preset=preset)
    return kept


def _make_dependencies(targets: Sequence[pack.Target], kept: Path, *, preset: int) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as name:
        made = Path(name) / "made"
        made.mkdir()
        folders = _install(targets, Path(name))
        licences = notices.to_json(notices.read(list(folders.values())))
        trees = {target: {**wheels.files(folder), _NOTICES: licences} for target, folder in folders.items()}
        _compress(pack.split_trees(trees), made, preset=preset)
        (made / "licenses.json").write_bytes(licences)
        shutil.rmtree(kept, ignore_errors=True)
        made.rename(kept)


def _install(targets: Sequence[pack.Target], into: Path) -> dict[pack.Target, Path]:
    folders = {target: into / str(target) for target in targets}
    if tuple(targets) == pack.ALL_TARGETS:
        wheels.install_for(targets, into)
    else:
        wheels.install_here(*folders.values())
    return folders


def _compress(packs: dict[str, pack.Entries], into: Path, *, preset: int) -> None:
    say("compressing the dependencies, once")

    def one(name: str) -> None:
        (into / f"{name}.tar.xz").write_bytes(pack.compress(packs[name], preset=preset))

    with ThreadPoolExecutor(_COMPRESSING_AT_ONCE) as threads:
        list(threads.map(one, packs))  # the list raises what one raised


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
