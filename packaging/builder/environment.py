"""The .venv, and how a build runs programs: one progress line a step, one line for an error."""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
PACKAGING = ROOT / "packaging"
CODE = ROOT / "jobrun"
CODE_SUFFIXES = (".py",)
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
RUNTIME_LOCK = ROOT / "packaging" / "requirements.txt"
TOOLS_LOCK = ROOT / "packaging" / "requirements-tools.txt"
UV_LOCK = ROOT / "packaging" / "requirements-uv.txt"


class BuildError(Exception):
    """What is wrong and what to do about it, in one line."""


def say(text: str) -> None:
    """Print a progress line on stderr, so that stdout stays the started program's own."""
    print(f"build: {text}", file=sys.stderr, flush=True)


def run(command: Sequence[str | Path], *, why: str, env: Mapping[str, str] | None = None) -> None:
    """Run a program of the build, its output on stderr. BuildError, saying what it was for, if it fails."""
    words = [str(word) for word in command]
    try:
        code = subprocess.run(words, cwd=ROOT, stdout=sys.stderr.fileno(), env=env, check=False).returncode
    except FileNotFoundError as error:
        raise BuildError(f"{why} needs {words[0]}, which is not installed") from error
    if code != 0:
        raise BuildError(f"{why} failed: {' '.join(words)} ended with {code}")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep other builds in this folder waiting: two would write the same files. Not to be nested."""
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def digest(*paths: Path) -> str:
    """SHA-256 over the files' contents, in hex."""
    total = hashlib.sha256()
    for path in paths:
        data = path.read_bytes()
        total.update(b"%d\n" % len(data) + data)
    return total.hexdigest()


def python_tag() -> str:
    """Which interpreter builds, such as cp311."""
    return f"cp{sys.version_info[0]}{sys.version_info[1]}"


def pip_install(*options: str | Path, why: str) -> None:
    """Install locked wheels with the .venv's pip from whatever index pip is configured with."""
    quiet: list[str | Path] = ["-qq", "--disable-pip-version-check", "--no-input"]
    locked: list[str | Path] = ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
    run([VENV_PYTHON, "-m", "pip", "install", *quiet, *locked, *options], why=why)


def make_venv() -> None:
    """Have a .venv of this Python with pip in it. The caller has seen to being alone."""
    mark = VENV / "made-for"
    wanted = f"{python_tag()} {os.path.realpath(sys.executable)} {VENV}"
    if _read(mark) == wanted and VENV_PYTHON.exists():
        return
    _require_venv_modules()
    say("making .venv")
    run([sys.executable, "-m", "venv", "--clear", VENV], why="making .venv")
    mark.write_text(wanted)


def install_tools() -> None:
    """Have the locked run-time and tool packages in .venv."""
    with alone():
        make_venv()
        mark = VENV / "tools-of"
        wanted = digest(RUNTIME_LOCK, TOOLS_LOCK)
        if _read(mark) != wanted:
            say("installing the tools (packaging/requirements-tools.txt)")
            pip_install("-r", RUNTIME_LOCK, "-r", TOOLS_LOCK, why="installing the tools")
            mark.write_text(wanted)


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def _require_venv_modules() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("venv", "ensurepip") if find_spec(name) is None]
    if missing:
        lack = f"this Python ({sys.executable}) lacks {' and '.join(missing)}"
        raise BuildError(f"{lack}: install it, on Debian: apt-get install python3-venv")
