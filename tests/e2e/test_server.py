"""What only a server of its own has: slots, a queue, fresh folders, a clean environment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.client import Result
from tests.e2e.gate import Gate, Latch
from tests.e2e.home import Home
from tests.e2e.insecure import InsecureServer

SLOTS = 4 * len(os.sched_getaffinity(0))


class Box:
    """A client of the insecure server."""

    def __init__(self, home: Home, address: str) -> None:
        self.home = home
        self.env = {"JOBRUN_SERVER": address}

    def jobrun(self, *words: str) -> Result:
        """Runs jobrun there."""
        return self.home.jobrun(*words, env=self.env)

    def start(self, *words: str) -> str:
        """Starts a job there: its id."""
        return self.jobrun("start", *words).passed().out.strip()

    def status(self, job: str) -> dict[str, Any]:
        """A job as JSON has it."""
        found: dict[str, Any] = json.loads(self.jobrun("status", "--json", job).passed().stdout)
        return found


@pytest.fixture
def box(home: Home, insecure_server: InsecureServer) -> Iterator[Box]:
    """A user of the insecure server; his jobs are stopped at the end."""
    home.root.chmod(0o711)
    there = Box(home, insecure_server.address)
    yield there
    there.jobrun("stop", "--all", "--grace", "0s")


def gate_of(box: Box) -> tuple[Gate, Latch]:
    """A gate and a latch that another uid may open."""
    return box.home.gate(), box.home.latch()


def test_the_queue_is_first_in_first_out_and_nothing_passes(box: Box) -> None:
    """A job that needs many slots would wait for ever, passed by all the small ones."""
    gate, latch = gate_of(box)
    first = box.start("--slots", str(SLOTS - 1), "sh", "-c", f"{gate.hold} {latch.wait}")
    gate.wait_opened()
    large = box.start("--slots", str(SLOTS), "sh", "-c", "true")
    small = box.start("true")
    queued = box.status(large)
    assert queued["queued"]["ahead"] == 0
    assert box.status(small)["queued"]["ahead"] == 1
    told = box.jobrun("status", large).passed().out.strip().split("\n\n")[-1]
    assert "slot" in told
    assert str(SLOTS) in told
    assert box.jobrun("list").passed().out.count("queued") == 2
    latch.open()
    assert [box.jobrun("wait", job).code for job in (first, large, small)] == [0, 0, 0]
    ends = [box.status(job)["finished"] for job in (first, large, small)]
    assert ends[0]["finished_at"] <= ends[1]["started_at"]
    assert ends[1]["finished_at"] <= ends[2]["started_at"]


def test_a_run_that_waits_says_so_once(box: Box) -> None:
    """Somebody would think that his command hangs."""
    gate, latch = gate_of(box)
    first = box.start("--slots", str(SLOTS), "sh", "-c", f"{gate.hold} {latch.wait}")
    gate.wait_opened()
    waiting = box.home.client("run", "echo", "hi", env=box.env)
    line = waiting.read_error_line()
    assert line.startswith(b"jobrun: ")
    latch.open()
    result = waiting.finish()
    assert (result.code, result.stdout, result.stderr) == (0, b"hi\n", b"")
    assert box.jobrun("wait", first).code == 0


def test_a_queued_job_can_be_stopped(box: Box) -> None:
    """It would start nevertheless, once its turn comes."""
    gate, latch = gate_of(box)
    box.start("--slots", str(SLOTS), "sh", "-c", f"{gate.hold} {latch.wait}")
    gate.wait_opened()
    job = box.start("sh", "-c", f"echo ran >'{gate.path}'")
    box.jobrun("stop", job).passed()
    finished = box.status(job)["finished"]
    assert finished["reason"] == "END_REASON_STOPPED"
    assert "started_at" not in finished
    assert box.jobrun("wait", job).code == 143
    latch.open()
    assert box.jobrun("run", "true").passed()
    assert gate.got == b"", "it never ran"


def test_more_slots_than_there_are(box: Box) -> None:
    """The job would wait for ever."""
    assert "slots" in box.jobrun("start", "--slots", str(SLOTS + 1), "true").refused(1)


def test_a_job_gets_a_fresh_folder_that_is_gone_afterwards(box: Box) -> None:
    """A job would meet what another left, or fill the server's disk."""
    script = (
        'pwd; echo "$HOME"; touch a; mkdir -p d/e; chmod 500 d; ls -A; echo "$TMPDIR"; test -d "$TMPDIR" && echo tmp'
    )
    first = box.jobrun("run", "sh", "-c", script).passed().out.splitlines()
    second = box.jobrun("run", "sh", "-c", script).passed().out.splitlines()
    assert first[0] == first[1] != second[0]
    assert first[-1] == "tmp"
    assert first[-2].startswith(first[0])
    assert not os.path.exists(first[0])
    assert not os.path.exists(second[0])


def test_the_environment_of_a_server_is_clean(box: Box) -> None:
    """Variables of the caller's machine or of the server's own would mislead a job."""
    env = {**box.env, "CALLER": "here", "GIVEN": "v"}
    out = box.home.jobrun("run", "--env", "GIVEN", "env", "-0", env=env).passed().out
    seen = dict(entry.split("=", 1) for entry in out.split("\0") if entry)
    assert set(seen) == {"PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "JOBRUN_JOB_ID", "GIVEN"}
    assert seen["GIVEN"] == "v"
    assert seen["USER"] == seen["LOGNAME"]


def test_f06_the_umask_of_a_server_is_022(box: Box) -> None:
    """What the server was started with would decide who may read the files of jobs."""
    out = box.home.jobrun("run", "sh", "-c", "umask", env=box.env, umask=0o077).passed().out
    assert int(out, 8) == 0o022


@pytest.mark.parametrize("folder", ["..", "a/../..", "../../etc"])
def test_a_relative_folder_stays_inside(box: Box, folder: str) -> None:
    """A job would write into the server's own files."""
    assert "cwd" in box.jobrun("run", "--cwd", folder, "pwd").refused(125)


def test_cwd_on_a_server(box: Box) -> None:
    """A path would be taken for one of the caller's machine."""
    assert box.jobrun("run", "--cwd", "/usr", "pwd").passed().out == "/usr\n"


def test_f36_limits_of_the_server_are_what_it_was_started_with(box: Box) -> None:
    """What the server raises for itself would be a billion descriptors to close for each job."""
    soft = box.jobrun("run", "sh", "-c", "ulimit -Sn").passed().out
    here = box.home.shell("ulimit -Sn").passed().out
    assert soft == here
