"""A server that is told to say everything: what it says are no secrets."""

from __future__ import annotations

from pathlib import Path

from jobrun.wire.gen.jobrun.v1 import auth_service_pb2
from tests.attack.caller import attempt, password_grant
from tests.attack.victim import PASSWORD, victim


def test_traces_of_grpc_are_not_the_servers(nobodys_cache: Path) -> None:
    """Two variables in a unit's environment would write every token and password to the journal."""
    env = {"GRPC_TRACE": "all", "GRPC_VERBOSITY": "DEBUG", "PYTHONASYNCIODEBUG": "1", "SSLKEYLOGFILE": "keys.log"}
    with victim(nobodys_cache, env=env) as server:
        first = server.admin_password
        wire = server.wire()
        issued = wire.login("admin", first, first="the first refresh token")
        again = wire.refresh(issued.session_id, "the first refresh token", "the second refresh token")
        admin = server.caller(again.access_token)
        admin.make_user("ann", PASSWORD)
        secret = admin.make_token("robot").secret
        server.caller(secret).who()
        attempt(wire.auth.IssueToken, password_grant("admin", "a wrong password"))
        job = admin.start("true", env={"KEY": b"value-of-a-key"}, stdin=b"words-on-stdin")
        admin.finished(job)
        change = auth_service_pb2.ChangePasswordRequest(current_password=first, new_password="the new password")
        admin.auth.ChangePassword(change)
        words = [first, "the first refresh token", "the second refresh token", issued.access_token, again.access_token]
        words += [PASSWORD, "a wrong password", "the new password", secret, secret.rpartition(".")[2]]
        words += ["value-of-a-key", "words-on-stdin"]
        said = server.log()
        kept = b"".join(p.read_bytes() for p in server.data.rglob("*") if p.is_file() and p.suffix != ".pem")
        for word in words:
            assert word not in said
            assert word.encode() not in kept, f"{word} is in the data folder"
        for name in ("tls.pem", "access-token-key.pem"):
            key = server.read(name).splitlines()[1]
            assert key.decode() not in said
            assert key not in kept
        assert not (server.data / "admin-password").exists(), "the first password is gone with its change"
        assert not list(server.root.glob("keys.log"))
        assert first not in server.command("version").out
        assert all(first.encode() not in line for line in _command_lines(server.pid))


def _command_lines(pid: int) -> list[bytes]:
    return [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
