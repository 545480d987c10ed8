"""The lock files: exact versions with the hashes of all their wheels, for every target at once and for any index."""

from pathlib import Path

from builder.environment import BUILD, ROOT, RUNTIME_LOCK, TOOLS_LOCK, VENV_PYTHON, alone, make_venv, run, say

_OPTIONS = (
    *("--universal", "--generate-hashes", "--python-version", "3.10"),
    *("--no-header", "--no-annotate", "--no-emit-index-url"),
)


def lock() -> None:
    """Write both lock files with the newest releases that the .in files allow; the tools keep to the run-time ones."""
    with alone():
        make_venv()
    uv = BUILD / "uv"
    # Not locked itself: what it writes is checked in and read by people.
    run([VENV_PYTHON, "-m", "pip", "install", "-qq", "--upgrade", "--target", uv, "uv"], why="installing uv")
    for path in (RUNTIME_LOCK, TOOLS_LOCK):
        say(f"locking {path.relative_to(ROOT)}")
        more: list[str | Path] = ["-c", RUNTIME_LOCK] if path == TOOLS_LOCK else []
        source = path.with_suffix(".in")
        command = [uv / "bin" / "uv", "pip", "compile", "--quiet", "--upgrade", *_OPTIONS, *more, source, "-o", path]
        run(command, why="locking")
