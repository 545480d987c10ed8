"""The server's certificate: what it is made of, and what is said of an operator's that can not be used."""

from __future__ import annotations

import datetime
import os
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from jobrun.api.tls import ReloadingCertificate
from jobrun.auth.certificate import CertificateFiles, make, own_files
from jobrun.model.errors import StoreError

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
DAY = datetime.timedelta(days=1)


class Pair:
    """A key and a self-signed certificate in two files, as an operator has them."""

    def __init__(
        self,
        folder: Path,
        name: str = "a",
        key: Key | None = None,
        since: int = -1,
        until: int = 1,
        *,
        named: bool = True,
    ) -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.pem = _certificate(self.key, since, until, named=named)
        self.files = CertificateFiles(folder / f"{name}.crt", folder / f"{name}.key")
        self.files.certificate.write_bytes(self.pem)
        self.write_key(_key_pem(self.key))

    def write_key(self, pem: bytes, mode: int = 0o600) -> None:
        """Another content of the key's file."""
        self.files.key.write_bytes(pem)
        self.files.key.chmod(mode)

    def refusal(self) -> str:
        """Why it can not be used: one line."""
        with pytest.raises(StoreError) as caught:
            self.files.load()
        line = str(caught.value)
        assert len(line.splitlines()) == 1
        assert line.startswith("certificate: ")
        assert line.count(": ") >= 2, "it says what to do"
        return line


def _certificate(key: Key, since: int, until: int, *, named: bool) -> bytes:
    """From `since` to `until` days from now."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "box")])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now + since * DAY).not_valid_after(now + until * DAY)
    if named:
        built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName("box")]), critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return built.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)


def _odd(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Names a host by an X.400 address, which cryptography knows nothing of."""
    names = x509.UnrecognizedExtension(x509.OID_SUBJECT_ALTERNATIVE_NAME, b"\x30\x04\xa3\x02\x05\x00")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "box")])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now - DAY).not_valid_after(now + DAY)
    signed = built.add_extension(names, critical=False).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: Key, password: bytes | None = None) -> bytes:
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that the server made."""
    path = tmp_path_factory.mktemp("own") / "tls.pem"
    make(path)
    return path


def test_what_it_makes(own: Path) -> None:
    """A client's TLS library would refuse it, or a stolen key could sign for other names."""
    leaf = x509.load_pem_x509_certificate(own.read_bytes())
    now = datetime.datetime.now(datetime.timezone.utc)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["jobrun.internal"]
    basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca) == (True, False)
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_cert_sign, usage.crl_sign) == (True, False, False)
    extended = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert abs(now - 2 * DAY - leaf.not_valid_before_utc) < DAY / 24
    assert abs(now + 3650 * DAY - leaf.not_valid_after_utc) < DAY / 24
    public = leaf.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert public.curve.name == "secp256r1"


def test_its_file(own: Path) -> None:
    """Another user of the machine could be the server."""
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert os.listdir(own.parent) == ["tls.pem"], "nothing else is left"
    loaded = own_files(own).load()
    assert loaded.fingerprint.startswith("sha256:")
    assert len(loaded.fingerprint) == 7 + 64
    assert "PRIVATE" not in repr(loaded)


def test_two_have_different_subjects(tmp_path: Path, own: Path) -> None:
    """In one bundle BoringSSL would take the one for the other's issuer."""
    make(tmp_path / "tls.pem")
    first, second = (x509.load_pem_x509_certificate(path.read_bytes()) for path in (own, tmp_path / "tls.pem"))
    assert first.subject != second.subject


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        ("mode", "0644"),
        ("link", "symlink"),
        ("folder", "regular"),
        ("empty", "key"),
        ("cut", "certificate"),
        ("gone", "not"),
    ],
)
def test_its_own_file_when_it_is_not_as_it_was_made(tmp_path: Path, damage: str, word: str) -> None:
    """A key that others could read or put there would be the server's."""
    path = tmp_path / "tls.pem"
    make(path)
    if damage == "mode":
        path.chmod(0o644)
    elif damage == "cut":
        path.write_bytes(path.read_bytes().partition(b"-----BEGIN CERT")[0])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.rename(tmp_path / "other")
        if damage == "link":
            path.symlink_to("other")
        elif damage == "folder":
            path.mkdir()
    with pytest.raises(StoreError, match=word):
        own_files(path).load()


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)])
def test_operators_keys(tmp_path: Path, key: Key) -> None:
    """Most of what authorities give out would be refused."""
    pair = Pair(tmp_path, key=key)
    loaded = pair.files.load()
    der = x509.load_pem_x509_certificate(pair.pem).fingerprint(hashes.SHA256())
    assert loaded.fingerprint == f"sha256:{der.hex()}"


