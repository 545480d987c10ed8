"""json.md: what --json prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jobrun.cli.session import JSON
from jobrun.cli.shells.grammar import all_commands
from reference.markdown import block, code, link, page, paragraph, section, table
from reference.protocol import Enum, Field, Message, Protocol, protocol

PRINTS: Mapping[str, tuple[str, str]] = {
    "start": ("Job", "one"),
    "list": ("Job", "one a line"),
    "status": ("Job", "one"),
    "wait": ("Job", "one a line, as each has finished"),
    "stop": ("Job", "one a line, each finished"),
    "login": ("WhoAmIResponse", "one"),
    "whoami": ("WhoAmIResponse", "one"),
    "token create": ("MachineToken", "one, with `secret` and `jobrun_token` beside its fields"),
    "token list": ("MachineToken", "one a line"),
    "token revoke": ("MachineToken", "one, as it was"),
    "user add": ("User", "one"),
    "user list": ("User", "one a line"),
    "user set": ("User", "one"),
    "user disable": ("User", "one"),
    "audit show": ("AuditEvent", "one a line"),
}
"""What each command prints that prints a message of the protocol."""
ONE = frozenset({"version", "server health", "server new-cert", "user remove"})
"""Those of OWN that print one object, the others one a line."""
OWN: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "logs": (
        ("time", "text", "When the supervisor read it, in UTC."),
        ("stream", "text", "`stdout` or `stderr`."),
        ("data", "base64", "The bytes."),
        ("cursor", "number", "Where to go on: `jobrun logs --cursor N`."),
        ("gap_bytes", "number", "Instead of time, stream and data: so many bytes are missing in this place."),
    ),
    "server health": (
        ("health", "text", "`SERVING`: any other one is an error."),
        ("address", "text", "Where it listens; with `insecure:` before it where it has no TLS."),
        ("fingerprint", "text", "Of its certificate, `sha256:HEX`; empty without TLS."),
    ),
    "server new-cert": (
        ("fingerprint", "text", "Of the new certificate, `sha256:HEX`."),
        ("login", "text", "The command to log in by; empty where no server runs."),
        ("ended_tokens", "list", f"{link('MachineToken')}: those that end by it."),
    ),
    "user remove": (("username", "text", "Who was removed."),),
    "doctor": (
        ("check", "text", "What was looked at."),
        ("result", "text", "What was found."),
        ("reason", "text", "Why, or what follows."),
    ),
    "version": (
        ("version", "text", "As PEP 440 has it."),
        ("build", "text", "What the file is known by; empty when run from the sources."),
        ("license", "text", "With --licenses: jobrun's own, an SPDX expression."),
        ("inside", "list", "With --licenses: name, version, license, texts and parts of each work that is inside."),
    ),
}
"""Those of the others, field by field."""
RULES = """\
One object for one thing, one a line for many, ASCII alone. It is protobuf's JSON mapping with the proto's own field
names; zero values are printed; 64-bit integers are numbers, as all of them stay below 2^53. What may be absent is left
out where it is not set. `--result FILE` of run, attach and wait writes Jobs too.
"""
TOKEN = """\
`token create` adds two fields: `secret`, which goes behind `Bearer` in the metadata `authorization` of a call, and
`jobrun_token`, which JOBRUN_TOKEN is to hold.
"""
EXAMPLE = "jobrun list -a --json | jq -r 'select(.finished.reason == \"END_REASON_TIMEOUT\") | .id'"
_WELL_KNOWN = {
    "google.protobuf.Timestamp": 'time, such as "2026-01-31T08:15:30.250Z"',
    "google.protobuf.Duration": 'duration in seconds, such as "90s" or "0.250s"',
}
_PLAIN = {"string": "text", "bool": "true or false", "bytes": "base64"}


def json_page() -> str:
    """The page."""
    known = protocol()
    rows = [(code(f"jobrun {name}"), _where(name), _how_many(name)) for name in json_commands()]
    roots = dict.fromkeys(message for message, _ in PRINTS.values())
    reached = list(dict.fromkeys(one for root in roots for one in _reached(root, known)))
    own = [_own(name) for name in OWN]
    return page(
        "JSON",
        paragraph(RULES),
        block(EXAMPLE),
        section("What each command prints", table(("command", "object", "how many"), rows), paragraph(TOKEN)),
        *(_message(known.messages[name], known) for name in reached if name in known.messages),
        *(_enum(known.enums[name]) for name in reached if name in known.enums),
        *own,
    )


def json_commands() -> list[str]:
    """Those that have --json, in the order of help."""
    return [command.name for command in all_commands() if JSON in command.options]


def _where(name: str) -> str:
    return link(f"Output of {name}") if name in OWN else link(PRINTS[name][0])


def _how_many(name: str) -> str:
    return PRINTS[name][1] if name in PRINTS else "one" if name in ONE else "one a line"


def _own(name: str) -> str:
    rows = [(code(field), kind, meaning) for field, kind, meaning in OWN[name]]
    return section(f"Output of {name}", table(("field", "value", "meaning"), rows))


def _reached(name: str, known: Protocol) -> Iterator[str]:
    """Its own name, and those of all messages and enums within."""
    yield name
    for field in known.messages[name].fields if name in known.messages else ():
        if field.kind in known.messages or field.kind in known.enums:
            yield from _reached(field.kind, known)


def _message(message: Message, known: Protocol) -> str:
    rows = [(code(field.name), _value(field, known), field.comment) for field in message.fields]
    comment = paragraph(message.comment) if message.comment else ""
    fields = table(("field", "value", "meaning"), rows) or paragraph("An empty object.")
    return section(message.name, comment, fields)


def _value(field: Field, known: Protocol) -> str:
    if field.map_of is not None:
        return f"object: {_kind(field.map_of[0], known)} to {_kind(field.map_of[1], known)}"
    kind = _kind(field.kind, known)
    if field.repeated:
        return f"list of {kind}"
    return f"{kind}, or absent" if field.optional or field.one_of or _is_message(field, known) else kind


def _is_message(field: Field, known: Protocol) -> bool:
    return field.kind in known.messages or field.kind in _WELL_KNOWN


def _kind(kind: str, known: Protocol) -> str:
    if kind in known.messages or kind in known.enums:
        return link(kind)
    return _WELL_KNOWN.get(kind) or _PLAIN.get(kind, "number")


def _enum(enum: Enum) -> str:
    rows = [(code(name), comment) for name, comment in enum.values]
    return section(enum.name, paragraph(enum.comment), table(("name", "meaning"), rows))
