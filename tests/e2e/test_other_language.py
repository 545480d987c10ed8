"""The same from JavaScript, with npm's @grpc/grpc-js and proto/ alone: a program in any language can do it."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from builder.environment import ROOT
from builder.node import node_modules

from tests.e2e.accounts import Account, Accounts
from tests.e2e.deadline import patience

PROGRAM = Path(__file__).parent / "node" / "client.js"


@pytest.fixture(scope="module")
def modules() -> Path:
    """What npm installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs node and npm: on Debian: apt-get install nodejs npm")
    return node_modules()


@pytest.fixture(scope="module")
def user(accounts: Accounts) -> Account:
    """Whose name and password the program has; at home there is nothing."""
    return accounts.add(name="node")


def run_node(modules: Path, user: Account, **task: Any) -> Any:
    """What the program saw."""
    host, _, port = user.server_address.rpartition(":")
    task |= {
        "proto": str(ROOT / "proto"),
        "address": user.server_address,
        "certificate": ssl.get_server_certificate((host, int(port))),
        "within_ms": int(patience(10) * 1000),
    }
    done = subprocess.run(
        ["node", PROGRAM],
        input=json.dumps(task).encode(),
        env={"PATH": os.environ["PATH"], "HOME": str(user.root), "NODE_PATH": str(modules)},
        capture_output=True,
        timeout=patience(30),
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    return json.loads(done.stdout)


def test_a_session_from_login_to_logout(modules: Path, user: Account) -> None:
    """The protocol would only work with our own client."""
    seen = run_node(modules, user, what="session", username=user.name, password=user.password)
    me, job = seen["me"], seen["job"]
    assert (me["username"], me["role"], me["scope"]) == ("node", "user", "jobs:read jobs:run")
    assert int(me["expires_at"]["seconds"]) < int(me["session_expires_at"]["seconds"])
    assert (seen["token_type"], seen["expires_in"]) == ("Bearer", 600)
    assert (job["stdout"], job["stderr"]) == ("hello from node\n", "trouble\n")
    assert (job["reason"], job["exit_code"]) == ("END_REASON_EXITED", 7)
    assert seen["seen"] == "finished"
    assert seen["same_session"]
    assert (seen["after"], seen["wrong"], seen["none"]) == (16, 16, 16)
    assert user.status(job["id"])["user"] == "node"


def test_a_machine_token_from_another_language(modules: Path, user: Account) -> None:
    """A program would have to keep a password, or know how sessions go on."""
    string = user.jobrun("token", "create", "ci").passed().out.strip()
    version, _, *rest = string.split(".")
    seen = run_node(modules, user, what="machine", token=".".join([version, *rest]))
    assert seen["me"]["username"] == "node"
    assert not seen["me"].get("session_expires_at")
    assert seen["job"]["stdout"] == "by machine\n"
    assert seen["revoke"] == 7
