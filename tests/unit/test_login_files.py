"""The files of a login: nobody else reads or writes them, and none is ever half there."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrun.client.session_access import REFRESH_S
from jobrun.config.client_files import LOCK_S, FileRefused, locked, read_file, write_file
from jobrun.config.errors import LoginNeeded, Refusal, UsageError
from jobrun.config.known_servers import find_server, parse_fingerprint, pinned_server, system_server, with_server
from jobrun.config.logins import Logins
from jobrun.config.session_file import Moment, Session, parse_session, this_moment

BOX = "box:50443"
SECOND = 10**9
SESSION = Session("ann", "s1", "refresh-secret", "", "access-secret", "boot", 5 * SECOND, 600 * SECOND, 1_800_000_000)


@pytest.fixture
def logins(tmp_path: Path) -> Logins:
    """A config home with a login at BOX."""
    made = Logins(str(tmp_path / "config"))
    made.remember(pinned_server(BOX, b"certificate"))
    with made.locked(BOX):
        made.save(BOX, SESSION)
    made.set_current(BOX)
    return made


def test_all_of_it_is_ours_alone(logins: Logins, tmp_path: Path) -> None:
    """Whatever the umask."""
    for path in [tmp_path / "config", *(tmp_path / "config").rglob("*")]:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path
    assert (tmp_path / "config/known-servers").read_text().startswith(f"{BOX} sha256:")
    assert (tmp_path / "config/current").read_text() == f"{BOX}\n"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o660])
def test_a_token_file_that_others_may_use_is_refused(logins: Logins, tmp_path: Path, mode: int) -> None:
    """One line says what mends it: chmod, or a new login."""
    (tmp_path / "config/sessions" / BOX).chmod(mode)
    with pytest.raises(LoginNeeded, match=rf"others may use it .*chmod 600 .*jobrun login {BOX}") as caught:
        logins.session(BOX)
    assert "secret" not in str(caught.value)
    with logins.locked(BOX):
        logins.save(BOX, SESSION)
    assert logins.session(BOX) == SESSION


def test_a_symlink_or_fifo_is_never_followed_or_waited_for(tmp_path: Path) -> None:
    """A fifo would hang every command."""
    (tmp_path / "real").write_text("x")
    (tmp_path / "real").chmod(0o600)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name, words in (("link", "symlink"), ("fifo", "no regular file")):
        with pytest.raises(FileRefused, match=words):
            read_file(str(tmp_path / name))
    (tmp_path / "folder").mkdir(0o700)
    with pytest.raises(FileRefused, match="no regular file"):
        read_file(str(tmp_path / "folder"))
    assert read_file(str(tmp_path / "none")) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_file_is_refused(tmp_path: Path) -> None:
    """As sudo leaves it behind, or somebody puts it there."""
    path = tmp_path / "file"
    path.write_text("x")
    path.chmod(0o600)
    os.chown(path, 12345, 12345)
    with pytest.raises(FileRefused, match="belongs to uid 12345"):
        read_file(str(path))


def test_what_can_not_be_ours_is_refused(tmp_path: Path) -> None:
    """Too long, or no ASCII."""
    path = tmp_path / "file"
    for content, words in ((b"x" * (1 << 20) + b"x", "more than"), (b"\xff", "damaged")):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(FileRefused, match=words):
            read_file(str(path))


def test_a_write_replaces_a_symlink_and_not_what_it_leads_to(tmp_path: Path) -> None:
    """And leaves nothing beside the file."""
    (tmp_path / "real").write_text("keep")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_file(str(tmp_path / "link"), "new")
    assert (tmp_path / "real").read_text() == "keep"
    assert read_file(str(tmp_path / "link")) == "new"
    assert sorted(os.listdir(tmp_path)) == ["link", "real"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """Twenty commands read while one refreshes."""
    path = str(tmp_path / "file")
    texts = {"a" * 50_000, "b" * 70_000}
    write_file(path, min(texts))

    def write() -> None:
        for number in range(100):
            write_file(path, sorted(texts)[number % 2])

    written = threading.Thread(target=write)
    written.start()
    while written.is_alive():
        assert read_file(path) in texts
    written.join()


def test_a_lock_waits_for_the_other_one(tmp_path: Path) -> None:
    """The second sees what the first wrote."""
    path = str(tmp_path / "lock")
    order: list[str] = []
    trying = threading.Event()

    def second() -> None:
        trying.set()
        with locked(path):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(path):
        thread.start()
        assert trying.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_lock_that_is_never_given_back(tmp_path: Path) -> None:
    """A client that was stopped by Ctrl-Z in the middle of a refresh would hang all others for ever."""
    path = str(tmp_path / "lock")
    with locked(path):
        with pytest.raises(FileRefused, match=r"another jobrun has it locked.*fg.*fuser"), locked(path, wait_s=0.1):
            raise AssertionError("two have it")
        assert LOCK_S > REFRESH_S, "who only waits for his server is waited for"
    with locked(path):
        pass


def test_a_login_that_was_killed_is_no_login(tmp_path: Path) -> None:
    """What it left would be in the way of each later command: the machine never had a login."""
    logins = Logins(str(tmp_path / "config"))
    with logins.locked(BOX):
        (tmp_path / "config/sessions/.new-0123456789abcdef").write_text("half")
    assert logins.current() is None


def test_a_config_home_that_can_not_be_made() -> None:
    """One would be told of a variable that changes nothing."""
    with pytest.raises(Refusal, match=r"/proc/.*JOBRUN_CONFIG_DIR"):
        Logins("/proc/none/jobrun").set_current(BOX)


def test_a_logout_leaves_no_secret(logins: Logins, tmp_path: Path) -> None:
    """And no current server; another server's login stays current."""
    with logins.locked(BOX):
        logins.forget(BOX)
    content = b"".join(path.read_bytes() for path in (tmp_path / "config").rglob("*") if path.is_file())
    assert b"secret" not in content
    assert logins.current() == ""
    assert logins.last() == BOX
    with pytest.raises(LoginNeeded, match=f"no login at {BOX}: jobrun login {BOX}"):
        logins.session(BOX)
    logins.set_current("other:1")
    logins.forget(BOX)
    assert logins.current() == "other:1"


