"""Words of the command line and text for a terminal, as bytes. What is foreign is made safe by model/shown.py."""

from __future__ import annotations

from collections.abc import Iterable


def encode(text: str) -> bytes:
    """UTF-8 for a terminal or pipe; whatever the locale says."""
    return text.encode("utf-8", "backslashreplace")


def raw(text: str) -> bytes:
    """The very bytes of a word of the command line."""
    return text.encode("utf-8", "surrogateescape")


def is_utf8(text: str) -> bool:
    """Whether a word of the command line was UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of them that somebody may have meant who typed a word that is none."""
    import difflib

    return next(iter(difflib.get_close_matches(word, list(known), 1)), None)
