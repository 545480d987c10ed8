"""Where the private server lives: two users or two homes that share one would run each other's jobs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jobrun.cli.options import parse_words
from jobrun.cli.server import COMMANDS, build_settings
from jobrun.config.environment import Environment, parse_block
from jobrun.config.paths import (
    FolderRefused,
    Place,
    check_place,
    file_system,
    make_place,
    make_private_folder,
    private_build,
    private_data,
    private_place,
    server_data,
)
from jobrun.version import BUILD, VERSION


def env(**variables: str) -> Environment:
    """An environment with these variables alone."""
    return Environment({name.encode(): os.fsencode(value) for name, value in variables.items()})


def mode(path: str) -> int:
    """Permission bits."""
    return os.stat(path).st_mode & 0o7777


def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """Also under the most open umask, and with folders missing above it."""
    before = os.umask(0)
    try:
        folder = make_private_folder(str(tmp_path / "a" / "b"))
    finally:
        os.umask(before)
    assert mode(folder) == 0o700


def test_an_own_folder_that_others_can_read_is_closed(tmp_path: Path) -> None:
    """It holds sockets by which one runs commands."""
    (tmp_path / "open").mkdir(mode=0o755)
    assert mode(make_private_folder(str(tmp_path / "open"))) == 0o700


def test_an_open_folder_with_something_in_it_is_left_as_it_is(tmp_path: Path) -> None:
    """`--data /srv` would shut everybody out of what is there."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    (tmp_path / "open" / "file").touch()
    with pytest.raises(FolderRefused, match=r"others may look into .*open: if it is jobrun's alone, chmod 700 it"):
        make_private_folder(str(tmp_path / "open"))
    assert mode(str(tmp_path / "open")) == 0o755


@pytest.mark.parametrize("files", [[], ["file"]])
def test_a_folder_for_everybody_is_left_as_it_is(tmp_path: Path, files: list[str]) -> None:
    """`--data /tmp`, which is empty in a new container, would shut the whole machine out, or advise to do so."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    for name in files:
        (shared / name).touch()
    with pytest.raises(FolderRefused, match=r"shared is for everybody: set HOME"):
        make_private_folder(str(shared))
    assert mode(str(shared)) == 0o1777


def test_a_symlink_and_a_file_are_refused(tmp_path: Path) -> None:
    """In /tmp anybody may have put them there."""
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    (tmp_path / "file").touch()
    with pytest.raises(FolderRefused, match="symlink"):
        make_private_folder(str(tmp_path / "link"))
    with pytest.raises(FolderRefused, match="no folder"):
        make_private_folder(str(tmp_path / "file"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_anothers_folder_is_refused(tmp_path: Path) -> None:
    """Its owner could look in, or take the socket away."""
    (tmp_path / "his").mkdir()
    os.chown(tmp_path / "his", 12345, 12345)
    with pytest.raises(FolderRefused, match="uid 12345"):
        make_private_folder(str(tmp_path / "his"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_root_makes_no_folder_in_anothers(tmp_path: Path) -> None:
    """After `sudo -E` a folder of root's would be in that user's way for ever. What all share is no user's."""
    his = tmp_path / "his"
    his.mkdir()
    os.chown(his, 12345, 12345)
    with pytest.raises(FolderRefused, match=r"his belongs to uid 12345: set JOBRUN_CONFIG_DIR"):
        make_private_folder(str(his / ".config" / "jobrun"), "set JOBRUN_CONFIG_DIR")
    assert private_data(env(HOME=str(his)), "") == "/var/tmp/jobrun-0/private"
    assert not list(his.iterdir())
    his.chmod(0o1777)
    assert mode(make_private_folder(str(his / "jobrun-0"))) == 0o700


