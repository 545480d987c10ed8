"""The environment as this process was given it: the only reader of it in the program."""

from __future__ import annotations

import os
from collections.abc import Mapping

INITIAL = "/proc/self/environ"
"""proc(5). os.environ is not the same: Python's coercion of the C locale adds LC_CTYPE to it, which no job may see."""
OURS = (b"JOBRUN_SEARCHED",)
"""Variables of the launcher; never passed on."""
NOT_OBEYED = ("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "SSLKEYLOGFILE")
"""Beside gRPC's own, what would change how gRPC, protobuf or TLS work or talk in our own process: traces and key logs
show tokens. A job still gets them."""

VARIABLES: Mapping[str, str] = {
    "JOBRUN_SERVER": "the server, as --server names it",
    "JOBRUN_TOKEN": "a machine token, as token create prints it: commands go to its server, with its rights",
    "JOBRUN_CONFIG_DIR": "where logins and known servers lie, instead of jobrun in XDG_CONFIG_HOME",
    "JOBRUN_DATA_DIR": "the data folder of a server that was given no --data",
    "JOBRUN_CACHE": "where the file unpacks itself, instead of jobrun in XDG_CACHE_HOME",
    "XDG_CONFIG_HOME": "the folder of settings; where it is not set: .config in HOME",
    "XDG_STATE_HOME": "holds the private server's data and that of servers; where it is not set: .local/state in HOME",
    "XDG_RUNTIME_DIR": "holds the private server's socket; where it can not: /tmp/jobrun-UID",
    "XDG_CACHE_HOME": "holds what the file unpacks; where it is not set: .cache in HOME",
    "HOME": "where the XDG folders lie that are not set; where it is not set: as the password database says",
    "PATH": "where a Python is looked for that fits the file, and the programs of the private server's jobs",
    "TMPDIR": "where the file unpacks itself if the cache can not hold it, before /var/tmp",
    "SSL_CERT_FILE": "certificates to trust at a login, instead of the system's own",
    "NOTIFY_SOCKET": "set by systemd: where a server tells that it is ready",
}
"""All that change what jobrun does, by what they do; a test holds them to the code. One that is set and empty counts as
given where it names a server: nothing else is taken in its place."""


class Environment:
    """Names and values, in the bytes that execve(2) gave."""

    __slots__ = ("variables",)

    def __init__(self, variables: Mapping[bytes, bytes]) -> None:
        self.variables = variables

    def get(self, name: str) -> str | None:
        """The value as text (bytes that are no UTF-8 as surrogates), None if it is not set."""
        value = self.variables.get(name.encode())
        return None if value is None else value.decode("utf-8", "surrogateescape")


def read_environment() -> Environment:
    """What the process started with, less what is the launcher's own."""
    try:
        with open(INITIAL, "rb") as file:
            variables = parse_block(file.read())
    except OSError:  # /proc is not mounted, or hides it: the copy is all there is
        variables = dict(os.environb)
    for name in OURS:
        variables.pop(name, None)
    return Environment(variables)


def parse_block(block: bytes) -> dict[bytes, bytes]:
    """Names and values of a NUL-separated block; of a name that is there twice the first counts, as in getenv(3)."""
    variables: dict[bytes, bytes] = {}
    for entry in block.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if equals and name:
            variables.setdefault(name, value)
    return variables


def quiet_grpc() -> None:
    """Keeps gRPC's own log off stderr, its fork handlers off, and what the caller's environment says of gRPC and TLS
    out of this process. Host names are looked up as all other programs do. Call before grpc is imported."""
    for name in list(os.environ):
        if name in NOT_OBEYED or name.startswith(("GRPC_", "grpc_")):
            del os.environ[name]
    os.environ["GRPC_VERBOSITY"] = "NONE"
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    os.environ["GRPC_DNS_RESOLVER"] = "native"
