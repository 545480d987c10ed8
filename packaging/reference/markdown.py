"""Pages in GitHub's Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MADE = "<!-- Made by python3 build.py docs: do not edit. -->\n"


def page(title: str, *parts: str) -> str:
    """A whole page: its parts with an empty line between."""
    return "\n".join([MADE, f"# {title}\n", *(part for part in parts if part)])


def section(title: str, *parts: str, level: int = 2) -> str:
    """A heading and what stands under it."""
    return "\n".join([f"{'#' * level} {title}\n", *(part for part in parts if part)])


def paragraph(text: str) -> str:
    """In one line, as its reader breaks it."""
    return " ".join(text.split()) + "\n"


def code(text: str) -> str:
    """Within a line."""
    return f"`{text}`" if text else ""


def block(text: str) -> str:
    """Lines as they are."""
    return f"```\n{text}\n```\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Empty where there are no rows."""
    lines = [_row(row) for row in rows]
    return "".join([_row(head), "|---" * len(head) + "|\n", *lines]) if lines else ""


def link(text: str) -> str:
    """To the heading of that text on the same page."""
    return f"[{text}](#{text.lower().replace(' ', '-')})"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |\n"
