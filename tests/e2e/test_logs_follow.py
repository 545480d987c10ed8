"""Followers of a live log, quick, late and slow ones, and a log that outgrows its bound."""

from __future__ import annotations

import base64
import itertools
import json
import re
import shlex
import time

import pytest

from tests.e2e import wire
from tests.e2e.client import Client
from tests.e2e.home import Home

FOLLOWERS = 12


def test_f19_nothing_falls_between_stored_and_live(warm: Home) -> None:
    """A follower that came while the job wrote would miss lines, or have them twice."""
    flag = warm.work / "enough"
    count = f"n=0; until [ -e {flag} ]; do n=$((n+1)); echo $n; done; echo end $n"
    job = warm.start("sh", "-c", count)
    followers = []
    for _ in range(FOLLOWERS):
        followers.append(warm.client("logs", "-f", job))
        followers[-1].read_to(1)  # the next one begins later
    flag.touch()
    outputs = [follower.finish(60).passed().stdout for follower in followers]
    lines = outputs[0].splitlines()
    last = int(lines[-1].split()[1])
    assert lines == [b"%d" % n for n in range(1, last + 1)] + [b"end %d" % last]
    assert set(outputs) == {outputs[0]}


@pytest.mark.parametrize("way", [["logs", "-f"], ["attach"]], ids=["logs", "attach"])
def test_f20_following_a_finished_job_ends_at_once(warm: Home, way: list[str]) -> None:
    """A script would hang for ever."""
    warm.jobrun("run", "echo", "hi").passed()
    assert warm.jobrun(*way, "@last", within=5).passed().out == "hi\n"


def test_f20_a_follower_that_wants_the_end_alone(warm: Home) -> None:
    """`logs -f -n 0` of a job that has finished would wait for ever, or show what was not asked for."""
    warm.jobrun("run", "echo", "hi").passed()
    assert warm.jobrun("logs", "-f", "-n", "0", "@last", within=5).passed().out == ""


def test_n_0_f_shows_only_what_comes(warm: Home) -> None:
    """Whoever joins a long log would have to read all of it first."""
    gate, latch = warm.gate(), warm.latch()
    job = warm.start(
        "sh", "-c", f"{gate.hold} echo old; echo written >&9; {latch.wait} echo new; {latch.wait} echo last"
    )
    gate.wait_for(b"written\n")
    follower = warm.client("logs", "-f", "-n", "1", job)
    follower.read_until(b"old\n")
    later = warm.client("logs", "-f", "-n", "0", job)
    latch.open()
    follower.read_until(b"old\nnew\n")
    latch.open()
    assert follower.finish().passed().out == "old\nnew\nlast\n"
    assert later.finish().passed().out in ("new\nlast\n", "last\n", "")


def test_a_follower_of_a_queued_or_starting_job_waits_for_it(warm: Home) -> None:
    """`start` and `logs -f` in a script would be a race."""
    for _ in range(5):
        job = warm.start("sh", "-c", "echo out; exit 4")
        assert warm.jobrun("logs", "-f", job).passed().out == "out\n"
        assert warm.jobrun("attach", job).code == 4


def test_f23_a_reader_that_does_not_read_slows_no_job(warm: Home) -> None:
    """Ctrl-S in a terminal would stop the build of the night."""
    gate = warm.gate()
    job = f"{gate.hold} head -c 50M /dev/zero; echo done >&9"
    client = warm.client("run", "sh", "-c", job)
    gate.wait_for(b"done\n", within=20)
    gate.wait_released()
    assert client.running()
    assert len(client.finish(60).passed().stdout) == 50 << 20


def numbers(data: bytes) -> list[int]:
    """The whole lines of a log with a gap; a line that the gap cut in two is none."""
    return [int(line) for line in data.splitlines() if re.fullmatch(rb"\d{7}", line)]


def counting(count: int) -> str:
    """A job's shell text: this many numbered lines of 8 bytes, then `end`."""
    return f"seq -w 1000000 {1_000_000 + count - 1}; echo end"


def dropped(error: str) -> int:
    """The bytes that lines about gaps name, in all."""
    return sum(int(n.replace(",", "")) for n in re.findall(r"([\d,]+) bytes", error))


@pytest.mark.parametrize("way", [["logs"], ["logs", "-f"], ["attach"]], ids=["logs", "follow", "attach"])
def test_f24_the_beginning_and_the_end_stay_and_the_gap_is_told(warm: Home, way: list[str]) -> None:
    """A follower would go silent for good once the log was cut under it."""
    job = big_job(warm)
    printed = warm.jobrun(*way, job, within=60)
    seen = numbers(printed.stdout)
    assert printed.code == (125 if way == ["attach"] else 0)
    assert printed.stdout.endswith(b"\nend\n")
    assert seen[0] == 1_000_000
    assert seen == sorted(set(seen))
    assert len(printed.stdout) <= 1 << 20
    assert dropped(printed.err) + len(printed.stdout) == 40_000_004
    printed.complained(printed.code)


def big_job(home: Home) -> str:
    """The id of a finished job that wrote 40 MB under --log-limit 1M."""
    started = home.jobrun("start", "--request-id", "big-log", "--log-limit", "1M", "sh", "-c", counting(5_000_000))
    job = started.passed().out.strip()
    assert home.wait(job, 60) == 0
    return job


