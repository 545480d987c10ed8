"""The words behind a command's options."""

from __future__ import annotations

from collections.abc import Sequence

from jobrun.cli.options import Parsed
from jobrun.cli.text import is_utf8


def one_id(parsed: Parsed) -> str:
    """The only word. Raises UsageError."""
    words = some_ids(parsed)
    if len(words) > 1:
        raise parsed.usage_error(f"takes one ID, not {len(words)}")
    return words[0]


def one_word(parsed: Parsed, what: str) -> str:
    """The only word; `what` it should be. Raises UsageError."""
    _refuse_late_options(parsed)
    if not parsed.words:
        raise parsed.usage_error(f"no {what}: give one")
    if len(parsed.words) > 1 or not is_utf8(parsed.words[0]):
        raise parsed.usage_error(f"takes one {what}, not {' '.join(parsed.words)}")
    return parsed.words[0]


def some_ids(parsed: Parsed) -> Sequence[str]:
    """One word or more. Raises UsageError."""
    _refuse_late_options(parsed)
    if not parsed.words:
        raise parsed.usage_error('no ID: give one, its beginning, or "@last"')
    return parsed.words


def no_words(parsed: Parsed) -> None:
    """Raises UsageError where there is any word."""
    _refuse_late_options(parsed)
    if parsed.words:
        raise parsed.usage_error(f"takes no words: what is {parsed.words[0]}?")


def _refuse_late_options(parsed: Parsed) -> None:
    for word in parsed.words:
        if word.startswith("-"):
            raise parsed.usage_error(f"{word}: options come before the other words: jobrun {parsed.command} {word} ...")
