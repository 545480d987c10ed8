"""The script for bash, 4.2 or newer, with the package bash-completion or without it.

Words are compared, never evaluated: what a server says goes through no expansion, as `compgen -W` would have it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from jobrun.cli.command import Command
from jobrun.cli.shells.grammar import all_commands, below_names, offers_of, options_of

HEAD = """\
# bash completion of jobrun, as "jobrun completion bash" prints it.

# What there is, by command: the options, those of them that take a value, the words that choose a command below, what
# other words are, whether there may be many of them, and whether options may come behind them.
_jobrun_facts() {
    options=() valued=() below=() kind='' many='' mixed='' choices=()
    case $1 in
"""
VALUES = """\
        *) return 1 ;;
    esac
}

# Offers what an option's value can be.
_jobrun_value() {
    case $1 in
"""
TAIL = r"""
    esac
}

# Takes those of the words that begin with what is typed. bash replaces what stands behind its last break (= :) alone.
_jobrun_offer() {
    local word
    for word; do
        [[ $word == "$typed"* ]] && word=$lead$word && COMPREPLY+=("${word#"$broken"}")
    done
}

# Offers what stands in a column of the table that jobrun prints for these words.
_jobrun_column() {
    local cells
    {
        read -r
        while read -ra cells; do
            [[ ${cells[$1]} == *[!A-Za-z0-9._-]* ]] || _jobrun_offer "${cells[$1]}"
        done
    } < <(timeout 2 "$program" "${@:2}" "${server[@]}" 2>/dev/null </dev/null)
}

_jobrun_servers() {
    local address _
    while read -r address _; do
        _jobrun_offer "$address"
    done 2>/dev/null <"${JOBRUN_CONFIG_DIR:-${XDG_CONFIG_HOME:-$HOME/.config}/jobrun}/known-servers"
}

# Offers what is of that kind. For files readline's own, which knows quotes and ~, where nothing else is offered.
_jobrun_kind() {
    case $1 in
        files) compopt -o default ;;
        folders) compopt -o dirnames ;;
        jobs)
            compopt -o nosort 2>/dev/null
            _jobrun_column 0 list -a -n 50 --no-start
            _jobrun_offer @last
            ;;
        users) _jobrun_column 0 user list ;;
        tokens) _jobrun_column 1 token list ;;
        servers) _jobrun_servers ;;
    esac
}

