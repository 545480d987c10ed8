"""What can not be right is refused in one clear line, with the right code, and the server goes on."""

from __future__ import annotations

import pytest

from tests.e2e.home import Home

DURATIONS = ["5", "-1s", "1x", "", "1e3s", "367d", "nan", "inf", "1,5s", "\u0661s", " 1s", "1s ", "9" * 400 + "s"]
SIZES = ["12Q", "-1", "0", "", "1.5.5M", "9007199254740993", "9T9", "0x10", "K", "8193T", "9" * 5000]
COUNTS = ["0", "-1", "2147483648", "1.5", "x", "", "1_0", "9" * 5000]
NUMBERS = [
    *(("--timeout", text) for text in [*DURATIONS, "0s"]),
    *(("--grace", text) for text in ("5", "-1s", "1x", "367d")),
    *(("--cpu-time", text) for text in ("0s", "5", "-1s", "1x")),
    *(("--memory", text) for text in SIZES),
    *((option, text) for option in ("--address-space", "--file-size") for text in ("12Q", "-1", "0")),
    *(("--log-limit", text) for text in ("12Q", "-1", "0", "1023K", "1048575")),
    *(("--processes", text) for text in COUNTS),
    *((option, text) for option in ("--cpus", "--slots") for text in ("0", "-1", "2147483648", "two")),
    *(("--open-files", text) for text in ("0", "-1", "15", "2147483648")),
]
OTHERS = [
    ("logs", "-n", "-1"),
    ("logs", "-n", "x"),
    ("logs", "--cursor", "-1"),
    ("logs", "--cursor", "x"),
    ("logs", "--reconnect", "5"),
    ("attach", "--reconnect", "-1s"),
    ("wait", "--timeout", "5"),
    ("wait", "--reconnect", "x"),
    ("stop", "--grace", "-1s"),
    ("list", "-n", "0"),
    ("list", "-n", "-5"),
]


@pytest.mark.parametrize(("option", "text"), NUMBERS, ids=[f"{o}={t[:12]}" for o, t in NUMBERS])
def test_a_number_that_is_none(warm: Home, option: str, text: str) -> None:
    """A limit would be another one than was meant, or none."""
    assert option in warm.jobrun("start", f"{option}={text}", "true").refused(2)


@pytest.mark.parametrize(("command", "option", "text"), OTHERS, ids=["".join(case) for case in OTHERS])
def test_a_number_of_another_command_that_is_none(warm: Home, command: str, option: str, text: str) -> None:
    """A mistyped time would wait for another one, or for ever."""
    words = [command, option, text, *(["abc"] if command != "list" else [])]
    code = 125 if command in ("attach", "wait") else 2
    error = warm.jobrun(*words).refused(code)
    assert option in error or "--lines" in error


@pytest.mark.parametrize("text", ["1ms", "0.5s", "1.5h", "366d", "90m", "2d"])
def test_a_duration_that_is_one(warm: Home, text: str) -> None:
    """What the contract allows would be refused."""
    assert warm.jobrun("run", "--grace", text, "true").code == 0


def test_the_longest_durations_of_all(warm: Home) -> None:
    """A month is more than some clocks of a machine can count: the job would be lost, or not waited for."""
    limits = ["--timeout", "366d", "--grace", "366d", "--cpu-time", "366d"]
    latch = warm.latch()
    job = warm.start(*limits, "sh", "-c", f"echo out; {latch.wait}")
    waits = [
        warm.client("wait", "--timeout", "366d", "--reconnect", "366d", job),
        warm.client("attach", "--reconnect", "366d", job),
        warm.client("logs", "-f", "--since", "366d", "--reconnect", "366d", job),
    ]
    for reading in waits[1:]:
        reading.read_until(b"out\n")
    assert waits[0].running()
    latch.open()
    for waiting in waits:
        waiting.finish().passed()
    warm.jobrun("rm", "--finished", "--older", "366d").passed()
    assert warm.jobrun("logs", "--since", "366d", job).passed().out == "out\n"
    gate = warm.gate()
    stopped = warm.start("sh", "-c", f"trap 'exit 7' TERM; {gate.hold} while :; do sleep 0.05; done")
    gate.wait_opened()
    warm.jobrun("stop", "--grace", "366d", stopped).passed()
    assert warm.wait(stopped) == 7


