"""wire.md: services, messages and who may call what."""

from __future__ import annotations

from collections.abc import Iterable

from jobrun.auth.access import ACCESS
from reference.markdown import code, link, page, paragraph, section, table
from reference.protocol import PACKAGE, Enum, Field, Message, Method, Protocol, Service, protocol

INTRODUCTION = """\
The protocol of a jobrun server: gRPC, package `jobrun.v1`. The files in `proto/` are what a program is generated from;
this page says the same for reading. Fields are added, never renumbered or reused.
"""
TOKENS = """\
A call carries its token in the metadata `authorization`, as `Bearer TOKEN`. On a private server's socket, and on a
server that runs with `--insecure`, no call needs one.
"""
OTHERS = """\
The services of gRPC itself: health says SERVING once the server takes jobs; reflection tells a tool such as grpcurl
what there is.
"""


def wire_page() -> str:
    """The page."""
    known = protocol()
    ours = {f"/{PACKAGE}.{service.name}/{method.name}" for service in known.services for method in service.methods}
    others = [(code(name), need.value) for name, need in ACCESS.items() if name not in ours]
    return page(
        "The wire",
        paragraph(INTRODUCTION),
        paragraph(TOKENS),
        *(_service(service) for service in known.services),
        section("Health and reflection", paragraph(OTHERS), table(("call", "needs"), others)),
        section("Messages", *(_message(message, known) for message in known.messages.values())),
        section("Enums", *(enum_section(enum) for enum in known.enums.values())),
    )


def _service(service: Service) -> str:
    rows = [_method(service, method) for method in service.methods]
    head = ("call", "request", "answer", "needs", "does")
    return section(service.name, paragraph(service.comment), table(head, rows))


def _method(service: Service, method: Method) -> tuple[str, ...]:
    need = ACCESS[f"/{PACKAGE}.{service.name}/{method.name}"]
    answer = f"stream of {link(method.response)}" if method.streams else link(method.response)
    return code(method.name), link(method.request), answer, need.value, method.comment


def _message(message: Message, known: Protocol) -> str:
    rows = [(str(field.number), code(field.name), _type(field, known), _about(field)) for field in message.fields]
    fields = table(("number", "field", "type", "meaning"), rows) or paragraph("No fields.")
    return section(message.name, paragraph(message.comment) if message.comment else "", fields, level=3)


def _type(field: Field, known: Protocol) -> str:
    if field.map_of is not None:
        return f"map of {field.map_of[0]} to {field.map_of[1]}"
    kind = link(field.kind) if field.kind in known.messages or field.kind in known.enums else field.kind
    return f"repeated {kind}" if field.repeated else f"optional {kind}" if field.optional else kind


def _about(field: Field) -> str:
    return f"{field.comment} One of `{field.one_of}`.".strip() if field.one_of else field.comment


def enum_section(enum: Enum) -> str:
    """An enum, with what its values mean."""
    rows: Iterable[tuple[str, ...]] = [(str(number), code(name), comment) for name, number, comment in enum.values]
    return section(enum.name, paragraph(enum.comment), table(("number", "name", "meaning"), rows), level=3)
