"""An authority of the tests' own, as an operator has one."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.e2e.insecure import own

DAY = datetime.timedelta(days=1)


class Authority:
    """Signs certificates for this machine's loopback names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("an authority of tests")
        usable = x509.BasicConstraints(ca=True, path_length=0)
        made = _builder(self._name, self._name, self._key).add_extension(usable, critical=True)
        self.path = folder / "authority.pem"
        self.path.write_bytes(_pem(made.sign(self._key, hashes.SHA256())))

    def issue(self, name: str, host: str = "localhost") -> tuple[Path, Path]:
        """A new certificate and its key for 127.0.0.1 and `host`: their files, named after `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        usable = x509.BasicConstraints(ca=False, path_length=None)
        built = _builder(_named(name), self._name, key).add_extension(names, critical=False)
        made = built.add_extension(usable, critical=True).sign(self._key, hashes.SHA256())
        return self._write(f"{name}.crt", _pem(made)), self._write(f"{name}.key", _key_pem(key))

    def _write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        path.chmod(0o600)
        own(path)
        return path


class Operator:
    """Somebody whose server has a certificate of an authority; the server's user may read its files."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.certificate, self.key = folder / "server.crt", folder / "server.key"
        self.config = f"[server]\ncertificate = {self.certificate}\nkey = {self.key}\n"
        self.renew("first")

    def renew(self, name: str) -> None:
        """Puts a new certificate of the same authority in place, as certbot does."""
        for made, used in zip(self.authority.issue(name), (self.certificate, self.key), strict=True):
            made.rename(used)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    built = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    numbered = built.serial_number(x509.random_serial_number())
    return numbered.not_valid_before(now - 3 * DAY).not_valid_after(now + 30 * DAY)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
