"""Refuses what this server does not know, at any depth: a wish that is not understood is never dropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from jobrun.model.errors import InvalidRequest


def check_understood(message: Message, path: str = "") -> None:
    """Raises InvalidRequest for unknown fields and enum values."""
    unknown = UnknownFieldSet(message)
    if len(unknown):
        number = unknown[0].field_number
        raise InvalidRequest(f"{path}#{number}", f"this server's version does not know field number {number}")
    for field, value in message.ListFields():
        place = f"{path}{field.name}"
        if field.type == FieldDescriptor.TYPE_ENUM:
            check_enum(field, value, place)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for one in _messages(field, value):
                check_understood(one, f"{place}.")


def check_enum(field: FieldDescriptor, value: Any, place: str) -> None:
    """`value`: a number, or several."""
    assert field.enum_type is not None, "asked for enums alone"
    known = field.enum_type.values_by_number
    for number in [value] if isinstance(value, int) else value:
        if number not in known:
            raise InvalidRequest(place, f"this server's version does not know the value {number}")


def _messages(field: FieldDescriptor, value: Any) -> Iterator[Message]:
    if isinstance(value, Message):
        yield value
    elif not _is_map(field):  # values of our maps are bytes: nothing unknown fits in
        yield from value


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)
