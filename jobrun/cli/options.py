"""Options of a command line, as a table; no abbreviations, and options end at the first word that is none.

Not argparse: its answer to `run make -j4`, to `--` and to mistakes differs between CPython's minors, and its import
costs more than all of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from jobrun.cli.text import nearest
from jobrun.config.errors import UsageError

FILES, FOLDERS, JOBS, USERS, TOKENS, SERVERS = "files", "folders", "jobs", "users", "tokens", "servers"
PROGRAM, COMMAND_NAMES, OTHER = "program", "commands", ""
"""What a value or a word can be, for a shell that completes it; OTHER: nothing that a shell could know."""


class Option(NamedTuple):
    """One row. `spelled`: its names with a space between, the last one is its key; `value` names its value in help,
    empty for a flag; `number` parses it (ValueError with the end of a sentence); `offers`: values that a shell offers,
    among others; `many`: each one given counts; `takes`: what its value is; `choices`: all values that there are."""

    spelled: str
    help: str
    value: str = ""
    number: Callable[[str], int] | None = None
    offers: Sequence[str] = ()
    many: bool = False
    takes: str = OTHER
    choices: Sequence[str] = ()

    @property
    def names(self) -> Sequence[str]:
        """All names, as typed."""
        return self.spelled.split()

    @property
    def key(self) -> str:
        """The name by which Parsed knows it, such as `--memory`."""
        return self.names[-1]


def choice(spelled: str, help_: str, choices: Sequence[str]) -> Option:
    """An option whose value is one of these."""
    return Option(spelled, help_, "|".join(choices), choices=choices)


class Parsed:
    """What a command line said. Keys are the options' long names."""

    __slots__ = ("_flags", "_numbers", "_texts", "command", "words")

    def __init__(self, command: str) -> None:
        self.command = command
        self.words: list[str] = []
        """What came after the options."""
        self._flags: set[str] = set()
        self._texts: dict[str, list[str]] = {}
        self._numbers: dict[str, int] = {}

    def flag(self, key: str) -> bool:
        """Whether the flag was given."""
        return key in self._flags

    def text(self, key: str) -> str | None:
        """The value given last, None if there is none."""
        return self._texts[key][-1] if key in self._texts else None

    def filled(self, key: str) -> str | None:
        """The value given last, None if there is none. Raises UsageError where it is empty, mostly that of a variable
        which is not set: taken as "not given" it could widen what was meant."""
        value = self.text(key)
        if value is not None and not value.strip():
            raise self.usage_error(f"{key}: is empty: give it a value, or leave it out")
        return value

    def texts(self, key: str) -> Sequence[str]:
        """All values given, in order."""
        return self._texts.get(key, ())

    def number(self, key: str) -> int | None:
        """The number given last, None if there is none."""
        return self._numbers.get(key)

    def given(self, key: str) -> bool:
        """Whether the option was given at all."""
        return key in self._flags or key in self._texts

    def usage_error(self, text: str) -> UsageError:
        """An error that names the command."""
        return UsageError(f"{self.command}: {text}")

    def put(self, option: Option, value: str) -> None:
        """Takes one option. Raises UsageError where its value is no number, or none of its choices."""
        if not option.value:
            self._flags.add(option.key)
            return
        if option.choices and value not in option.choices:
            raise self.usage_error(f"{option.key}: {value or 'an empty text'} is none of {' '.join(option.choices)}")
        self._texts.setdefault(option.key, []).append(value)
        if option.number is not None:
            try:
                self._numbers[option.key] = option.number(value)
            except ValueError as error:
                raise self.usage_error(f"{option.key}: {error}") from None


def parse_words(command: str, options: Iterable[Option], words: Sequence[str], *, mixed: bool = False) -> Parsed:
    """Takes options from the front of `words`, up to `--` or the first word that is none; `mixed`: options that come
    behind such a word too."""
    named = {name: option for option in options for name in option.names}
    parsed = Parsed(command)
    at = 0
    while at < len(words) and words[at] != "--":
        if words[at].startswith("-") and words[at] != "-":
            take = _take_long if words[at].startswith("--") else _take_short
            at = take(parsed, named, words, at)
        elif mixed:
            parsed.words.append(words[at])
            at += 1
        else:
            break
    if at < len(words) and words[at] == "--":
        at += 1
    parsed.words += words[at:]
    return parsed


def _take_long(parsed: Parsed, named: dict[str, Option], words: Sequence[str], at: int) -> int:
    """Takes `--name`, `--name value` or `--name=value`; answers with the index behind it."""
    name, equals, value = words[at].partition("=")
    option = _find(parsed, named, name)
    if not option.value:
        if equals:
            raise parsed.usage_error(f"{name}: takes no value")
        parsed.put(option, "")
        return at + 1
    if equals:
        parsed.put(option, value)
        return at + 1
    parsed.put(option, _value(parsed, option, words, at))
    return at + 2


def _take_short(parsed: Parsed, named: dict[str, Option], words: Sequence[str], at: int) -> int:
    """Takes `-a`, `-aq`, `-n 5` or `-n5`; answers with the index behind it."""
    letters = words[at][1:]
    for index, letter in enumerate(letters):
        option = _find(parsed, named, "-" + letter)
        if not option.value:
            parsed.put(option, "")
        elif rest := letters[index + 1 :]:
            parsed.put(option, rest)
            return at + 1
        else:
            parsed.put(option, _value(parsed, option, words, at))
            return at + 2
    return at + 1


def _find(parsed: Parsed, named: dict[str, Option], name: str) -> Option:
    option = named.get(name)
    if option is None:
        meant = nearest(name, named)
        then = f"did you mean {meant}?" if meant else f'see "jobrun help {parsed.command}"'
        raise parsed.usage_error(f"{name}: no such option: {then}")
    return option


def _value(parsed: Parsed, option: Option, words: Sequence[str], at: int) -> str:
    if at + 1 >= len(words):
        raise parsed.usage_error(f"{option.key}: needs a value: {option.value}")
    return words[at + 1]
