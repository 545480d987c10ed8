"""A server with TLS and login that is attacked: what lies in its data folder, what it uses, connections to it."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.attack.caller import Caller, Wire
from tests.e2e.insecure import NOBODY, Nobody
from tests.e2e.tls_server import TlsServer

PASSWORD = "correct horse battery"
"""Of every user that tests make."""
LASTING = "[login]\naccess_token_lifetime = 1h\n"
"""The config file of one whose tokens outlive all tests."""
SHORT = "[login]\naccess_token_lifetime = 3s\n"
"""The config file of a server whose access tokens live 3 s."""


class Victim(TlsServer):
    """A running server with login."""

    def __init__(self, nobody: Nobody, *, config: str = "", env: Mapping[str, str] | None = None) -> None:
        self._open: list[Wire] = []
        super().__init__(nobody, config=config, env=env)

    @property
    def root(self) -> Path:
        """The folder of all its folders."""
        return self.nobody.root

    @property
    def host(self) -> str:
        """Where it listens, beside the port."""
        return self.address.rpartition(":")[0]

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """The real key of its access tokens: what an attacker never has."""
        key = load_pem_private_key(self.read("access-token-key.pem"), None)
        assert isinstance(key, Ed25519PrivateKey)
        return key

    def read(self, name: str) -> bytes:
        """A file of its data folder."""
        return (self.data / name).read_bytes()

    def records(self) -> bytes:
        """All that it keeps in files, but for the one with the first password, and what it said on stderr."""
        files = (path for path in self.data.rglob("*") if path.is_file() and path.name != "admin-password")
        return b"".join(path.read_bytes() for path in files) + self.log().encode()

    def wire(self, address: str = "") -> Wire:
        """A new connection; `address`: through a door of ours instead of straight."""
        wire = Wire(address or self.address, self.certificate)
        self._open.append(wire)
        return wire

    def caller(self, token: str, address: str = "") -> Caller:
        """Who holds this token."""
        return Caller(self.wire(address), token)

    def login(self, user: str, password: str = PASSWORD, *, scope: str = "", address: str = "") -> Caller:
        """A new session of a user."""
        wire = self.wire(address)
        return Caller(wire, wire.login(user, password, scope=scope).access_token)

    def admin(self) -> Caller:
        """A session of the first admin."""
        return self.login("admin", self.admin_password)

    def rss(self) -> int:
        """Bytes of memory it has now (proc(5), VmRSS)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return 1024 * int(status.partition("VmRSS:")[2].split()[0])

    def cpu_s(self) -> float:
        """Seconds of CPU that it used so far, without its children (proc(5), stat)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def limit_open_files(self, count: int) -> None:
        """Lowers its RLIMIT_NOFILE, as its own user may (prlimit(1))."""
        words = ["prlimit", "--pid", str(self.pid), f"--nofile={count}:{count}"]
        owner = NOBODY if os.getuid() == 0 else None
        subprocess.run(words, check=True, user=owner, group=owner)

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def close(self) -> None:
        """As TlsServer.close; its jobs end too."""
        while self._open:
            self._open.pop().close()
        super().close()


@contextlib.contextmanager
def victim(nobodys_cache: Path, *, config: str = "", env: Mapping[str, str] | None = None) -> Iterator[Victim]:
    """A fresh server with login, taken down at the end with its jobs."""
    with contextlib.closing(Nobody(nobodys_cache)) as nobody:
        server = Victim(nobody, config=config, env=env)
        try:
            yield server
        finally:
            server.close()
