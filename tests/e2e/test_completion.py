"""The scripts of `jobrun completion`, in the shells themselves: what a user gets who presses TAB."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.e2e.accounts import Accounts
from tests.e2e.client import BUILT
from tests.e2e.deadline import patience
from tests.e2e.home import Home
from tests.e2e.terminal import Terminal

SHELLS = ("bash", "zsh", "fish")
SUBSTITUTION = "$(touch made)"
NASTY = "a \"$(touch made)\" `touch made` 'b' \\ :;|[x]{y}$HOME\t"
TYPED = [
    ("jobrun comple", "jobrun completion "),
    ("jobrun completion zs", "jobrun completion zsh "),
    ("jobrun user ad", "jobrun user add "),
    ("jobrun help user ad", "jobrun help user add "),
    ("jobrun server new", "jobrun server new-cert "),
    ("jobrun run --network=h", "jobrun run --network=host "),
    ("jobrun user add ann --role v", "jobrun user add ann --role viewer "),
    ("jobrun stop -s WIN", "jobrun stop -s WINCH "),
    ("jobrun list --filter state=ru", "jobrun list --filter state=running "),
    ("jobrun run --env-file fi", "jobrun run --env-file file\\ one "),
    ("jobrun run --cwd=fo", "jobrun run --cwd=folder\\ two/"),
    ("jobrun start job-of-th", "jobrun start job-of-this-test "),
    ("jobrun run --name x -- job-of-th", "jobrun run --name x -- job-of-this-test "),
    ("jobrun run ./bin/job-of-th", "jobrun run ./bin/job-of-this-test "),
    ("jobrun run -- ./folder\\ tw", "jobrun run -- ./folder\\ two/"),
    ("jobrun run folder\\ two/p", "jobrun run folder\\ two/program "),
    ("jobrun run cat file\\ ", "jobrun run cat file\\ one "),
    ("jobrun run cat 'file o", "jobrun run cat 'file one' "),
    ("jobrun attach @la", "jobrun attach @last "),
]
"""What is typed before TAB, and the line behind it."""
OF_THE_PROGRAM = [("jobrun run -- ls --colo", "--color"), ("jobrun run ls --colo", "--color")]
"""Where the job's program has a completion of its own."""
OF_THE_SHELL = "job-of-this-function() { :; }\nalias job-of-this-alias=true\n"
"""What no job can run."""
PACKAGE = ". /usr/share/bash-completion/bash_completion\n"


@pytest.fixture
def shells(home: Home) -> Home:
    """A home with `jobrun` in its PATH, a program, a file and a folder; bash, zsh and fish find their scripts there."""
    programs = home.work / "bin"
    programs.mkdir()
    (programs / "jobrun").symlink_to(BUILT)
    home.script("bin/job-of-this-test", "#!/bin/sh\n")
    (home.work / "file one").touch()
    (home.work / "folder two").mkdir()
    home.script("folder two/program", "#!/bin/sh\n")
    (home.work / "folder two" / "prose").touch()
    home.env["PATH"] = f"{programs}:{home.env['PATH']}"
    for shell in SHELLS:
        (home.work / f"jobrun.{shell}").write_text(home.jobrun("completion", shell).passed().out)
    return home


class Prompt:
    """A shell at a terminal, with the script loaded."""

    def __init__(self, home: Home, argv: Sequence[str], setup: str) -> None:
        self._terminal = Terminal(argv, home.environment(), home.work)
        self._terminal.type(f"PS1='g''o> '; {setup}".replace("\n", "; "))
        self._terminal.wait_for("go> ")

    def complete(self, typed: str) -> str:
        """The line after TAB."""
        self._terminal.press(f"{typed}\t\x07")
        line = self._terminal.wait_for("<<.*>>").rpartition("<<")[2].removesuffix(">>")
        self._terminal.press("\x15")
        return line

    def close(self) -> None:
        """Ends it."""
        self._terminal.close()


