"""The file's bill of materials: CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/. Nothing in it depends on when or
where it was made."""

import json
import uuid
from collections.abc import Sequence

from builder.notices import Part, Work

Component = dict[str, object]


def document(works: Sequence[Work], *, version: str, build: str, license_: str, sha256: str) -> bytes:
    """The JSON text for a file with that version, BUILD, licence (as SPDX has it) and SHA-256 (hex)."""
    own = f"pkg:generic/jobrun@{version}"
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, build + sha256)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "jobrun",
                "version": version,
                "purl": own,
                "licenses": [{"expression": license_}],
                "hashes": [{"alg": "SHA-256", "content": sha256}],
                "properties": [{"name": "jobrun:build", "value": build}],
            }
        },
        "components": [_work(work) for work in works],
        "dependencies": [
            {"ref": own, "dependsOn": [work.purl for work in works]},
            *({"ref": work.purl, "dependsOn": [part.purl for part in work.parts]} for work in works),
        ],
    }
    return json.dumps(bom, indent=2).encode() + b"\n"


def _work(work: Work) -> Component:
    component = _component(work.name, work.version, work.license, work.purl)
    if work.parts:
        component["components"] = [_part(part) for part in work.parts]
    return component


def _part(part: Part) -> Component:
    return _component(part.name, part.version, part.license, part.purl)


def _component(name: str, version: str, license_: str, purl: str) -> Component:
    component: Component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if license_:
        component["licenses"] = [{"expression": license_}]
    return component
