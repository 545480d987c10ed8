"""The script for zsh, 5.0 or newer: _arguments for each command. No `_call_program`, which evaluates its words."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from jobrun.cli.command import Command
from jobrun.cli.options import COMMAND_NAMES, FILES, FOLDERS, JOBS, PROGRAM, SERVERS, TOKENS, USERS, Option
from jobrun.cli.registry import every_command
from jobrun.cli.shells.grammar import offers_of, options_of

HEAD = """\
#compdef jobrun
# zsh completion of jobrun, as "jobrun completion zsh" prints it.

# What stands in a column of the table that jobrun prints for these words, in its order, each with the rest of its row.
_jobrun_column() {
  local line name
  local -a lines cells found
  lines=("${(@f)$(command timeout 2 $program "${@:3}" $server 2>/dev/null </dev/null)}")
  for line in "${lines[@]:1}"; do
    cells=(${=line}) name=$cells[$2]
    cells[$2]=()
    [[ $name == *[^A-Za-z0-9._-]* ]] || found+=("$name:$cells")
  done
  [[ $1 == job ]] && found+=('@last:your newest job')
  _describe -V $1 found
}

_jobrun_servers() {
  local known=${JOBRUN_CONFIG_DIR:-${XDG_CONFIG_HOME:-$HOME/.config}/jobrun}/known-servers
  [[ -r $known ]] && compadd -- ${${(f)"$(<$known)"}%% *}
}

# Those of all levels, or below the command that was named.
_jobrun_commands() {
  local -a commands
  case $1 in
"""
SERVER = """\
  esac
  _describe command commands
}

# The job's program, completed as any command is.
_jobrun_program() {
  if [[ $words[1] == -- ]]; then
    shift words
    ((CURRENT--))
  fi
  _normal
}

_jobrun() {
  local program=${(Q)words[1]/#\\~\\//$HOME/}
  local command=$words[2]
  local -a server
  if ((CURRENT == 2)); then
    _jobrun_commands ''
    return
  fi
  server=(${(M)words:#--local} ${(M)words:#--server=*})
  ((${words[(I)--server]})) && server=(--server "${words[${words[(I)--server]} + 1]}")
  shift words
  ((CURRENT--))
  if ((CURRENT > 2)); then
    case "$words[1] $words[2]" in
"""
CHOSEN = """\
        command="$words[1] $words[2]"
        shift words
        ((CURRENT--))
        ;;
    esac
  fi
  case $command in
"""
TAIL = """\
  esac
}

if [[ $funcstack[1] == _jobrun ]]; then
  _jobrun "$@"
else
  compdef _jobrun jobrun
fi
"""
_ACTIONS = {
    FILES: "_files",
    FOLDERS: "_files -/",
    JOBS: " _jobrun_column job 1 list -a -n 50 --no-start",
    USERS: " _jobrun_column user 1 user list",
    TOKENS: " _jobrun_column token 2 token list",
    SERVERS: "_jobrun_servers",
}
"""A blank first: _arguments puts nothing of its own before the words behind the function."""


def script() -> str:
    """All of it."""
    top = list(every_command())
    below = [command for one in top for command in one.below]
    names = "|".join(shlex.quote(command.name) for command in below)
    levels = [_level("", top), *(_level(one.name, one.below) for one in top if one.below)]
    return "".join([HEAD, *levels, SERVER, f"      {names})\n", CHOSEN, *map(_command, [*top, *below]), TAIL])


def _level(name: str, commands: Sequence[Command]) -> str:
    rows = [shlex.quote(f"{one.name.removeprefix(name + ' ')}:{one.summary}") for one in commands]
    return f"    {shlex.quote(name)}) commands=({' '.join(rows)}) ;;\n"


def _command(command: Command) -> str:
    lines = " \\\n".join(f"        {shlex.quote(spec)}" for spec in (*_options(command), *_words(command)))
    late = "" if command.mixed else " -A '-*'"
    return f"    {shlex.quote(command.name)})\n      _arguments -s -S{late} : \\\n{lines}\n      ;;\n"


def _options(command: Command) -> Iterator[str]:
    for option in options_of(command):
        others = " ".join(option.names)
        for name in option.names:
            before = "*" if option.many else f"({others})"
            yield f"{before}{name}{_joined(option, name)}[{_escaped(option.help)}]{_value(option)}"


def _joined(option: Option, name: str) -> str:
    """How a value may stand: `--name=value` too, and `-n5`."""
    return "" if not option.value else "=" if name.startswith("--") else "+"


def _value(option: Option) -> str:
    if not option.value:
        return ""
    offers = " ".join(word.replace(":", "\\:") for word in offers_of(option))
    action = f"({offers})" if offers else _ACTIONS.get(option.takes, " ")
    return f":{_escaped(option.value)}:{action}"


def _words(command: Command) -> Iterator[str]:
    kind = command.takes
    if kind == PROGRAM:
        yield "(-)1:program: _command_names -e"
        yield "*::argument: _jobrun_program"
    elif kind == COMMAND_NAMES:
        yield "1:command: _jobrun_commands ''"
        yield "2:command: _jobrun_commands $words[2]"
    elif command.below:
        yield f"1:command: _jobrun_commands {command.name}"
    elif offers := command.choices:
        yield f"1:word:({' '.join(offers)})"
    elif command.words:
        yield f"{'*' if command.many else '1'}:{_escaped(command.words)}:{_ACTIONS.get(kind, ' ')}"


def _escaped(text: str) -> str:
    """For a part of a spec of _arguments, in which : [ ] have a meaning."""
    return "".join("\\" + letter if letter in "\\:[]" else letter for letter in text)
