"""The certificate of a server: another one of its own, or its operator's."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

import pytest

from tests.e2e.accounts import Account
from tests.e2e.certificates import Operator
from tests.e2e.insecure import LOCAL, NO_WALLS, Nobody
from tests.e2e.tls_server import TlsServer, tls_server


def test_insecure_with_a_certificate(nobody: Nobody, operator: Operator) -> None:
    """Its operator would believe that it has TLS."""
    config = nobody.root / "server.ini"
    config.write_text(operator.config)
    assert "certificate" in nobody.start_refused(2, "--insecure", *NO_WALLS, "--config", config)


def test_a_new_certificate(server: TlsServer, admin: Account) -> None:
    """A key that may be in other hands could not be replaced without a stop, or nobody know what breaks."""
    admin.jobrun("token", "create", "nightly").passed()
    old = server.fingerprint
    made = server.owner("new-cert").passed()
    new = made.out.splitlines()[0]
    assert re.fullmatch("sha256:[0-9a-f]{64}", new)
    assert new != old
    assert "nightly" in made.out
    assert server.shown_fingerprint() == new
    assert server.owner("health").passed().out == f"SERVING {server.address} {new}\n"
    facts = json.loads(server.owner("health", "--json").passed().out)
    assert facts == {"health": "SERVING", "address": server.address, "fingerprint": new}
    assert f"jobrun login {server.address} --fingerprint {new}\n" in made.out
    assert stat.S_IMODE((server.data / "tls.pem").stat().st_mode) == 0o600
    assert admin.jobrun("list").code != 0, "it trusts the old one alone"
    server.restart()
    assert server.fingerprint == new


def test_a_new_certificate_while_no_server_runs(server: TlsServer) -> None:
    """A certificate that expired could not be replaced."""
    server.stop()
    new = server.owner("new-cert").passed().out.splitlines()[0]
    (server.data / "tls.pem").unlink()
    facts = json.loads(server.owner("new-cert", "--json").passed().out)
    assert (facts["login"], type(facts["ended_tokens"])) == ("", list)
    newer = facts["fingerprint"]
    assert new != newer
    server.start_again()
    assert server.fingerprint == newer


def test_an_operators_certificate(nobodys_cache: Path, cache: Path, operator: Operator) -> None:
    """A renewal would cut every job that somebody follows, or be seen at the next restart only."""
    with tls_server(nobodys_cache, config=operator.config) as server:
        admin = Account(cache, server, "admin", server.admin_password)
        admin.root.chmod(0o711)
        admin.log_in().passed()
        gate, latch = admin.gate(), admin.latch()
        following = admin.client("run", "sh", "-c", f"echo a; {gate.hold} {latch.wait} echo b")
        gate.wait_opened()
        operator.renew("second")
        renewed = server.shown_fingerprint()
        assert renewed != server.fingerprint
        assert server.owner("health").passed().out == f"SERVING {server.address} {renewed}\n"
        operator.key.write_bytes(b"half of a ke")
        before = len(server.log())
        for _ in range(3):
            assert server.shown_fingerprint() == renewed, "the one before stays"
        server.hang_up()
        assert server.wait_log("stays in use", since=before).count("stays in use") == 1
        latch.open()
        ran = following.finish().passed()
        assert (ran.out, ran.err) == ("a\nb\n", "")
        assert not (server.data / "tls.pem").exists()
        admin.close()


def test_new_cert_is_refused_with_an_operators_certificate(nobodys_cache: Path, operator: Operator) -> None:
    """It would print a fingerprint that no client ever sees."""
    with tls_server(nobodys_cache, config=operator.config) as server:
        config = server.nobody.root / "server.ini"
        assert str(config) in server.owner("new-cert", "--config", config).refused(1)
        assert "operator's certificate" in server.owner("new-cert").refused(1)
        assert not (server.data / "tls.pem").exists()
        server.stop()
        assert str(config) in server.owner("new-cert", "--config", config).refused(1)


@pytest.mark.parametrize(
    ("damage", "word"),
    [("gone", "No such file"), ("open", "every user"), ("foreign", "not the key"), ("cut", "no key")],
)
def test_an_operators_certificate_that_can_not_be_used(
    nobody: Nobody, operator: Operator, damage: str, word: str
) -> None:
    """The server would start without TLS, or die of what OpenSSL says."""
    if damage == "gone":
        operator.key.unlink()
    elif damage == "open":
        operator.key.chmod(0o644)
    elif damage == "cut":
        os.truncate(operator.key, 40)
    else:
        certificate = operator.certificate.read_bytes()
        operator.renew("second")
        operator.certificate.write_bytes(certificate)
    config = nobody.root / "server.ini"
    config.write_text(operator.config)
    line = nobody.start_refused(1, *LOCAL, "--config", config)
    assert str(operator.key) in line
    assert word in line
