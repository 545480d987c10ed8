"""From the options of `run` and `start` to a StartRequest, with all that can be checked before a call."""

from __future__ import annotations

import os
from collections.abc import Iterator

from jobrun.cli.limit_options import LIMIT_OPTIONS, limits_of
from jobrun.cli.options import FILES, FOLDERS, Option, Parsed, choice
from jobrun.cli.text import is_utf8, raw
from jobrun.config.environment import Environment
from jobrun.config.errors import NotBuilt, Refusal
from jobrun.config.numbers import parse_count, parse_grace
from jobrun.wire.gen.jobrun.v1 import job_pb2 as wire
from jobrun.wire.gen.jobrun.v1.job_service_pb2 import StartRequest

TOTAL_MOST = 1 << 20
"""Bytes of argv, env and secret_env together."""
STRING_MOST = 131_071
"""Bytes of one of them: MAX_ARG_STRLEN of execve(2), less its NUL."""
STDIN_MOST = 1 << 20
"""Bytes that -i may read."""
WITHHELD = (b"JOBRUN_TOKEN", b"JOBRUN_PASSWORD")
"""Never passed to a job: the first by its name, the second and all names that begin with it."""

SPEC_OPTIONS = (
    Option("--name", "a label for lists, at most 128 characters", "NAME"),
    Option("--env", "a variable of the job; a name alone copies yours", "K[=V]", many=True),
    Option(
        "--env-file",
        "a file of such lines; those that are empty or begin with # are left out",
        "FILE",
        many=True,
        takes=FILES,
    ),
    Option("--secret", "a variable that is copied, and masked in the output (not in this version)", "K", many=True),
    Option(
        "--cwd", "the job's working folder (on the private server this one, else a fresh one)", "DIR", takes=FOLDERS
    ),
    Option("-i", "read stdin to its end first, at most 1 MiB, and give it to the job"),
    Option("--grace", "from the stop signal to KILL (10s); 0s: KILL at once", "DUR", parse_grace),
    *LIMIT_OPTIONS,
    Option("--slots", "slots of the server that the job takes (1)", "N", parse_count),
    choice("--network", "what the job sees of it (host); none is not in this version", ("host", "none")),
    Option("--upload", "send a folder to work in (not in this version)", "DIR", takes=FOLDERS),
    Option("--download", "fetch these files at the end (not in this version)", "GLOB", many=True),
    Option("--request-id", "makes starting it twice the same job: 1 to 64 of A-Z a-z 0-9 . _ -", "ID"),
    Option("--id-file", "write the job's id there once it is known", "FILE", takes=FILES),
)


def build_request(parsed: Parsed, environment: Environment, *, private: bool) -> StartRequest:
    """What to start. `private`: on the private server, so with the caller's environment, folder and umask. Raises
    Refusal."""
    _refuse_unbuilt(parsed)
    argv = _argv(parsed)
    spec = wire.JobSpec(
        argv=argv, name=_text(parsed, "--name"), limits=limits_of(parsed), env=_env(parsed, environment)
    )
    spec.cwd = _cwd(parsed, private=private)
    if private:
        _add_own_environment(spec, environment)
        spec.umask = _umask()
    if (grace := parsed.number("--grace")) is not None:
        spec.grace.FromNanoseconds(grace)
    if (slots := parsed.number("--slots")) is not None:
        spec.slots = slots
    if parsed.given("--network"):
        spec.network = wire.NETWORK_HOST
    _check_sizes(parsed, spec)
    if parsed.flag("-i"):
        spec.stdin = _read_stdin(parsed)
    return StartRequest(spec=spec, request_id=_request_id(parsed))


def _refuse_unbuilt(parsed: Parsed) -> None:
    for option in ("--secret", "--upload", "--download"):
        if parsed.given(option):
            raise NotBuilt(option)
    if parsed.text("--network") == "none":
        raise NotBuilt("--network none")


def _argv(parsed: Parsed) -> list[str]:
    if not parsed.words:
        raise parsed.usage_error(f"no program: such as: jobrun {parsed.command} -- make -j4")
    for number, word in enumerate(parsed.words):
        if not is_utf8(word):
            raise parsed.usage_error(f"word {number + 1} of the command, {word}, is no UTF-8: pass it by --env or -i")
    if not parsed.words[0]:
        raise parsed.usage_error("the program's name is empty")
    return parsed.words


def _text(parsed: Parsed, option: str) -> str:
    text = parsed.text(option) or ""
    if not is_utf8(text):
        raise parsed.usage_error(f"{option}: {text} is no UTF-8")
    return text


