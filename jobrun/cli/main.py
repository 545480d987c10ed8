"""From the command line to a command and an exit code. Every error is one line on stderr, never a traceback."""

from __future__ import annotations

import os
import sys

from jobrun.cli.codes import AS_THE_JOB, BROKEN_PIPE, OURS
from jobrun.cli.output import BrokenOutput, OutputFailed, open_missing_descriptors, put, say

# As typing has it, but without its import: that alone would make `version` take half as long again.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import NoReturn

    from jobrun.cli.command import Command

ASKS_FOR_HELP = frozenset({"-h", "--help"})


def main(argv: list[str]) -> NoReturn:
    """The whole program; `argv` as sys.argv. It leaves the process at once: tearing gRPC down costs 13 ms, and gRPC's
    threads run on while exit(3) takes apart what they use."""
    words = [os.fsencode(word).decode("utf-8", "surrogateescape") for word in argv[1:]]
    open_missing_descriptors()
    _tell_faults_in_one_line(OURS if words[:1] and words[0] in AS_THE_JOB else 1)
    os._exit(_run_words(words))


def _run_words(words: list[str]) -> int:
    try:
        if words in (["version"], ["--version"]):
            return _version()
        return _run_command(words)
    except BrokenOutput:
        return BROKEN_PIPE
    except OutputFailed as error:
        say(str(error))
        return OURS if words[0] in AS_THE_JOB else 1


def _version() -> int:
    """Before anything else is imported."""
    from jobrun.version import VERSION

    put(f"jobrun {VERSION}\n")
    return 0


def _run_command(words: list[str]) -> int:
    from jobrun.config.errors import Refusal

    try:
        return _dispatch(words)
    except Refusal as refusal:
        from jobrun.cli.fields import in_words

        say(in_words(str(refusal)))
        return OURS if words and words[0] in AS_THE_JOB else refusal.code


def _dispatch(words: list[str]) -> int:
    from jobrun.cli.registry import find
    from jobrun.config.errors import UsageError

    if not words:
        raise UsageError('no command: see "jobrun help"')
    name = "help" if words[0] in ASKS_FOR_HELP else words[0]
    if name.startswith("-"):
        raise UsageError(f"{name}: options come behind the command: jobrun COMMAND {name}")
    _prepare_imports(name)
    return _run(*find(name).choose(words[1:]))


def _prepare_imports(name: str) -> None:
    """Before the first import of grpc or protobuf, which a command's module may bring."""
    from jobrun.config.environment import quiet_grpc

    quiet_grpc()
    if name != "server":
        from jobrun.client.deferred import defer_unused

        defer_unused()


def _run(command: Command, words: Sequence[str]) -> int:
    from jobrun.cli.command import HELP
    from jobrun.cli.options import PROGRAM, parse_words
    from jobrun.config.environment import read_environment

    if command.takes != PROGRAM and ASKS_FOR_HELP.intersection(_before_end(words)):
        return _help(command)  # wherever it stands, and whatever is wrong with the rest
    parsed = parse_words(command.name, (*command.options, HELP), words, mixed=command.mixed)
    return _help(command) if parsed.flag(HELP.key) else command.run(parsed, read_environment())


def _before_end(words: Sequence[str]) -> Sequence[str]:
    """The words before `--`."""
    return words[: words.index("--")] if "--" in words else words


def _help(command: Command) -> int:
    from jobrun.cli.help import command_help, width_of_stdout

    put(command_help(command, width_of_stdout()))
    return 0


def _tell_faults_in_one_line(code: int) -> None:
    """What nobody caught is a fault of ours: one line that says where, in every thread, and the code."""

    def tell(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):  # before a command has taken the signals over
            os._exit(128 + 2)
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "nowhere"
        say(f"a fault of jobrun's own: {kind.__name__}: {error} at {where}: please report it")
        os._exit(code)

    sys.excepthook = tell