# Programs alone: the job knows no keyword, alias or function of this shell.
_jobrun_executable() {
    local plain=${typed//\\/} folder folders file name
    if [[ $typed == *[\'\"]* ]]; then
        compopt -o default
    elif [[ $typed == */* ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -c -- "$plain")
        COMPREPLY=("${COMPREPLY[@]#"$broken"}")
    else
        IFS=: read -ra folders <<<"$PATH"
        for folder in "${folders[@]}"; do
            for file in "${folder:-.}/$plain"*; do
                [[ -f $file && -x $file ]] && printf -v name %q "${file##*/}" && _jobrun_offer "$name"
            done
        done
    fi
}

# What stands behind the job's program, its number among COMP_WORDS, completed as behind any command.
_jobrun_arguments() {
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$1"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    else
        compopt -o default
    fi
}

# Whether the first word is among the others.
_jobrun_among() {
    local word
    for word in "${@:2}"; do [[ $word == "$1" ]] && return; done
    return 1
}

# The line's words, whole: bash breaks them at = : @ too. `starts`: the number of each one's beginning in COMP_WORDS.
_jobrun_join() {
    local line=$COMP_LINE at
    for ((at = 0; at <= COMP_CWORD; at++)); do
        if ((at)) && [[ $line != [[:space:]]* ]]; then
            words[${#words[@]} - 1]+=${COMP_WORDS[at]}
        else
            line=${line#"${line%%[![:space:]]*}"}
            words+=("${COMP_WORDS[at]}")
            starts+=("$at")
        fi
        line=${line#"${COMP_WORDS[at]}"}
    done
}

# Goes from the word `at` to the last: whether options may still come, the first word that is none and how many there
# are, and the option whose value the last word is.
_jobrun_walk() {
    local word
    for (( ; at < last; at++)); do
        word=${words[at]}
        if [[ $open && $word == -- ]]; then
            open=''
        elif [[ $open && $word == -?* ]]; then
            [[ $word == --server=* ]] && server=("$word")
            [[ $word == --local ]] && server=("$word")
            [[ $word == --*=* ]] && continue
            [[ $word == --* ]] || word=-${word: -1}
            if _jobrun_among "$word" "${valued[@]}"; then
                ((++at == last)) && option=$word
                [[ $word == --server ]] && server=(--server "${words[at]}")
            fi
        else
            first=${first:-${starts[at]}}
            ((++count))
            [[ $mixed ]] || open=''
            [[ $kind == program ]] && break
        fi
    done
}

# Offers what the last word can be.
_jobrun_complete() {
    if [[ $option ]]; then
        _jobrun_value "$command $option"
    elif [[ $open && $typed == --*=* ]]; then
        lead=${typed%%=*}= typed=${typed#*=}
        _jobrun_value "$command ${lead%=}"
    elif [[ $open && $typed == -* ]]; then
        _jobrun_offer "${options[@]}"
    elif [[ $kind == program && $first ]]; then
        _jobrun_arguments "$first"
    elif [[ $kind == program ]]; then
        _jobrun_executable
    elif [[ $kind == commands ]]; then
        if ((count)); then _jobrun_facts "${words[last - 1]}"; else _jobrun_facts ''; fi
        _jobrun_offer "${below[@]}"
    elif [[ $count == 0 || $many ]]; then
        _jobrun_offer "${below[@]}" "${choices[@]}"
        _jobrun_kind "$kind"
    fi
}

# All that the functions above share is local to this one.
_jobrun() {
    local program=${1//[\\\'\"]/} words=() starts=() server=()
    program=${program/#\~\//$HOME/}
    type -P -- "$program" >/dev/null || program=jobrun # an alias for it
    COMPREPLY=()
    _jobrun_join
    local last=$((${#words[@]} - 1)) piece=${COMP_WORDS[COMP_CWORD]} typed lead=''
    typed=${words[last]}
    [[ $piece == [=:@] ]] && piece=''
    local broken=${typed%"$piece"}
    broken=${broken%@} # which readline replaces as well

    local command=${words[1]} options valued below kind many mixed choices
    if ((last == 1)); then
        _jobrun_facts ''
        _jobrun_offer "${below[@]}"
        return
    fi
    _jobrun_facts "$command" || return
    local at=2 open=1 first='' count=0 option=''
    if ((last > 2)) && _jobrun_among "${words[2]}" "${below[@]}"; then
        command+=" ${words[2]}" at=3
        _jobrun_facts "$command"
    fi
    _jobrun_walk
    _jobrun_complete
}

complete -F _jobrun jobrun
"""


def script() -> str:
    """All of it."""
    commands = list(all_commands())
    names = [command.name for command in commands if " " not in command.name]
    facts = [f"        '') below=({_words(names)}) ;;\n", *(_facts(command) for command in commands)]
    values = [line for command in commands for line in _values(command)]
    return "".join([HEAD, *facts, VALUES, *values, TAIL.lstrip("\n")])


def _facts(command: Command) -> str:
    options = options_of(command)
    facts = {
        "options": f"({_words(name for option in options for name in option.names)})",
        "valued": f"({_words(name for option in options if option.value for name in option.names)})",
        "below": f"({_words(below_names(command))})",
        "choices": f"({_words(command.choices)})",
        "kind": command.takes,
        "many": "1" if command.many else "",
        "mixed": "1" if command.mixed else "",
    }
    set_ = " ".join(f"{name}={value}" for name, value in facts.items() if value not in ("", "()"))
    return f"        {shlex.quote(command.name)}) {set_} ;;\n"


def _values(command: Command) -> Iterable[str]:
    for option in command.options:
        action = _action(option.takes, _words(offers_of(option)))
        if action:
            pattern = "|".join(shlex.quote(f"{command.name} {name}") for name in option.names)
            yield f"        {pattern}) {action} ;;\n"


def _action(kind: str, offers: str) -> str:
    if offers:
        return f"_jobrun_offer {offers}"
    return f"_jobrun_kind {kind}" if kind else ""


def _words(words: Iterable[str]) -> str:
    return " ".join(shlex.quote(word) for word in words)
