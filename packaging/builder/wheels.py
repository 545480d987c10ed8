"""The locked wheels of a target, and what of them goes into the file."""

from collections.abc import Sequence
from pathlib import Path

from builder.environment import BUILD, RUNTIME_LOCK, UV_LOCK, digest, make_venv, pip_install, run, say
from builder.pack import GLIBC, Target, read_tree

# What wheels bring that nothing uses at run time, or that differs between targets without meaning anything.
_LEFT_OUT_BEGINS = (
    "bin/",
    *("cffi/", "pycparser"),  # compilers of bindings; cryptography needs no more than _cffi_backend
    *("google/api/", "google/cloud/", "google/gapic/", "google/logging/", "google/longrunning/", "google/type/"),
    *("grpc/beta/", "grpc/framework/"),  # earlier interfaces, which grpc itself does not use
)
_LEFT_OUT_ENDS = (
    *(".pyi", ".pyx", ".pxd", ".pxi", ".proto", ".cc", ".h", "/py.typed"),
    "/_credentials/roots.pem",  # of the day of the wheel: we give grpc the system's or a pinned certificate
)
_DIST_INFO = ".dist-info/"  # read by notices.py


def install_here(folder: Path) -> None:
    """Install the wheels for this machine and this Python into the folder: by pip, which is at hand."""
    make_venv()
    say("installing the dependencies (packaging/requirements.txt)")
    pip_install("--no-compile", "--target", folder, "-r", RUNTIME_LOCK, why="installing the dependencies")


def install_for(targets: Sequence[Target], folder: Path) -> None:
    """Install the wheels for each target into folder/MACHINE-3.MINOR: by uv, which can do it for another machine and
    Python, markers of the lock and all."""
    uv = installed_uv()
    for target in targets:
        say(f"fetching the dependencies for {target}")
        options: list[str | Path] = [
            *("--quiet", "--no-config", "--target", folder / str(target), "--no-deps", "--require-hashes"),
            *("--only-binary", ":all:", "--python-version", f"3.{target.minor}"),
            *("--python-platform", f"{target.machine}-manylinux_{GLIBC[0]}_{GLIBC[1]}", "-r", RUNTIME_LOCK),
        ]
        run([uv, "pip", "install", *options], why="fetching the dependencies")


def files(folder: Path) -> dict[str, bytes]:
    """What goes into the file of the wheels installed there, by path."""
    return {path: data for path, data in read_tree(folder).items() if is_used(path)}


def is_used(path: str) -> bool:
    """Whether this file of a wheel, by its path when installed, goes into the file."""
    return not (path.startswith(_LEFT_OUT_BEGINS) or path.endswith(_LEFT_OUT_ENDS) or _DIST_INFO in path)


def installed_uv() -> Path:
    """uv as it is locked. The caller has seen to being alone."""
    make_venv()
    folder = BUILD / "uv"
    mark = folder / "made-of"
    wanted = digest(UV_LOCK)
    if not mark.exists() or mark.read_text() != wanted:
        say("installing uv (packaging/requirements-uv.txt)")
        pip_install("--upgrade", "--target", folder, "-r", UV_LOCK, why="installing uv")
        mark.write_text(wanted)
    return folder / "bin" / "uv"
