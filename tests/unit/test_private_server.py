"""Starting the private server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobrun.client import private_server
from jobrun.config.client_files import FileRefused, locked
from jobrun.config.environment import Environment
from jobrun.config.paths import private_place


def test_a_start_that_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that was stopped by Ctrl-Z while it starts the server would hang all others for ever."""
    for name in ("START_S", "END_S"):
        monkeypatch.setattr(private_server, name, 0.05)
    environment = Environment({b"HOME": bytes(tmp_path), b"XDG_RUNTIME_DIR": bytes(tmp_path)})
    server = private_server.PrivateServer(environment, "1.0", "", lambda: None)
    lock = os.path.join(private_place(environment, "").data, "start.lock")
    with locked(lock), pytest.raises(FileRefused, match=r"is it stopped\?.*fuser .*start\.lock"):
        server.dial()
