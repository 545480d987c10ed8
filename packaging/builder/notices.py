"""What is inside the file that others wrote, and under which licences: read from the wheels' own metadata."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from builder.environment import BuildError

# What wheels say in words, as SPDX has it.
_SPDX = {"3-Clause BSD License": "BSD-3-Clause"}
# What no wheel's bill states. OpenSSL, from 3.0 on: https://openssl-library.org/source/license/
_UNSTATED = {"openssl": "Apache-2.0"}
_NOTHING_OF_IT = ("pycparser",)  # installed for cffi's compiler, which is left out as well


@dataclass(frozen=True)
class Part:
    """What a wheel says to be compiled into it. `license` is an SPDX expression, empty where the wheel names none."""

    name: str
    version: str
    license: str
    purl: str


@dataclass(frozen=True)
class Work:
    """One distribution of the index. `texts`: its licence files, name and text."""

    name: str
    version: str
    license: str
    texts: Sequence[tuple[str, str]]
    parts: Sequence[Part]

    @property
    def purl(self) -> str:
        """Its package URL, https://github.com/package-url/purl-spec."""
        return f"pkg:pypi/{self.name.lower().replace('_', '-')}@{self.version}"


def read(folders: Sequence[Path]) -> list[Work]:
    """The distributions installed there, sorted by name. BuildError if one has no licence, or two versions."""
    works: dict[str, Work] = {}
    for folder in folders:
        for info in sorted(folder.glob("*.dist-info")):
            work = _work(info)
            if work.name not in _NOTHING_OF_IT and works.setdefault(work.name, work) != work:
                raise BuildError(f"{work.name} has other licences, parts or another version in {folder.name}")
    return [works[name] for name in sorted(works, key=str.lower)]


def to_json(works: Sequence[Work]) -> bytes:
    """For the file: `jobrun version --licenses` prints it."""
    return json.dumps([asdict(work) for work in works], indent=1, sort_keys=True).encode()


def from_json(text: bytes) -> list[Work]:
    """What `to_json` was given."""
    return [
        Work(**{**one, "texts": [tuple(t) for t in one["texts"]], "parts": [Part(**part) for part in one["parts"]]})
        for one in json.loads(text)
    ]


def _work(info: Path) -> Work:
    head = HeaderParser().parsestr((info / "METADATA").read_text(encoding="utf-8"))
    stated = head["License-Expression"] or head["License"]
    texts = tuple((path.name, path.read_text(encoding="utf-8")) for path in _licence_files(info))
    if not stated or not texts:
        raise BuildError(f"{info.name} has no licence: is it the wheel that it should be?")
    return Work(head["Name"], head["Version"], _SPDX.get(stated, stated), texts, tuple(sorted(_parts(info), key=str)))


def _licence_files(info: Path) -> list[Path]:
    """Where PEP 639 puts them, and where older wheels have them."""
    named = [path for path in info.rglob("*") if path.name.startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE"))]
    return sorted(path for path in named if path.is_file())


def _parts(info: Path) -> Iterator[Part]:
    """From the CycloneDX files that PEP 770 puts into a wheel. What differs between targets, as flags, is dropped."""
    for path in sorted(info.glob("sboms/*.json")):
        for one in json.loads(path.read_bytes())["components"]:
            purl = one.get("purl", "").partition("?download_url=file:")[0]
            stated = _expression(one.get("licenses", [])) or _UNSTATED.get(one["name"], "")
            yield Part(one["name"], one["version"], stated, purl)


def _expression(licenses: Sequence[dict[str, Any]]) -> str:
    """CycloneDX has an expression, or licences by id."""
    named = [one.get("license", {}) for one in licenses]
    return " AND ".join(
        one.get("expression") or name.get("id") or name["name"] for one, name in zip(licenses, named, strict=True)
    )
