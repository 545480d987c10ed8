"""Tables for people: aligned columns, no character that moves the cursor."""

from __future__ import annotations

from collections.abc import Sequence

from jobrun.cli.output import put
from jobrun.model.shown import escape


def put_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints the rows under the header; each cell is escaped."""
    cells = [list(header), *([escape(cell) or "-" for cell in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    put("".join(line.rstrip() + "\n" for line in lines))


def put_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Prints names and values, one a line; an empty value is left out."""
    width = max(len(name) for name, _ in facts)
    put("".join(f"{name:<{width}}  {escape(value)}\n" for name, value in facts if value))