def _env(parsed: Parsed, environment: Environment) -> dict[str, bytes]:
    """What --env-file and --env add, in this order; of one name the last one counts. Values are data: not trimmed, not
    expanded, not unquoted."""
    added: dict[str, bytes] = {}
    for name in parsed.texts("--env-file"):
        for line in _env_lines(parsed, name):
            added.update([_variable(parsed, "--env-file", line, environment)])
    for word in parsed.texts("--env"):
        added.update([_variable(parsed, "--env", raw(word), environment)])
    return added


def _env_lines(parsed: Parsed, name: str) -> Iterator[bytes]:
    try:
        with open(raw(name), "rb") as file:
            content = file.read(TOTAL_MOST + 1)
    except OSError as error:
        raise parsed.usage_error(f"--env-file: cannot read {name}: {error.strerror}") from None
    if len(content) > TOTAL_MOST:
        raise parsed.usage_error(f"--env-file: {name} has over 1 MiB")
    return (line for line in content.split(b"\n") if line and not line.startswith(b"#"))


def _variable(parsed: Parsed, option: str, text: bytes, environment: Environment) -> tuple[str, bytes]:
    name, equals, value = text.partition(b"=")
    shown = name.decode("utf-8", "surrogateescape")
    if not name or not is_utf8(shown) or any(map(str.isspace, shown)):  # a file of `export K=V` is a script's
        raise parsed.usage_error(f"{option}: {shown or 'an empty text'} is no name of a variable: give K=V or K")
    if b"\0" in text:
        raise parsed.usage_error(f"{option}: {shown}: holds a NUL, which no variable can")
    if not equals:
        if name not in environment.variables:
            raise parsed.usage_error(f"{option}: {shown} is not set here: give {shown}=VALUE, or set it")
        value = environment.variables[name]
    return shown, value


def _add_own_environment(spec: wire.JobSpec, environment: Environment) -> None:
    """The caller's environment under what --env added. A name that is no UTF-8 can not travel, and is left out."""
    for name, value in environment.variables.items():
        if name == WITHHELD[0] or name.startswith(WITHHELD[1]):
            continue
        shown = name.decode("utf-8", "surrogateescape")
        if is_utf8(shown) and shown not in spec.env:
            spec.env[shown] = value


def _cwd(parsed: Parsed, *, private: bool) -> str:
    asked = _text(parsed, "--cwd")
    if not private:
        return asked
    try:
        here = os.fsencode(os.getcwd()).decode("utf-8", "surrogateescape")
    except OSError as error:
        if not asked.startswith("/"):
            raise Refusal(f"the current folder is gone ({error.strerror}): cd to another, or give --cwd DIR") from None
        here = "/"
    if not is_utf8(here):
        raise Refusal(f"the name of the current folder, {here}, is no UTF-8: give --cwd DIR")
    return os.path.join(here, asked) if asked else here


def _umask() -> int:
    """umask(2) can only be read by setting it; no other thread makes files yet."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _check_sizes(parsed: Parsed, spec: wire.JobSpec) -> None:
    sizes = [len(word.encode()) for word in spec.argv]
    sizes += [len(name.encode()) + 1 + len(value) for name, value in spec.env.items()]
    if max(sizes) > STRING_MOST:
        raise Refusal(f"one word or variable has {max(sizes)} bytes: at most {STRING_MOST}: use -i or a file")
    if sum(sizes) > TOTAL_MOST:
        raise Refusal(f"words and environment have {sum(sizes)} bytes: at most {TOTAL_MOST}: use -i, a file, or env -i")
    if len(spec.name) > 128:
        raise parsed.usage_error(f"--name: has {len(spec.name)} characters: at most 128")


def _read_stdin(parsed: Parsed) -> bytes:
    chunks: list[bytes] = []
    size = 0
    try:
        while size <= STDIN_MOST and (chunk := os.read(0, STDIN_MOST + 1 - size)):
            chunks.append(chunk)
            size += len(chunk)
    except OSError as error:
        raise Refusal(f"{parsed.command}: -i: cannot read stdin: {error.strerror}") from None
    if size > STDIN_MOST:
        raise Refusal(f"{parsed.command}: -i: stdin has over 1 MiB: put it into a file that the job reads")
    return b"".join(chunks)


def _request_id(parsed: Parsed) -> str:
    given = parsed.text("--request-id")
    if given is None:
        return os.urandom(16).hex()
    allowed = all(character.isascii() and (character.isalnum() or character in "._-") for character in given)
    if not 1 <= len(given) <= 64 or not allowed:
        raise parsed.usage_error(f"--request-id: {given or 'an empty text'} is not 1 to 64 of A-Z a-z 0-9 . _ -")
    return given
