"""The folders of jobs: made, and gone afterwards, whatever was left in them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from jobrun.files.workdir import WorkFolders
from jobrun.jobs.cpus import Cpus

ROOT = Path(__file__).parents[2]
NOBODYS_CODE = """
import os, sys
from pathlib import Path
from jobrun.files.workdir import WorkFolders
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
folders = WorkFolders(Path(sys.argv[1]))
folder = folders.create("22222222")
(folder / "a/b").mkdir(parents=True)
(folder / "a/b/c").write_text("x")
for name in ("a/b", "a", "."):
    (folder / name).chmod(0)
folders.remove("22222222")
"""


def test_a_folder_is_the_jobs_alone(tmp_path: Path) -> None:
    """Another user of the machine would read what a job writes."""
    folder = WorkFolders(tmp_path).create("22222222")
    for path in (folder, folder / ".tmp"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_everything_goes_whatever_rights_it_has(tmp_path: Path) -> None:
    """The disk would fill with folders that nobody can remove."""
    folders = WorkFolders(tmp_path)
    folder = folders.create("22222222")
    inner = folder / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "c").write_text("x")
    os.mkfifo(inner / "pipe")
    inner.chmod(0o500)
    (folder / "a").chmod(0)
    folder.chmod(0)
    folders.remove("22222222")
    assert os.listdir(tmp_path) == []
    folders.remove("22222222")


@pytest.mark.skipif(os.geteuid() != 0, reason="the test above is this one for everybody but root")
def test_a_server_that_is_not_root_takes_rights_back() -> None:
    """Root needs no rights, so that the test above sees nothing where it runs as root."""
    with tempfile.TemporaryDirectory(prefix="jobrun-") as name:
        os.chown(name, 65534, 65534)
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{NOBODYS_CODE}"
        subprocess.run([sys.executable, "-c", code, name], check=True)
        assert os.listdir(name) == []


def test_no_link_is_followed(tmp_path: Path) -> None:
    """A job would remove what is not its own, with the server's rights."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    outside.chmod(0o500)
    root = tmp_path / "work"
    root.mkdir()
    folders = WorkFolders(root)
    folder = folders.create("22222222")
    (folder / "link").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (folder / "deep").mkdir()
    (folder / "deep" / "link").symlink_to("../../../outside")
    folders.remove("22222222")
    assert (outside / "precious").read_text() == "x"
    assert stat.S_IMODE(outside.stat().st_mode) == 0o500
    (root / "33333333").symlink_to(outside)
    folders.remove("33333333")
    assert (outside / "precious").exists()


def test_very_deep_folders_go_too(tmp_path: Path) -> None:
    """A job could stop the server's clean-up with a path that is deeper than Python's stack."""
    folders = WorkFolders(tmp_path)
    fd = os.open(folders.create("22222222"), os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d" * 20, dir_fd=fd)
        deeper = os.open("d" * 20, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    folders.remove("22222222")
    assert os.listdir(tmp_path) == []


def test_a_leftover_is_replaced(tmp_path: Path) -> None:
    """A job would find another one's files."""
    folders = WorkFolders(tmp_path)
    (folders.create("22222222") / "old").write_text("x")
    assert os.listdir(folders.create("22222222")) == [".tmp"]


@pytest.mark.parametrize("wanted", [0, 1, 2, 3])
def test_the_least_taken_cpus_are_given(wanted: int) -> None:
    """Two jobs would share one CPU while another is idle."""
    cpus = Cpus({5, 1, 3})
    assert cpus.count == 3
    assert cpus.take("a", 1) == (1,)
    assert cpus.take("b", wanted) == (3, 5, 1)[:wanted] or wanted == 3
    cpus.give_back("b")
    cpus.give_back("a")
    cpus.give_back("a")
    assert cpus.take("c", 3) == (1, 3, 5)


def test_cpus_that_went_away_are_left_out() -> None:
    """A server on a smaller machine could not start."""
    cpus = Cpus({0, 1})
    cpus.restore("a", (1, 7))
    assert cpus.take("b", 1) == (0,)
