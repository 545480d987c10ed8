"""What npm installs, in build/node: the linter of proto/ and the gRPC client that tests/e2e uses from JavaScript."""

import shutil
from pathlib import Path

from builder.environment import BUILD, ROOT, BuildError, digest, run, say

FILES = ("package.json", "package-lock.json")


def node_modules() -> Path:
    """The folder node_modules, as package-lock.json has it. BuildError without npm, and where it fails."""
    folder = BUILD / "node"
    mark = folder / "made-of"
    wanted = digest(*(ROOT / name for name in FILES))
    if not mark.exists() or mark.read_text() != wanted:
        if shutil.which("npm") is None:
            raise BuildError("npm is not installed: on Debian: apt-get install npm")
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copy(ROOT / name, folder / name)
        say("installing what npm has (package-lock.json)")
        run(["npm", "ci", "--loglevel=error", "--no-audit", "--no-fund", "--prefix", folder], why="npm ci")
        mark.write_text(wanted)
    return folder / "node_modules"
