"""What a job, a name or a server puts into a table or an error can not take the terminal over."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrun.cli.text import is_utf8, raw
from jobrun.model.shown import escape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("größe ✔ 日本", "größe ✔ 日本"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x7f\x85\x9b", "\\x7f\\x85\\x9b"),
        ("evil\u202etxt", "evil\\u202etxt"),
        ("\u2028\u2066\ufeff", "\\u2028\\u2066\\ufeff"),
        ("\udcff", "\\xff"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_escapes(text: str, shown: str) -> None:
    """One spelling for each kind of character that is not shown as it is."""
    assert escape(text) == shown


@given(st.text())
def test_nothing_that_is_shown_controls_a_terminal(text: str) -> None:
    """No C0, no C1, no bidi, no line end, whatever comes; and what is printable stays as it is."""
    shown = escape(text)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    if text.isprintable():
        assert shown == text


@given(st.binary())
def test_a_word_of_the_command_line_keeps_its_bytes(data: bytes) -> None:
    """Names of files and values of variables are bytes."""
    text = data.decode("utf-8", "surrogateescape")
    assert raw(text) == data
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        assert not is_utf8(text)
    else:
        assert is_utf8(text)
