"""A whole life of a server at debug level, and then a look into every file, output and process for its secrets."""

from __future__ import annotations

import base64
import contextlib
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import processes
from tests.e2e.accounts import Account
from tests.e2e.client import Result
from tests.e2e.tls_server import TlsServer, tls_server

DEBUG = {
    "GRPC_VERBOSITY": "debug",
    "GRPC_TRACE": "all",
    "GRPC_STACKTRACE_MINLOGLEVEL": "debug",
    "PYTHONASYNCIODEBUG": "1",
}
ONE_SLOT = "[server]\nslots = 1\n[login]\naccess_token_lifetime = 10m\n"


class Witness(Account):
    """An account that remembers all that was said to it."""

    def __init__(self, cache: Path, server: TlsServer, name: str, password: str) -> None:
        super().__init__(cache, server, name, password)
        self.env |= {**DEBUG, "SSLKEYLOGFILE": str(self.work / "tls-keys")}
        self.heard: list[bytes] = []

    def jobrun(self, *words: Any, **more: Any) -> Result:
        """As Home.jobrun."""
        result = super().jobrun(*words, **more)
        self.heard.append(result.stdout + result.stderr)
        return result


class Story:
    """What happened, and the secrets of it by name."""

    def __init__(self, server: TlsServer, admin: Witness, user: Witness) -> None:
        self.server, self.admin, self.user = server, admin, user
        self.secrets: dict[str, bytes] = {}
        self.seen_in_processes: dict[str, bytes] = {}

    def keep(self, name: str, secret: str | bytes) -> Any:
        """Puts a secret on the list; the secret."""
        self.secrets[name] = secret.encode() if isinstance(secret, str) else secret
        return secret

    def look_at_processes(self, pids: Iterable[int]) -> None:
        """Remembers arguments and environment of these processes and of all that the server started, but for jobs. What
        is closed to this user shows nothing to him."""
        for pid in [*pids, self.server.pid, *processes.descendants(self.server.pid)]:
            if not processes.cmdline(pid).startswith(("sh ", "sleep ")):
                for name in ("cmdline", "environ"):
                    with contextlib.suppress(PermissionError):
                        self.seen_in_processes[f"{name} of {pid}"] = Path(f"/proc/{pid}/{name}").read_bytes()

    def sessions(self, name: str, witness: Witness) -> None:
        """Keeps what the session of a witness has now."""
        for key in ("refresh_token", "access_token"):
            self.keep(f"{name}: {key}", witness.session()[key])

    def folders(self) -> list[Path]:
        """All places that files may have gone to."""
        return [self.server.nobody.root, self.admin.root, self.user.root, self.user.cache, self.server.nobody.cache]


def pair(current: str, new: str) -> bytes:
    """stdin of `passwd`."""
    return f"{current}\n{new}\n".encode()


def log_in_and_fail(story: Story) -> None:
    """Right and wrong passwords, at every command that takes one."""
    admin, user = story.admin, story.user
    story.keep("first admin password", admin.password)
    admin.log_in().passed()
    story.keep("first password", user.password)
    add = ["user", "add", "--password-stdin"]
    admin.jobrun(*add, "carol", stdin=f"{user.password}\n".encode()).passed()
    too_long = story.keep("password that is too long", "overlong-" * 9)
    admin.jobrun(*add, "dora", stdin=f"{too_long}\n".encode())
    wrong = story.keep("wrong password", "mistyped-0c9d1f")
    user.log_in(password=wrong).refused(1)
    user.name = story.keep("password typed in the name's place", "typed-in-the-names-place")
    user.log_in().refused(1)
    user.name = "carol"
    user.log_in().passed()
    story.sessions("first session", user)
    user.password = story.keep("second password", "second-5b1e7a-password")
    current = story.secrets["first password"].decode()
    user.jobrun("passwd", "--password-stdin", stdin=pair(wrong, user.password)).refused(4)
    user.jobrun("passwd", "--password-stdin", stdin=pair(current, too_long))
    user.jobrun("passwd", "--password-stdin", stdin=pair(current, user.password)).passed()
    by_admin = story.keep("password by the admin", "by-admin-77f0c2")
    admin.jobrun("user", "passwd", "--password-stdin", "carol", stdin=f"{by_admin}\n".encode()).passed()
    user.log_in().refused(1)
    user.password = by_admin
    user.log_in().passed()


