"""Bencoding (BEP 3): whole numbers, byte strings, lists, dictionaries. One value has one encoding, so that hashes of it
can be compared; the parser needs no module, so that the spawner stays small."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    Value: TypeAlias = int | bytes | str | Sequence["Value"] | Mapping[bytes, "Value"]
    Decoded: TypeAlias = int | bytes | list["Decoded"] | dict[bytes, "Decoded"]


def encode(value: Value) -> bytes:
    """The encoding of `value`; a str goes as its UTF-8 (lone surrogates as the bytes they stand for)."""
    parts: list[bytes] = []
    _encode(value, parts)
    return b"".join(parts)


def _encode(value: Value, parts: list[bytes]) -> None:
    if isinstance(value, int):
        parts.append(b"i%de" % value)
    elif isinstance(value, (bytes, str)):
        data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
        parts += (b"%d:" % len(data), data)
    elif isinstance(value, (list, tuple)):
        parts.append(b"l")
        for item in value:
            _encode(item, parts)
        parts.append(b"e")
    elif isinstance(value, dict):
        parts.append(b"d")
        for key in sorted(value):
            _encode(key, parts)
            _encode(value[key], parts)
        parts.append(b"e")
    else:
        raise TypeError(f"no bencoding for {type(value).__name__}")


def decode(data: bytes) -> Decoded:
    """The value that `data` encodes; ValueError where it is not exactly one value."""
    try:
        value, end = _decode(data, 0)
    except (IndexError, RecursionError):
        raise ValueError("bencoded data ends too early") from None
    if end != len(data):
        raise ValueError(f"bencoded data goes on behind byte {end}")
    return value


def _decode(data: bytes, at: int) -> tuple[Decoded, int]:
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind == b"l":
        return _decode_list(data, at + 1)
    if kind == b"d":
        items, end = _decode_list(data, at + 1)
        if len(items) % 2:
            raise ValueError("a dictionary's last key has no value")
        return dict(zip(items[::2], items[1::2], strict=True)), end  # type: ignore[arg-type]  # a key that can't be one raises
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    if not colon < end <= len(data):
        raise ValueError("a byte string is longer than its data")
    return data[colon + 1 : end], end


def _decode_list(data: bytes, at: int) -> tuple[list[Decoded], int]:
    items: list[Decoded] = []
    while data[at] != 0x65:
        item, at = _decode(data, at)
        items.append(item)
    return items, at + 1
