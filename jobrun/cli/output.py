"""Bytes to stdout and stderr, straight to the descriptors: no codec, no buffer that could stay behind."""

from __future__ import annotations

import os

from jobrun.cli.text import encode
from jobrun.model.shown import escape

STDOUT, STDERR = 1, 2


class BrokenOutput(Exception):
    """Nobody reads our stdout or stderr any more (EPIPE)."""


class OutputFailed(Exception):
    """stdout or stderr can not be written, such as on a full disk."""


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of `data`, whatever a single write(2) takes. Raises BrokenOutput, OutputFailed."""
    try:
        _write_all(descriptor, data)
    except BrokenPipeError:
        raise BrokenOutput from None
    except OSError as error:
        name = "stdout" if descriptor == STDOUT else "stderr"
        raise OutputFailed(f"cannot write to {name}: {error.strerror}") from error


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # a pipe or terminal that another process made non-blocking
            _await_writable(descriptor)


def _await_writable(descriptor: int) -> None:
    import select

    poller = select.poll()
    poller.register(descriptor, select.POLLOUT)
    poller.poll()


def put(text: str) -> None:
    """Lines to stdout; the caller has escaped what is not his own."""
    write_all(STDOUT, encode(text))


def say(text: str) -> None:
    """One line to stderr, escaped. A stderr that is gone is no reason to fail: there is nowhere left to say so."""
    try:
        write_all(STDERR, encode(f"jobrun: {escape(text)}\n"))
    except (BrokenOutput, OutputFailed):
        return


def open_missing_descriptors() -> None:
    """Opens /dev/null for each of 0, 1, 2 that the caller closed: else a socket of ours would get that number, and a
    job's output."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open("/dev/null", os.O_RDWR)  # takes the lowest free number: this one
