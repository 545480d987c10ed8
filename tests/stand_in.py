"""A small built file for tests of its form and its first start, the only part that must work before anything else does.

The code inside says how it was started, so that a first start takes a tenth of a second.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from builder import pack

ROOT = Path(__file__).resolve().parents[1]
MACHINE = os.uname().machine
MINOR = sys.version_info[1]
DEADLINE_S = 30.0
STAND_IN = b"""
def main(argv):
    import json, sys
    environ = open("/proc/self/environ", "rb").read().decode("utf-8", "surrogateescape").split("\\0")[:-1]
    print(json.dumps({"argv": argv, "environ": environ, "python": sys.version_info[1], "module": __file__}))
    return 7
"""
Answer = dict[str, object]


def contents(version: str = "1.2.3", minor: int = MINOR) -> pack.Contents:
    """What goes into a small file for this machine."""
    header = (ROOT / "packaging" / "header.sh").read_bytes()
    scripts = {name: (ROOT / "packaging" / name).read_bytes() for name in pack.SCRIPTS}
    libraries = {
        "common": pack.compress([("library/text.txt", b"text")], preset=0),
        MACHINE: pack.compress([("library/any.so", b"abi3"), (f"library/own.cpython-3{minor}-x.so", b"own")], preset=0),
    }
    code = {"jobrun/__init__.py": b"", "jobrun/cli/__init__.py": b"", "jobrun/cli/main.py": STAND_IN}
    return pack.Contents(version, [pack.Target(MACHINE, minor)], header, scripts, libraries, code)


def bare_env(folder: Path) -> dict[str, str]:
    """Nothing but what a start needs, with a HOME of its own; this Python is the first on PATH, folder/bin."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    return {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder / "home")}


def start(*words: str | Path, env: Mapping[str, str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run to the end, output as text."""
    command = [str(word) for word in words]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def answer(*words: str | Path, env: Mapping[str, str], cwd: Path | None = None) -> Answer:
    """What the stand-in said; fails if anything else was said, or it was not reached."""
    done = start(*words, env=env, cwd=cwd)
    assert (done.returncode, done.stderr) == (7, "")
    said = json.loads(done.stdout)
    assert isinstance(said, dict)
    return said


def refusal(*words: str | Path, env: Mapping[str, str]) -> str:
    """The one line with which a start was refused."""
    done = start(*words, env=env)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("jobrun: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def cache(env: Mapping[str, str]) -> Path:
    """Where the file unpacks itself in that environment, by default."""
    return Path(env["HOME"]) / ".cache" / "jobrun"


def entry(env: Mapping[str, str]) -> Path:
    """The one build that is there."""
    (only,) = [path for path in cache(env).iterdir() if path.is_dir()]
    return only


def tree(env: Mapping[str, str]) -> Path:
    """What is unpacked of it for this Python."""
    return entry(env) / f"cp3{MINOR}-{MACHINE}"


def other_pythons() -> dict[tuple[int, int], Path]:
    """The other Pythons that are installed here, one a minor version."""
    found = {}
    for path in [*Path("/usr/bin").glob("python?.*"), *Path.home().glob(".pyenv/versions/*/bin/python?.*")]:
        major, _, minor = path.name.removeprefix("python").partition(".")
        if minor.isdigit() and (int(major), int(minor)) != sys.version_info[:2]:
            found[int(major), int(minor)] = path.resolve()
    return found
