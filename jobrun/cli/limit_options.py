"""The options that the table of limits makes: what a job asks for, or the ceilings of a user or token."""

from __future__ import annotations

import functools

from jobrun.cli.options import Option, Parsed
from jobrun.config.numbers import parse_count, parse_duration, parse_size
from jobrun.limits import BYTES, LIMITS, NANOSECONDS, Limit
from jobrun.wire.gen.jobrun.v1 import job_pb2 as wire

LIMIT_HELP = {
    "cpu_time": "CPU time of the whole process tree",
    "memory_bytes": "memory of the whole process tree",
    "address_space_bytes": "address space of each process (RLIMIT_AS)",
    "file_size_bytes": "largest file that a process may write",
    "processes": "processes and threads in the tree",
    "open_files": "open files of each process, from 16",
    "cpus": "whole CPUs that the job may use",
    "timeout": "wall time, from its first process on",
    "log_bytes": "output kept, from 1M: its beginning and end stay, the middle goes (256M)",
}


def _limit_option(limit: Limit) -> Option:
    help_ = LIMIT_HELP[limit.field]
    if limit.unit == NANOSECONDS:
        return Option(limit.flag, help_, "DUR", parse_duration)
    if limit.unit == BYTES:
        return Option(limit.flag, help_, "SIZE", functools.partial(parse_size, least=limit.least))
    return Option(limit.flag, help_, "N", functools.partial(parse_count, least=limit.least))


def limits_in_words(limits: wire.Limits) -> str:
    """The limits that are set, as options take them; empty where there is none."""
    from jobrun.cli.render import limit_text

    return " ".join(f"{limit.flag} {limit_text(limits, limit)}" for limit in LIMITS if limits.HasField(limit.field))


LIMIT_OPTIONS = tuple(_limit_option(limit) for limit in LIMITS)


def limits_of(parsed: Parsed) -> wire.Limits:
    """The limits that the options name; the others are not set."""
    limits = wire.Limits()
    for limit in LIMITS:
        value = parsed.number(limit.flag)
        if value is None:
            continue
        if limit.unit == NANOSECONDS:
            getattr(limits, limit.field).FromNanoseconds(value)
        else:
            setattr(limits, limit.field, value)
    return limits
