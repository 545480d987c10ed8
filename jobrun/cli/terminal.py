"""Questions to the person at the terminal, over /dev/tty: stdin and stdout may be something else."""

from __future__ import annotations

import os
import termios

from jobrun.cli.signals import LEAVING, leave, watch_signals
from jobrun.cli.text import encode
from jobrun.config.errors import Refusal
from jobrun.model.shown import escape

LONGEST = 4096
"""Bytes of a line that a terminal takes (N_TTY of termios(3))."""
ECHO_FLAGS = 3
"""Where tcgetattr has the local flags."""
KEYS = 6
"""Where it has the special characters."""
DISABLED = b"\0"
"""In the place of one that shall do nothing: _POSIX_VDISABLE of termios(3)."""


class NoTerminal(Refusal):
    """There is nobody who could be asked."""


class Terminal:
    """The terminal of this process, while questions are asked. A signal ends the process, with its echo on again."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._usual: list[int | list[bytes | int]] | None = None
        watch_signals(LEAVING, lambda number, _: self._leave(number))

    def tell(self, line: str, otherwise: str) -> None:
        """A line before a question. Raises NoTerminal with `otherwise` to be told."""
        os.write(self._open(otherwise), encode(escape(line)) + b"\n")

    def ask(self, question: str, otherwise: str) -> str:
        """A line that is shown while it is typed. Raises NoTerminal with `otherwise` to be told."""
        descriptor = self._open(otherwise)
        os.write(descriptor, encode(escape(question)))
        return self._read(descriptor)

    def ask_secret(self, question: str, otherwise: str) -> str:
        """A line that is not shown."""
        descriptor = self._open(otherwise)
        self._usual = termios.tcgetattr(descriptor)
        quiet = termios.tcgetattr(descriptor)
        quiet[ECHO_FLAGS] &= ~termios.ECHO
        for key in (termios.VQUIT, termios.VSUSP):  # they would leave the terminal without echo
            quiet[KEYS][key] = DISABLED
        try:
            termios.tcsetattr(descriptor, termios.TCSAFLUSH, quiet)
            os.write(descriptor, encode(escape(question)))
            return self._read(descriptor)
        finally:
            self._restore()
            os.write(descriptor, b"\n")

    def _open(self, otherwise: str) -> int:
        if self._descriptor is None:
            try:
                self._descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
            except OSError:
                raise NoTerminal(otherwise) from None
        return self._descriptor

    def _read(self, descriptor: int) -> str:
        line = os.read(descriptor, LONGEST)
        if not line:
            raise Refusal("nothing was typed")
        return line.rstrip(b"\n").decode("utf-8", "surrogateescape")

    def _restore(self) -> None:
        if self._descriptor is not None and self._usual is not None:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._usual)
            self._usual = None

    def _leave(self, number: int) -> None:
        self._restore()
        leave(128 + number)