def test_a_chain_and_links(tmp_path: Path) -> None:
    """What certbot keeps: a chain in one file, behind a link that it moves."""
    pair, issuer = Pair(tmp_path), Pair(tmp_path, "issuer")
    chain = tmp_path / "fullchain1.pem"
    chain.write_bytes(pair.pem + issuer.pem)
    pair.files.certificate.unlink()
    pair.files.certificate.symlink_to("fullchain1.pem")
    assert pair.files.load().chain.count(b"BEGIN CERTIFICATE") == 2


def test_what_an_operator_may_give_by_mistake(tmp_path: Path) -> None:
    """The server would fail with a traceback, or with what OpenSSL says; or serve what no client can verify."""
    pair, other = Pair(tmp_path), Pair(tmp_path, "b")
    pair.files.certificate.write_bytes(other.pem + pair.pem)
    assert "own first" in pair.refusal()
    pair.files.certificate.write_bytes(other.pem)
    assert "is not the key of" in pair.refusal()
    pair.files.certificate.write_bytes(b"hello")
    assert "no certificate" in pair.refusal()
    pair.files.certificate.unlink()
    assert "No such file" in pair.refusal()
    pair.files.certificate.mkdir()
    assert "is no file" in pair.refusal()


def test_keys_that_an_operator_may_give_by_mistake(tmp_path: Path) -> None:
    """The same, with the key; or every user of the machine could read it."""
    pair = Pair(tmp_path)
    pair.write_key(_key_pem(pair.key, b"secret"))
    assert "encrypted" in pair.refusal()
    pair.write_key(b"hello")
    assert "no key" in pair.refusal()
    pair.write_key(pair.pem)
    assert "no key" in pair.refusal()
    pair.write_key(b"x" * (1 << 17))
    assert "bytes" in pair.refusal()
    pair.write_key(_key_pem(pair.key), 0o644)
    assert "every user" in pair.refusal()
    pair.write_key(_key_pem(pair.key), 0o640)
    pair.files.load()


def test_kinds_dates_and_names(tmp_path: Path) -> None:
    """Each client would be refused at the handshake, with an error that names nothing of this."""
    assert "kind" in Pair(tmp_path, key=ed25519.Ed25519PrivateKey.generate()).refusal()
    assert "kind" in Pair(tmp_path, key=rsa.generate_private_key(65537, 1024)).refusal()
    assert "expired" in Pair(tmp_path, since=-3, until=-1).refusal()
    assert "clock" in Pair(tmp_path, since=1, until=3).refusal()
    assert "alternative name" in Pair(tmp_path, named=False).refusal()


def test_a_certificate_that_the_parser_does_not_take(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A renewal with an extension that nobody thought of would end the server, with a traceback."""
    pair = Pair(tmp_path)
    certificate = ReloadingCertificate(pair.files, lambda _: None)
    assert isinstance(pair.key, ec.EllipticCurvePrivateKey)
    pair.files.certificate.write_bytes(_odd(pair.key))
    with caplog.at_level("INFO"):
        told = pair.refusal()
    assert f"{pair.files.certificate} can not be understood (UnsupportedGeneralNameType): use another cert" in told
    assert caplog.records[0].exc_info, "nobody could tell it from a fault of ours"
    certificate.look()


def test_a_key_that_the_parser_does_not_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As above; the operator would look for the fault in the wrong file."""
    pair = Pair(tmp_path)

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(serialization, "load_pem_private_key", fails)
    assert f"{pair.files.key} can not be understood (RuntimeError): use another key" in pair.refusal()


def test_a_broken_renewal_keeps_the_certificate_before_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A renewal that went wrong would take the server down, or fill its log at each connection."""
    pair = Pair(tmp_path)
    told: list[str] = []
    certificate = ReloadingCertificate(pair.files, told.append)
    first = certificate.fingerprint
    pair.write_key(b"half of a ke")
    for _ in range(3):
        certificate.look()
    assert (certificate.fingerprint, told) == (first, [])
    assert len(caplog.records) == 1
    renewed = Pair(tmp_path)
    certificate.look()
    assert told == [renewed.files.load().fingerprint] == [certificate.fingerprint]
    pair.files.key.unlink()
    certificate.look()
    certificate.look()
    assert len([one for one in caplog.records if one.levelname == "WARNING"]) == 2
    assert certificate.fingerprint == told[0]
