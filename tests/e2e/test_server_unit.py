"""`server unit`: what it prints is what systemd then does, as systemd-analyze(1) says."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.client import BUILT
from tests.e2e.home import Home
from tests.e2e.insecure import Nobody

ODD = "a b%c$d\"e'é\\; #${HOME}"
"""A file name with everything that means something in a unit."""


def loaded(unit: str, folder: Path) -> dict[str, str]:
    """What systemd makes of a unit, by name, in which it finds nothing wrong."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze: on Debian: apt-get install systemd")
    file = folder / "jobrun.service"
    file.write_text(unit)
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(file)]
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    checked = subprocess.run(verify, env=env, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert str(file) not in checked.stderr, "it warns of a line"
    assert "jobrun.service" not in checked.stderr
    told = subprocess.run(verify, env={**env, "SYSTEMD_LOG_LEVEL": "debug"}, capture_output=True, text=True, check=True)
    whole = told.stdout[told.stdout.index(" Unit jobrun.service:") :]  # behind an arrow that differs
    found: dict[str, str] = {}
    for line in whole.splitlines():
        name, _, value = line.strip().partition(": ")
        found.setdefault(name, value)
    return found


def command_of(unit: dict[str, str]) -> list[str]:
    """The words that systemd starts: it tells them as a shell takes them, `$$` not yet resolved."""
    program, *words = shlex.split(unit["Command Line"].replace("\\$", "$").replace("\\`", "`"))
    return [program, *(word.replace("$$", "$") for word in words)]


def test_the_unit_starts_this_server(home: Home) -> None:
    """Its operator would have a unit that does not start, or another folder's server."""
    program = home.work / "50% of $HOME" / "jobrun"
    program.parent.mkdir()
    shutil.copy(BUILT, program)
    config = home.work / f"{ODD}.ini"
    config.write_text("[server]\nslots = 2\n")
    words: list[str | Path] = ["--data", home.work / ODD, "--listen", "[::1]:50443", "--config", config.name]
    printed = home.command(str(program), "server", "unit", *words).finish().passed()
    unit = loaded(printed.out, home.work)
    started = ["server", "--data", str(home.work / ODD), "--listen", "[::1]:50443", "--config", str(config)]
    assert command_of(unit) == [str(program), *started]


def test_jobs_outlive_a_restart_of_the_unit(home: Home) -> None:
    """systemctl restart would end every job, a job out of memory the server, and jobs count as the server's files."""
    unit = loaded(home.jobrun("server", "unit").passed().out, home.work)
    assert unit["KillMode"] == "process"
    assert unit["OOMPolicy"] == "continue"
    assert unit["Type"] == "notify"
    assert (unit["LimitNOFILESoft"], unit["LimitNOFILE"]) == ("1024", "524288")
    assert unit["PrivateTmp"] == "no", "it is removed at the end of the server, under jobs that go on"


def test_it_runs_as_who_asked(nobody: Nobody) -> None:
    """The server would run as root, with all its jobs."""
    printed = nobody.jobrun("server", "unit").passed()
    assert f"\nUser={subprocess.check_output(['id', '-nu', str(nobody.root.stat().st_uid)], text=True)}" in printed.out
    assert printed.err == ""
    assert f"--data {nobody.root}/.local/state/jobrun/server\n" in printed.out
    assert not (nobody.root / ".local").exists(), "it only prints"


def test_what_a_unit_can_not_hold(home: Home) -> None:
    """A mistake would be told at the next boot, by a server that is not there."""
    config = home.work / "server.ini"
    config.write_text("[sever]\n")
    assert "[sever]" in home.jobrun("server", "unit", "--config", config).refused(2)
    assert "--listen" in home.jobrun("server", "unit", "--listen", "50443").refused(2)
    assert "--data" in home.jobrun("server", "unit", "--data", "").refused(2)
    program = home.work / "job'run"
    shutil.copy(BUILT, program)
    assert "job'run" in home.command(str(program), "server", "unit").finish().refused(1)


def test_anothers_folder(home: Home) -> None:
    """The unit would start a server that refuses its folder."""
    if os.getuid() != 0:
        pytest.skip("only root can be another user")
    theirs = home.work / "theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    assert str(theirs) in home.jobrun("server", "unit", "--data", theirs).refused(1)