@contextlib.contextmanager
def bash(home: Home, before: str = "") -> Iterator[Prompt]:
    """Without a package, unless that comes `before`."""
    show = 'bind -x \'"\\C-g": printf "<<%s>>" "$READLINE_LINE"\''
    setup = f"{before}{OF_THE_SHELL}source ./jobrun.bash\n{show}"
    prompt = Prompt(home, ["bash", "--norc", "--noprofile", "-i"], setup)
    with contextlib.closing(prompt):
        yield prompt


@contextlib.contextmanager
def zsh(home: Home, before: str = "") -> Iterator[Prompt]:
    """With its own completions."""
    show = 'show() { print -rn -- "<<$BUFFER>>" }\nzle -N show\nbindkey "^G" show'
    setup = f"{before}{OF_THE_SHELL}autoload -U compinit\ncompinit -u -D\nsource ./jobrun.zsh\n{show}"
    prompt = Prompt(home, ["zsh", "-f", "-i"], setup)
    with contextlib.closing(prompt):
        yield prompt


def fish(home: Home, typed: str) -> list[str]:
    """What fish offers, one after the other."""
    shells_own = "function job-of-this-function; end; alias job-of-this-alias=true"
    words = ["fish", "-c", f"{shells_own}; source ./jobrun.fish; complete -C {shlex.quote(typed)}"]
    done = subprocess.run(
        words, env=home.environment(), cwd=home.work, capture_output=True, timeout=patience(30), check=True
    )
    assert not done.stderr
    return [line.partition("\t")[0] for line in done.stdout.decode().splitlines()]


@pytest.mark.parametrize("before", ["", PACKAGE], ids=["alone", "with bash-completion"])
def test_bash_completes(shells: Home, before: str) -> None:
    """A user of bash would type everything by hand, or get a line that is no longer what was meant."""
    with bash(shells, before) as prompt:
        assert [(typed, prompt.complete(typed)) for typed, _ in TYPED] == TYPED
        if before:
            for typed, word in OF_THE_PROGRAM:
                assert prompt.complete(typed).endswith(word)


def test_zsh_completes(shells: Home) -> None:
    """The same in zsh."""
    with zsh(shells) as prompt:
        assert [(typed, prompt.complete(typed)) for typed, _ in TYPED] == TYPED
        for typed, word in OF_THE_PROGRAM:
            assert prompt.complete(typed).removesuffix("=").endswith(word)


def test_fish_completes(shells: Home) -> None:
    """The same in fish, which offers words."""
    assert [fish(shells, typed) for typed, _ in TYPED] == [[shlex.split(line)[-1]] for _, line in TYPED]
    for typed, word in OF_THE_PROGRAM:
        assert word in fish(shells, typed)


def test_ids_are_offered_and_names_are_only_text(shells: Home) -> None:
    """A job's name is anybody's text: it must never run in the shell of who presses TAB."""
    job, other = (shells.start("--name", name, "--", "true") for name in (NASTY, SUBSTITUTION))
    typed, line = f"jobrun status {job[:-2]}", f"jobrun status {job} "
    (Path(shells.env["HOME"]) / "bin").symlink_to(shells.work / "bin")
    (shells.work / "folder two" / "jobrun").symlink_to(BUILT)
    assert fish(shells, typed) == [job]
    assert fish(shells, "jobrun status ") == [other, job, "@last"]
    with bash(shells) as alone, bash(shells, PACKAGE) as packaged, zsh(shells) as last:
        assert [prompt.complete(typed) for prompt in (alone, packaged)] == [line, line]
        assert last.complete(typed).rstrip() == line.rstrip()
        for prompt in (alone, packaged, last):
            for place in ("~/bin/", "./folder\\ two/"):
                assert prompt.complete(place + typed).rstrip() == (place + line).rstrip()
        assert alone.complete("jobrun rm --local no-such") == "jobrun rm --local no-such"
    assert not list(shells.work.rglob("made"))


