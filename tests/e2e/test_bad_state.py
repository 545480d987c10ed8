"""A server whose folder, database or job file is not what it should be says so and harms nothing."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

import pytest

from tests.e2e.home import Home
from tests.e2e.insecure import NO_WALLS, InsecureServer, Nobody, insecure


def finished_job(home: Home, script: str = "echo hi; exit 3") -> str:
    """The id of a finished job."""
    job = home.start("sh", "-c", script)
    home.wait(job)
    return job


def snapshot(folder: Path) -> dict[str, bytes]:
    """Names and contents of the database's files."""
    return {path.name: path.read_bytes() for path in folder.glob("jobs.db*") if not path.name.endswith("-shm")}


@pytest.mark.parametrize("damage", ["garbage", "cut", "empty folder in its place"])
def test_a_damaged_database(home: Home, damage: str) -> None:
    """A server that starts afresh would overwrite what could still be rescued."""
    job = finished_job(home)
    home.end_server()
    database = home.data / "jobs.db"
    if damage == "garbage":
        database.write_bytes(os.urandom(65536))
    elif damage == "cut":
        os.truncate(database, database.stat().st_size // 2 + 100)
    else:
        database.unlink()
        database.mkdir()
    before = snapshot(home.data) if database.is_file() else {}
    error = home.jobrun("status", job).refused(1)
    assert "jobs.db" in error or "database" in error
    assert (snapshot(home.data) if database.is_file() else {}) == before


def test_a_database_of_a_newer_release(home: Home) -> None:
    """An older server would write into a shape that it does not know."""
    finished_job(home)
    home.end_server()
    with contextlib.closing(sqlite3.connect(home.data / "jobs.db")) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        database.execute(f"PRAGMA user_version = {version + 1000}")
        database.commit()
    home.jobrun("list").refused(1)


@pytest.mark.parametrize("damage", ["header", "output", "cut", "empty", "gone"])
def test_a_damaged_job_file_costs_that_job_alone(home: Home, damage: str) -> None:
    """One bad sector would take the whole server, or false output be shown."""
    good = finished_job(home, "echo good")
    job = finished_job(home, "for n in $(seq 100 300); do echo $n; sleep 0.002; done; exit 3")
    home.end_server()
    harm(home.data / "jobs" / job, damage)
    result = home.jobrun("logs", job)
    result.complained(1)
    whole = b"".join(b"%d\n" % n for n in range(100, 301))
    assert whole.startswith(result.stdout), "what is shown is what was written"
    assert home.jobrun("attach", job).code == 125
    assert home.jobrun("logs", good).passed().out == "good\n"
    assert home.jobrun("run", "echo", "new").passed().out == "new\n"
    assert job in home.jobrun("list", "-a", "-q").passed().out


def harm(path: Path, damage: str) -> None:
    """Damages a job's file: its header, the records of its output, or all behind some point."""
    if damage == "gone":
        path.unlink()
    elif damage in ("cut", "empty"):
        os.truncate(path, path.stat().st_size - 2000 if damage == "cut" else 0)
    else:
        with open(path, "r+b") as file:
            file.seek(0 if damage == "header" else -2000, os.SEEK_SET if damage == "header" else os.SEEK_END)
            file.write(os.urandom(1000))


def test_a_strange_file_among_the_jobs(home: Home) -> None:
    """What an editor or a backup leaves there would stop the server."""
    job = finished_job(home)
    home.end_server()
    (home.data / "jobs" / "notes~").write_text("mine")
    (home.data / "jobs" / "folder").mkdir()
    assert home.jobrun("logs", job).passed().out == "hi\n"
    assert home.jobrun("run", "echo", "new").passed().out == "new\n"


def test_a_data_folder_of_another_user(home: Home) -> None:
    """Another user could read and change what jobs write."""
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    (home.state / "jobrun").mkdir(mode=0o700)
    os.chown(home.state / "jobrun", 65534, 65534)
    home.jobrun("list").refused(1)


def test_a_symlink_as_data_folder(home: Home) -> None:
    """As above, by a link that somebody else laid."""
    finished_job(home)
    home.end_server()
    data = home.data
    data.rename(home.root / "elsewhere")
    data.symlink_to(home.root / "elsewhere")
    home.jobrun("list").refused(1)


def test_folders_are_closed_to_others(home: Home) -> None:
    """Anyone on the machine could run commands as this user."""
    home.jobrun("run", "true", umask=0).passed()
    for folder in (home.data, home.data / "jobs", home.runtime / "jobrun"):
        assert folder.stat().st_mode & 0o777 == 0o700, folder
    for path in home.data.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_root_may_not_run_without_login(home: Home) -> None:
    """Every local user would be root."""
    if os.getuid() != 0:
        pytest.skip("not root")
    words = ["server", "--insecure", *NO_WALLS, "--data", str(home.root / "data")]
    assert "root" in home.jobrun(*words).refused(1)


@pytest.mark.parametrize("address", ["0.0.0.0:0", "192.0.2.1:0", "[::]:0", "127.0.0.1:99999", "127.0.0.1", "x:y"])
def test_insecure_is_for_loopback_alone(nobody: Nobody, address: str) -> None:
    """The whole network would get this user's rights."""
    words = ["server", "--insecure", "--isolation", "none", "--listen", address, "--data", str(nobody.data)]
    result = nobody.jobrun(*words)
    assert result.code in (1, 2)
    result.refused(result.code)


def test_a_port_of_another_server_of_ours(insecure_server: InsecureServer, nobody: Nobody) -> None:
    """gRPC shares ports by default: each of two servers would get half of the calls."""
    address = insecure_server.address.removeprefix("insecure:")
    words = ["server", "--insecure", "--isolation", "none", "--listen", address, "--data", str(nobody.data)]
    nobody.jobrun(*words).refused(1)


def test_a_data_folder_that_can_not_be_written(nobody: Nobody) -> None:
    """The server would start, and fail at the first job."""
    for folder in ("/var/x", "/var"):
        assert folder in nobody.jobrun("server", "--insecure", *NO_WALLS, "--data", folder).refused(1)
    assert "/proc" in nobody.jobrun("server", "--insecure", *NO_WALLS, "--data", "/proc/x").refused(1)


def test_a_second_server_on_the_same_data(insecure_server: InsecureServer) -> None:
    """Two servers would write into one database."""
    other = insecure_server.nobody
    error = other.jobrun("server", "--insecure", *NO_WALLS, "--data", other.data).refused(1)
    assert str(insecure_server.pid) in error
    assert other.jobrun("run", "--server", insecure_server.address, "echo", "hi").passed().out == "hi\n"


def test_an_insecure_server_ends_by_one_signal(nobodys_cache: Path) -> None:
    """A service manager would have to kill it."""
    with insecure(nobodys_cache) as server:
        assert server.nobody.jobrun("run", "--server", server.address, "sh", "-c", "exit 3").code == 3
        assert server.stop() == 0