def refresh_and_fail(story: Story) -> None:
    """A rotation, and one by a refresh token that was used before."""
    user = story.user
    old = user.session_file.read_bytes()
    story.sessions("before a refresh", user)
    user.forget_age()
    user.jobrun("list").passed()
    story.sessions("after a refresh", user)
    new = user.session_file.read_bytes()
    user.session_file.write_bytes(old)
    user.forget_age()
    user.jobrun("list").refused(4)
    story.keep("refresh token of a thief", user.session()["next_refresh_token"])
    user.session_file.write_bytes(new)
    user.jobrun("list").refused(4)
    user.log_in().passed()
    story.sessions("last session", user)


def work_with_a_token(story: Story) -> None:
    """A machine token made, used, damaged, revoked."""
    user = story.user
    token = user.jobrun("token", "create", "t").passed().out.strip()
    user.heard.pop()  # the one place where it is shown
    story.keep("machine token", token.rpartition(".")[2])
    user.jobrun("run", "true", env={"JOBRUN_TOKEN": token}).passed()
    damaged = story.keep("damaged token", token.rpartition(".")[2][:-6] + "AAAAAA")
    user.jobrun("list", env={"JOBRUN_TOKEN": f"{token.rpartition('.')[0]}.{damaged}"}).refused(4)
    user.jobrun("run", "true", env={"JOBRUN_TOKEN": f"{token} {damaged}"}).refused(125)
    user.jobrun("token", "list").passed()
    user.jobrun("token", "revoke", "t").passed()
    user.jobrun("run", "true", env={"JOBRUN_TOKEN": token}).refused(125)


def run_with_secrets(story: Story) -> None:
    """A job that waits, and one that can not start, with environment values and input."""
    user = story.user
    gate, latch = user.gate(), user.latch()
    first = user.client("run", "sh", "-c", f"{gate.hold} {latch.wait}")
    gate.wait_opened()
    value = story.keep("environment value", "env-value-3d2b9c8e")
    given = story.keep("input", "stdin-of-a-job-6f1a")
    file = story.user.root.parent / f"{user.root.name}.env"  # not in a folder that is searched
    file.write_text(f"SECRET={value}\n")
    job = (
        user.jobrun("start", "--env-file", file, "-i", "sh", "-c", "cat >/dev/null", stdin=given.encode())
        .passed()
        .out.strip()
    )
    held = found_in([story.server.data], {"value": value.encode(), "input": given.encode()})
    assert {name for _, name in held} == {"value", "input"}, "the search finds them while they belong there"
    story.look_at_processes([first.pid])
    latch.open()
    first.finish().passed()
    assert user.jobrun("wait", job).code == 0
    user.jobrun("status", job).passed()
    user.jobrun("run", "--env-file", file, "/no/such/program").complained(127)
    user.jobrun("run", "--env-file", file, "--cwd", "/no/such/folder", "true").complained(125)
    user.jobrun("start", "--env-file", file, "--memory", "1", "--cpus", "99999", "true")
    file.unlink()


def finish(story: Story) -> None:
    """What the owner of the machine does, and everybody's leave."""
    server, admin = story.server, story.admin
    key_lines = [line for name in ("tls.pem", "access-token-key.pem") for line in key_of(server.data / name)]
    for number, line in enumerate(key_lines):
        story.keep(f"line {number} of a key", line)
    admin.jobrun("audit", "show", "-n", "1000").passed()
    story.sessions("admin", admin)
    story.look_at_processes([])
    by_owner = story.keep("password by the owner", "by-owner-ab41d0")
    told = server.owner("passwd", "--password-stdin", "admin", stdin=f"{by_owner}\n".encode()).passed()
    admin.heard.append(told.stdout + told.stderr)
    admin.jobrun("list").refused(4)
    story.user.jobrun("logout").passed()


