"""Manual pages in the macros of man(7), for mandoc and groff."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

LINE = 76
"""Columns of a line of text: mandoc wants fewer than 80."""


def head(title: str) -> str:
    """The beginning of a page. No date: a page changes with the program, not with the day on which it was made. No
    hyphenation, and no blanks to fill lines: names and paths stay what can be pasted."""
    return f'.TH {title.upper()} 1 "" jobrun "jobrun manual"\n.nh\n.ad l\n'


def section(title: str) -> str:
    """A heading."""
    return f".SH {_argument(title.upper())}\n"


def subsection(title: str) -> str:
    """A smaller heading."""
    return f".SS {_argument(title)}\n"


def paragraphs(texts: Iterable[str]) -> str:
    """Each set by itself, the first one right where we are."""
    return ".PP\n".join(filled(text) for text in texts)


def rows(pairs: Iterable[tuple[str, str]]) -> str:
    """A term in bold, and what it means."""
    return "".join(f".TP\n{bold(term)}\n{filled(meaning)}" for term, meaning in pairs)


def bold(text: str) -> str:
    """In bold, within a line."""
    return f"\\fB{escape(text)}\\fR"


def typed(lines: Iterable[str]) -> str:
    """Lines as they are typed, none of them filled."""
    return ".RS 4\n.nf\n" + "".join(f"{escape(line)}\n" for line in lines) + ".fi\n.RE\n"


def filled(text: str) -> str:
    """Text that is set anew for the reader's width."""
    lines = textwrap.wrap(text, LINE, break_long_words=False, break_on_hyphens=False)
    return "".join(f"{escape(line)}\n" for line in lines)


def escape(text: str) -> str:
    """As one line: backslashes and dashes as they are typed, no control character at its beginning (groff_char(7))."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    plain = plain.replace("^", "\\(ha").replace("~", "\\(ti")
    return f"\\&{plain}" if plain.startswith(".") else plain


def _argument(text: str) -> str:
    """One argument of a macro."""
    return '"' + escape(text).replace('"', "\\(dq") + '"'
