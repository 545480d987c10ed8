"""The form of the built file: sh header, stored zip, solid packs. The same input makes the same bytes."""

import hashlib
import io
import lzma
import os
import shlex
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.environment import BuildError

MACHINES = ("x86_64", "aarch64")
# In the order of how common they are: a first start reads its machine's pack no further than its own minor.
MINORS = (11, 12, 13, 10, 14)
GLIBC = (2, 28)
EPOCH = 315619200  # 1980-01-02: what a zip can hold in every time zone
# Beside the packs: what Python starts, what that needs for a first start, and what the header starts in the cache.
SCRIPTS = ("__main__.py", "start.py", "unpack.py", "boot.py")
Entries = Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class Target:
    """One machine type, as uname names it, with one minor version of CPython 3."""

    machine: str
    minor: int

    def __str__(self) -> str:
        return f"{self.machine}-3.{self.minor}"


ALL_TARGETS = tuple(Target(machine, minor) for machine in MACHINES for minor in MINORS)


@dataclass(frozen=True)
class Contents:
    """All that goes into a file. `header` and `scripts`, the small files beside the packs, have their placeholders in.
    `packs`: the dependencies', name to xz bytes; `code`: our files, path to bytes.
    `python`: the interpreter to try before those on PATH, for a file that stays on this machine.
    """

    version: str
    targets: Sequence[Target]
    header: bytes
    scripts: dict[str, bytes]
    packs: dict[str, bytes]
    code: dict[str, bytes]
    python: str = ""


def read_tree(folder: Path, suffixes: tuple[str, ...] = ("",)) -> dict[str, bytes]:
    """The files of a folder with these endings, by path within it, sorted; hidden ones and compiled code not."""
    found = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and inside.endswith(suffixes):
            found[inside] = path.read_bytes()
    return found


def split_trees(trees: dict[Target, dict[str, bytes]]) -> dict[str, Entries]:
    """What is the same for all targets as `common`, and the compiled modules of each machine under its name.

    BuildError if another file differs between targets, or a module does not say which Python it is for.
    """
    common: dict[str, bytes] = {}
    machines: dict[str, dict[str, bytes]] = {}
    for target in sorted(trees, key=lambda t: (t.machine, t.minor)):
        compiled = machines.setdefault(target.machine, {})
        for path, data in trees[target].items():
            if path.endswith(".so"):
                _require_tag(path)
                compiled.setdefault(path, data)  # of stable-ABI modules, the oldest Python's serves all
            elif common.setdefault(path, data) != data:
                raise BuildError(f"{path} differs between targets: leave it out or pack it by target")
    packs: dict[str, Entries] = {"common": sorted(common.items(), key=lambda e: (os.path.splitext(e[0])[1], e[0]))}
    packs.update((machine, _by_minor(compiled)) for machine, compiled in machines.items())
    return packs


def compress(entries: Entries, *, preset: int) -> bytes:
    """A tar.xz of these files, the same wherever it is made by the same liblzma. `preset` as xz(1) has it, or-ed with
    lzma.PRESET_EXTREME or not."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": preset}]
    return lzma.compress(_tar(entries), lzma.FORMAT_XZ, lzma.CHECK_CRC64, filters=filters)


def write_file(contents: Contents, output: Path) -> str:
    """Write the executable file, all or nothing. Returns its BUILD."""
    targets = contents.targets
    # Before BUILD is known; all that decides what the file does is in here, and so in BUILD.
    values = {
        b"@VERSION@": contents.version.encode(),
        b"@MINORS@": " ".join(str(minor) for minor in sorted({t.minor for t in targets})).encode(),
        b"@PYTHON@": shlex.quote(contents.python).encode(),
        b"@MACHINES@": " ".join(sorted({t.machine for t in targets})).encode(),
    }
    header = _fill(contents.header, values)
    scripts = {name: _fill(text, values) for name, text in contents.scripts.items()}
    build = _digest([header, *_flat(scripts), *_flat(contents.packs), *_flat(contents.code)])
    stamp = {b"@BUILD@": build.encode()}
    code = {**contents.code, "jobrun/version.py": _version_module(contents.version, build)}
    packs = {"jobrun": compress(sorted(code.items()), preset=6), **contents.packs}
    members = [(name, _fill(text, stamp)) for name, text in sorted(scripts.items())]
    members += [(f"packs/{name}.tar.xz", data) for name, data in sorted(packs.items())]
    output.parent.mkdir(parents=True, exist_ok=True)
    new = output.with_name(output.name + ".new")
    new.write_bytes(_assemble(_fill(header, stamp), members))
    new.chmod(0o755)
    new.replace(output)
    return build


def _require_tag(path: str) -> None:
    if not path.endswith(".abi3.so") and ".cpython-3" not in path:
        raise BuildError(f"{path} does not say which Python it is for")


def _by_minor(compiled: dict[str, bytes]) -> Entries:
    def rank(path: str) -> tuple[int, str]:
        for index, minor in enumerate(MINORS, start=1):
            if f".cpython-3{minor}-" in path:
                return index, path
        return 0, path  # for every Python: first

    return [(path, compiled[path]) for path in sorted(compiled, key=rank)]


def _tar(entries: Entries) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, data in entries:
            info = tarfile.TarInfo(path)
            info.size, info.mtime, info.mode = len(data), EPOCH, 0o644
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _assemble(header: bytes, members: Entries) -> bytes:
    """Offsets count from the start of the whole file, so SIZE, which comes last, must not change a length."""
    out = io.BytesIO()
    out.write(header.replace(b"@SIZE@", b"0" * 10))
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr, info.compress_type = 3, 0o100644 << 16, zipfile.ZIP_STORED
            archive.writestr(info, data)
    size = b"%010d" % out.seek(0, os.SEEK_END)
    out.seek(0)
    out.write(header.replace(b"@SIZE@", size))
    return out.getvalue()


def _fill(text: bytes, values: dict[bytes, bytes]) -> bytes:
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


def _flat(files: dict[str, bytes]) -> Iterable[bytes]:
    for name, data in sorted(files.items()):
        yield name.encode()
        yield data


def _digest(parts: Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(b"%d\n" % len(part) + part)
    return total.hexdigest()[:32]


def _version_module(version: str, build: str) -> bytes:
    return f'"""Written by the build."""\n\nVERSION = "{version}"\nBUILD = "{build}"\n'.encode()
