"""docs/reference and docs/man, made of the program's own tables and committed."""

import os
import subprocess

from builder.environment import PACKAGING, ROOT, VENV_PYTHON, BuildError, install_tools, say


def write() -> None:
    """Make them as the program is now."""
    if _reference("write") != 0:
        raise BuildError("making docs/reference and docs/man failed: see above")
    say("made docs/reference and docs/man")


def check() -> None:
    """BuildError if they are not as the program is now."""
    if _reference("check") != 0:
        raise BuildError("docs/reference and docs/man do not fit the program: run python3 build.py docs")


def _reference(word: str) -> int:
    """The package `reference` imports jobrun, which needs what is in the .venv."""
    install_tools()
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{PACKAGING}"}
    return subprocess.run([str(VENV_PYTHON), "-m", "reference", word], cwd=ROOT, env=env, check=False).returncode