def test_nothing_is_made_or_started_to_complete(shells: Home) -> None:
    """TAB would start a server, and wait for it, or leave folders in a home that never had a job."""
    asking = ("jobrun stop --server ", "jobrun login ", "jobrun user set ", "jobrun token revoke ")
    with bash(shells) as prompt, zsh(shells) as other:
        assert prompt.complete("jobrun wait @l") == "jobrun wait @last "
        assert other.complete("jobrun wait @l") == "jobrun wait @last "
        for typed in asking:
            assert [prompt.complete(typed), other.complete(typed)] == [typed, typed]
    assert fish(shells, "jobrun wait ") == ["@last"]
    assert not [offer for typed in asking for offer in fish(shells, typed)]
    places = [shells.state, shells.runtime, *(Path(shells.env[name]) for name in ("HOME", "XDG_CONFIG_HOME"))]
    made = [path for place in places for path in place.rglob("*jobrun*")]
    assert not made
    assert "no private server" in shells.jobrun("list", "--no-start").refused(1)


def test_names_are_offered(shells: Home, accounts: Accounts) -> None:
    """An admin would have to list users and tokens first, and whoever has several servers to remember their ports."""
    ann, admin = accounts.add_only(name="completed-user"), accounts.admin
    admin.jobrun("token", "create", "Completed.token").passed()
    shells.env.update({"XDG_CONFIG_HOME": admin.env["XDG_CONFIG_HOME"], "HOME": admin.env["HOME"]})
    address = admin.server_address
    typed = [
        ("jobrun user set completed", f"jobrun user set {ann.name} "),
        ("jobrun audit show --user=completed", f"jobrun audit show --user={ann.name} "),
        ("jobrun token revoke Comp", "jobrun token revoke Completed.token "),
        (f"jobrun login {address[:-2]}", f"jobrun login {address} "),
        (f"jobrun list --server={address[:3]}", f"jobrun list --server={address} "),
    ]
    with bash(shells) as alone, bash(shells, PACKAGE) as packaged, zsh(shells) as last:
        for before, line in typed:
            lines = {prompt.complete(before).rstrip() for prompt in (alone, packaged, last)}
            assert lines == {line.rstrip()}
    assert [fish(shells, before) for before, _ in typed] == [[line.split()[-1]] for _, line in typed]


def test_words_of_a_line_are_never_run(shells: Home) -> None:
    """Half a line that was pasted would run before return was pressed."""
    with bash(shells, PACKAGE) as prompt, zsh(shells) as other:
        for typed in ('jobrun run --name "$(touch made)" --net', "jobrun status --server $(touch made) @la"):
            prompt.complete(typed)
            other.complete(typed)
            fish(shells, typed)
    assert not list(shells.work.rglob("made"))


def test_scripts_are_found_where_help_says(shells: Home) -> None:
    """A script that was put into its place would not be loaded, and nobody would know why."""
    home = shells.env["HOME"] = str(shells.work / "home")
    places = {
        "bash": f"{home}/.local/share/bash-completion/completions/jobrun",
        "zsh": f"{home}/functions/_jobrun",
        "fish": f"{home}/.config/fish/completions/jobrun.fish",
    }
    shells.env["XDG_CONFIG_HOME"] = f"{home}/.config"
    for shell, place in places.items():
        Path(place).parent.mkdir(parents=True)
        (shells.work / f"jobrun.{shell}").rename(place)
        (shells.work / f"jobrun.{shell}").touch()
    typed, line = "jobrun comple", "jobrun completion "
    with bash(shells, PACKAGE) as prompt, zsh(shells, "fpath=(~/functions $fpath)\n") as other:
        assert [prompt.complete(typed), other.complete(typed)] == [line, line]
    assert fish(shells, typed) == ["completion"]
    help_ = " ".join(shells.jobrun("help", "completion").out.split())
    assert all(place.replace(home, "~") in help_ for shell, place in places.items() if shell != "zsh")


def test_an_unknown_shell_is_told(home: Home) -> None:
    """One line that names those that there are."""
    assert "none of bash zsh fish" in home.jobrun("completion", "csh").refused(2)
    assert "bash zsh fish" in home.jobrun("completion").refused(2)
