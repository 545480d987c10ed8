"""A container of the image, as an operator starts it, and a client of it outside."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

from tests.e2e.deadline import Deadline, patience
from tests.e2e.home import Home

IMAGE = os.environ.get("JOBRUN_IMAGE", "")
HARDENED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")


def engine(*words: str, code: int | None = 0) -> str:
    """What a command of the engine prints. AssertionError unless it leaves with `code`; None: with any."""
    command = [os.environ["JOBRUN_ENGINE"], *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=patience(60), check=False)
    assert code is None or done.returncode == code, f"{words} left with {done.returncode}: {done.stderr}"
    return done.stdout.strip()


class Container:
    """One that was started. On the host's network, at a port of its own."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port = name, port
        self.address = f"127.0.0.1:{port}"

    def exec(self, *words: str) -> str:
        """What a command in it prints."""
        return engine("exec", self.name, *words)

    def log(self) -> str:
        """What it wrote to stdout and stderr so far."""
        command = [os.environ["JOBRUN_ENGINE"], "logs", self.name]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True).stdout

    def log_in(self, home: Home) -> None:
        """As the operator does: by the line that the first start printed and the password in the volume."""
        found = re.search(r"^jobrun login (--user admin --fingerprint \S+) ", self.log(), re.M)
        assert found is not None, self.log()
        password = self.exec("cat", "/var/lib/jobrun/admin-password")
        words = ["login", *found[1].split(), "--password-stdin", self.address]
        home.jobrun(*words, stdin=f"{password}\n".encode()).passed()

    def stop(self) -> int:
        """TERM, and KILL after Docker's ten seconds: its code, 137 for the KILL."""
        engine("stop", "--time=10", self.name)
        return int(self.inspect("{{.State.ExitCode}}"))

    def close(self) -> None:
        """Gone, whatever it does; its volume stays."""
        engine("rm", "--force", self.name)

    def inspect(self, what: str) -> str:
        """A part of what the engine knows of it, by a template."""
        return engine("inspect", "--format", what, self.name)

    def wait_healthy(self) -> None:
        """By the image's own HEALTHCHECK: podman's timer for it would need systemd, so it is asked for."""
        deadline = Deadline(60, "the container to be healthy")
        while self._ask_health() != "healthy":
            deadline.left()
            assert self.inspect("{{.State.Running}}") == "true", f"it ended: {self.log()}"

    def _ask_health(self) -> str:
        if os.environ["JOBRUN_ENGINE"] == "podman":
            engine("healthcheck", "run", self.name, code=None)
        return self.inspect("{{.State.Health.Status}}")


@contextlib.contextmanager
def started(*options: str, volume: str, port: int | None = None) -> Iterator[Container]:
    """A healthy one, taken down at the end. `options` are those of `run`; `volume` is a volume's name or a folder."""
    container = Container(f"jobrun-test-{uuid.uuid4().hex[:12]}", port or free_port())
    where = ("--network=host", f"--volume={volume}:/var/lib/jobrun")
    listen = ("server", "--listen", container.address)
    engine("run", "-d", "--name", container.name, *where, *options, IMAGE, *listen)
    with contextlib.closing(container):
        container.wait_healthy()
        yield container


@contextlib.contextmanager
def volume() -> Iterator[str]:
    """A fresh volume's name."""
    name = f"jobrun-test-{uuid.uuid4().hex[:12]}"
    engine("volume", "create", name)
    try:
        yield name
    finally:
        engine("volume", "rm", "--force", name)


def config() -> dict[str, Any]:
    """The image's own settings: OCI image specification, config."""
    import json

    found: dict[str, Any] = json.loads(engine("image", "inspect", IMAGE))[0]["Config"]
    return found


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])
