"""The server as the first process of a container: here of a PID namespace with a /proc of its own, unshare(1)."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.client import BUILT
from tests.e2e.deadline import Deadline, patience
from tests.e2e.home import Home
from tests.e2e.insecure import NO_WALLS, NOBODY, Nobody
from tests.e2e.processes import Process, descendants, opened

NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")
USER = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


class Container:
    """A server that is PID 1 of its namespace, ready. The folder outlives it, as a volume does."""

    def __init__(self, volume: Nobody) -> None:
        self._volume = volume
        self.start()

    def start(self) -> None:
        """On what an earlier one left."""
        server = (BUILT, "server", "--insecure", *NO_WALLS, "--slots", "2", "--data", self._volume.data)
        self._popen = subprocess.Popen(
            [*NAMESPACE, *USER, *server],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "JOBRUN_CACHE": str(self._volume.cache)},
            cwd=self._volume.root,
            stdout=subprocess.PIPE,
        )
        self.address = self._ready_line().removeprefix("ready ").strip()
        self.init, self.server = descendants(self._popen.pid)[:2]

    def jobrun(self, home: Home, *words: str) -> str:
        """What a client of it prints."""
        return home.jobrun(*words, env={"JOBRUN_SERVER": self.address}).passed().out.strip()

    def enter(self, script: str) -> None:
        """A shell in it, as `docker exec` starts one."""
        subprocess.run(["nsenter", f"--target={self.init}", "--pid", "sh", "-c", script], check=True)

    def stop(self) -> int:
        """As `docker stop`: its code."""
        os.kill(self.init, signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Until it is gone: its code."""
        self._popen.communicate(timeout=patience(20))
        return self._popen.returncode

    def wait_reaped(self) -> None:
        """Until nothing in it is a zombie."""
        deadline = Deadline(10, "all zombies to be reaped")
        while any(_is_zombie(pid) for pid in descendants(self.init)):
            deadline.left()

    def close(self) -> None:
        """SIGKILL to all of it, should it still be there."""
        for process in opened(descendants(self._popen.pid)[:1]):
            with contextlib.closing(process):
                process.kill()
        self.wait()

    def _ready_line(self) -> str:
        assert self._popen.stdout is not None
        deadline, line = Deadline(15, "the ready line"), b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._popen.stdout], [], [], deadline.left())
            byte = os.read(self._popen.stdout.fileno(), 1) if ready else b""
            assert byte or not ready, f"the server ended with {self._popen.wait()}"
            line += byte
        return line.decode()


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False  # reaped


@pytest.fixture
def container(nobodys_cache: Path, home: Home) -> Iterator[Container]:
    """A fresh one, whose jobs find the gates of `home`."""
    tried = subprocess.run([*NAMESPACE, *USER, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"no right to make a namespace: {tried.stderr.decode()}")
    home.root.chmod(0o711)
    volume = Nobody(nobodys_cache)
    with contextlib.closing(Container(volume)) as started:
        yield started
    volume.close()


def test_f32_what_nobody_waits_for_is_reaped(container: Container) -> None:
    """Zombies would gather until no process can be had: of each shell that was started in the container, and of
    supervisors whose spawner died."""
    container.enter("for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 0 & sleep 0 &); done")
    container.wait_reaped()


def test_supervisors_whose_spawner_died_are_reaped(container: Container, home: Home) -> None:
    """As above; and the server would miss that its own spawner died, if PID 1 took that end from it."""
    gate, latch = home.gate(), home.latch()
    job = container.jobrun(home, "start", "--", "sh", "-c", f"{gate.hold} {latch.wait} exit 3")
    gate.wait_opened()
    spawner = descendants(container.server)[0]
    with contextlib.closing(Process(spawner)) as process:
        process.kill()
    assert container.jobrun(home, "run", "--", "echo", "another spawner") == "another spawner"
    latch.open()
    gate.wait_released()
    assert home.jobrun("wait", job, env={"JOBRUN_SERVER": container.address}).code == 3
    container.wait_reaped()


def test_a_container_that_is_stopped_stops_its_jobs(container: Container, home: Home) -> None:
    """Jobs would be killed with their container, whatever they had to finish, and told as LOST; the queue would be
    begun in the last moment, and lost too."""
    gates = [home.gate(), home.gate()]
    polite = f"trap 'echo tidied up; exit 4' TERM; {gates[0].hold} while :; do sleep 0.05; done"
    deaf = f"trap '' TERM; {gates[1].hold} while :; do sleep 1; done"
    first, second = (container.jobrun(home, "start", "--", "sh", "-c", script) for script in (polite, deaf))
    queued = container.jobrun(home, "start", "--", "echo", "its turn came")
    for gate in gates:
        gate.wait_opened()
    follower = home.client("logs", "-f", first, env={"JOBRUN_SERVER": container.address})
    assert container.stop() == 0
    assert b"tidied up" in follower.finish().passed().stdout
    container.start()
    said = [container.jobrun(home, "status", job) for job in (first, second)]
    assert all("STOPPED" in text and "by its server" in text for text in said), said
    home.jobrun("wait", queued, env={"JOBRUN_SERVER": container.address}).passed()
    assert container.jobrun(home, "logs", queued) == "its turn came"


def test_signals_do_not_kill(container: Container, home: Home) -> None:
    """An engine that stops by QUIT, or a tool that sends what means something to others, would end the server at once,
    and each job would be LOST."""
    gate = home.gate()
    script = f"trap 'echo tidied up; exit 4' TERM; {gate.hold} while :; do sleep 0.05; done"
    job = container.jobrun(home, "start", "--", "sh", "-c", script)
    gate.wait_opened()
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        os.kill(container.init, number)
    assert container.jobrun(home, "run", "--", "echo", "serves") == "serves"
    os.kill(container.init, signal.SIGQUIT)
    assert container.wait() == 0
    container.start()
    assert "STOPPED" in container.jobrun(home, "status", job)


def test_a_server_that_dies_ends_its_container(container: Container, home: Home) -> None:
    """A container without a server would look alive, and no restart policy start it again."""
    gate = home.gate()
    job = container.jobrun(home, "start", "--", "sh", "-c", f"{gate.hold} exec sleep 300")
    gate.wait_opened()
    os.kill(container.server, signal.SIGKILL)
    assert container.wait() == 128 + signal.SIGKILL
    gate.wait_released()
    container.start()
    assert home.jobrun("wait", job, env={"JOBRUN_SERVER": container.address}).code == 125
    assert "LOST" in container.jobrun(home, "status", job)
