"""How words become options, and options a request."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrun.cli.help import command_help
from jobrun.cli.listing import REASONS, STATES
from jobrun.cli.options import Option, Parsed, parse_words
from jobrun.cli.registry import HABITS, MODULES, find, load
from jobrun.cli.shells.grammar import all_commands
from jobrun.cli.spec import SPEC_OPTIONS, STRING_MOST, build_request
from jobrun.cli.stop import parse_signal
from jobrun.config.environment import Environment
from jobrun.config.errors import NotBuilt, Refusal, UsageError
from jobrun.config.numbers import parse_count
from jobrun.limits import LIMITS
from jobrun.wire.gen.jobrun.v1 import job_pb2, job_service_pb2

TABLE = (
    Option("-a --all", "a flag"),
    Option("-q --quiet", "a flag"),
    Option("-n --number", "a number", "N", parse_count),
    Option("--env", "a text", "K"),
)
NOTHING = Environment({})


def parse(*words: str) -> Parsed:
    """Words of a command that has TABLE."""
    return parse_words("list", TABLE, words)


def spec(*words: str, environment: Environment = NOTHING, private: bool = False) -> job_pb2.JobSpec:
    """What `run` would ask for."""
    return build_request(parse_words("run", SPEC_OPTIONS, words), environment, private=private).spec


@pytest.mark.parametrize(
    ("words", "rest"),
    [
        (["make", "-j4"], ["make", "-j4"]),
        (["-a", "make", "-a"], ["make", "-a"]),
        (["--", "-a"], ["-a"]),
        (["-a", "--", "--", "x"], ["--", "x"]),
        (["-"], ["-"]),
        (["", "-a"], ["", "-a"]),
        (["-n", "5", "x"], ["x"]),
    ],
)
def test_options_end_at_the_first_word_that_is_none(words: list[str], rest: list[str]) -> None:
    """`jobrun run make -j4` gives -j4 to make."""
    assert parse(*words).words == rest


@pytest.mark.parametrize("words", [["-n5"], ["-n", "5"], ["--number=5"], ["--number", "5"], ["-aqn5"], ["-n1", "-n5"]])
def test_a_value_may_be_joined_or_apart(words: list[str]) -> None:
    """As in every other tool; the last one counts."""
    assert parse(*words).number("--number") == 5


def test_values_may_look_like_options_or_be_empty() -> None:
    """A value is data."""
    parsed = parse("--env", "--all", "--env=", "--env", "")
    assert parsed.texts("--env") == ["--all", "", ""]
    assert not parsed.flag("--all")


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_value_is_no_missing_one(value: str) -> None:
    """`--user "$NAME"` without NAME would be the last user, an admin perhaps."""
    with pytest.raises(UsageError, match=r"list: --env: is empty"):
        parse("--env", value).filled("--env")
    assert parse("--all").filled("--env") is None


@pytest.mark.parametrize("words", [["--al"], ["--number"], ["-n"], ["-x"], ["--all=1"], ["-n", "x"], ["-ax"], ["-n="]])
def test_a_mistake_is_named(words: list[str]) -> None:
    """No abbreviation is guessed; the error names command and option."""
    with pytest.raises(UsageError, match=r"^list: -"):
        parse(*words)


@given(st.lists(st.text(max_size=5), max_size=6))
def test_any_words_give_a_result_or_a_usage_error(words: list[str]) -> None:
    """Whatever is typed: never a traceback."""
    try:
        parse(*words)
    except UsageError as error:
        assert str(error)  # noqa: PT017


@pytest.mark.parametrize("words", [["-a", "x", "y"], ["x", "-a", "y"], ["x", "y", "-a"], ["x", "-a", "--", "y"]])
def test_options_may_come_behind_the_word_of_a_command_that_says_so(words: list[str]) -> None:
    """`jobrun login HOST --fingerprint ...` is what a server prints to be pasted."""
    parsed = parse_words("login", TABLE, words, mixed=True)
    assert (parsed.words, parsed.flag("--all")) == (["x", "y"], True)
    assert parse_words("login", TABLE, ["x", "--", "-a"], mixed=True).words == ["x", "-a"]


def test_a_word_chooses_the_command_below() -> None:
    """And what is none of them is left to the command itself: `jobrun server` runs one."""
    user, server = load("user"), load("server")
    command, rest = user.choose(["add", "--role", "user", "ann"])
    assert (command.name, rest) == ("user add", ["--role", "user", "ann"])
    assert server.choose(["--insecure", "passwd"]) == (server, ["--insecure", "passwd"])


@pytest.mark.parametrize("words", [[], ["ad"], ["addd"], ["--json"]])
def test_a_command_of_words_says_which_there_are(words: list[str]) -> None:
    """One line, and 2."""
    user = load("user")
    command, rest = user.choose(words)
    with pytest.raises(
        UsageError, match=r"add, list, passwd, set, disable, remove|no such option|did you mean user add"
    ):
        command.run(parse_words(command.name, command.options, rest), NOTHING)


def test_every_command_has_help_for_every_option() -> None:
    """An option without help is one that nobody finds."""
    for command in all_commands():
        assert command.summary
        assert f"jobrun {command.name} " in f"{command.example} "
        assert f"Usage: jobrun {command.name}" in command_help(command)
        assert all(option.help for option in command.options)
        assert len({key for option in command.options for key in option.names}) == sum(
            len(option.names) for option in command.options
        )


def test_every_limit_arrives() -> None:
    """One row in the table of limits is an option; its value lands in the field of its name."""
    values = {"nanoseconds": "2s", "bytes": "3M", "count": "17"}
    words = [word for limit in LIMITS for word in (limit.flag, values[limit.unit])]
    limits = spec(*words, "true").limits
    assert all(limits.HasField(limit.field) for limit in LIMITS)
    assert (limits.timeout.seconds, limits.memory_bytes, limits.processes) == (2, 3 << 20, 17)


def test_what_was_not_asked_for_is_not_set() -> None:
    """The server's defaults hold, and answers show only what was asked."""
    asked = spec("true")
    assert not any(asked.limits.HasField(limit.field) for limit in LIMITS)
    assert not asked.HasField("grace")
    assert not asked.HasField("slots")
    assert not asked.HasField("umask")
    assert asked.network == job_pb2.NETWORK_UNSPECIFIED


