"""What build.py check asks for besides the tests: style, types, the proto, and the code and docs that are made."""

from collections.abc import Callable

from builder import docs, stubs
from builder.environment import VENV, BuildError, install_tools, run, say
from builder.node import node_modules


def check() -> None:
    """BuildError naming the checks that failed, after all have been made."""
    install_tools()
    checks: dict[str, Callable[[], None]] = {
        "ruff check": lambda: run([VENV / "bin" / "ruff", "check", "--quiet", "."], why="ruff check"),
        "ruff format": lambda: run([VENV / "bin" / "ruff", "format", "--quiet", "--check", "."], why="ruff format"),
        "mypy": lambda: run([VENV / "bin" / "mypy", "--strict", "jobrun", "build.py", "tests", "bench"], why="mypy"),
        "generated code": stubs.check,
        "generated docs": docs.check,
        "buf lint": lambda: run([node_modules() / ".bin" / "buf", "lint", "proto"], why="buf lint"),
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
