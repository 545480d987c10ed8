"""Whether the build makes the same bytes whoever makes it: done a second time where everything around is different."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from builder.assemble import Release, release_at
from builder.environment import CODE, PACKAGING, ROOT, BuildError, run, say
from builder.pack import MINORS

_AGE = 1_000_000_007  # when the second build's sources say that they were changed: 2001
_DIFFERENT = {
    "LC_ALL": "C",
    "TZ": "Pacific/Kiritimati",
    "PYTHONHASHSEED": "4321",
    "SOURCE_DATE_EPOCH": "1234567890",
}
_SUITS = "import ensurepip, lzma, sys, venv; print(sys.executable)"


def check(output: Path, version: str) -> None:
    """BuildError unless a second build makes the same as lies at `output` now.

    It has another folder with a space in its name, another umask, locale, time zone, hash seed, SOURCE_DATE_EPOCH, age
    of the sources, minor version of Python where one is there, and clock where faketime(1) is.
    """
    with tempfile.TemporaryDirectory(prefix="jobrun again ") as name:
        copy = Path(name) / "so\u00fcrce"
        _copy_sources(copy)
        python = _other_python()
        again = Path(name) / "out" / output.name
        words: list[str | Path] = [python, copy / "build.py", "build", "--output", again, "--version", version]
        say(f"building again in {copy} by {python}")
        elsewhere = ["sh", "-c", 'umask 077; cd /; exec "$@"', "sh", *_other_clock(), *words]
        run(elsewhere, why="the second build", env={**os.environ, **_DIFFERENT})
        _compare(release_at(output), release_at(again))
    say("the second build made the same bytes")


def _copy_sources(copy: Path) -> None:
    copy.mkdir(parents=True)
    for folder in (CODE, PACKAGING):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(folder, copy / folder.name, ignore=ignored, copy_function=shutil.copyfile)
    shutil.copyfile(ROOT / "build.py", copy / "build.py")
    for path in copy.rglob("*"):
        os.utime(path, (_AGE, _AGE))


def _other_python() -> str:
    """Of another minor version if one can be had that can build, else this one."""
    mine = os.path.realpath(sys.executable)
    installed = [str(path) for path in Path.home().glob(".pyenv/versions/*/bin/python3.*")]
    for minor in sorted(set(MINORS) - {sys.version_info[1]}, reverse=True):
        name = f"python3.{minor}"
        for path in [path for path in [shutil.which(name), *installed] if path and path.endswith("/" + name)]:
            asked = subprocess.run([path, "-c", _SUITS], capture_output=True, text=True, check=False)
            if asked.returncode == 0:
                return asked.stdout.strip()
    say("no other minor version of Python is here: building again by the same one")
    return mine


def _other_clock() -> list[str]:
    faketime = shutil.which("faketime")
    if faketime is None:
        say("faketime(1) is not here: building again by the same clock")
        return []
    return [faketime, "-f", "+3d"]


def _compare(first: Release, second: Release) -> None:
    if first.file.read_bytes() != second.file.read_bytes():
        differs = ", ".join(_differing_members(first.file, second.file)) or "the bytes between the members"
        raise BuildError(f"the second build differs in {differs}: something of where and when it is made gets in")
    for one, two in ((first.sbom, second.sbom), (first.sums, second.sums)):
        if one.read_bytes() != two.read_bytes():
            raise BuildError(f"the second build's {one.name} differs")


def _differing_members(first: Path, second: Path) -> list[str]:
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as two:
        sums = [{member.filename: member.CRC for member in archive.infolist()} for archive in (one, two)]
    return sorted({name for name, _ in sums[0].items() ^ sums[1].items()})
