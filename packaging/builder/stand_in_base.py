"""A base for machines that can pull none: Debian with its own Python, under the real base's name. For trying the
Dockerfile and its tests, as root, without a daemon; not for an image that anybody is given."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from builder.environment import BUILD, BuildError, run, say

SUITE = "trixie"
"""Whose python3 is the Dockerfile's version."""
PACKAGES = "ca-certificates,python3,python3-dev,python3-venv"
ROOTS = Path("etc/ssl/certs/ca-certificates.crt")
CONTAINERS_CONF = """\
[containers]
netns = "host"
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
"""For podman on a machine without systemd and without networks of its own: containers.conf(5)."""


def containers_conf() -> Path:
    """The file, made."""
    BUILD.mkdir(exist_ok=True)
    path = BUILD / "containers.conf"
    path.write_text(CONTAINERS_CONF)
    return path


def make(engine: str, environment: Mapping[str, str], name: str) -> None:
    """Have an image of that name; one that is there stays. BuildError."""
    env = {**os.environ, **environment}
    if not subprocess.run([engine, "image", "exists", name], env=env, check=False).returncode:
        return
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        raise BuildError("--stand-in needs root and debootstrap: on Debian: apt-get install debootstrap")
    say(f"making a stand-in for {name}")
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        root = Path(folder) / "root"
        options = ["--variant=minbase", f"--include={PACKAGES}", SUITE]
        run(["debootstrap", *options, root], why="making a stand-in")
        _fit(root)
        archive = Path(folder) / "root.tar"
        run(["tar", "-C", root, "-cf", archive, "."], why="making a stand-in")
        run([engine, "import", archive, name], why="making a stand-in", env=env)


def _fit(root: Path) -> None:
    """Python where the real base has it; this machine's certificate authorities, should a proxy of it need them."""
    (root / "usr/local/bin/python3").symlink_to("/usr/bin/python3")
    if ("/" / ROOTS).exists():
        shutil.copyfile("/" / ROOTS, root / ROOTS)
        (root / "etc/pip.conf").write_text(f"[global]\ncert = /{ROOTS}\n")