def key_of(path: Path) -> list[bytes]:
    """The lines of a private key in PEM, without its first, which begins as all others of its kind do."""
    body = path.read_bytes().split(b"PRIVATE KEY-----")[1].rpartition(b"-----END")[0]
    lines = body.split()
    return lines[1:] if len(lines) > 1 else [lines[0][24:]]


def forms(secret: bytes) -> Iterator[bytes]:
    """How a secret may be written."""
    yield secret
    yield secret.hex().encode()
    for shift in range(3):  # base64 of a text that has it somewhere within
        encoded = base64.b64encode(b"\0" * shift + secret)
        yield encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4]


def found_in(folders: Iterable[Path], secrets: dict[str, bytes]) -> set[tuple[Path, str]]:
    """Files and the names of the secrets in them."""
    patterns = b"\n".join(form for secret in secrets.values() for form in forms(secret))
    words = ["grep", "-rlaFf", "-", "--devices=skip", *map(str, folders)]
    listed = subprocess.run(words, input=patterns, capture_output=True, check=False)
    assert listed.returncode in (0, 1), listed.stderr
    paths = [Path(line.decode()) for line in listed.stdout.splitlines()]
    return {(path, name) for path in paths for name in names_in(path.read_bytes(), secrets)}


def names_in(data: bytes, secrets: dict[str, bytes]) -> list[str]:
    """The secrets that are somewhere in `data`."""
    return [name for name, secret in secrets.items() if any(form in data for form in forms(secret))]


@pytest.fixture(scope="module")
def story(cache: Path, nobodys_cache: Path) -> Iterator[Story]:
    """All of it, told once."""
    with tls_server(nobodys_cache, config=ONE_SLOT, env=DEBUG) as server:
        admin = Witness(cache, server, "admin", server.admin_password)
        user = Witness(cache, server, "carol", "first-password-91c3")
        told = Story(server, admin, user)
        try:
            assert found_in([server.data], {"admin": admin.password.encode()}) == {
                (server.data / "admin-password", "admin")
            }
            for part in (log_in_and_fail, refresh_and_fail, work_with_a_token, run_with_secrets):
                part(told)
            last = user.session_file, {"t": user.session()["refresh_token"].encode()}
            assert found_in([user.root], last[1]) == {(last[0], "t")}, "the search finds it where it belongs"
            finish(told)
            yield told
        finally:
            admin.close()
            user.close()


def test_the_search_finds_what_is_there(story: Story) -> None:
    """A search that finds nothing anywhere would always pass."""
    keys = {name: secret for name, secret in story.secrets.items() if "key" in name}
    assert {path.name for path, _ in found_in([story.server.data], keys)} == {"tls.pem", "access-token-key.pem"}
    assert len({name for _, name in found_in([story.server.data], keys)}) == len(keys)


def test_no_file_holds_a_secret(story: Story) -> None:
    """A backup, a log that was sent to somebody, or a stolen disk would be a stolen account."""
    belongs = {story.server.data / "tls.pem", story.server.data / "access-token-key.pem"}
    kept = {story.admin.session_file}
    found = {(str(path), name) for path, name in found_in(story.folders(), story.secrets) if path not in belongs | kept}
    assert not found
    in_session = {name for path, name in found_in([story.admin.root], story.secrets)}
    assert in_session == {"admin: refresh_token", "admin: access_token"}


def test_no_output_holds_a_secret(story: Story) -> None:
    """What scrolls by in a pipeline's public log would be a stolen account."""
    said = {"admin": story.admin.heard, "user": story.user.heard, "server": [story.server.log().encode()]}
    found = {(who, name) for who, texts in said.items() for text in texts for name in names_in(text, story.secrets)}
    assert not found


def test_no_process_shows_a_secret(story: Story) -> None:
    """Every user of a machine can read the arguments of all processes."""
    assert len(story.seen_in_processes) >= 3
    found = {(who, name) for who, data in story.seen_in_processes.items() for name in names_in(data, story.secrets)}
    assert not found


def test_traces_that_a_user_asks_for_are_not_written(story: Story) -> None:
    """A variable from somewhere else would write all tokens, or the keys of the connection, into a file."""
    assert not (story.user.work / "tls-keys").exists()
    assert "authorization" not in story.server.log()
