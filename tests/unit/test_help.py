"""Help and manual pages: they say what the parser takes, and nothing else."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from jobrun.cli import exit_codes, registry, roff
from jobrun.cli.codes import OURS
from jobrun.cli.command import Command
from jobrun.cli.completion import SHELLS, script
from jobrun.cli.help import NARROWEST, VALUES, WIDEST, command_help, overview
from jobrun.cli.manual import READ_WITH, pages
from jobrun.cli.options import Option, Parsed, choice, parse_words
from jobrun.cli.registry import load
from jobrun.cli.shells.grammar import all_commands, options_of
from jobrun.cli.tokens import TOKEN
from jobrun.config.environment import VARIABLES
from jobrun.config.errors import LoginNeeded, NoSuchThing, Refusal, UsageError
from jobrun.limits import LIMITS
from jobrun.model.caller import Role, Scope

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = list(all_commands())


def options_named(key: str) -> list[Option]:
    """Of all commands."""
    return [option for command in COMMANDS for option in command.options if option.key == key]


def parsed_example(command: Command) -> tuple[Command, Parsed]:
    """What the parser makes of the jobrun in an example."""
    words = re.search(r"jobrun ([^;|)]*)", command.example)
    assert words is not None
    typed: Sequence[str] = shlex.split(words[1])
    top = load(typed[0])
    chosen, rest = top.choose(typed[1:])
    return chosen, parse_words(chosen.name, options_of(chosen), rest, mixed=chosen.mixed)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_example_is_one(command: Command) -> None:
    """What is pasted from the help would be refused."""
    chosen, parsed = parsed_example(command)
    assert chosen.name.startswith(command.name)
    assert bool(parsed.words) == (chosen.words not in ("",) and not chosen.words.endswith("--finished"))


@pytest.mark.parametrize("width", [NARROWEST, 80, WIDEST])
def test_help_fits_the_width(width: int) -> None:
    """Lines that the terminal breaks are hard to read; those that can not be broken are what is typed."""
    texts = [overview(width), *(command_help(command, width) for command in COMMANDS)]
    wide = [line for text in texts for line in text.splitlines() if len(line) > width]
    assert not [line for line in wide if not re.match(r"Example: |  \S+(, --\S+)? \S+$|  jobrun ", line)]
    assert all(line == line.rstrip() and line.isprintable() for text in texts for line in text.splitlines())


def test_the_overview_names_every_command_once() -> None:
    """A command that is in no group is found by nobody."""
    rows = re.findall(r"^  ([a-z]+)  ", overview().partition("Run a program\n")[2].partition("Where a")[0], re.M)
    assert rows == list(registry.MODULES)


def test_the_exit_codes_told_are_those_that_are_used() -> None:
    """A script would test for the wrong one."""
    told = {code for code, _ in exit_codes.OF_JOBS}
    own = (exit_codes.TIMEOUT, OURS, exit_codes.NOT_EXECUTABLE, exit_codes.NOT_FOUND)
    assert told == {"0-255", "128+N", *map(str, (*own, exit_codes.LIMITED, exit_codes.STOPPED))}
    kinds = (Refusal, UsageError, NoSuchThing, LoginNeeded)
    assert [code for code, _ in exit_codes.OF_OTHERS] == ["0", *(str(kind.code) for kind in kinds)]


def test_values_that_are_offered_are_those_that_there_are() -> None:
    """A role or limit that is new could not be given, or one that is gone would be offered."""
    assert {tuple(option.choices) for option in options_named("--role")} == {tuple(role.value for role in Role)}
    (scope,) = (option for command in TOKEN.below for option in command.options if option.key == "--scope")
    assert set(scope.offers) == {scope.value for scope in Scope}
    (ended,) = options_named("--no-ceiling")
    assert ended.many
    assert list(ended.offers) == [*(limit.flag[2:] for limit in LIMITS), "all"]


def test_what_a_number_may_be_is_told() -> None:
    """`--timeout DUR`: its reader would find out by mistakes."""
    parsed = {option.value for command in COMMANDS for option in command.options if option.number is not None}
    assert parsed - {"SIGNAL"} <= VALUES.keys()
    shown = command_help(next(command for command in COMMANDS if command.name == "rm"))
    assert [name for name in ("ID", *VALUES) if re.search(rf"^  {name}  ", shown, re.M)] == ["ID", "DUR", "ADDR"]
    assert '.SH "VALUES"' in pages()["jobrun-rm.1"]


def test_a_value_that_is_no_choice_is_told_with_all_that_are() -> None:
    """Before any call; and where choices are, they are held."""
    option = choice("--network", "what it sees", ("host", "none"))
    with pytest.raises(UsageError, match="run: --network: lan is none of host none"):
        parse_words("run", [option], ["--network", "lan"])
    assert parse_words("run", [option], ["--network=none"]).text("--network") == "none"


def test_variables_told_are_those_that_are_read() -> None:
    """One that is not told is found by reading the source; one that is gone is set in vain."""
    sources = [*(ROOT / "jobrun").rglob("*.py"), ROOT / "packaging" / "start.py"]
    texts = [path.read_text() for path in sources]
    read = {name for text in texts for name in re.findall(r'environ(?:ment)?\.get\("([A-Z_]+)"', text)}
    assert read - {"JOBRUN_SEARCHED"} == VARIABLES.keys()


def test_a_manual_page_has_the_variables_that_go_with_its_options() -> None:
    """An operator would not find JOBRUN_DATA_DIR where he reads of --data."""
    keys = {option.key for command in COMMANDS for option in command.options}
    named = {name for names in READ_WITH.values() for name in names}
    assert READ_WITH.keys() <= keys
    assert named <= VARIABLES.keys()
    assert ["ENVIRONMENT" in pages()[f"jobrun-{name}.1"] for name in ("server", "run", "help")] == [True, True, False]


def test_manual_pages_are_clean(tmp_path: Path) -> None:
    """man(1) would show a line less, or something else than is meant."""
    for name, text in pages().items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(["mandoc", "-T", "lint", *pages()], cwd=tmp_path, capture_output=True, text=True, check=False)
    told = [line for line in done.stdout.splitlines() if "missing date" not in line]
    assert not told, "\n".join(told)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_man_shows_the_pages_without_a_word_of_its_own(width: int, tmp_path: Path) -> None:
    """Warnings over the page; or jo-brun and ~/.lo-cal at the end of a line, which nobody can paste."""
    for name, text in pages().items():
        (tmp_path / name).write_text(text)
    words = ["groff", "-ww", "-Tutf8", "-man", f"-rLL={width}n", *pages()]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "\N{HYPHEN}\n" not in done.stdout


def test_a_manual_page_shows_what_was_meant(tmp_path: Path) -> None:
    """Dots, quotes and backslashes have a meaning in roff; `-` must stay one that can be pasted."""
    text = ".TH not 'a macro' \\n `x` ^~ --env -- \"q\""
    page = roff.head("x") + roff.section("Name") + "x \\- y\n" + roff.section("S") + roff.paragraphs([text])
    (tmp_path / "x.1").write_text(page)
    shown = subprocess.run(["mandoc", "-T", "ascii", "x.1"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert text in shown.stdout


def test_a_line_that_begins_with_a_dot_stays_text(tmp_path: Path) -> None:
    """`.config` at the beginning of a line would be an unknown macro, and vanish."""
    filled = roff.filled("word " * 15 + ".config end")
    assert "\n\\&.config" in filled


def in_bash(text: str, command: str) -> set[str]:
    """The options that the script offers for a command."""
    facts = re.search(rf"^ +{re.escape(shlex.quote(command))}\) options=\(([^)]*)\)", text, re.MULTILINE)
    return set(facts[1].split()) if facts else set()


def in_zsh(text: str, command: str) -> set[str]:
    """As in_bash."""
    specs = text.partition(f"    {shlex.quote(command)})\n      _arguments ")[2].partition(";;")[0]
    return set(re.findall(r"^ +'(?:\*|\([^)]*\))(-[\w-]+)", specs, re.MULTILINE))


def in_fish(text: str, command: str) -> set[str]:
    """As in_bash."""
    lines = re.findall(rf"^complete -c jobrun -n '__jobrun_at \"{command}\" option'(.*?) -d ", text, re.MULTILINE)
    found = [pair for line in lines for pair in re.findall(r" -([sl]) (\S+)", line)]
    return {f"-{name}" if kind == "s" else f"--{name}" for kind, name in found}


COMPLETED = {"bash": in_bash, "zsh": in_zsh, "fish": in_fish}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_option_is_completed(shell: str) -> None:
    """One that is missing would look as if it did not exist, or one that is gone would be refused."""
    text = script(shell)
    for command in COMMANDS:
        wanted = {name for option in options_of(command) for name in option.names}
        assert COMPLETED[shell](text, command.name) == wanted, command.name


@pytest.mark.parametrize("shell", SHELLS)
def test_every_script_can_be_read_by_its_shell(shell: str, tmp_path: Path) -> None:
    """An error in it would greet its user at each new shell."""
    (tmp_path / "script").write_text(script(shell))
    done = subprocess.run([shell, "-n", "script"], cwd=tmp_path, capture_output=True, check=True)
    assert not done.stderr


def test_completion_and_help_are_had_without_grpc() -> None:
    """A shell that makes its script at each start would wait for it."""
    code = "import sys; from jobrun.cli.completion import script; script('bash'); print('grpc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
