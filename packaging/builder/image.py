"""The image: built of the Dockerfile by the container engine of this machine, then tested from outside."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder import stand_in_base
from builder.assemble import source_version
from builder.environment import ROOT, VENV_PYTHON, BuildError, install_tools, run, say
from builder.freshness import fresh_dist

UNTESTED = "localhost/jobrun:untested"
LATEST = "localhost/jobrun:latest"
"""What compose.yaml starts."""


@dataclass(frozen=True)
class Engine:
    """The program that builds and runs images."""

    name: str
    build_options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to its own."""

    def do(self, *words: str | Path, why: str) -> None:
        """One command of it. BuildError where it fails."""
        run([self.name, *words], why=why, env={**os.environ, **self.environment})

    def ask(self, *words: str) -> str:
        """What one command of it prints. BuildError where it fails."""
        env = {**os.environ, **self.environment}
        done = subprocess.run([self.name, *words], env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildError(f"{self.name} {words[0]} failed: {done.stderr.strip()[-300:]}")
        return done.stdout.strip()


def build(output: Path | None, *, stand_in: bool) -> None:
    """Have the image as jobrun:VERSION and latest if its tests pass; `output`: a file for `docker load`. BuildError."""
    engine = _stand_in_engine() if stand_in else _engine()
    version = source_version()
    name = f"localhost/jobrun:{version}"
    begin = time.monotonic()
    options = [*engine.build_options, "--build-arg", f"VERSION={version}", "--tag", UNTESTED]
    engine.do("build", *options, ROOT, why="building the image")
    say(f"the image is built: {time.monotonic() - begin:.0f} s")
    try:
        _test(engine)
        for tested in (name, LATEST):
            engine.do("tag", UNTESTED, tested, why="naming the image")
    finally:
        engine.do("rmi", UNTESTED, why="forgetting the untested name")
    say(f"{name}: {int(engine.ask('image', 'inspect', '--format', '{{.Size}}', name)) / 1e6:.0f} MB")
    if output is not None:
        engine.do("save", "--output", output, name, why="saving the image")


def _engine() -> Engine:
    if shutil.which("docker") and not subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        return Engine("docker")
    return _podman({})


def _stand_in_engine() -> Engine:
    engine = _podman({"CONTAINERS_CONF": str(stand_in_base.containers_conf())})
    stand_in_base.make(engine.name, engine.environment, _base())
    return Engine(engine.name, (*engine.build_options, "--pull=never"), engine.environment)


def _podman(environment: Mapping[str, str]) -> Engine:
    if not shutil.which("podman"):
        raise BuildError("image needs docker and its daemon, or podman: on Debian: apt-get install podman buildah runc")
    return Engine("podman", ("--format", "docker"), environment)  # the other format has no HEALTHCHECK


def _base() -> str:
    """What the Dockerfile builds on."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    return next(line.removeprefix("ARG BASE=") for line in lines if line.startswith("ARG BASE="))


def _test(engine: Engine) -> None:
    """tests/image with a client of these sources."""
    install_tools()
    fresh_dist()
    env = {**os.environ, **engine.environment, "JOBRUN_IMAGE": UNTESTED, "JOBRUN_ENGINE": engine.name}
    run([VENV_PYTHON, "-m", "pytest", "tests/image"], why="testing the image", env=env)
