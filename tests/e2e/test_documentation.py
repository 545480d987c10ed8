"""README.md and docs/ do what they say, with the built file, in a fresh home."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.documentation import ROOT, Reader, blocks
from tests.e2e.home import Home

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("[!r]*/*.md"))]
"""Those that people wrote; the reference is made by the program."""
RUN = ("console", "sh", "console server")
"""Info strings of blocks that a test runs. The server runs in another terminal, to the end of the page."""


def name(page: Path) -> str:
    """As a test's parameter."""
    return str(page.relative_to(ROOT))


@pytest.fixture
def reader(home: Home) -> Iterator[Reader]:
    """Somebody new."""
    somebody = Reader(home)
    try:
        yield somebody
    finally:
        somebody.close()


@pytest.mark.parametrize("page", [page for page in PAGES if any(b.kind in RUN for b in blocks(page))], ids=name)
def test_what_a_page_shows_is_what_happens(reader: Reader, page: Path) -> None:
    """Somebody new would be stuck at the first command that is not as it is shown."""
    for block in blocks(page):
        if block.kind in RUN:
            reader.follow(block)
