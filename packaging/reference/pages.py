"""All pages that are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from jobrun.cli.manual import pages as manual_pages
from reference.commands import commands_page
from reference.configuration import configuration_page
from reference.exits import exits_page
from reference.json_output import json_page
from reference.refusals import refusals_page
from reference.wire import wire_page

DOCS = Path(__file__).resolve().parents[2] / "docs"
FOLDERS = ("reference", "man")
"""All files of these are made."""


REFERENCE: Mapping[str, Callable[[], str]] = {
    "reference/commands.md": commands_page,
    "reference/configuration.md": configuration_page,
    "reference/errors.md": refusals_page,
    "reference/exit-codes.md": exits_page,
    "reference/json.md": json_page,
    "reference/wire.md": wire_page,
}


def made() -> dict[str, str]:
    """By path in docs/."""
    manual = {f"man/{name}": text for name, text in manual_pages().items()}
    return {**{name: page() for name, page in REFERENCE.items()}, **manual}


def present() -> dict[str, str]:
    """Those that are there, by path in docs/."""
    paths = [path for folder in FOLDERS for path in (DOCS / folder).glob("*")]
    return {str(path.relative_to(DOCS)): path.read_text() for path in paths}


def write() -> None:
    """Makes docs/ what it should be."""
    wanted = made()
    for name in present().keys() - wanted.keys():
        (DOCS / name).unlink()
    for name, text in wanted.items():
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(text)


def outdated() -> list[str]:
    """Those that are not what they should be."""
    wanted, found = made(), present()
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
