"""The certificates that this machine trusts."""

from __future__ import annotations

import os

from jobrun.config.environment import Environment
from jobrun.config.errors import Refusal

USUAL = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where Linux systems have them: Debian and Alpine, Fedora, SUSE, others. Asked before OpenSSL, whose import takes as
long as all else that a short command does."""
MOST = 16 << 20
"""Bytes in all: a bundle has a quarter of one MiB."""


def read_system_roots(environment: Environment) -> bytes:
    """PEM of all roots: SSL_CERT_FILE as OpenSSL obeys it, else the system's. Raises Refusal where there are none."""
    named = environment.get("SSL_CERT_FILE")
    for path in (named,) if named else USUAL:
        if path and os.path.isfile(path):
            return _read(path)
    roots = b"" if named else _by_openssl()
    if not roots:
        where = named or USUAL[0]
        raise Refusal(f"no root certificates at {where}: install ca-certificates, or set SSL_CERT_FILE")
    return roots


def _by_openssl() -> bytes:
    """From where this Python's OpenSSL looks: its file, else all of its folder."""
    import ssl

    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return _read(paths.cafile)
    if not paths.capath:
        return b""
    return b"".join(_read(entry.path) for entry in os.scandir(paths.capath) if entry.is_file())


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(MOST)
    except OSError as error:
        raise Refusal(f"cannot read the root certificates in {path}: {error.strerror}") from error
    return content if content.endswith(b"\n") else content + b"\n"