def test_f24_live(warm: Home) -> None:
    """Who watches live would not learn that output is missing."""
    printed = warm.jobrun("run", "--log-limit", "1M", "sh", "-c", counting(5_000_000), within=60)
    seen = numbers(printed.stdout)
    assert printed.stdout.endswith(b"\nend\n")
    assert seen == sorted(set(seen))
    assert printed.code == (125 if printed.stderr else 0)
    assert dropped(printed.err) + len(printed.stdout) == 40_000_004


def test_f24_the_gap_is_told_in_its_place(warm: Home) -> None:
    """Nobody could see between which lines output is missing; a resumed reader would see none."""
    job = big_job(warm)
    seen = [json.loads(line) for line in warm.jobrun("logs", "--json", job).passed().stdout.splitlines()]
    places = [n for n, record in enumerate(seen) if "gap_bytes" in record]
    assert len(places) == 1
    gap = seen[places[0]]
    before, after = (
        b"".join(base64.b64decode(r["data"]) for r in part) for part in (seen[: places[0]], seen[places[0] + 1 :])
    )
    assert len(before) + len(after) + gap["gap_bytes"] == 40_000_004
    assert numbers(before)[-1] < numbers(after)[0]
    usage = warm.status(job)["usage"]
    assert (usage["output_bytes"], usage["output_dropped_bytes"]) == (40_000_004, gap["gap_bytes"])


def test_f24_tail_of_a_log_with_a_gap(warm: Home) -> None:
    """The last lines of a long log could not be had, for the gap before them."""
    job = big_job(warm)
    assert warm.jobrun("logs", "-n", "2", job).passed().out == "5999999\nend\n"


def timed(home: Home, *words: str) -> float:
    """Seconds that the quickest of three runs of jobrun takes."""
    best = 1e9
    for _ in range(3):
        begun = time.monotonic()
        home.jobrun(*words).passed()
        best = min(best, time.monotonic() - begun)
    return best


def test_f25_list_is_as_fast_with_many_finished_jobs(home: Home) -> None:
    """`list` and `status` would take seconds, or block the server, after a busy week."""
    home.jobrun("run", "true").passed()
    ways = (["list"], ["list", "-a", "-n", "10"], ["status", "@last"])
    few = [timed(home, *way) for way in ways]
    with wire.job_service(home.address) as stub:
        ids = []
        for _ in range(15):
            calls = [stub.Start.future(wire.start_request("true"), timeout=60) for _ in range(60)]
            ids += [call.result().job.id for call in calls]
        for job in ids:
            wire.finished(stub, job, 60)
    many = [timed(home, *way) for way in ways]
    for before, after, way in zip(few, many, ways, strict=True):
        assert after < before * 2 + 0.1, f"{way}: {before:.3f} s with one, {after:.3f} s with 901"
    assert len(home.jobrun("list", "-a", "-q").passed().out.split()) == 901


def test_list_may_be_cut_by_head(warm: Home) -> None:
    """A pipeline would show a traceback of a broken pipe."""
    warm.jobrun("run", "true").passed()
    done = warm.shell("jobrun list -a | head -n1")
    assert done.passed().err == ""
    assert done.out.startswith("ID")


def test_one_line_a_second_is_seen_as_it_comes(warm: Home) -> None:
    """Output would come in one piece at the end."""
    latch = warm.latch()
    client = warm.client("run", "sh", "-c", f"for n in 1 2 3 4; do echo $n; sleep 1; done; {latch.wait} echo end")
    seen = []
    for n in range(1, 5):
        client.read_until(b"%d\n" % n)
        seen.append(time.monotonic())
    latch.open()
    assert client.finish().passed().out == "1\n2\n3\n4\nend\n"
    assert all(0.5 < later - sooner < 5 for sooner, later in itertools.pairwise(seen)), seen
    times = [line.split()[0] for line in warm.jobrun("logs", "-t", "@last").passed().out.splitlines()]
    assert times == sorted(times)
    assert len({time[:19] for time in times[:4]}) == 4


def test_a_killed_follower_disturbs_nobody(warm: Home) -> None:
    """A terminal that is closed would take the others' output with it."""
    latch = warm.latch()
    job = warm.start("sh", "-c", f"echo one; {latch.wait} echo two")
    followers: list[Client] = [warm.client("logs", "-f", job) for _ in range(3)]
    for follower in followers:
        follower.read_until(b"one\n")
    followers[1].end()
    latch.open()
    assert [followers[n].finish().passed().out for n in (0, 2)] == ["one\ntwo\n"] * 2


def test_output_to_a_file_and_to_dev_full(warm: Home) -> None:
    """A full disk at the client would be a traceback, or count as success."""
    shown = warm.shell(f"jobrun run echo hi >{shlex.quote(str(warm.work / 'out'))}")
    assert shown.passed().err == ""
    assert (warm.work / "out").read_text() == "hi\n"
    with open("/dev/full", "wb") as full:
        client = warm.client("logs", "@last", stdout=full.fileno())
        client.finish().refused(1)
