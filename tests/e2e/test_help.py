"""`help` as a newcomer meets it: at a terminal, in a pipe, with a mistake."""

from __future__ import annotations

import contextlib

import pytest

from tests.e2e.client import BUILT
from tests.e2e.home import Home
from tests.e2e.terminal import Terminal


@pytest.mark.parametrize("words", [("user", "add"), ("server", "passwd"), ("run",), ("user",)])
def test_help_of_a_command_is_its_help_option(home: Home, words: tuple[str, ...]) -> None:
    """Whoever tries the one way would be told less than by the other."""
    shown = home.jobrun("help", *words).passed().out
    assert shown == home.jobrun(*words, "--help").passed().out
    assert f"jobrun {' '.join(words)}" in shown


@pytest.mark.parametrize("line", ["status @last --help", "list --bogus -h", "user set ann --help", "stop -s -h"])
def test_help_is_given_wherever_it_is_asked_for(home: Home, line: str) -> None:
    """Whoever is stuck in the middle of a line would be told of his mistake, not of what there is."""
    assert home.jobrun(*line.split()).passed().out.startswith("Usage: jobrun ")


def test_the_programs_own_help_is_asked_for(warm: Home) -> None:
    """`jobrun run ls --help` would be of jobrun; and behind `--` stand no options."""
    assert "Usage: jobrun" not in warm.jobrun("run", "ls", "--help").passed().out
    assert "--help: options come before" in warm.jobrun("status", "--", "--help").refused(2)


@pytest.mark.parametrize("words", [("nothing",), ("user", "nothing"), ("run", "user"), ("--man", "nothing")])
def test_help_of_nothing_is_a_line(home: Home, words: tuple[str, ...]) -> None:
    """Who mistypes a command after `help` would get a page of something else."""
    assert "no such command" in home.jobrun("help", *words).refused(2)


def test_a_word_of_another_tool_is_told_the_command(home: Home) -> None:
    """Whoever types `ps` would be sent to the whole help for one word."""
    assert home.jobrun("ps").refused(2) == "jobrun: ps: no such command: did you mean list?"
    assert 'see "jobrun help"' in home.jobrun("frobnicate").refused(2)


def test_an_option_before_the_command_is_told_where_it_goes(home: Home) -> None:
    """`jobrun --local list`: options of many programs come first."""
    assert "come behind the command" in home.jobrun("--local", "list").refused(2)


@pytest.mark.parametrize("words", ["help", "--help", "help run", "help --man run", "completion bash"])
def test_nobody_reads_on(home: Home, words: str) -> None:
    """`jobrun help | head -1` would end in an error."""
    done = home.shell(f"{{ jobrun {words}; echo code $? >&2; }} | :")
    assert done.err in ("code 0\n", "code 141\n")


def test_help_is_plain_text_as_wide_as_the_terminal(home: Home) -> None:
    """Lines that the terminal breaks, or colours where nobody can read them."""
    script = f"stty cols 60; {BUILT} help"
    with contextlib.closing(Terminal(["sh", "-c", script], home.environment(), home.work)) as terminal:
        code, shown = terminal.finish()
    assert code == 0
    assert "\x1b" not in shown
    assert 50 < max(map(len, shown.splitlines())) <= 60


def test_a_manual_page_comes_from_the_file_itself(home: Home) -> None:
    """Who has the single file has its manual too."""
    assert home.jobrun("help", "--man").passed().out.startswith(".TH JOBRUN 1")
    assert home.jobrun("help", "--man", "user", "add").out == home.jobrun("help", "--man", "user").passed().out
