"""Servers to measure: private ones, and one over TCP that an unprivileged user runs."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pwd
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc

from jobrun.wire.gen.jobrun.v1.auth_service_pb2 import IssueTokenRequest, PasswordGrant
from jobrun.wire.gen.jobrun.v1.auth_service_pb2_grpc import AuthServiceStub

NOBODY = 65534


def environment(home: Path) -> dict[str, str]:
    """Of somebody new, but for the cache: what is measured is a warm start."""
    home.mkdir(exist_ok=True)
    (home / "run").mkdir(mode=0o700, exist_ok=True)
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "JOBRUN_CACHE": os.environ.get("JOBRUN_CACHE", f"{cache}/jobrun"),
    }


@contextlib.contextmanager
def private(file: Path, home: Path) -> Iterator[tuple[dict[str, str], Path]]:
    """A private server that is up: the environment of its clients, and its socket."""
    env = environment(home)
    process = subprocess.Popen(
        [file, "server", "--private"], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with _stopped(process) as ready:
        yield env, Path(ready.removeprefix("unix:"))


@contextlib.contextmanager
def insecure(file: Path, home: Path) -> Iterator[tuple[dict[str, str], str]]:
    """A server over TCP on loopback, which root may not run: the environment of a client, and HOST:PORT."""
    client = environment(home.with_name("client"))
    env = environment(home)
    account: dict[str, object] = {}
    if os.getuid() == 0:
        account = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        env = {**env, "JOBRUN_CACHE": str(home / "cache"), "USER": pwd.getpwuid(NOBODY).pw_name}
        for folder in (home, home / "run"):
            os.chown(folder, NOBODY, NOBODY)
    argv = [file, "server", "--insecure", "--listen", "127.0.0.1:0", "--data", str(home / "data")]
    process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **account)  # type: ignore[call-overload]  # one mapping for three keywords
    with _stopped(process) as ready:
        yield {**client, "JOBRUN_SERVER": ready}, ready.removeprefix("insecure:")


@dataclasses.dataclass(frozen=True)
class LoggedIn:
    """A server with TLS, and a client that is logged in there as its admin."""

    env: dict[str, str]
    address: str
    certificate: bytes
    token: str
    """For the authorization of calls."""


@contextlib.contextmanager
def tls(file: Path, home: Path) -> Iterator[LoggedIn]:
    """A server with TLS and login, on loopback."""
    env = environment(home)
    data = home / "data"
    argv = [str(file), "server", "--listen", "127.0.0.1:0", "--data", str(data)]
    with (
        subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process,
        _stopped(process, words=2) as ready,
    ):
        address, fingerprint = ready.split()
        login = [str(file), "login", address, "--user", "admin", "--fingerprint", fingerprint, "--password-stdin"]
        with open(data / "admin-password", "rb") as password:
            subprocess.run(login, env=env, stdin=password, stdout=subprocess.DEVNULL, check=True)
        made = subprocess.run(
            [file, "token", "create", "bench"], env=env, stdout=subprocess.PIPE, check=True, text=True
        )
        version, _, *secret = made.stdout.strip().split(".")
        certificate = ssl.get_server_certificate((address.rpartition(":")[0], int(address.rpartition(":")[2])))
        yield LoggedIn(env, address, certificate.encode(), ".".join([version, *secret]))


@contextlib.contextmanager
def from_source(folder: Path, kind: str) -> Iterator[LoggedIn]:
    """A server of tls_server's `kind`, and an access token of its admin."""
    folder.mkdir(mode=0o700)
    argv = [sys.executable, "-m", "bench.tls_server", str(folder), kind]
    root = Path(__file__).parents[1]
    process = subprocess.Popen(argv, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with _stopped(process) as address:
        certificate = ssl.get_server_certificate((address.rpartition(":")[0], int(address.rpartition(":")[2]))).encode()
        password = (folder / "admin-password").read_text().strip()
        request = IssueTokenRequest(password=PasswordGrant(username="admin", password=password))
        options = [("grpc.ssl_target_name_override", "jobrun.internal"), ("grpc.enable_http_proxy", 0)]
        with grpc.secure_channel(address, grpc.ssl_channel_credentials(certificate), options) as channel:
            token = AuthServiceStub(channel).IssueToken(request).access_token
        yield LoggedIn({}, address, certificate, token)


@contextlib.contextmanager
def _stopped(process: subprocess.Popen[bytes], words: int = 1) -> Iterator[str]:
    """The words behind `ready`."""
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode().split()
        if line[:1] != ["ready"]:
            raise SystemExit("bench: the server did not start: run it by hand to see why")
        yield " ".join(line[1 : 1 + words])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
