"""The server's certificate: its own, self-signed, made at the first start; or its operator's, by file."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jobrun.files.data_files import read_data_file, write_data_file
from jobrun.model.errors import StoreError
from jobrun.model.fingerprint import fingerprint_of
from jobrun.model.server_name import SERVER_NAME

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes

log = logging.getLogger(__name__)

MOST = 1 << 16
"""Bytes of a file with a key, or a chain of certificates: ours has less than a thousand."""
BACKDATED = datetime.timedelta(days=2)
"""For clients whose clock is behind: BoringSSL holds a pinned certificate to its dates too."""
LIFETIME = datetime.timedelta(days=3650)
CURVES = ("secp256r1", "secp384r1")
RSA_BITS = 2048
"""At least. What BoringSSL takes from a server is ECDSA on these curves and RSA: no Ed25519."""


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A key and the certificates that go with it, checked: they fit, and are valid now."""

    key: bytes = dataclasses.field(repr=False)
    """PEM."""
    chain: bytes
    """PEM, the server's own first."""
    fingerprint: str
    """`sha256:HEX` of the server's own, over its DER."""


@dataclasses.dataclass(frozen=True)
class CertificateFiles:
    """Where it lies: in one file, or in two."""

    certificate: Path
    key: Path
    own: bool = False
    """Ours, in one file, so that the two are never of different pairs."""

    def load(self) -> Certificate:
        """Reads and checks. StoreError, and nothing else: one line for whoever put the files there."""
        if not self.own:
            return _parse(self, _read(self.certificate), _read_key(self.key))
        try:
            pem = read_data_file(self.certificate, MOST)
        except FileNotFoundError:
            raise _unusable(self.certificate, "is not there", "make one by jobrun server new-cert") from None
        return _parse(self, pem, pem)

    def stamp(self) -> tuple[tuple[int, int, int], ...]:
        """Changes when a file is replaced or written: its inode, mtime in ns, size. OSError."""
        found = [path.stat() for path in dict.fromkeys((self.certificate, self.key))]
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in found)


def own_files(path: Path) -> CertificateFiles:
    """Of a certificate of ours."""
    return CertificateFiles(path, path, own=True)


def make(path: Path) -> Certificate:
    """Makes a key and a certificate of ours and puts them in the place of what is at `path`. StorageFull, OSError."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = _self_sign(key)
    write_data_file(path, key_pem + certificate.public_bytes(serialization.Encoding.PEM))
    return own_files(path).load()


def _self_sign(key: PrivateKeyTypes) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    assert isinstance(key, ec.EllipticCurvePrivateKey)
    # The tag keeps two of our certificates apart in one bundle: BoringSSL finds an issuer by its name.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"jobrun {secrets.token_hex(8)}")])
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_signature_only(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _signature_only() -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _parse(files: CertificateFiles, chain_pem: bytes, key_pem: bytes) -> Certificate:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    with _understood(files.key, "key"):
        key = _parse_key(files.key, key_pem)
        ours = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = _public_bytes(key.public_key())  # type: ignore[arg-type]  # _check_kind left two kinds
    with _understood(files.certificate, "certificate"):
        chain = _parse_chain(files.certificate, chain_pem)
        _check_match(files, chain, public)
        _check_leaf(files, chain[0])
        return Certificate(
            key=ours,
            chain=b"".join(one.public_bytes(Encoding.PEM) for one in chain),
            fingerprint=fingerprint_of(chain[0].public_bytes(Encoding.DER)),
        )


@contextlib.contextmanager
def _understood(path: Path, what: str) -> Iterator[None]:
    """cryptography looks at parts when they are asked for, and has errors for each. The log says which it was, as it
    may be ours. Raises StoreError, and nothing else."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        log.info("%s can not be understood", path, exc_info=True)
        raise _unusable(path, f"can not be understood ({type(error).__name__})", f"use another {what}") from error


def _parse_key(path: Path, pem: bytes) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise _unusable(path, "holds an encrypted key", "give one without a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _unusable(path, "holds no key that can be read", "it must be PEM, beginning with PRIVATE KEY") from None
    _check_kind(path, key)
    return key


def _check_kind(path: Path, key: PrivateKeyTypes) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= RSA_BITS:
        return
    raise _unusable(path, "holds a key of a kind that TLS does not take here", "use ECDSA P-256 or RSA of 2048 bits")


def _parse_chain(path: Path, pem: bytes) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise _unusable(
            path, "holds no certificate that can be read", "it must be PEM, the server's own first"
        ) from None


def _check_match(files: CertificateFiles, chain: list[x509.Certificate], wanted: bytes) -> None:
    fits = [_certified(files.certificate, one) == wanted for one in chain]
    if fits[0]:
        return
    if any(fits):
        raise _unusable(files.certificate, "has another certificate before the server's own", "put its own first")
    raise _unusable(files.key, f"is not the key of {files.certificate}", "give the two that belong together")


def _certified(path: Path, one: x509.Certificate) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return _public_bytes(one.public_key())
    except (ValueError, UnsupportedAlgorithm):
        raise _unusable(path, "is for a key of an unknown kind", "use ECDSA P-256 or RSA of 2048 bits") from None


def _public_bytes(key: CertificatePublicKeyTypes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_leaf(files: CertificateFiles, leaf: x509.Certificate) -> None:
    """Its dates, and that it names something: clients verify names among the alternative ones alone (RFC 6125)."""
    now = datetime.datetime.now(datetime.timezone.utc)
    renew = "make another by jobrun server new-cert" if files.own else "renew it"
    if leaf.not_valid_after_utc <= now:
        raise _unusable(files.certificate, f"expired at {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC", renew)
    if leaf.not_valid_before_utc > now:
        begin = f"is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        raise _unusable(files.certificate, begin, "look at this machine's clock")
    if _alternative_names(leaf) is None:
        raise _unusable(files.certificate, "has no subject alternative name", "make one that names the host")


def _alternative_names(leaf: x509.Certificate) -> x509.SubjectAlternativeName | None:
    from cryptography import x509

    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    known = names.get_values_for_type(x509.DNSName) or names.get_values_for_type(x509.IPAddress)
    return names if known else None


def _read_key(path: Path) -> bytes:
    """An operator's key may belong to another user, and to a group: never to all."""
    return _read(path, forbidden=0o007)


def _read(path: Path, forbidden: int = 0) -> bytes:
    """Links are followed: that is how certbot puts the newest one in its place."""
    try:
        if not path.is_file() and path.exists():
            raise _unusable(path, "is no file", "give a file in PEM")
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_mode & forbidden:
                raise _unusable(path, "may be read or written by every user of this machine", f"chmod o= {path}")
            pem = file.read(MOST + 1)
    except OSError as error:
        raise _unusable(path, f"can not be read ({error.strerror})", "give a file that this user may read") from error
    if len(pem) > MOST:
        raise _unusable(path, f"has more than {MOST} bytes", "give a file in PEM")
    return pem


def _unusable(path: Path, what: str, remedy: str) -> StoreError:
    return StoreError(f"certificate: {path} {what}: {remedy}")
