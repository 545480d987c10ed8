"""compose.yaml, by a real reader of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.deadline import patience
from tests.e2e.home import Home
from tests.image.container import IMAGE, Container, free_port

EXAMPLE = Path(__file__).parents[2] / "compose.yaml"
OLDEST = (1, 1)
"""Of podman-compose: an older one gives a container that is on the host's network one more."""
OVERRIDE = """\
services:
  jobrun:
    image: {image}
    network_mode: host
    command: ["server", "--listen", "127.0.0.1:{port}"]
"""
"""What a test needs otherwise: the image under test, and a port of its own where there may be no other network."""


def compose() -> list[str]:
    """The words of the reader that belongs to the engine."""
    if os.environ["JOBRUN_ENGINE"] == "docker":
        return ["docker", "compose"]
    if _podman_compose() < OLDEST:
        pytest.skip("needs podman-compose 1.1 or newer: pipx install podman-compose")
    return ["podman-compose"]


def _podman_compose() -> tuple[int, ...]:
    """Its version; () where there is none."""
    if not shutil.which("podman-compose"):
        return ()
    said = subprocess.run(["podman-compose", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"podman-compose\w* version\s+(\d+)\.(\d+)", said)
    return tuple(int(number) for number in found.groups()) if found else ()


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Container]:
    """The example, up and healthy."""
    project, port = f"jobrun-test-{uuid.uuid4().hex[:12]}", free_port()
    override = tmp_path / "override.yaml"
    override.write_text(OVERRIDE.format(image=IMAGE, port=port))
    words = [*compose(), "-f", str(EXAMPLE), "-f", str(override), "-p", project]

    def do(*more: str) -> None:
        subprocess.run([*words, *more], check=True, timeout=patience(60), capture_output=True)

    separator = "-" if words[0] == "docker" else "_"
    try:
        do("up", "-d")
        container = Container(separator.join([project, "jobrun", "1"]), port)
        container.wait_healthy()
        yield container
    finally:
        do("down", "-v")


def test_the_compose_example_works(example: Container, home: Home) -> None:
    """A team would begin with a server that does not start, or is not as closed as the file says."""
    example.log_in(home)
    assert home.jobrun("run", "--", "echo", "from outside").passed().out == "from outside\n"
    assert example.inspect("{{.HostConfig.ReadonlyRootfs}}") == "true"
    assert example.inspect("{{.HostConfig.PidsLimit}} {{.HostConfig.Memory}}") == f"4096 {4 << 30}"
    assert "CapBnd:\t0000000000000000" in example.exec("cat", "/proc/1/status")
    assert "NoNewPrivs:\t1" in example.exec("cat", "/proc/1/status")
