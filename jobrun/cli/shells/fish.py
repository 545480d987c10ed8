"""The script for fish, 3.1 or newer; from 4.0 on `?` is a letter in its patterns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jobrun.cli.command import Command
from jobrun.cli.options import COMMAND_NAMES, FILES, FOLDERS, JOBS, PROGRAM, SERVERS, TOKENS, USERS, Option
from jobrun.cli.registry import every_command
from jobrun.cli.shells.grammar import all_commands, offers_of, options_of, short_and_long

HEAD = """\
# fish completion of jobrun, as "jobrun completion fish" prints it.

# The options that take a value, by command.
function __jobrun_valued
    switch $argv[1]
"""
WALK = """\
    end
end

# Where the words before the cursor lead to: the command, whether its options may come, and the other words.
function __jobrun_place
    set -l words (commandline -opc)
    set -e words[1]
    set -q words[1]; or return
    set -l place $words[1] open
    set -e words[1]
    if set -q words[1]; and contains -- "$place[1] $words[1]" $__jobrun_below
        set place[1] "$place[1] $words[1]"
        set -e words[1]
    end
    set -l valued (__jobrun_valued $place[1])
    while set -q words[1]
        set -l word $words[1]
        set -e words[1]
        if test $place[2] = open; and test "$word" = --
            set place[2] closed
        else if test $place[2] = open; and string match -qr -- '^-.' $word
            string match -q -- '--*' $word; or set word -(string sub -s -1 -- $word)
            contains -- $word $valued; and set -e words[1]
        else
            set -a place $word
            contains -- $place[1] $__jobrun_mixed; or set place[2] closed
        end
    end
    printf '%s\\n' $place
end

# Whether the next word can be one of that command: an option, or its first, second or any other word.
function __jobrun_at
    set -l place (__jobrun_place)
    test "$place[1]" = "$argv[1]"; or return
    switch $argv[2]
        case option
            test "$place[2]" = open
        case any
            return 0
        case '*'
            test (count $place) -eq (math 1 + $argv[2])
    end
end

# The job's program, which is no keyword or function of this shell, and what stands behind it, as behind any command.
function __jobrun_program
    set -l place (__jobrun_place)
    set -l line (string join -- ' ' (string escape -- $place[3..-1]) (commandline -ct) | string collect)
    string match -q -- '-*' $line; and return
    set -q place[3]; and complete -C "$line"; and return
    for offer in (complete -C "$line")
        set -l name (string split -m 1 \\t -- $offer)[1]
        command -sq -- $name; or string match -q -- '*/' $name; and printf '%s\\n' $offer
    end
end

# Commands below the one that "jobrun help" was given.
function __jobrun_help_below
    set -l place (__jobrun_place)
    for name in $__jobrun_below
        string replace -f -- "$place[3] " '' $name
    end
end

# What the pattern finds in the table that jobrun prints for the other words: a name, and the rest of its row.
function __jobrun_column
    set -l words (commandline -opc)
    set -l server
    if set -l at (contains -i -- --server $words); and set -q words[(math $at + 1)]
        set server --server $words[(math $at + 1)]
    end
    set -a server (string match -- '--server=*' $words)
    contains -- --local $words; and set server --local
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    command -sq -- $program; or set program jobrun # an alias for it
    command timeout 2 $program $argv[2..-1] $server 2>/dev/null </dev/null |
        string replace -f -r "^$argv[1] +" '$1\\t'
end

function __jobrun_jobs
    __jobrun_column '([a-z0-9]+)' list -a -n 50 --no-start
    printf '@last\\tyour newest job\\n'
end

function __jobrun_users
    __jobrun_column '([a-z0-9._-]+)' user list
end

function __jobrun_tokens
    __jobrun_column '[a-z0-9]+ +([A-Za-z0-9._-]+)' token list
end

function __jobrun_servers
    set -l homes $XDG_CONFIG_HOME $HOME/.config
    set -l config $JOBRUN_CONFIG_DIR $homes[1]/jobrun
    test -r $config[1]/known-servers; and string replace -r ' .*' '' <$config[1]/known-servers
end

complete -c jobrun -f
"""
_VALUES = {FILES: "-rF", FOLDERS: "-xa '(__fish_complete_directories)'"}
"""How a value is completed."""
_LISTS = (JOBS, USERS, TOKENS, SERVERS)
"""Kinds with a function of their own."""


def script() -> str:
    """All of it."""
    commands = list(all_commands())
    top = list(every_command())
    lists = (
        f"set -g __jobrun_below {_list(command.name for command in commands if ' ' in command.name)}\n"
        f"set -g __jobrun_mixed {_list(command.name for command in commands if command.mixed)}\n\n"
    )
    valued = "".join(_valued(command) for command in commands)
    lines = [line for command in commands for line in (*_words(command), *_options(command))]
    return "".join([HEAD, valued, WALK, lists, *map(_top, top), *lines])


def _valued(command: Command) -> str:
    names = [name for option in options_of(command) if option.value for name in option.names]
    lines = f"        case {_quote(command.name)}\n            printf '%s\\n' {_list(names)}\n"
    return lines if names else ""


def _top(command: Command) -> str:
    return f"complete -c jobrun -n 'not __jobrun_place >/dev/null' {_offer(command.name, command.summary)}\n"


def _offer(word: str, about: str) -> str:
    return f"-a {_quote(word)} -d {_quote(about)}"


def _options(command: Command) -> Iterator[str]:
    for option in options_of(command):
        letters, words = short_and_long(option)
        names = "".join([*(f" -s {letter}" for letter in letters), *(f" -l {word}" for word in words)])
        yield f"complete -c jobrun {_when(command, 'option')}{names}{_value(option)} -d {_quote(option.help)}\n"


def _value(option: Option) -> str:
    if not option.value:
        return ""
    offers = " ".join(offers_of(option))
    if offers:
        return f" -xa {_quote(offers)}"
    return f" -xa '(__jobrun_{option.takes})'" if option.takes in _LISTS else f" {_VALUES.get(option.takes, '-x')}"


def _words(command: Command) -> Iterator[str]:
    for below in command.below:
        word = below.name.removeprefix(f"{command.name} ")
        yield f"complete -c jobrun {_when(command, '1')} {_offer(word, below.summary)}\n"
    kind = command.takes
    if kind == PROGRAM:
        yield f"complete -c jobrun {_when(command, 'any')} -a '(__jobrun_program)'\n"
    elif kind in _LISTS:
        where = "any" if command.many else "1"
        yield f"complete -c jobrun {_when(command, where)} -ka '(__jobrun_{kind})'\n"
    elif kind == COMMAND_NAMES:
        for one in every_command():
            yield f"complete -c jobrun {_when(command, '1')} {_offer(one.name, one.summary)}\n"
        yield f"complete -c jobrun {_when(command, '2')} -a '(__jobrun_help_below)'\n"
    for word in command.choices:
        yield f"complete -c jobrun {_when(command, '1')} -a {_quote(word)}\n"


def _when(command: Command, place: str) -> str:
    return "-n " + _quote(f'__jobrun_at "{command.name}" {place}')


def _list(words: Iterable[str]) -> str:
    return " ".join(map(_quote, words))


def _quote(text: str) -> str:
    """In single quotes fish knows these two escapes alone."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
