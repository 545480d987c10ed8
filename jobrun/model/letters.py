"""What random names are made of that people read aloud and type: ids, the first password."""

from __future__ import annotations

import secrets
from typing import Final

LETTERS: Final = "23456789abcdefghjkmnpqrstvwxyz"
"""No 0 o, 1 i l, u: what is easily misread, and most words that one would not like to read aloud."""


def random_letters(length: int) -> str:
    """So many of them; each is worth 4.9 bits."""
    return "".join(secrets.choice(LETTERS) for _ in range(length))
