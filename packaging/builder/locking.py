"""The lock files: exact versions with the hashes of all their wheels, for every target at once and for any index."""

from pathlib import Path

from builder.environment import ROOT, RUNTIME_LOCK, TOOLS_LOCK, UV_LOCK, alone, run, say
from builder.wheels import installed_uv

_OPTIONS = (
    *("--universal", "--generate-hashes", "--python-version", "3.10"),
    *("--no-header", "--no-annotate", "--no-emit-index-url"),
)


def lock() -> None:
    """Write the lock files with the newest releases that the .in files allow; the tools keep to the run-time ones."""
    with alone():
        uv = installed_uv()
    for path in (RUNTIME_LOCK, TOOLS_LOCK, UV_LOCK):
        say(f"locking {path.relative_to(ROOT)}")
        more: list[str | Path] = ["-c", RUNTIME_LOCK] if path == TOOLS_LOCK else []
        source = path.with_suffix(".in")
        command = [uv, "pip", "compile", "--quiet", "--upgrade", *_OPTIONS, *more, source, "-o", path]
        run(command, why="locking")
