"""The messages and services of proto/, with their comments: protoc tells both."""

from __future__ import annotations

import dataclasses
import functools
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

PROTO = Path(__file__).resolve().parents[2] / "proto"
PACKAGE = "jobrun.v1"
# The numbers by which a path in SourceCodeInfo names the parts (descriptor.proto).
_MESSAGES, _ENUMS, _SERVICES, _FIELDS, _VALUES, _METHODS = 4, 5, 6, 2, 2, 2
_WORDS = {number: name.removeprefix("TYPE_").lower() for name, number in FieldDescriptorProto.Type.items()}
"""Of protobuf's own types."""


@dataclasses.dataclass(frozen=True)
class Field:
    """One field. `kind`: as proto/ writes it; `one_of`: whether it belongs to a oneof."""

    name: str
    kind: str
    comment: str
    repeated: bool = False
    map_of: tuple[str, str] | None = None
    optional: bool = False
    one_of: bool = False


@dataclasses.dataclass(frozen=True)
class Message:
    """One message."""

    name: str
    comment: str
    fields: Sequence[Field]


@dataclasses.dataclass(frozen=True)
class Enum:
    """One enum: names, comments."""

    name: str
    comment: str
    values: Sequence[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Method:
    """One RPC."""

    name: str
    comment: str
    request: str
    response: str
    streams: bool


@dataclasses.dataclass(frozen=True)
class Service:
    """One service. `file`: where it and its messages are, in proto/."""

    name: str
    comment: str
    file: str
    methods: Sequence[Method]


@dataclasses.dataclass(frozen=True)
class Protocol:
    """All of it, by name."""

    services: Sequence[Service]
    messages: Mapping[str, Message]
    enums: Mapping[str, Enum]


@functools.cache
def protocol() -> Protocol:
    """What proto/ says."""
    files = _descriptors().file
    ours = [(file, _comments(file)) for file in files if file.package == PACKAGE]
    messages = [one for file, comments in ours for one in _messages(file, comments)]
    enums = [one for file, comments in ours for one in _enums(file, comments)]
    services = [one for file, comments in ours for one in _services(file, comments)]
    return Protocol(services, {one.name: one for one in messages}, {one.name: one for one in enums})


def _descriptors() -> FileDescriptorSet:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        sources = sorted(str(path) for path in PROTO.rglob("*.proto"))
        options = [f"-I{PROTO}", "--include_source_info", f"--descriptor_set_out={out}"]
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options, *sources], check=True)
        return FileDescriptorSet.FromString(out.read_bytes())


Comments = Mapping[tuple[int, ...], str]


def _comments(file: FileDescriptorProto) -> Comments:
    return {tuple(one.path): " ".join(one.leading_comments.split()) for one in file.source_code_info.location}


def _messages(file: FileDescriptorProto, comments: Comments) -> Iterator[Message]:
    for number, message in enumerate(file.message_type):
        path = (_MESSAGES, number)
        fields = [_field(message, at, comments.get((*path, _FIELDS, at), "")) for at in range(len(message.field))]
        yield Message(message.name, comments.get(path, ""), fields)


def _field(message: DescriptorProto, at: int, comment: str) -> Field:
    field = message.field[at]
    entries = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    entry = entries.get(_short(field.type_name))
    return Field(
        name=field.name,
        kind=_kind(field),
        comment=comment,
        repeated=field.label == FieldDescriptorProto.LABEL_REPEATED,
        map_of=None if entry is None else (_kind(entry.field[0]), _kind(entry.field[1])),
        optional=field.proto3_optional,
        one_of=field.HasField("oneof_index") and not field.proto3_optional,
    )


def _kind(field: FieldDescriptorProto) -> str:
    return _short(field.type_name) or _WORDS[field.type]


def _short(name: str) -> str:
    """Without our own package."""
    return name.removeprefix(f".{PACKAGE}.").rpartition(".")[2] if PACKAGE in name else name.removeprefix(".")


def _enums(file: FileDescriptorProto, comments: Comments) -> Iterator[Enum]:
    for number, enum in enumerate(file.enum_type):
        yield Enum(enum.name, comments.get((_ENUMS, number), ""), _values(enum, number, comments))


def _values(enum: EnumDescriptorProto, number: int, comments: Comments) -> list[tuple[str, str]]:
    return [(value.name, comments.get((_ENUMS, number, _VALUES, at), "")) for at, value in enumerate(enum.value)]


def _services(file: FileDescriptorProto, comments: Comments) -> Iterator[Service]:
    for number, service in enumerate(file.service):
        methods = list(_methods(service, number, comments))
        yield Service(service.name, comments.get((_SERVICES, number), ""), file.name, methods)


def _methods(service: ServiceDescriptorProto, number: int, comments: Comments) -> Iterator[Method]:
    for at, method in enumerate(service.method):
        comment = comments.get((_SERVICES, number, _METHODS, at), "")
        streams = method.server_streaming
        yield Method(method.name, comment, _short(method.input_type), _short(method.output_type), streams)