def test_each_home_has_its_own_server(tmp_path: Path) -> None:
    """And each build that is no release."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    places = [private_place(env(HOME=str(tmp_path / home)), build) for home in "ab" for build in ("", "x")]
    assert len({place.data for place in places}) == 4
    assert len({place.socket for place in places}) == 4
    assert places[0].data == str(tmp_path / "a/.local/state/jobrun/private")


@pytest.mark.parametrize(
    ("version", "build", "name"),
    [("1.2.0", "abc", ""), ("1.2.0.dev0", "abc", "abc"), ("1.2.0.dev0", "", "source")],
)
def test_releases_alone_share_a_private_server(version: str, build: str, name: str) -> None:
    """A program that is being worked on would change the data of the one that is in use."""
    assert private_build(version, build) == name


def test_the_private_server_by_hand_is_the_clients(tmp_path: Path) -> None:
    """`server --private` from source would write the data of the releases."""
    home = env(HOME=str(tmp_path))
    settings = build_settings(parse_words("server", COMMANDS[0].options, ["--private"]), home)
    place = private_place(home, private_build(VERSION, BUILD))
    assert (str(settings.data), str(settings.socket)) == (place.data, place.socket)


def test_the_socket_lies_in_the_runtime_folder(tmp_path: Path) -> None:
    """XDG_RUNTIME_DIR goes with the login session, as the server's socket should."""
    place = make_place(private_place(env(HOME=str(tmp_path), XDG_RUNTIME_DIR=str(tmp_path)), ""))
    assert check_place(place) is place
    assert place.runtime == str(tmp_path / "jobrun")


@pytest.mark.parametrize("take", [check_place, make_place])
def test_a_refused_socket_folder_names_the_variable_that_helps(tmp_path: Path, take: Callable[[Place], Place]) -> None:
    """Somebody made /tmp/jobrun-UID first, and what the error says to set changes nothing."""
    (tmp_path / "jobrun").symlink_to(tmp_path)
    with pytest.raises(FolderRefused, match=r"jobrun is a symlink: .* or set XDG_RUNTIME_DIR$"):
        take(private_place(env(HOME=str(tmp_path / "home"), XDG_RUNTIME_DIR=str(tmp_path)), ""))


def test_a_socket_path_is_never_too_long(tmp_path: Path) -> None:
    """Beyond 107 bytes bind(2) fails, and a shortened path could be shared."""
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    place = private_place(env(HOME=str(deep), XDG_RUNTIME_DIR=str(deep)), "")
    assert place.runtime == f"/tmp/jobrun-{os.geteuid()}"
    assert len(place.socket) <= 107


def test_a_home_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """`HOME=/nonexistent` of a service: the data goes to /var/tmp, and no folder appears at the root."""
    missing = tmp_path / "missing"
    assert private_data(env(HOME=str(missing)), "") == f"/var/tmp/jobrun-{os.geteuid()}/private"
    assert not missing.exists()


def test_relative_xdg_folders_count_as_not_set(tmp_path: Path) -> None:
    """The specification says so; else the server would depend on the current folder."""
    assert private_data(env(HOME=str(tmp_path), XDG_STATE_HOME="state"), "").startswith(str(tmp_path / ".local"))


def test_the_variable_names_the_servers_data_folder() -> None:
    """JOBRUN_DATA_DIR is how a unit says where."""
    assert server_data(env(JOBRUN_DATA_DIR="/srv/jobs")) == "/srv/jobs"


def test_the_file_system_is_told() -> None:
    """POSIX locks can not be relied on over a network: it must be known."""
    assert file_system("/proc/self") == "proc"
    assert file_system("/") not in ("", "proc")


def test_the_environment_is_taken_as_bytes() -> None:
    """Values of several lines, with = and bytes that are no UTF-8; of two of one name the first, as in getenv(3)."""
    assert parse_block(b"A=1\0B=x=y\nz\0C=\xff\0D=\0A=2\0\0junk\0=x\0") == {
        b"A": b"1",
        b"B": b"x=y\nz",
        b"C": b"\xff",
        b"D": b"",
    }