@pytest.mark.parametrize("kept", range(0, len(SESSION.text()), 11))
def test_half_a_session_is_damaged_and_not_guessed(logins: Logins, tmp_path: Path, kept: int) -> None:
    """As a full disk or a foreign tool leaves it."""
    write_file(str(tmp_path / "config/sessions" / BOX), SESSION.text()[:kept])
    with pytest.raises(LoginNeeded, match=f"is damaged.*jobrun login {BOX}"):
        logins.session(BOX)


@given(st.text(max_size=200) | st.lists(st.sampled_from(SESSION.text().splitlines(keepends=True))).map("".join))
def test_any_text_is_a_session_or_none(text: str) -> None:
    """Never a traceback."""
    session = parse_session(text)
    assert session is None or session.text() == text


def test_a_session_from_a_server_that_lies_is_not_written() -> None:
    """A line break in a token would be a line of ours."""
    for wrong in ("a\nuser root", "a b", "\x00", "\u00e9"):
        with pytest.raises(Refusal, match="no jobrun server"):
            SESSION._replace(access_token=wrong).text()


def test_no_secret_is_in_a_repr() -> None:
    """Nor in what a traceback shows."""
    assert "secret" not in repr(SESSION)


@pytest.mark.parametrize(
    ("boot", "age_s", "life_s", "fresh"),
    [
        ("boot", 0, 600, True),
        ("boot", 569, 600, True),
        ("boot", 570, 600, False),
        ("boot", 3, 5, True),
        ("boot", 4, 5, False),
        ("boot", 0, 0, False),
        ("boot", -1, 600, False),
        ("another", 0, 600, False),
        ("", 0, 600, False),
    ],
)
def test_a_token_is_renewed_before_it_ends(boot: str, age_s: int, life_s: int, fresh: bool) -> None:  # noqa: FBT001
    """Under 30 s or a fifth of its life; after a restart of this machine at once; by a clock that nobody sets."""
    session = SESSION._replace(access_life_ns=life_s * SECOND, access_boot=boot and "boot")
    assert session.is_fresh(Moment(boot, SESSION.access_since_ns + age_s * SECOND)) is fresh


def test_this_moment_goes_on() -> None:
    """One boot, and a clock that counts sleep too."""
    first, second = this_moment(), this_moment()
    assert first.boot_id == second.boot_id != ""
    assert first.boot_ns <= second.boot_ns


def test_known_servers_stay_when_one_is_added() -> None:
    """The one that was logged in to last is the last line."""
    content = with_server(with_server("", pinned_server("a:1", b"one")), system_server("b:2"))
    content = with_server(content, pinned_server("a:1", b"two"))
    assert find_server(content, "a:1") == pinned_server("a:1", b"two")
    assert find_server(content, "b:2") == system_server("b:2")
    assert find_server(content, "a:11") is None
    assert [line.split()[0] for line in content.splitlines()] == ["b:2", "a:1"]


@pytest.mark.parametrize(
    "rest", ["", "sha256:00", "sha256:" + "0" * 64 + " Y2VydA==", "system x", "sha256:00 ?", "SYSTEM"]
)
def test_a_damaged_line_is_never_a_reason_to_trust(rest: str) -> None:
    """A pin and a certificate that do not fit together are no pin."""
    with pytest.raises(Refusal, match="known-servers: the line of a:1 is damaged"):
        find_server(f"a:1 {rest}\n", "a:1")


DIGEST = "ab" * 32


@pytest.mark.parametrize(
    "text", [f"sha256:{DIGEST}", DIGEST, f"SHA256:{DIGEST.upper()}", ":".join(["AB"] * 32), f" {DIGEST}\n"]
)
def test_a_fingerprint_as_people_paste_it(text: str) -> None:
    """One spelling inside."""
    assert parse_fingerprint(text, "--fingerprint") == f"sha256:{DIGEST}"


@pytest.mark.parametrize("text", ["", "sha256:", DIGEST[1:], DIGEST + "0", "g" * 64, "sha1:" + DIGEST, "\u0661" * 64])
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    """Before anything is dialled: half a fingerprint would be half a check."""
    with pytest.raises(UsageError, match="--fingerprint"):
        parse_fingerprint(text, "--fingerprint")
