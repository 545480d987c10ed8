"""A server with TLS and login: the built file, ready."""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.e2e.client import Result
from tests.e2e.deadline import Deadline, patience
from tests.e2e.insecure import Nobody, own
from tests.e2e.processes import Process, descendants, opened

LAST_WORDS = "isolation is not in this version"
"""What stderr holds, in one write with all of a first start, before the ready line comes on stdout."""


class TlsServer:
    """`jobrun server --listen 127.0.0.1:0 --data D --config F`, ready; as uid 65534 where the tests run as root.

    After a restart it listens at the same port: its clients know it by that."""

    def __init__(
        self,
        nobody: Nobody,
        *more: str | Path,
        config: str = "",
        listen: str = "127.0.0.1:0",
        env: Mapping[str, str] | None = None,
    ) -> None:
        """`config` is the text of its config file, `env` is added to its environment."""
        self.nobody = nobody
        self.data = nobody.data
        self._config = nobody.root / "server.ini"
        self._host = listen.rpartition(":")[0]
        self._more, self._env = more, env
        self._heard = threading.Condition()
        self._log = b""
        self.ready_line = self.first_words = ""
        """The ready line of the last start, and all that it had said on stderr by then."""
        self._popen = self._start(listen, config)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def address(self) -> str:
        """`HOST:PORT` as the ready line has it."""
        return self.ready_line.split()[1]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.address.rpartition(":")[2])

    @property
    def fingerprint(self) -> str:
        """`sha256:HEX`, as the ready line had it at the last start."""
        return self.ready_line.split()[2]

    @property
    def certificate(self) -> bytes:
        """Its own certificate, PEM: what a client trusts. Not of an operator's."""
        pem = (self.data / "tls.pem").read_bytes()
        return pem[pem.index(b"-----BEGIN CERTIFICATE-----") :]

    @property
    def admin_password(self) -> str:
        """As the first start left it; gone once it was changed."""
        return (self.data / "admin-password").read_text().strip()

    def log(self) -> str:
        """All that it wrote to stderr, in all its starts."""
        with self._heard:
            return self._log.decode(errors="replace")

    def wait_log(self, text: str, *, since: int = 0, within: float = 10) -> str:
        """Until stderr holds `text` behind the first `since` characters: all behind them."""
        with self._heard:
            found = self._heard.wait_for(lambda: text in self.log_since(since), patience(within))
        assert found, f"it never said {text!r}: {self.log_since(since)}"
        return self.log_since(since)

    def log_since(self, since: int) -> str:
        """What it wrote to stderr behind the first `since` characters."""
        return self._log.decode(errors="replace")[since:]

    def command(self, *words: str | Path, stdin: bytes = b"", within: float = 20) -> Result:
        """Runs jobrun to its end as the owner of the data folder."""
        return self.nobody.jobrun(*words, stdin=stdin, within=within)

    def owner(self, word: str, *words: str | Path, stdin: bytes = b"") -> Result:
        """`jobrun server WORD --data ITS_DATA WORDS...`."""
        return self.command("server", word, "--data", self.data, *words, stdin=stdin)

    def hang_up(self) -> None:
        """SIGHUP: users and certificate are looked at again, and it has said so."""
        before = len(self.log())
        self._popen.send_signal(signal.SIGHUP)
        self.wait_log("SIGHUP came", since=before)

    def stop(self) -> int:
        """SIGTERM, and until it is gone: its code. Jobs go on."""
        self._popen.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, within: float = 15) -> int:
        """Until it is gone by itself: its code. There may be more of its stderr to come."""
        self._popen.wait(timeout=patience(within))
        return self._popen.returncode

    def kill(self) -> None:
        """SIGKILL to the server alone, and until it is gone; its jobs go on."""
        self._popen.kill()
        self.wait()

    def restart(self, *more: str | Path, config: str | None = None, kill: bool = False) -> None:
        """Ends it and starts it again on the same data and port; with other options or another config from now on."""
        if kill:
            self.kill()
        else:
            assert self.stop() == 0, self.log()
        self.start_again(*more, config=config)

    def start_again(self, *more: str | Path, config: str | None = None) -> None:
        """After stop() or kill(): on the same data and port."""
        self._more = more or self._more
        self._popen = self._start(f"{self._host}:{self.port}", config)

    def close(self) -> None:
        """SIGKILL to it and to all below it, should any be there."""
        for process in opened(descendants(self.pid)):
            with contextlib.closing(process):
                process.kill()
        if self._popen.poll() is None:
            self.kill()

    def process(self) -> Process:
        """The server by its pidfd."""
        return Process(self.pid)

    def shown_fingerprint(self) -> str:
        """`sha256:HEX` of the certificate that it shows to a new connection."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        host = self._host.strip("[]")
        with socket.create_connection((host, self.port), patience(5)) as plain, context.wrap_socket(plain) as tls:
            shown = tls.getpeercert(binary_form=True)
        assert shown is not None
        return f"sha256:{hashlib.sha256(shown).hexdigest()}"

    def _start(self, listen: str, config: str | None) -> subprocess.Popen[bytes]:
        if config is not None:
            self._config.write_text(config)
            own(self._config)
        words = ("server", "--listen", listen, "--data", self.data, "--config", self._config, *self._more)
        popen = self.nobody.popen(*words, env=self._env)
        before = len(self.log())
        self._reader = threading.Thread(target=self._listen_to, args=(popen,), daemon=True)
        self._reader.start()
        line = _first_line(popen)
        if not line.startswith("ready "):
            popen.kill()
            popen.wait()
            self._reader.join(patience(5))
            raise AssertionError(f"the server was not ready: {line!r} {self.log()[before:]}")
        self.ready_line = line.strip()
        self.first_words = self.wait_log(LAST_WORDS, since=before)
        return popen

    def _listen_to(self, popen: subprocess.Popen[bytes]) -> None:
        """stderr, to its end: a pipe that nobody reads would stop the server."""
        assert popen.stderr is not None
        with popen.stderr as stderr:
            while data := os.read(stderr.fileno(), 65536):
                with self._heard:
                    self._log += data
                    self._heard.notify_all()


def _first_line(popen: subprocess.Popen[bytes]) -> str:
    """Of stdout, which is closed then: nothing else comes there. Without its end where the server ended."""
    assert popen.stdout is not None
    deadline, line = Deadline(30, "the server's ready line"), b""
    with popen.stdout as output:
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([output], [], [], deadline.left())
            byte = os.read(output.fileno(), 1) if ready else b""
            if ready and not byte:
                break
            line += byte
    return line.decode()


@contextlib.contextmanager
def tls_server(
    nobodys_cache: Path,
    *more: str | Path,
    config: str = "",
    listen: str = "127.0.0.1:0",
    env: Mapping[str, str] | None = None,
) -> Iterator[TlsServer]:
    """A server of its own, taken down at the end."""
    nobody = Nobody(nobodys_cache)
    try:
        server = TlsServer(nobody, *more, config=config, listen=listen, env=env)
        try:
            yield server
        finally:
            server.close()
    finally:
        nobody.close()
