"""From a bare machine to a remote run, and back out: login, trust, logout, passwords."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.e2e.accounts import Account, Accounts
from tests.e2e.home import Home
from tests.e2e.insecure import InsecureServer
from tests.e2e.tls_server import TlsServer, tls_server

LINE = re.compile(r"^jobrun login --user admin --fingerprint sha256:[0-9a-f]{64} \S+$", re.MULTILINE)


@pytest.fixture
def stranger(accounts: Accounts) -> Account:
    """A HOME that has never seen the server; its user has no account there."""
    return accounts.another_home("stranger", "not the right one")


def pasted(server: TlsServer) -> str:
    """The line that the server's first start told to paste."""
    lines: list[str] = LINE.findall(server.log())
    assert len(lines) == 1, server.log()
    return lines[0]


def test_three_commands_to_a_remote_run(home: Home, cache: Path, nobodys_cache: Path) -> None:
    """A newcomer would give up at the second page of a manual."""
    with tls_server(nobodys_cache) as server:
        login = pasted(server).replace(" --user", " --password-stdin --user")
        script = f"""{login} <{shlex.quote(str(server.data / "admin-password"))} >/dev/null
        jobrun run -- sh -c 'echo hello from $PWD'"""
        ran = home.shell(script).passed()
        assert ran.out.startswith("hello from /")
        assert str(home.root) not in ran.out, "it ran in a folder of the server's"
        assert ran.err == ""
        assert server.admin_password not in server.log()
        assert str(server.data / "admin-password") in server.log()
        assert "isolation" in server.log()


def test_the_pasted_line_asks_for_the_password_at_a_terminal(accounts: Accounts) -> None:
    """The password would stand on the screen or in the shell's history."""
    account = accounts.another_home("admin", accounts.server.admin_password)
    terminal = account.terminal(*shlex.split(pasted(accounts.server))[1:])
    terminal.wait_for("password.*: ?")
    terminal.type(account.password)
    code, shown = terminal.finish()
    assert code == 0, shown
    assert account.password not in shown
    assert "admin" in shown
    assert account.jobrun("run", "echo", "hi").passed().out == "hi\n"


def test_login_says_who_one_is_and_until_when(newcomer: Account) -> None:
    """Nobody would know as whom, where, and for how long he is in."""
    told = newcomer.log_in().passed()
    assert newcomer.name in told.out
    assert re.search(r"\d{4}-\d\d-\d\d", told.out)
    me = newcomer.facts("whoami")[0]
    assert (me["username"], me["role"], me["scope"]) == (newcomer.name, "user", "jobs:read jobs:run")
    assert newcomer.name in newcomer.jobrun("whoami").passed().out


def test_an_unknown_certificate_is_shown_and_asked_about(newcomer: Account) -> None:
    """The first connection would trust whoever answers."""
    words = ["login", "--user", newcomer.name, newcomer.server_address]
    terminal = newcomer.terminal(*words)
    assert newcomer.fingerprint in terminal.wait_for(r"\?[^\n]*")
    terminal.type("no")
    code, shown = terminal.finish()
    assert code == 1, shown
    newcomer.jobrun("list", "--server", newcomer.server_address).refused(4)

    terminal = newcomer.terminal(*words)
    assert newcomer.fingerprint in terminal.wait_for(r"\?[^\n]*")
    terminal.type("yes")
    terminal.wait_for("password.*: ?")
    terminal.type(newcomer.password)
    code, shown = terminal.finish()
    assert code == 0, shown
    assert newcomer.password not in shown
    newcomer.jobrun("run", "true").passed()

    again = newcomer.jobrun(*words[:-1], "--password-stdin", words[-1], stdin=f"{newcomer.password}\n".encode())
    assert "?" not in again.passed().err, "a known server is not asked about again"


def test_ctrl_c_at_the_password(stranger: Account) -> None:
    """The terminal would be left without echo, or a traceback on it."""
    words = ["login", "--user", stranger.name, "--fingerprint", stranger.fingerprint, stranger.server_address]
    terminal = stranger.terminal(*words)
    terminal.wait_for("password.*: ?")
    terminal.interrupt()
    code, shown = terminal.finish()
    assert code == 130
    assert "Traceback" not in shown


@pytest.mark.parametrize("answer", ["", "maybe"])
def test_only_yes_is_yes(stranger: Account, answer: str) -> None:
    """The return key by itself would trust a stranger."""
    terminal = stranger.terminal("login", "--user", stranger.name, stranger.server_address)
    terminal.wait_for(r"\?[^\n]*")
    terminal.type(answer)
    code, shown = terminal.finish()
    assert code == 1, shown


