"""`logs` and `run` give back what the job wrote: every byte, its stream, its time."""

from __future__ import annotations

import base64
import datetime
import json
import re
from typing import Any

import pytest

from tests.e2e.home import Home

CHECK = "\N{HEAVY CHECK MARK}".encode()
TIME = re.compile(rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$")


def records(home: Home, *words: str) -> list[dict[str, Any]]:
    """What `logs --json` prints."""
    return [json.loads(line) for line in home.jobrun("logs", "--json", *words).passed().stdout.splitlines()]


def data(printed: list[dict[str, Any]]) -> bytes:
    """All bytes of these records."""
    return b"".join(base64.b64decode(r["data"]) for r in printed if "data" in r)


@pytest.mark.parametrize("way", [["logs"], ["logs", "-f"], ["attach"]], ids=["logs", "follow", "attach"])
def test_f16_a_last_line_without_newline(warm: Home, way: list[str]) -> None:
    """The result that a program prints last would be lost."""
    assert warm.jobrun("run", "printf", "a\\nb").passed().stdout == b"a\nb"
    assert warm.jobrun(*way, "@last").passed().stdout == b"a\nb"


def test_f16_it_comes_live(warm: Home) -> None:
    """A question without a newline would never be seen."""
    latch = warm.latch()
    client = warm.client("run", "sh", "-c", f"printf 'continue? '; {latch.wait}")
    client.read_until(b"continue? ")
    latch.open()
    client.finish().passed()


def test_f17_a_long_line_is_one_line(warm: Home) -> None:
    """A line of JSON would be cut in pieces, with a time in its middle."""
    script = 'head -c 1000000 /dev/zero | tr "\\0" x; echo'
    plain = b"x" * 1_000_000 + b"\n"
    assert warm.jobrun("run", "sh", "-c", script).passed().stdout == plain
    timed = warm.jobrun("logs", "-t", "@last").passed().stdout
    time, _, line = timed.partition(b" ")
    assert TIME.match(time), time
    assert line == plain
    assert warm.jobrun("logs", "@last").passed().stdout == plain


def test_f17_each_stream_has_lines_of_its_own_under_t(warm: Home) -> None:
    """A warning in the middle of a progress line would break both lines."""
    script = "printf abc; sleep 0.1; echo warning >&2; sleep 0.1; echo def"
    warm.jobrun("run", "sh", "-c", script).passed()
    timed = warm.jobrun("logs", "-t", "@last").passed()
    assert re.fullmatch(rb"\S+ abcdef\n", timed.stdout)
    assert re.fullmatch(rb"\S+ warning\n", timed.stderr)


def test_f18_a_character_that_comes_byte_by_byte(warm: Home) -> None:
    """A check mark at the edge of two chunks would become two question marks."""
    script = "for n in 1 2 3; do for b in '\\342' '\\234' '\\224'; do printf $b; sleep 0.03; done; done"
    assert warm.jobrun("run", "sh", "-c", script).passed().stdout == CHECK * 3
    assert warm.jobrun("logs", "@last").passed().stdout == CHECK * 3
    assert data(records(warm, "@last")) == CHECK * 3


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_f12_bytes_under_any_locale(warm: Home, locale: str) -> None:
    """The client would die of a character that its locale has not."""
    env = {"LC_ALL": locale, "PYTHONIOENCODING": "ascii"}
    printed = warm.jobrun("run", "sh", "-c", "printf '\\342\\234\\224\\377'; printf '\\376' >&2", env=env).passed()
    assert (printed.stdout, printed.stderr) == (CHECK + b"\xff", b"\xfe")
    assert warm.jobrun("logs", "@last", env=env).passed().stdout == CHECK + b"\xff"


def test_a_name_of_another_alphabet_under_locale_c(warm: Home) -> None:
    """As F12, for what jobrun prints itself."""
    env = {"LC_ALL": "C"}
    job = warm.start("--name", "bäckerei \N{CROISSANT}", "echo", "\N{CROISSANT}", env=env)
    warm.wait(job)
    for command in (["status", job], ["list", "-a", "-n", "1"]):
        assert b"Traceback" not in warm.jobrun(*command, env=env).passed().stderr


def test_control_characters_of_a_name_are_never_raw(warm: Home) -> None:
    """A job could rewrite the terminal of whoever lists it."""
    job = warm.start("--name", "\x1b[2Jgone\r\n\x07", "true", "\x1b]0;title\x07", "\u202e\x9b31m")
    warm.wait(job)
    for command in (["status", job], ["list", "-a", "-n", "1"]):
        shown = warm.jobrun(*command).passed().out
        assert shown.replace("\n", "").isprintable(), repr(shown)


def test_f21_each_stream_on_its_own(warm: Home) -> None:
    """Scripts that read one of them would break."""
    warm.jobrun("run", "sh", "-c", "echo o; echo e >&2").passed()
    for way in (["logs"], ["logs", "-f"], ["attach"]):
        printed = warm.jobrun(*way, "@last").passed()
        assert (printed.stdout, printed.stderr) == (b"o\n", b"e\n")
    out = warm.jobrun("logs", "--stdout", "@last").passed()
    err = warm.jobrun("logs", "--stderr", "@last").passed()
    assert (out.stdout, out.stderr, err.stdout, err.stderr) == (b"o\n", b"", b"", b"e\n")


def test_records_keep_the_order_in_which_both_streams_were_written(warm: Home) -> None:
    """Nobody could tell behind which step a warning came."""
    script = "for n in 1 2 3; do echo o$n; sleep 0.05; echo e$n >&2; sleep 0.05; done"
    warm.jobrun("run", "sh", "-c", script).passed()
    seen = records(warm, "@last")
    assert data(seen) == b"o1\ne1\no2\ne2\no3\ne3\n"
    assert [r["stream"] for r in seen] == ["stdout", "stderr"] * 3
    assert [r["time"] for r in seen] == sorted(r["time"] for r in seen)


def test_n_counts_lines_of_the_chosen_streams(warm: Home) -> None:
    """The last lines of a log would be others than `tail` gives."""
    warm.jobrun("run", "sh", "-c", "seq 1 5; sleep 0.1; seq 11 13 >&2; sleep 0.1; printf six").passed()
    assert warm.jobrun("logs", "-n", "2", "--stdout", "@last").passed().stdout == b"5\nsix"
    assert warm.jobrun("logs", "-n", "2", "--stderr", "@last").passed().stderr == b"12\n13\n"
    both = warm.jobrun("logs", "-n", "2", "@last").passed()
    assert (both.stdout, both.stderr) == (b"six", b"13\n")
    assert warm.jobrun("logs", "-n", "0", "@last").passed().stdout == b""
    assert warm.jobrun("logs", "-n", "100", "--stdout", "@last").passed().stdout == b"1\n2\n3\n4\n5\nsix"


def test_a_cursor_goes_on_where_it_was(warm: Home) -> None:
    """A program that keeps a cursor would miss output, or see it twice."""
    warm.jobrun("run", "sh", "-c", "for n in 1 2 3 4; do echo $n; sleep 0.03; done").passed()
    seen = records(warm, "@last")
    whole = data(seen)
    for index, record in enumerate(seen):
        rest = data(records(warm, "--cursor", str(record["cursor"]), "@last"))
        assert whole.endswith(rest)
        assert len(data(seen[: index + 1]) + rest) >= len(whole), "nothing is left out"
    assert records(warm, "--cursor", str(seen[-1]["cursor"]), "@last") == []
    assert data(records(warm, "--cursor", "0", "@last")) == whole


@pytest.mark.parametrize("cursor", ["1", "4097", "9007199254740991"])
def test_a_cursor_that_was_never_given_is_refused(warm: Home, cursor: str) -> None:
    """Output would begin in the middle of nowhere."""
    warm.jobrun("run", "echo", "hi").passed()
    warm.jobrun("logs", "--cursor", cursor, "@last").refused(1)


def test_a_job_that_writes_the_logs_own_format(warm: Home) -> None:
    """Output that looks like the records of a log would be taken for them."""
    first = warm.start("sh", "-c", "for n in 1 2 3; do echo $n; sleep 0.03; done")
    warm.wait(first)
    stored = (warm.data / "jobs" / first).read_bytes()
    assert warm.jobrun("run", "cat", str(warm.data / "jobs" / first)).passed().stdout == stored
    assert data(records(warm, "@last")) == stored


def test_f22_since_the_very_time_that_t_showed(warm: Home) -> None:
    """A time with Z would be taken as local, and hours of log be missing."""
    env = {"TZ": "Asia/Kathmandu"}
    warm.jobrun("run", "sh", "-c", "echo one; sleep 0.2; echo two; sleep 0.2; echo three").passed()
    lines = warm.jobrun("logs", "-t", "@last", env=env).passed().out.splitlines()
    second = lines[1].split()[0]
    for zone in (env, {"TZ": "UTC"}, {"TZ": "America/Caracas"}):
        assert warm.jobrun("logs", "--since", second, "@last", env=zone).passed().out == "two\nthree\n"


def test_f22_z_and_offsets_name_the_same_moment(warm: Home) -> None:
    """As above, for whoever writes the time himself."""
    env = {"TZ": "Asia/Kathmandu"}
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
    warm.jobrun("run", "echo", "hi").passed()
    kathmandu = before.astimezone(datetime.timezone(datetime.timedelta(hours=5, minutes=45)))
    for moment, seen in ((before, "hi\n"), (kathmandu, "hi\n"), (before + datetime.timedelta(hours=1), "")):
        text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        assert warm.jobrun("logs", "--since", text, "@last", env=env).passed().out == seen


@pytest.mark.parametrize(
    "text", ["2026-01-02T03:04:05", "2026-01-02", "yesterday", "10", "-5m", "2026-13-02T03:04:05Z"]
)
def test_f22_a_time_without_zone_is_refused(warm: Home, text: str) -> None:
    """It would mean something else on each machine."""
    warm.jobrun("run", "echo", "hi").passed()
    assert "--since" in warm.jobrun("logs", "--since", text, "@last").refused(2)


def test_since_a_duration(warm: Home) -> None:
    """The last minutes of a log could not be asked for."""
    warm.jobrun("run", "echo", "hi").passed()
    assert warm.jobrun("logs", "--since", "1h", "@last").passed().out == "hi\n"


def test_a_job_without_output(warm: Home) -> None:
    """Nothing would be told apart from a failure."""
    assert warm.jobrun("run", "true").passed().stdout == b""
    for way in (["logs"], ["logs", "-f"], ["logs", "-t"], ["logs", "-n", "5"]):
        assert warm.jobrun(*way, "@last").passed().stdout == b""
