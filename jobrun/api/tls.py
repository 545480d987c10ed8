"""TLS on the listener: a certificate that can be replaced while the server runs, and connections that never notice."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import grpc

from jobrun.auth.certificate import Certificate, CertificateFiles
from jobrun.model.errors import JobrunError

log = logging.getLogger(__name__)


class ReloadingCertificate:
    """The certificate that new connections get. Looks at its files at each handshake, by stat(2) alone as long as they
    are the ones it knows. Files that can not be used are told once, and the certificate before them stays.

    gRPC asks in threads of its own, so what is in here is held by a lock."""

    def __init__(self, files: CertificateFiles, on_change: Callable[[str], None]) -> None:
        """Raises StoreError. `on_change` is told the new fingerprint before the first client sees it, in any thread;
        it must not raise."""
        self._files = files
        self._on_change = on_change
        self._lock = threading.Lock()
        self._stamp = _stamp(files)  # before the look inside: a change in between is seen next time
        self._current = files.load()
        self._given = self._current

    @property
    def fingerprint(self) -> str:
        """`sha256:HEX` of the one that new connections get."""
        return self._current.fingerprint

    def credentials(self) -> grpc.ServerCredentials:
        """For one listener: each would have to be given its own changes."""
        fetch: Callable[[], Any] = self._fetch  # the stubs miss None, "as before"
        return grpc.dynamic_ssl_server_credentials(_configuration(self._current), fetch)

    def look(self) -> None:
        """Takes a new certificate, if there is one."""
        with self._lock:
            self._look()

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """What gRPC asks for at each handshake; None: as before. Never raises: that would refuse the client."""
        with self._lock:
            self._look()
            if self._given is self._current:
                return None
            self._given = self._current
            return _configuration(self._current)

    def _look(self) -> None:
        stamp = _stamp(self._files)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            found = self._files.load()
        except JobrunError as error:
            log.warning("%s; the certificate before it stays in use", error)
            return
        if found != self._current:
            self._current = found
            self._on_change(found.fingerprint)
            log.info("a new certificate: %s", found.fingerprint)


def _stamp(files: CertificateFiles) -> object:
    """None while a file is not there: so it is looked at again when it comes back."""
    try:
        return files.stamp()
    except OSError:
        return None


def _configuration(certificate: Certificate) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(certificate.key, certificate.chain)])
