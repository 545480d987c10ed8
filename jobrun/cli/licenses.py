"""What others wrote of what is inside the file, and their licences: as the build found them in the wheels."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import jobrun
from jobrun.config.errors import Refusal

OWN = "Apache-2.0"
"""Of jobrun itself, as SPDX has it; the text is among those of what is inside. The build reads this line too."""
_RULE = "-" * 79


def inside() -> list[dict[str, Any]]:
    """One dict a work: name, version, license, texts (pairs of file name and text), parts (name, version, license,
    purl). Refusal where this jobrun is no built file."""
    try:
        with open(os.path.join(os.path.dirname(jobrun.__file__), "licenses.json"), encoding="utf-8") as file:
            works: list[dict[str, Any]] = json.load(file)
    except FileNotFoundError:
        what = "version --licenses: only a built file has them: python3 build.py run version --licenses"
        raise Refusal(what) from None
    return works


def text(works: Sequence[dict[str, Any]]) -> str:
    """For people: a list of all, then each licence's text once."""
    lines = ["What is inside, and its licence:", ""]
    for work in works:
        lines.append(_line("", work))
        lines += [_line("  with ", part) for part in work["parts"]]
    for whole, names in _texts(works).items():
        lines += ["", _RULE, "", *(f"{name}:" for name in names), "", whole.strip("\n")]
    return "\n".join(lines) + "\n"


def _line(before: str, one: dict[str, Any]) -> str:
    return f"{before}{one['name']} {one['version']}: {one['license'] or 'not stated by the wheel'}"


def _texts(works: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """Text to the works and files that bring it: many share one."""
    found: dict[str, list[str]] = {}
    for work in works:
        for name, whole in work["texts"]:
            found.setdefault(whole, []).append(f"{work['name']} {work['version']}, {name}")
    return found
