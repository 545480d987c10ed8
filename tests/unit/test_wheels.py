"""What of the wheels goes into the file, and what is told of them: licences and the bill of materials."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builder import notices, sbom, wheels
from builder.assemble import source_license
from builder.environment import BuildError

from jobrun.cli import licenses

CARGO = {"name": "asn1", "version": "1.2", "licenses": [{"license": {"id": "MIT"}}], "purl": "pkg:cargo/asn1@1.2"}
OWN_CRATE = {"name": "own", "version": "3", "purl": "pkg:cargo/own@3?download_url=file://own"}


def install(folder: Path, name: str, *, stated: str = "License-Expression: MIT", text: str = "may be used") -> None:
    """A distribution as an installer leaves it."""
    info = folder / f"{name}-1.0.dist-info"
    (info / "licenses").mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{stated}\n\nLong words.\n")
    (info / "RECORD").touch()
    if text:
        (info / "licenses" / "LICENSE").write_text(text)


@pytest.mark.parametrize(
    ("path", "used"),
    [
        ("_cffi_backend.cpython-311-x86_64-linux-gnu.so", True),
        ("cffi/api.py", False),
        ("pycparser/c_ast.py", False),
        ("google/rpc/status_pb2.py", True),
        ("google/api/http_pb2.py", False),
        ("grpc/_cython/_credentials/roots.pem", False),
        ("jwt/api_jwt.py", True),
        ("jwt/py.typed", False),
        ("pyjwt-2.0.dist-info/METADATA", False),
    ],
)
def test_what_is_used(path: str, used: bool) -> None:  # noqa: FBT001
    """Each file that is not needed makes every first start slower."""
    assert wheels.is_used(path) is used


def test_licences_and_parts_are_read(tmp_path: Path) -> None:
    """What is compiled into a wheel has licences too; what differs between targets would end each build."""
    for target in ("a", "b"):
        install(tmp_path / target, "thing")
        boms = tmp_path / target / "thing-1.0.dist-info" / "sboms"
        boms.mkdir()
        (boms / "x.json").write_text(json.dumps({"serialNumber": target, "components": [CARGO, OWN_CRATE]}))
    works = notices.read([tmp_path / "a", tmp_path / "b"])
    parts = (notices.Part("asn1", "1.2", "MIT", "pkg:cargo/asn1@1.2"), notices.Part("own", "3", "", "pkg:cargo/own@3"))
    assert works == [notices.Work("thing", "1.0", "MIT", (("LICENSE", "may be used"),), parts)]
    assert notices.from_json(notices.to_json(works))[0].purl == "pkg:pypi/thing@1.0"


def test_openssl_has_its_licence(tmp_path: Path) -> None:
    """Its wheel's bill names none: who checks licences before a use would stop at the largest part."""
    install(tmp_path, "thing")
    boms = tmp_path / "thing-1.0.dist-info" / "sboms"
    boms.mkdir()
    part = {"name": "openssl", "version": "4.0.3", "purl": "pkg:generic/openssl@4.0.3"}
    (boms / "x.json").write_text(json.dumps({"components": [part]}))
    assert [one.license for one in notices.read([tmp_path])[0].parts] == ["Apache-2.0"]


@pytest.mark.parametrize("broken", [{"stated": "Summary: none"}, {"text": ""}], ids=["none stated", "no text"])
def test_no_licence_no_build(broken: dict[str, str], tmp_path: Path) -> None:
    """A new release of a dependency that drops its licence must not go out unseen."""
    install(tmp_path, "thing", **broken)
    with pytest.raises(BuildError, match="has no licence"):
        notices.read([tmp_path])


def test_targets_that_differ_end_the_build(tmp_path: Path) -> None:
    """The bill would tell of one machine's file only."""
    install(tmp_path / "a", "thing")
    install(tmp_path / "b", "thing", stated="License: GPL-3.0-only")
    with pytest.raises(BuildError, match="thing has other licences"):
        notices.read([tmp_path / "a", tmp_path / "b"])


def test_bill_of_materials(tmp_path: Path) -> None:
    """A scanner finds each component by its package URL, and the same build has the same bill."""
    install(tmp_path, "Some_Thing")
    works = notices.read([tmp_path])
    facts = {"version": "1.2.3", "build": "b" * 32, "license_": source_license(), "sha256": "c" * 64}
    bill = sbom.document(works, **facts)
    assert bill == sbom.document(works, **facts)
    read = json.loads(bill)
    assert (read["bomFormat"], read["specVersion"]) == ("CycloneDX", "1.6")
    assert read["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": "c" * 64}]
    assert read["metadata"]["component"]["licenses"] == [{"expression": licenses.OWN}]
    (component,) = read["components"]
    assert component["purl"] == component["bom-ref"] == "pkg:pypi/some-thing@1.0"
    assert component["licenses"] == [{"expression": "MIT"}]
