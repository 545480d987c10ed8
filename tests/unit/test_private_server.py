"""Starting the private server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobrun.client import private_server
from jobrun.client.errors import NoServer
from jobrun.config import private_files
from jobrun.config.environment import Environment
from jobrun.config.paths import private_place
from jobrun.config.private_files import locked


def test_a_start_that_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that was stopped by Ctrl-Z while it starts the server would hang all others, and they would not say on
    what they wait."""
    for module, name in ((private_server, "START_S"), (private_server, "END_S"), (private_files, "QUIET_S")):
        monkeypatch.setattr(module, name, 0.05)
    said: list[str] = []
    environment = Environment({b"HOME": bytes(tmp_path), b"XDG_RUNTIME_DIR": bytes(tmp_path)})
    server = private_server.PrivateServer(environment, "1.0", "", said.append)
    lock = os.path.join(private_place(environment, "").data, "start.lock")
    with locked(lock), pytest.raises(NoServer, match=r"is it stopped\?.*fuser .*start\.lock"):
        server.dial()
    assert said == [f"waiting for another jobrun, which starts the private server: fuser {lock} tells its pid"]
