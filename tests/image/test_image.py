"""The finished image, from outside: what its operator and his users get."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.home import Home
from tests.image.container import HARDENED, Container, config, started, volume

ZOMBIES = "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l"


@pytest.fixture(scope="module")
def hardened() -> Iterator[Container]:
    """One with nothing that it does not need, shared by tests that leave it as it was."""
    with volume() as data, started(*HARDENED, volume=data) as container:
        yield container


def test_runs_a_job_for_a_client_outside(hardened: Container, home: Home) -> None:
    """An operator who locks the container up, as compose.yaml does, would have a server that does not work."""
    hardened.log_in(home)
    assert home.jobrun("run", "--", "sh", "-c", "id -u; echo here >f; cat f").passed().out == "10001\nhere\n"


def test_has_no_rights(hardened: Container) -> None:
    """Whoever breaks out of the server would be root in the container."""
    status = hardened.exec("cat", "/proc/1/status")
    assert "Uid:\t10001\t10001\t10001\t10001" in status
    assert "CapBnd:\t0000000000000000" in status
    assert config()["User"] == "10001:10001"


def test_reaps_what_was_started_in_it(hardened: Container) -> None:
    """F32: zombies would gather until no process can be had."""
    script = f"for i in 1 2 3 4 5 6 7 8 9 10; do (true & true &); done; while [ $({ZOMBIES}) != 0 ]; do :; done"
    hardened.exec("timeout", "60", "sh", "-c", script)


def test_has_nothing_but_the_file(hardened: Container) -> None:
    """Compilers and sources are of use to an intruder alone, and 600 MB to every pull."""
    there = hardened.exec("sh", "-c", "command -v gcc cc stress strace; ls -d /src /root/.cache 2>/dev/null; true")
    assert there == ""
    found = hardened.exec("sh", "-c", "find / -xdev -name test_pid_1.py -o -xdev -name build.py 2>/dev/null; true")
    assert [path for path in found.splitlines() if "/site-packages/" not in path and "jobrun" in path] == []
    assert hardened.exec("sh", "-c", "ls -A /home/jobrun/.cache/jobrun | wc -l") == "2", "one build and its lock"
    assert hardened.exec("stat", "-c", "%U %a", "/usr/local/bin/jobrun") == "root 755"


def test_what_it_says_of_itself() -> None:
    """Engines and registries show these; without a volume of its own a container would lose its jobs with itself."""
    said = config()
    assert said["Entrypoint"] == ["jobrun"]
    assert said["Volumes"] == {"/var/lib/jobrun": {}}
    assert said["ExposedPorts"] == {"50443/tcp": {}}
    assert said["Labels"]["org.opencontainers.image.version"] != "unknown"
    assert not [word for word in said["Env"] if "PASSWORD" in word.upper() or "TOKEN" in word.upper()]


def test_another_container_goes_on_with_the_volume(home: Home) -> None:
    """An update of the image would cost the accounts and all that was run; a `docker stop` the ends of running jobs."""
    with volume() as data:
        with started(*HARDENED, volume=data) as first:
            first.log_in(home)
            done = home.start("sh", "-c", "echo kept; exit 3")
            assert home.wait(done) == 3
            script = "trap 'echo tidied up; exit' TERM; echo up; while :; do sleep 0.05; done"
            follower = home.client("run", "--", "sh", "-c", script)
            follower.read_until(b"up\n", within=30)
            running = home.jobrun("list", "-q").passed().out.strip()
            assert first.stop() == 0
            port = first.port
        with started(*HARDENED, volume=data, port=port):
            assert home.jobrun("logs", done).passed().out == "kept\n"
            assert home.status(running)["finished"]["stopped_by"] == "its server"
            assert "tidied up" in home.jobrun("logs", running).passed().out


def test_as_any_other_user(home: Home, tmp_path: Path) -> None:
    """Clusters that choose the uid could not start it. It unpacks anew, so its /tmp must allow programs."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    os.chown(data, 12345, 12345)
    options = ("--user=12345:12345", "--read-only", "--tmpfs=/tmp:exec,mode=1777", "--cap-drop=ALL")
    with started(*options, volume=str(data)) as container:
        container.log_in(home)
        assert home.jobrun("run", "--", "id", "-u").passed().out == "12345\n"
