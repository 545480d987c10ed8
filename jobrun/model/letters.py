"""What random names are made of that people read aloud and type: ids, the first password."""

from __future__ import annotations

import secrets
from typing import Final

LETTERS: Final = "23456789abcdefghjkmnpqrstvwxyz"
"""No 0 o, 1 i l, u: what is easily misread, and most words that one would not like to read aloud."""


def random_letters(length: int) -> str:
    """So many of them, each as likely as any other; each is worth 4.9 bits."""
    found = ""
    while len(found) < length:  # bytes in one go: secrets.choice asks the kernel for each letter
        numbers = (byte % 32 for byte in secrets.token_bytes(2 * length))
        found += "".join(LETTERS[number] for number in numbers if number < len(LETTERS))
    return found[:length]
