"""What build.py check asks for besides the tests: style, types, the proto and the code generated from it."""

import shutil
from collections.abc import Callable

from builder import stubs
from builder.environment import BUILD, ROOT, VENV, BuildError, digest, install_tools, run, say

_BUF = BUILD / "node" / "node_modules" / ".bin" / "buf"


def check() -> None:
    """BuildError naming the checks that failed, after all have been made."""
    install_tools()
    checks: dict[str, Callable[[], None]] = {
        "ruff check": lambda: run([VENV / "bin" / "ruff", "check", "--quiet", "."], why="ruff check"),
        "ruff format": lambda: run([VENV / "bin" / "ruff", "format", "--quiet", "--check", "."], why="ruff format"),
        "mypy": lambda: run([VENV / "bin" / "mypy", "--strict", "jobrun", "build.py", "tests"], why="mypy"),
        "generated code": stubs.check,
        "buf lint": lambda: run([_installed_buf(), "lint", "proto"], why="buf lint"),
    }
    failed = [name for name, one in checks.items() if not _passes(name, one)]
    if failed:
        raise BuildError(f"check: {', '.join(failed)} failed")
    say("check: all passed")


def _passes(name: str, one: Callable[[], None]) -> bool:
    say(f"check: {name}")
    try:
        one()
    except BuildError as error:
        say(str(error))
        return False
    return True


def _installed_buf() -> str:
    """The linter of proto files, as package-lock.json has it."""
    folder = BUILD / "node"
    mark = folder / "made-of"
    lock = ROOT / "package-lock.json"
    wanted = digest(lock)
    if not mark.exists() or mark.read_text() != wanted:
        if shutil.which("npm") is None:
            raise BuildError("buf lint needs npm: install it, on Debian: apt-get install npm")
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(ROOT / name, folder / name)
        say("installing buf (package-lock.json)")
        run(["npm", "ci", "--loglevel=error", "--no-audit", "--no-fund", "--prefix", folder], why="installing buf")
        mark.write_text(wanted)
    return str(_BUF)
