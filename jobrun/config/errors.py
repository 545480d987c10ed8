"""What jobrun itself refuses at the client, as types that know their exit code (docs/reference/exit-codes.md)."""

from __future__ import annotations

from typing import ClassVar


class Refusal(Exception):
    """One clear line for people. `code` is the exit code of all commands but run, attach and wait, which say 125."""

    code: ClassVar[int] = 1


class UsageError(Refusal):
    """The command line can not be right."""

    code = 2


class NoSuchThing(Refusal):
    """No such job, user or token, or one that the caller may not see."""

    code = 3


class LoginNeeded(Refusal):
    """There is no login that holds."""

    code = 4


class NotBuilt(Refusal):
    """The contract has it, this version has not."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: not in this version")
