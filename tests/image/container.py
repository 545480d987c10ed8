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
    """Started, and healthy. On the host's network, at a port of its own."""

    def __init__(self, *options: str, volume: str, port: int | None = None) -> None:
        """`options` are those of `run`; `volume` is a volume's name or a folder."""
        self.name = f"jobrun-test-{uuid.uuid4().hex[:12]}"
        self.port = port or _free_port()
        mounted = f"--volume={volume}:/var/lib/jobrun"
        network = ("--network=host", mounted)
        engine("run", "-d", "--name", self.name, *network, *options, IMAGE, "server", "--listen", self.address)
        try:
            self._wait_healthy()
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.log()}") from error

    @property
    def address(self) -> str:
        """`HOST:PORT`."""
        return f"127.0.0.1:{self.port}"

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
        return int(engine("inspect", "--format", "{{.State.ExitCode}}", self.name))

    def close(self) -> None:
        """Gone, whatever it does; its volume stays."""
        engine("rm", "--force", self.name)

    def _wait_healthy(self) -> None:
        """By the image's own HEALTHCHECK: podman's timer for it would need systemd, so it is asked for."""
        deadline = Deadline(60, "the container to be healthy")
        while self._ask_health() != "healthy":
            deadline.left()
            assert engine("inspect", "--format", "{{.State.Running}}", self.name) == "true", "it ended"

    def _ask_health(self) -> str:
        if os.environ["JOBRUN_ENGINE"] == "podman":
            engine("healthcheck", "run", self.name, code=None)
        return engine("inspect", "--format", "{{.State.Health.Status}}", self.name)


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


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])