@pytest.mark.parametrize("text", ["2000000000", "9007199254740992", "900000K", "8192T", "3G"])
def test_a_size_that_is_one(warm: Home, text: str) -> None:
    """What the contract allows as a size would be refused."""
    assert warm.jobrun("run", "--file-size", text, "true").passed()


@pytest.mark.parametrize("words", [["run"], ["run", "--"], ["run", "--name", "x"]], ids=["none", "dashes", "options"])
def test_no_program(warm: Home, words: list[str]) -> None:
    """Nothing would be run, and count as success."""
    warm.jobrun(*words).refused(125)


def test_an_empty_word_as_program(warm: Home) -> None:
    """An empty variable in a script would count as a job that went well."""
    assert warm.jobrun("run", "").code in (125, 127)


def test_options_end_at_the_first_word_that_is_none(warm: Home) -> None:
    """An option of the command would be taken for one of jobrun's."""
    assert warm.jobrun("run", "echo", "--name", "-x", "--").passed().out == "--name -x --\n"
    assert warm.jobrun("run", "--", "printf", "%s", "--timeout").passed().out == "--timeout"


def test_a_value_that_is_too_long_for_execve(warm: Home) -> None:
    """It would be cut, or the client die of a traceback."""
    (warm.work / "too-long").write_text("K=" + "x" * 131_072 + "\n")
    assert "131071" in warm.jobrun("run", "--env-file", "too-long", "true").refused(125)


def test_ten_megabytes_of_environment(warm: Home) -> None:
    """The server would be flooded, or a part be dropped in silence."""
    lines = [f"K{n}=" + "x" * 100_000 for n in range(100)]
    (warm.work / "huge").write_text("\n".join(lines))
    warm.jobrun("run", "--env-file", "huge", "true").refused(125)
    (warm.work / "large").write_text("\n".join(lines[:11]))
    warm.jobrun("run", "--env-file", "large", "true").refused(125)
    (warm.work / "fits").write_text("\n".join(lines[:9]))
    assert warm.jobrun("run", "--env-file", "fits", "sh", "-c", "echo ${#K8}").passed().out == "100000\n"


def test_a_mebibyte_of_arguments_in_all(warm: Home) -> None:
    """A job would get a part of its arguments."""
    warm.jobrun("run", "true", *["x" * 1000] * 1100).refused(125)
    assert warm.jobrun("run", "sh", "-c", "echo $#", *["x" * 1000] * 900).passed().out == "899\n"


@pytest.mark.parametrize("name", ["x" * 129, "\N{CROISSANT}" * 129])
def test_a_name_that_is_too_long(warm: Home, name: str) -> None:
    """It would be cut, and another job be found by it."""
    assert "--name" in warm.jobrun("start", "--name", name, "true").refused(2)
    job = warm.start("--name", name[:128], "true")
    assert warm.status(job)["spec"]["name"] == name[:128]


@pytest.mark.parametrize("word", [b"\xff\xfe", b"a\xe2\x28"])
def test_an_argument_that_is_no_utf_8(warm: Home, word: bytes) -> None:
    """argv is UTF-8 on the wire: another word would reach the program, or a traceback the caller."""
    warm.jobrun("run", "echo", word).refused(125)
    named = warm.jobrun("start", "--name", word, "true")
    assert named.code in (1, 2)
    named.refused(named.code)


@pytest.mark.parametrize("text", ["", "a b", "x" * 65, "a/b"])
def test_a_request_id_of_another_shape(warm: Home, text: str) -> None:
    """A retry would not be known again."""
    assert warm.jobrun("start", "--request-id", text, "true").code in (1, 2)


@pytest.mark.parametrize(
    "server", ["box:notaport", "insecure:", "unix:", "unix:relative", "ftp://x", "insecure:localhost"]
)
def test_an_address_that_is_none(warm: Home, server: str) -> None:
    """Another server than the one that was meant would be asked."""
    result = warm.jobrun("list", "--server", server)
    result.refused(result.code)
    assert result.code in (1, 2, 4)


def test_the_server_went_on(warm: Home) -> None:
    """One of the refusals above would have cost all others the server."""
    server = warm.server_pid()
    assert warm.jobrun("run", "echo", "hi").passed().out == "hi\n"
    assert warm.server_pid() == server
    log = warm.data / "server.log"
    assert "Traceback" not in (log.read_text() if log.exists() else "")
