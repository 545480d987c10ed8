"""Text from a job, a name or a server, made safe to show: no character of it moves the cursor or hides another."""

from __future__ import annotations


def escape(text: str) -> str:
    """`text` with control, format (bidi too), and line characters, and bytes that are no UTF-8, written as escapes."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(ord(character)) for character in text)


def _escaped(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: one byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    known = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}
    if code in known:
        return known[code]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