def test_a_value_of_a_variable_is_data() -> None:
    """Lines, quotes and dollars arrive as they are; a name alone copies."""
    value = b'a\n\n b "c"\n$D\xff'
    environment = Environment({b"K": value})
    asked = spec("--env", "K", "--env", "L= =x ", "--env", "L=2", "true", environment=environment)
    assert dict(asked.env) == {"K": value, "L": b"2"}


def test_a_variable_that_is_not_there_is_told() -> None:
    """A wish is never dropped."""
    with pytest.raises(UsageError, match="K is not set"):
        spec("--env", "K", "true")


@pytest.mark.parametrize("word", ["", "=x"])
def test_a_variable_has_a_name(word: str) -> None:
    """Else execve(2) would take it, and no program would find it."""
    with pytest.raises(UsageError, match="--env"):
        spec("--env", word, "true")


def test_a_file_of_variables_is_taken_line_by_line(tmp_path: Path) -> None:
    """Nothing is trimmed or unquoted; --env wins over it."""
    (tmp_path / "env").write_bytes(b'# note\n\nA="1" \nB=2\nC\n')
    environment = Environment({b"C": b"3"})
    asked = spec("--env", "B=own", "--env-file", str(tmp_path / "env"), "true", environment=environment)
    assert dict(asked.env) == {"A": b'"1" ', "B": b"own", "C": b"3"}


def test_only_the_private_server_gets_the_callers_environment() -> None:
    """Without what opens other servers."""
    environment = Environment(
        {b"A": b"1", b"JOBRUN_TOKEN": b"t", b"JOBRUN_PASSWORD": b"p", b"JOBRUN_PASSWORD_FILE": b"f", b"JOBRUN_X": b"x"}
    )
    assert dict(spec("true", environment=environment, private=True).env) == {"A": b"1", "JOBRUN_X": b"x"}
    assert dict(spec("true", environment=environment).env) == {}


def test_the_private_server_gets_folder_and_mask_of_the_caller() -> None:
    """As if the program had been started right here; elsewhere both are the server's matter."""
    mask = os.umask(0o027)
    try:
        asked = spec("--cwd", "sub", "true", private=True)
    finally:
        os.umask(mask)
    assert (asked.cwd, asked.umask) == (os.path.join(os.getcwd(), "sub"), 0o027)
    assert spec("--cwd", "sub", "true").cwd == "sub"


@pytest.mark.parametrize("words", [["--secret", "K"], ["--upload", "."], ["--download", "*"], ["--network", "none"]])
def test_what_is_not_built_is_refused(words: list[str]) -> None:
    """A wish that is not understood is never dropped."""
    with pytest.raises(NotBuilt, match="not in this version"):
        spec(*words, "true")


