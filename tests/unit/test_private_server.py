"""Starting the private server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobrun.client import private_server
from jobrun.client.errors import NoServer
from jobrun.config import client_files
from jobrun.config.client_files import locked
from jobrun.config.environment import Environment
from jobrun.config.paths import FolderRefused, make_place, private_place


def test_a_start_that_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that was stopped by Ctrl-Z while it starts the server would hang all others, and they would not say on
    what they wait."""
    for module, name in ((private_server, "START_S"), (private_server, "END_S"), (client_files, "QUIET_S")):
        monkeypatch.setattr(module, name, 0.05)
    said: list[str] = []
    environment = Environment({b"HOME": bytes(tmp_path), b"XDG_RUNTIME_DIR": bytes(tmp_path)})
    server = private_server.PrivateServer(environment, "1.0", "", said.append)
    lock = os.path.join(make_place(private_place(environment, "")).data, "start.lock")
    with locked(lock), pytest.raises(NoServer, match=r"is it stopped\?.*fuser .*start\.lock"):
        server.dial()
    assert said == [f"waiting for another jobrun, which starts the private server: fuser {lock} tells its pid"]


def test_a_look_for_a_server_makes_nothing(tmp_path: Path) -> None:
    """TAB would leave folders in a home; and a socket in another's folder would be asked."""
    runtime = tmp_path / "run"
    runtime.mkdir()
    environment = Environment({b"HOME": bytes(tmp_path), b"XDG_RUNTIME_DIR": bytes(runtime)})
    server = private_server.PrivateServer(environment, "1.0", "", lambda line: None)
    with pytest.raises(NoServer):
        server.find()
    assert list(tmp_path.rglob("*")) == [runtime]
    (runtime / "jobrun").symlink_to(tmp_path)
    with pytest.raises(FolderRefused, match="is a symlink"):
        server.find()
