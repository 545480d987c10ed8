"""A stranger in the middle: a gRPC server that answers nothing and writes down all that it is told."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import datetime
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = datetime.timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class Papers:
    """What it shows: its private key, and a chain of certificates, PEM."""

    key: bytes
    chain: bytes

    @property
    def fingerprint(self) -> str:
        """Of the leaf: `sha256:HEX`."""
        leaf = x509.load_pem_x509_certificate(self.chain)
        return f"sha256:{hashlib.sha256(leaf.public_bytes(serialization.Encoding.DER)).hexdigest()}"


def like(genuine: bytes) -> Papers:
    """Papers of its own, which say in every field what the genuine certificate says, but with a key of its own."""
    model, key = x509.load_pem_x509_certificate(genuine), ec.generate_private_key(ec.SECP256R1())
    built = x509.CertificateBuilder().subject_name(model.subject).issuer_name(model.issuer)
    built = built.public_key(key.public_key()).serial_number(model.serial_number)
    built = built.not_valid_before(model.not_valid_before_utc).not_valid_after(model.not_valid_after_utc)
    for extension in model.extensions:
        if not isinstance(extension.value, x509.SubjectKeyIdentifier | x509.AuthorityKeyIdentifier):
            built = built.add_extension(extension.value, extension.critical)
    return _signed(built, key)


def other() -> Papers:
    """Papers for the same name, and nothing else alike."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "jobrun")])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(x509.random_serial_number()).not_valid_before(now - 2 * DAY)
    names = x509.SubjectAlternativeName([x509.DNSName("jobrun.internal"), x509.DNSName("localhost")])
    return _signed(built.not_valid_after(now + 30 * DAY).add_extension(names, critical=False), key)


def issued_by_genuine(genuine: bytes) -> Papers:
    """A leaf of its own that names the genuine certificate as its issuer, and that one behind it in the chain."""
    model, key = x509.load_pem_x509_certificate(genuine), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "jobrun.internal")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(model.subject).public_key(key.public_key())
    built = built.serial_number(x509.random_serial_number()).not_valid_before(model.not_valid_before_utc)
    names = x509.SubjectAlternativeName([x509.DNSName("jobrun.internal")])
    papers = _signed(built.not_valid_after(model.not_valid_after_utc).add_extension(names, critical=False), key)
    return dataclasses.replace(papers, chain=papers.chain + genuine)


def _signed(built: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> Papers:
    plain = serialization.NoEncryption()
    return Papers(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain),
        built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
    )


class Impostor(grpc.GenericRpcHandler):
    """It listens with its papers."""

    def __init__(self, papers: Papers) -> None:
        self.papers = papers
        self.heard: list[tuple[str, Mapping[str, Any], bytes]] = []
        """Method, metadata and message of each call that came."""
        self._pool = concurrent.futures.ThreadPoolExecutor(4)
        self._server = grpc.server(self._pool, options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self,))
        credentials = grpc.ssl_server_credentials([(papers.key, papers.chain)])
        self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self._server.start()

    def service(self, details: Any) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Any call: written down, and refused. Health is fine, or a client would look no further."""

        def note(message: bytes, context: Any) -> bytes:
            self.heard.append((details.method, dict(details.invocation_metadata), message))
            if details.method == "/grpc.health.v1.Health/Check":
                return b"\x08\x01"
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "say it again")
            return b""

        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(note)
        return handler

    def close(self) -> None:
        """The test's end."""
        self._server.stop(0).wait()
        self._pool.shutdown()


@contextlib.contextmanager
def impostor(papers: Papers) -> Iterator[Impostor]:
    """One that listens, until the end of the block."""
    listening = Impostor(papers)
    try:
        yield listening
    finally:
        listening.close()
