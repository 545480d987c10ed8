"""docs/reference and docs/man are what the program's tables make: they can not tell of another program."""

from __future__ import annotations

import re

import pytest
from reference import json_output, refusals
from reference.pages import REFERENCE, made, outdated
from reference.protocol import protocol

from jobrun.api.status import STATUS
from jobrun.auth.access import ACCESS
from jobrun.cli.shells.grammar import all_commands

WITHOUT_JSON = {
    "run": "its stdout is the job's alone; --result FILE has the Job",
    "attach": "as run",
    "rm": "prints nothing",
    "logout": "prints nothing",
    "passwd": "only says that it is done: nothing that the caller does not know",
    "user passwd": "as passwd",
    "server passwd": "as passwd",
    "server": "its ready line is an interface of its own",
    "server unit": "prints a file for systemd",
    "completion": "prints a script",
    "help": "prints text",
    "token": "does nothing without a word behind it",
    "user": "as token",
    "audit": "as token",
}
"""Commands that print no facts, and why."""


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """All, as the program makes them."""
    return made()


def test_the_pages_are_current() -> None:
    """A user reads of an option that is gone, or never of one that is new. Mended by: python3 build.py docs"""
    assert not outdated(), "run python3 build.py docs"


def test_every_error_says_what_to_do() -> None:
    """A reason without advice leaves its reader alone."""
    assert {kind.reason for kind in STATUS} == refusals.DO.keys()


def test_every_command_with_json_says_what_it_prints() -> None:
    """A program would be written by trial."""
    assert set(json_output.json_commands()) == json_output.PRINTS.keys() | json_output.OWN.keys()
    assert {message for message, _ in json_output.PRINTS.values()} <= protocol().messages.keys()


def test_every_command_that_prints_facts_has_json() -> None:
    """A program would have to read what is made for people."""
    assert {command.name for command in all_commands()} - set(json_output.json_commands()) == WITHOUT_JSON.keys()


def told(page: str, heading: str) -> str:
    """What stands under a heading, up to the next one of any level; empty where it is not there."""
    return page.partition(f"\n{heading}\n")[2].partition("\n#")[0]


def test_every_command_and_option_is_told(pages: dict[str, str]) -> None:
    """The reference is whole."""
    for command in all_commands():
        section = told(pages["reference/commands.md"], f"### jobrun {command.name}")
        assert section
        assert all(f"`{name}`" in section for option in command.options for name in option.names)


def test_every_call_is_told(pages: dict[str, str]) -> None:
    """Whoever writes a program would look for it in the server's source."""
    for name, need in ACCESS.items():
        service, method = name.removeprefix("/").split("/")
        heading = service.removeprefix("jobrun.v1.") if service.startswith("jobrun.v1.") else "Health and reflection"
        rows = told(pages["reference/wire.md"], f"## {heading}").splitlines()
        row = next(row for row in rows if row.startswith((f"| `{method}` |", f"| `{name}` |")))
        assert f"| {need.value} |" in row


def test_every_message_and_field_has_a_comment() -> None:
    """A field without a word is a riddle to whoever writes a program."""
    assert not [
        f"{message.name}.{field.name}"
        for message in protocol().messages.values()
        for field in message.fields
        if not field.comment
    ]


@pytest.mark.parametrize("name", REFERENCE)
def test_links_lead_somewhere(pages: dict[str, str], name: str) -> None:
    """A link that goes nowhere."""
    headings = {"#" + title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", pages[name], re.M)}
    assert set(re.findall(r"\]\((#[^)]*)\)", pages[name])) <= headings


@pytest.mark.parametrize("name", REFERENCE)
def test_tables_are_tables(pages: dict[str, str], name: str) -> None:
    """A `|` in a cell would break its row in two."""
    for table in re.findall(r"(?:^\|.*\n)+", pages[name], re.M):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1
