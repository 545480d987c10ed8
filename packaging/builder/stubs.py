"""The Python code generated from proto/, kept in jobrun/wire/gen and committed."""

import re
import shutil
import tempfile
from pathlib import Path

from builder.environment import BUILD, ROOT, VENV, VENV_PYTHON, BuildError, install_tools, run, say

PROTO = ROOT / "proto"
GENERATED = ROOT / "jobrun" / "wire" / "gen"
# protoc knows the proto's own package, jobrun.v1; ours lie deeper, so that they are part of our package.
_IMPORTS = [
    (re.compile(r"^from jobrun\.v1 import ", re.M), "from jobrun.wire.gen.jobrun.v1 import "),
    (re.compile(r"^import jobrun\.v1\.", re.M), "import jobrun.wire.gen.jobrun.v1."),
    (re.compile(r"(?<![\w.'\"/])jobrun\.v1\.(?=\w+_pb2)"), "jobrun.wire.gen.jobrun.v1."),
]


def generate() -> None:
    """Replace jobrun/wire/gen by what proto/ says now."""
    wanted = _generated()
    for path in _present():
        if path not in wanted:
            (GENERATED / path).unlink()
    for path, text in wanted.items():
        (GENERATED / path).parent.mkdir(parents=True, exist_ok=True)
        (GENERATED / path).write_text(text)
    say(f"generated {len(wanted)} files in {GENERATED.relative_to(ROOT)}")


def check() -> None:
    """BuildError if jobrun/wire/gen is not what proto/ says."""
    if _generated() != _present():
        raise BuildError("jobrun/wire/gen does not fit proto/: run python3 build.py proto")


def _present() -> dict[str, str]:
    found = [path for path in GENERATED.rglob("*") if path.suffix in (".py", ".pyi")]
    return {str(path.relative_to(GENERATED)): path.read_text() for path in found}


def _generated() -> dict[str, str]:
    install_tools()
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as name:
        out = Path(name)
        _run_protoc(out)
        shutil.rmtree(out / "__pycache__", ignore_errors=True)
        made = {str(path.relative_to(out)): _rewrite(path.read_text()) for path in sorted(out.rglob("*.py*"))}
    for package in ("__init__.py", "jobrun/__init__.py", "jobrun/v1/__init__.py"):
        made[package] = '"""Generated from proto/ by build.py proto: do not edit."""\n'
    return made


def _run_protoc(out: Path) -> None:
    options = [
        f"-I{PROTO}",
        f"--python_out={out}",
        f"--pyi_out={out}",
        f"--grpc_python_out={out}",
        f"--plugin=protoc-gen-mypy_grpc={VENV}/bin/protoc-gen-mypy_grpc",
        f"--mypy_grpc_out=quiet:{out}",
    ]
    sources = sorted(PROTO.rglob("*.proto"))
    run([VENV_PYTHON, "-m", "grpc_tools.protoc", *options, *sources], why="generating from proto/")


def _rewrite(text: str) -> str:
    for pattern, replacement in _IMPORTS:
        text = pattern.sub(replacement, text)
    return text
