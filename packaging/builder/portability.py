"""One table: what the same file does on each target that can be had on this machine. It takes minutes.

A target that is not here is told as that, never as passed.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.debian import Absent, Place, debian
from builder.environment import BUILD, ROOT, BuildError, say

_SMOKE = ROOT / "tests" / "portability" / "smoke.py"
_DEADLINE_S = 3600


@dataclass(frozen=True)
class Target:
    """One line of the table. `refusal`: what the file has to say there, if it is not to work."""

    name: str
    place: Callable[[], Place]
    refusal: str = ""


def _pyenv(minor: str) -> Callable[[], Place]:
    def find() -> Place:
        for python in sorted(Path.home().glob(f".pyenv/versions/{minor}.*/bin/python{minor}")):
            return Place(str(python))
        raise Absent("pyenv has none")

    return find


def _system() -> Place:
    if not os.access("/usr/bin/python3", os.X_OK):
        raise Absent("no /usr/bin/python3")
    return Place(os.path.realpath("/usr/bin/python3"))


def _musl() -> Place:
    raise Absent("Debian has no Python for musl; tests/unit/test_first_start.py makes up the libc's answer")


TARGETS = (
    *(Target(f"pyenv {minor}", _pyenv(minor)) for minor in ("3.10", "3.11", "3.12", "3.13", "3.14")),
    Target("this system's python3", _system),
    Target("Debian 12", debian("bookworm", "amd64")),
    Target("Debian 13", debian("trixie", "amd64")),
    Target("Debian testing", debian("testing", "amd64")),
    Target("Debian 12 arm64", debian("bookworm", "arm64")),
    Target("Debian 13 arm64", debian("trixie", "arm64")),
    Target("Debian testing arm64", debian("testing", "arm64")),
    Target("Debian 11", debian("bullseye", "amd64"), "needs CPython 3.10 or newer, this is 3.9 (/usr/bin/python3.9)"),
    Target(
        "Debian 13 PyPy", debian("trixie", "amd64", "pypy3"), "needs the ordinary 64-bit CPython, this is pypy 3.11 ("
    ),
    Target("Debian 12 i386", debian("bookworm", "i386"), "needs the ordinary 64-bit CPython, this is cpython 3.11 ("),
    Target(
        "Debian 12 armhf", debian("bookworm", "armhf"), "no build for this CPU (armv7l): there is one for aarch64 and"
    ),
    Target("musl", _musl),
)
_COLUMNS = {
    "target": "target",
    "machine": "machine",
    "python": "python",
    "libc": "libc",
    "entry_mb": "unpacked MB",
    "first_start_s": "first start s",
    "warm_ms": "warm ms",
    "bare_ms": "python ms",
    "result": "result",
}


def table(file: Path, wanted: Sequence[str]) -> None:
    """Print the table of the targets whose names contain one of `wanted`, and write it as build/portability.json.
    BuildError where the file did not do as it should."""
    chosen = [target for target in TARGETS if not wanted or any(word in target.name for word in wanted)]
    rows = []
    for target in chosen:
        say(f"portability: {target.name}")
        rows.append(row(target, file))
    size = file.stat().st_size
    (BUILD / "portability.json").write_text(json.dumps({"bytes": size, "targets": rows}, indent=1) + "\n")
    print(f"{file.name}: {size:,} bytes")
    print("\n".join(_lines(rows)))
    wrong = [str(one["target"]) for one in rows if str(one["result"]).startswith("WRONG")]
    if wrong:
        raise BuildError(f"portability: not as it should be: {', '.join(wrong)}")


def row(target: Target, file: Path) -> dict[str, object]:
    """What came of one target: `result` is "works", "refused", "not here: why" or "WRONG: what"."""
    try:
        found = smoke(target.place(), file)
    except Absent as absent:
        return {"target": target.name, "result": f"not here: {absent}"}
    except (BuildError, subprocess.TimeoutExpired) as error:
        return {"target": target.name, "result": f"WRONG: {error}"}
    return {"target": target.name, **found, "result": _judged(found, target.refusal)}


def smoke(place: Place, file: Path) -> dict[str, object]:
    """What smoke.py finds of the file there. It leaves no process. BuildError if it does not even run."""
    with tempfile.TemporaryDirectory(prefix="jr-", dir=place.tmp) as name:
        folder = Path(name)
        for path in (file, _SMOKE):
            shutil.copy(path, folder)
        inside = place.inside(folder)
        # qemu's user mode has no PR_SET_CHILD_SUBREAPER (prctl(2)), which each job needs.
        extent = "client" if place.emulated else "jobs"
        words = [place.python, f"{inside}/{_SMOKE.name}", f"{inside}/{file.name}", inside, extent]
        done = subprocess.run(
            place.command(words), stdin=subprocess.DEVNULL, capture_output=True, timeout=_DEADLINE_S, check=False
        )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BuildError(f"ended with {done.returncode}: {said[-1] if said else 'without a word'}")
    return {**json.loads(done.stdout), "extent": extent}


def _judged(found: dict[str, object], refusal: str) -> str:
    refused = str(found.get("refused", ""))
    if refusal:
        right = found.get("code") == 125 and refusal in refused and refused.count("\n") == 1
        return f"refused: {refused.strip()}" if right else f"WRONG: it has to be refused ({refused.strip()})"
    if refused:
        return f"WRONG: {refused.strip()}"
    if found["failed"] or not found["by_this_python"]:
        return f"WRONG: {found['failed'] or 'another Python runs it'}"
    return "works" if found["extent"] == "jobs" else "works, but for jobs, which the emulator can not run"


def _lines(rows: Sequence[dict[str, object]]) -> Iterator[str]:
    cells = [list(_COLUMNS.values()), *([str(one.get(key, "")) for key in _COLUMNS] for one in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_COLUMNS))]
    for line in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