def test_no_terminal_and_no_fingerprint(stranger: Account) -> None:
    """A script would trust whoever answers."""
    words = ["login", "--user", stranger.name, "--password-stdin", stranger.server_address]
    error = stranger.jobrun(*words, stdin=f"{stranger.password}\n".encode()).refused(1)
    assert stranger.fingerprint in error
    assert "--fingerprint" in error
    stranger.jobrun("list", "--server", stranger.server_address).refused(4)


def test_another_fingerprint(stranger: Account) -> None:
    """The password would go to whoever is in between."""
    real, stranger.fingerprint = stranger.fingerprint, "sha256:" + "0" * 64
    error = stranger.log_in().refused(1)
    assert real in error
    assert stranger.fingerprint in error
    stranger.jobrun("list", "--server", stranger.server_address).refused(4)


@pytest.mark.parametrize("text", ["sha256:", "sha256:xyz", "md5:00", "", "sha256:" + "0" * 63])
def test_a_fingerprint_that_is_none(stranger: Account, text: str) -> None:
    """It would be compared with something that can never fit."""
    stranger.fingerprint = text
    assert "--fingerprint" in stranger.log_in().refused(2)


def test_a_wrong_password_and_an_unknown_user(newcomer: Account, accounts: Accounts) -> None:
    """Names of users could be found by trying."""
    wrong = newcomer.log_in(password="not this one").refused(1)
    nobody = accounts.another_home("nobody-there", "not this one")
    assert nobody.log_in().refused(1).replace(nobody.name, "NAME") == wrong.replace(newcomer.name, "NAME")
    empty = newcomer.log_in(password="").refused(1)
    assert "Traceback" not in empty
    newcomer.log_in().passed()


def test_a_user_name_with_control_characters(accounts: Accounts) -> None:
    """What is shown of it would paint over the terminal, on the client or in the server's log."""
    odd = accounts.another_home("a\x1b[2Jb\u202e", "not this one")
    result = odd.log_in()
    assert result.code in (1, 2)
    result.refused(result.code)
    assert "\x1b" not in accounts.server.log()
    assert "\x1b" not in accounts.admin.jobrun("audit", "show").passed().out


def test_logout_ends_the_session_on_the_server(newcomer: Account) -> None:
    """A copy of the session that was made before would go on."""
    newcomer.log_in().passed()
    file = newcomer.session_file
    kept = file.read_bytes()
    newcomer.jobrun("logout").passed()
    assert not file.exists()
    newcomer.jobrun("list").refused(4)
    newcomer.jobrun("run", "true").refused(125)
    newcomer.log_in().passed()
    newcomer.session_file.write_bytes(kept)
    newcomer.jobrun("list").refused(4)


def test_a_second_logout(newcomer: Account) -> None:
    """A script that tidies up would fail for having nothing to do."""
    newcomer.log_in().passed()
    newcomer.jobrun("logout").passed()
    again = newcomer.jobrun("logout").passed()
    assert (again.out, again.err.count("\n")) == ("", 1)
    named = newcomer.jobrun("logout", "--server", newcomer.server_address).passed()
    assert (named.out, named.err.count("\n")) == ("", 1)


@pytest.mark.parametrize("aged", [False, True])
def test_another_login_ends_the_one_before(newcomer: Account, accounts: Accounts, *, aged: bool) -> None:
    """Sessions that nobody has would stay alive for days, one for each login; a copy of one would be a way in."""
    newcomer.log_in().passed()
    if aged:
        newcomer.forget_age()
    newcomer.log_in().passed()
    user = next(user for user in accounts.admin.facts("user", "list") if user["username"] == newcomer.name)
    assert user["sessions"] == 1
    newcomer.jobrun("list").passed()


@pytest.mark.parametrize(
    ("aged", "told"),
    [(False, "the session ended at the server, but"), (True, "not logged out here, and the session may go on")],
)
def test_logout_where_the_login_can_not_be_forgotten(newcomer: Account, *, aged: bool, told: str) -> None:
    """Somebody would believe that he is logged out where he is not, or try again to end what has ended."""
    newcomer.log_in().passed()
    if aged:
        newcomer.forget_age()
    lock = newcomer.session_file.with_name(newcomer.session_file.name + ".lock")
    lock.unlink()
    lock.mkdir()  # as good as a read-only folder, and for root too
    said = newcomer.jobrun("logout").refused(1)
    assert said.startswith(f"jobrun: {told}")
    assert "cannot be locked" in said
    assert newcomer.session_file.exists()
    lock.rmdir()
    newcomer.jobrun("logout").passed()


