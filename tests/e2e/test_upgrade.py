"""A newer release takes over from an older one while jobs go on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.client import Result
from tests.e2e.deadline import patience
from tests.e2e.home import Home

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two builds that say that they are releases."""
    folder = tmp_path_factory.mktemp("releases")
    built = {}
    for version in ("8.0.0", "9.0.0"):
        built[version] = folder / f"jobrun-{version}"
        words = ["build", "--this-machine", "--version", version, "--output", str(built[version])]
        command = [sys.executable, "build.py", *words]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=patience(120))
    return built


def run(home: Home, file: Path, *words: str) -> Result:
    """Runs another build of jobrun in this home."""
    return home.command(file, *words).finish(40)


def test_a_newer_release_replaces_the_private_server(home: Home, releases: dict[str, Path]) -> None:
    """After an update the old server would go on for ever, or its jobs be lost."""
    gate, latch = home.gate(), home.latch()
    job = run(home, releases["8.0.0"], "start", "sh", "-c", f"{gate.hold} {latch.wait} echo out; exit 7").passed().out
    gate.wait_opened()
    follower = home.command(releases["8.0.0"], "attach", job.strip())
    old = home.server_pid()
    assert run(home, releases["9.0.0"], "run", "echo", "hi").passed().out == "hi\n"
    new = home.server_pid()
    assert new not in (0, old)
    assert gate.held()
    assert run(home, releases["8.0.0"], "run", "echo", "older").passed().out == "older\n"
    assert home.server_pid() == new, "an older client uses the newer server"
    latch.open()
    result = follower.finish()
    assert (result.code, result.stdout) == (7, b"out\n")
    assert run(home, releases["9.0.0"], "wait", job.strip()).code == 7


def test_builds_without_a_release_version_keep_to_themselves(home: Home, releases: dict[str, Path]) -> None:
    """A developer's build would replace the server of the user's own jobs."""
    assert run(home, releases["8.0.0"], "run", "true").code == 0
    released = home.server_pid()
    assert home.jobrun("run", "echo", "hi").passed().out == "hi\n"
    servers = home.server_pids()
    assert len(servers) == 2
    assert released in servers
