"""Messages as JSON: protobuf's mapping with the proto's field names and zero values, 64-bit integers as numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

WIDE = frozenset({FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64})
"""What protobuf's mapping writes as text; all of ours stay below 2^53."""
AS_TEXT = "google.protobuf."
"""Timestamp and Duration: the mapping makes one text of them."""


def to_json(message: Message) -> str:
    """One line, ASCII alone, with its newline."""
    return dump(to_plain(message))


def to_plain(message: Message) -> dict[str, Any]:
    """The same before it is a text."""
    plain = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return _numbers(plain, message.DESCRIPTOR)


def dump(value: Mapping[str, Any]) -> str:
    """One line, ASCII alone, with its newline."""
    return json.dumps(value, separators=(",", ":")) + "\n"


def _numbers(plain: dict[str, Any], kind: Any) -> dict[str, Any]:
    """`kind` is a Descriptor: protobuf has one for each of its implementations, and no type for both."""
    return {name: _value(value, kind.fields_by_name[name]) for name, value in plain.items()}


def _value(value: Any, field: Any) -> Any:
    if isinstance(value, list):
        return [_value(item, field) for item in value]
    if field.cpp_type in WIDE:
        return int(value)
    inner = field.message_type
    if inner is None or inner.full_name.startswith(AS_TEXT) or inner.GetOptions().map_entry:
        return value
    return _numbers(value, inner)