def test_logout_without_a_login(home: Home) -> None:
    """A script that tidies up would fail for having nothing to do."""
    done = home.jobrun("logout").passed()
    assert (done.out, done.err.count("\n")) == ("", 1)
    assert home.server_pids() == []


def test_logout_all_ends_every_session(newcomer: Account, accounts: Accounts) -> None:
    """Whoever forgot to log out somewhere could not do it from here."""
    newcomer.log_in().passed()
    other = accounts.another_home(newcomer.name, newcomer.password)
    other.log_in().passed()
    gate = other.gate()
    running = other.client("run", "sh", "-c", f"{gate.hold} sleep 300")
    gate.wait_opened()
    newcomer.jobrun("logout", "--all").passed()
    told = running.finish(within=5).complained(125)
    assert "is not stopped by that" in told
    other.jobrun("list").refused(4)
    newcomer.jobrun("list").refused(4)
    assert gate.held()
    accounts.admin.jobrun("stop", told.split("job ")[1].split()[0]).passed()


def test_logout_while_the_server_is_away(cache: Path, nobodys_cache: Path) -> None:
    """One could not log out of a server that was taken down."""
    with tls_server(nobodys_cache) as server:
        admin = Account(cache, server, "admin", server.admin_password)
        admin.log_in().passed()
        server.stop()
        gone = admin.jobrun("logout").passed()
        assert len(gone.err.splitlines()) == 1
        assert gone.err.startswith("jobrun: ")
        admin.jobrun("list").refused(4)
        admin.close()


def test_a_server_that_is_no_tls_server(stranger: Account, insecure_server: InsecureServer) -> None:
    """The password would go over the wire in the clear, or the client hang."""
    stranger.server_address = insecure_server.address.removeprefix("insecure:")
    stranger.log_in().refused(1)


def test_what_a_job_finds_around_it(member: Account) -> None:
    """Variables of the caller's machine or of the server's own, tokens too, would be there for any build step."""
    out = member.jobrun("run", "--env", "GIVEN=v", "env", "-0", env={"CALLER": "here"}).passed().out
    seen = dict(entry.split("=", 1) for entry in out.split("\0") if entry)
    assert set(seen) == {"PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "JOBRUN_JOB_ID", "GIVEN"}
    words = ["run", "sh", "-c", "pwd; echo $HOME; ls -A $HOME; umask; cat"]
    folder, home, *rest = member.jobrun(*words, stdin=b"not for the job").passed().out.splitlines()
    assert folder == home != seen["HOME"], "another one for each job"
    assert rest[-1] == "0022"
    assert not [name for name in rest[:-1] if not seen["TMPDIR"].endswith(name)], "nothing but its TMPDIR in it"
    assert not Path(home).exists()


def test_a_server_by_name_and_by_ipv6(home: Home, nobodys_cache: Path) -> None:
    """It would work with an IPv4 address alone."""
    with tls_server(nobodys_cache, listen="[::]:0") as server:
        for host in ("localhost", "[::1]", "127.0.0.1", "LOCALHOST"):
            words = ["login", "--user", "admin", "--password-stdin", "--fingerprint", server.fingerprint]
            stdin = f"{server.admin_password}\n".encode()
            if host != "LOCALHOST":  # the same as in small letters
                home.jobrun(*words, f"{host}:{server.port}", stdin=stdin).passed()
            home.jobrun("run", "--server", f"{host}:{server.port}", "true").passed()
        assert home.server_pids() == []


@pytest.mark.parametrize(
    "words", [["user", "list"], ["token", "list"], ["audit", "show"], ["passwd"], ["logout"]], ids=" ".join
)
def test_a_server_without_login_has_no_users(warm: Home, words: list[str]) -> None:
    """Somebody would look for the fault in his own account."""
    told = warm.jobrun(*words, "--local").refused(1)
    assert words == ["logout"] or "has no users: " in told
    assert words == ["logout"] or "jobrun login HOST" in told
    assert warm.jobrun("whoami", "--local").passed()


def test_f41_proxies_are_not_obeyed(newcomer: Account) -> None:
    """A company's proxy would see, or break, what is between client and server."""
    names = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    newcomer.env.update(dict.fromkeys(names, "http://127.0.0.1:9"))
    newcomer.log_in().passed()
    assert newcomer.jobrun("run", "echo", "ok").passed().out == "ok\n"
    out = newcomer.jobrun("run", "--env", "http_proxy", "sh", "-c", "echo $http_proxy").passed().out
    assert out == "http://127.0.0.1:9\n"
    newcomer.jobrun("logout").passed()
