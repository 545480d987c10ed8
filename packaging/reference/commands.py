"""commands.md: every command with its options."""

from __future__ import annotations

from jobrun.cli.command import Command
from jobrun.cli.help import ABOUT, FIRST_STEPS, ID, PLACES, VALUES, option_text, paragraphs, summary_sentence, usage
from jobrun.cli.options import Option
from jobrun.cli.registry import GROUPS, LATER, load
from reference.markdown import block, code, page, paragraph, section, table

OPTIONS = """\
`jobrun COMMAND [OPTIONS] [--] [ARGV...]`. Options end at the first word that is none, so `jobrun run make -j4` gives
`-j4` to make. A value may be joined or apart: `--timeout 10m`, `--timeout=10m`, `-n5`. `-h` or `--help`
anywhere among a command's words prints its help; behind the program of run and start it is the program's.
"""


def commands_page() -> str:
    """The page."""
    steps = table(("command", "does"), [(code(line), text) for line, text in FIRST_STEPS])
    values = table(("value", "is"), [(code(name), text) for name, text in (("ID", ID), *VALUES.items())])
    return page(
        "Commands",
        paragraph(ABOUT),
        steps,
        section("Words and options", paragraph(OPTIONS), values),
        section("Where a command goes", paragraph(PLACES)),
        *(_group(title, list(names)) for title, names in GROUPS.items()),
        section("Not in this version", paragraph(", ".join(LATER) + ".")),
    )


def _group(title: str, names: list[str]) -> str:
    return section(title, *(_command(one) for command in map(load, names) for one in (command, *command.below)))


def _command(command: Command) -> str:
    description = [paragraph(text) for text in paragraphs(command.description)] if command.description else []
    below = [(code(f"jobrun {one.name}"), one.summary) for one in command.below]
    return section(
        f"jobrun {command.name}",
        paragraph(summary_sentence(command)),
        block(usage(command)),
        *description,
        table(("command", "does"), below),
        table(("option", "value", "meaning"), [_option(option) for option in command.options]),
        paragraph(f"Example: `{command.example}`"),
        level=3,
    )


def _option(option: Option) -> tuple[str, ...]:
    return ", ".join(map(code, option.names)), code(option.value), option_text(option)