@pytest.mark.parametrize(
    "words",
    [
        [],
        [""],
        ["\udcff"],
        ["x" * (STRING_MOST + 1)],
        ["x" * STRING_MOST] * 9,
        ["--env", "A=" + "x" * STRING_MOST, "true"],
        ["--name", "x" * 129, "true"],
        ["--name", "\udcff", "true"],
        ["--request-id", "a b", "true"],
        ["--request-id", "", "true"],
        ["--request-id", "x" * 65, "true"],
        ["--network", "lan", "true"],
        ["--env-file", "/nonexistent", "true"],
    ],
)
def test_what_can_not_be_started_is_refused_before_any_call(words: list[str]) -> None:
    """One clear line, and no server is even started for it."""
    with pytest.raises(Refusal, match=r"."):
        spec(*words)


def test_the_longest_words_that_linux_takes_are_taken() -> None:
    """A spec of a hundred kilobytes is a normal case."""
    assert spec("x" * STRING_MOST).argv == ["x" * STRING_MOST]
    assert len(spec(*["true"] * 5000).argv) == 5000


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TERM", 15),
        ("SIGTERM", 15),
        ("term", 15),
        ("9", 9),
        ("64", 64),
        ("RTMIN", 34),
        ("RTMIN+2", 36),
        ("SIGRTMAX", 64),
    ],
)
def test_signals_have_names_and_numbers(text: str, number: int) -> None:
    """As kill(1) takes them."""
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "-1", "FOO", "SIG", "RTMIN+", "RTMIN+31", "TERM+1", "9.0", "٣"])
def test_what_is_no_signal_is_refused(text: str) -> None:
    """Never a guess what to send."""
    with pytest.raises(ValueError, match="no signal"):
        parse_signal(text)


def test_every_state_and_reason_can_be_filtered_by() -> None:
    """A reason that the table forgot could not be asked for."""
    assert set(STATES.values()) == set(job_service_pb2.JobState.values()) - {0}
    assert {f"END_REASON_{word.upper()}" for word in REASONS} == set(job_pb2.EndReason.keys()) - {
        "END_REASON_UNSPECIFIED"
    }


@pytest.mark.parametrize("name", ["server", "user", "token", "audit"])
def test_a_slip_in_a_commands_second_word_shows_what_there_is(name: str) -> None:
    """Whoever types `server bogus` would be asked what bogus is, and not be told what there is."""
    command = load(name)
    with pytest.raises(UsageError, match=f"^{name} bogus: no such command: one of ") as caught:
        command.run(parse_words(name, command.options, ["bogus"]), NOTHING)
    assert all(below.name.removeprefix(f"{name} ") in str(caught.value) for below in command.below)


@pytest.mark.parametrize(
    ("word", "command"), [*HABITS.items(), ("attack", "attach"), ("lsit", "list"), ("whomai", "whoami")]
)
def test_a_word_near_a_command_is_told_which(word: str, command: str) -> None:
    """Whoever comes from another tool would read the whole help for one word."""
    assert command in MODULES
    assert word not in MODULES
    with pytest.raises(UsageError, match=f"did you mean {command}\\?"):
        find(word)


def test_a_word_near_none_is_not_guessed_at() -> None:
    """A guess that has nothing to do with it would be worse than the help."""
    with pytest.raises(UsageError, match='see "jobrun help"'):
        find("frobnicate")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--memroy", "1G", "true"], "--memroy: no such option: did you mean --memory?"),
        (["run", "--frobnicate", "true"], '--frobnicate: no such option: see "jobrun help run"'),
        (["user", "lst"], "user lst: no such command: did you mean user list?"),
        (["user", "frobnicate"], "user frobnicate: no such command: one of add, list"),
        (["help", "lsit"], "lsit: no such command: did you mean list?"),
        (["help", "user", "lst"], "user lst: no such command: did you mean user list?"),
        (["help", "list", "jobs"], 'list jobs: no such command: see "jobrun help list"'),
        (["server", "helth"], "server helth: no such command: did you mean server health?"),
    ],
)
def test_a_slip_is_told_what_was_meant(words: list[str], told: str) -> None:
    """One letter would cost a search through the help."""
    command, rest = find(words[0]).choose(words[1:])
    with pytest.raises(UsageError, match=re.escape(told)):
        command.run(parse_words(command.name, command.options, rest), NOTHING)
