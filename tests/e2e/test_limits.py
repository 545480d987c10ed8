"""Limits hold for the whole tree, and the record says which one, at what, by whom."""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
import time

import pytest

from tests.e2e.home import Home

BURN = "i=0; while :; do i=$((i+1)); done"
EAT = "import signal\nb = bytearray(100_000_000)\nfor n in range(0, len(b), 4096): b[n] = 1\n"
"""A Python program that takes 100 MB of memory for real."""


def reason(home: Home, job: str = "@last") -> str:
    """Why it ended."""
    found: str = home.status(job)["finished"]["reason"]
    return found.removeprefix("END_REASON_")


def last_paragraph(home: Home, job: str = "@last") -> str:
    """Of its status, as people see it."""
    return home.jobrun("status", job).passed().out.strip().split("\n\n")[-1]


def test_f31_the_time_limit_is_the_trees(warm: Home) -> None:
    """The first process would be killed, and a grandchild that holds the pipe be waited for."""
    gate = warm.gate()
    begun = time.monotonic()
    done = warm.jobrun("run", "--timeout", "1s", "sh", "-c", f"{gate.hold} sleep 300 & wait")
    took = time.monotonic() - begun
    assert done.code == 124
    assert 1 <= took < 5 + os.getloadavg()[0]
    gate.wait_released(within=1)
    assert reason(warm) == "TIMEOUT"
    assert "1s" in last_paragraph(warm).replace("1.0 s", "1s").replace("1 s", "1s")


def test_a_time_limit_that_term_does_not_impress(warm: Home) -> None:
    """A job that ignores TERM would never end."""
    stubborn = "trap '' TERM; while :; do sleep 0.05; done"
    assert warm.jobrun("run", "--timeout", "300ms", "--grace", "300ms", "sh", "-c", stubborn).code == 124
    assert warm.status("@last")["finished"]["signal"] == signal.SIGKILL


def test_f34_memory_of_the_tree(warm: Home) -> None:
    """Four processes would take four times the limit; or 137, and nobody knew why."""
    gate = warm.gate()
    eat = f'"{sys.executable}" -c "$EAT"'
    script = f"{gate.hold} for n in 1 2 3 4; do {eat} & done; wait"
    job = warm.start("--memory", "256M", "sh", "-c", script, env={"EAT": EAT + "signal.pause()"})
    finished = warm.end(job, within=30)
    assert finished["reason"] == "END_REASON_MEMORY_LIMIT"
    assert warm.wait(job) == 137
    gate.wait_released()
    told = last_paragraph(warm, job)
    assert "256 MiB" in told or str(256 << 20) in told
    assert re.search(r"\d{3}(\.\d+)? ?Mi?B", told), told
    assert warm.status(job)["usage"]["peak_memory_bytes"] > 200 << 20


def test_memory_of_one_process_is_refused_by_the_kernel(warm: Home) -> None:
    """A program that handles ENOMEM itself would be killed instead."""
    program = "try:\n    b = bytearray(400 << 20)\nexcept MemoryError:\n    print('handled')"
    done = warm.jobrun("run", "--memory", "128M", sys.executable, "-c", program)
    assert done.passed().out == "handled\n"
    assert reason(warm) == "EXITED"
    assert "--memory 128M as an error" not in warm.jobrun("status", "@last").passed().out


@pytest.mark.parametrize("end", ["raise SystemExit(1)", "os.abort()"])
def test_a_program_that_the_kernel_refused_memory_is_told_of(warm: Home, end: str) -> None:
    """`exited 1` and nothing else, where a limit was the reason: its owner would look for a bug."""
    program = f"import os\ntry:\n    b = bytearray(400 << 20)\nexcept MemoryError:\n    {end}"
    assert warm.jobrun("run", "--memory", "128M", sys.executable, "-c", program).code in (1, 134)
    assert "met --memory 128M as an error" in warm.jobrun("status", "@last").passed().out


def test_cpu_time_of_the_tree(warm: Home) -> None:
    """Four children with two seconds each would burn eight."""
    script = f"for n in 1 2 3 4; do ({BURN}) & done; wait"
    done = warm.jobrun("run", "--cpu-time", "1500ms", "sh", "-c", script, within=30)
    assert done.code in (137, 152)
    assert reason(warm) == "CPU_LIMIT"
    usage = warm.status("@last")["usage"]
    used = sum(float(usage[name].rstrip("s")) for name in ("user_cpu", "system_cpu"))
    assert 1.2 < used < 5.5
    assert "1.5" in last_paragraph(warm)


def test_cpu_time_of_one_process(warm: Home) -> None:
    """A loop without end would take a CPU for ever."""
    done = warm.jobrun("run", "--cpu-time", "500ms", "sh", "-c", BURN, within=30)
    assert done.code == 128 + signal.SIGXCPU
    assert reason(warm) == "CPU_LIMIT"


@pytest.mark.parametrize("limit", ["700ms", "1s"])
def test_a_limit_that_left_with_0_counts_as_137(warm: Home, limit: str) -> None:
    """A job that was cut would count as done, at whole seconds too: there the kernel's signal comes first."""
    done = warm.jobrun("run", "--cpu-time", limit, "sh", "-c", f"trap 'exit 0' XCPU; {BURN}", within=30)
    assert (done.code, reason(warm)) == (137, "CPU_LIMIT")


def test_evidence_is_what_was_seen(warm: Home) -> None:
    """Whoever reads why a job ended would look for CPU time that it never used."""
    warm.jobrun("run", "--cpu-time", "10s", "sh", "-c", "kill -XCPU $$").refused(152)
    assert "its limit was 10 s of CPU time, and it had used 0" in warm.jobrun("status", "@last").passed().out


def test_file_size(warm: Home) -> None:
    """A log without end would fill the disk, or end the job without a reason."""
    done = warm.jobrun("run", "--file-size", "1M", "head", "-c", "2M", "/dev/zero", within=20)
    assert (done.code, len(done.stdout)) == (0, 2 << 20), "a pipe is no file"
    script = "exec head -c 2M /dev/zero >big"
    done = warm.jobrun("run", "--file-size", "1M", "sh", "-c", script)
    assert done.code == 128 + signal.SIGXFSZ
    assert reason(warm) == "FILE_SIZE_LIMIT"
    assert (warm.work / "big").stat().st_size == 1 << 20


def test_processes(warm: Home) -> None:
    """A fork bomb would take the machine; nobody knew afterwards what it was."""
    gate = warm.gate()
    script = f"{gate.hold} n=0; while [ $n -lt 60 ]; do sleep 300 & n=$((n+1)); done; wait"
    done = warm.jobrun("run", "--processes", "20", "sh", "-c", script, within=30)
    assert done.code in (137, 2)
    assert reason(warm) in ("PROCESS_LIMIT", "EXITED")
    if reason(warm) == "PROCESS_LIMIT":
        assert "20" in last_paragraph(warm)
    gate.wait_released()


def test_threads_count(warm: Home) -> None:
    """A program with ten thousand threads would be one process."""
    thread = "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    program = f"import threading, time\nfor n in range(60): {thread}\ntime.sleep(60)"
    done = warm.jobrun("run", "--processes", "20", sys.executable, "-c", program, within=30)
    assert done.code in (137, 1)


def test_a_job_within_its_processes_is_left_alone(warm: Home) -> None:
    """A limit would hit what keeps it."""
    script = "for n in 1 2 3 4 5; do sleep 0.3 & done; wait; echo ok"
    assert warm.jobrun("run", "--processes", "20", "sh", "-c", script).passed().out == "ok\n"


@pytest.mark.parametrize(
    ("option", "value", "script", "wanted"),
    [
        ("--open-files", "64", "ulimit -Sn; ulimit -Hn", "64\n64\n"),
        ("--address-space", "1G", "ulimit -v", "1048576\n"),
        ("--memory", "64M", "ulimit -d", "65536\n"),
        ("--cpu-time", "1500ms", "ulimit -St; ulimit -Ht", "2\n4\n"),
        ("--file-size", "1M", "ulimit -f", "2048\n"),
        ("--cpus", "1", "nproc", "1\n"),
    ],
)
def test_what_each_process_sees(warm: Home, option: str, value: str, script: str, wanted: str) -> None:
    """A limit would be asked for, and not be there."""
    assert warm.jobrun("run", option, value, "sh", "-c", script).passed().out == wanted


def test_cpus_are_the_least_taken_ones(warm: Home) -> None:
    """Two jobs with a CPU each would share one and leave the other idle."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one CPU")
    latch, gate = warm.latch(), warm.gate()
    script = f"taskset -pc $$ >&2; {gate.hold} {latch.wait}"
    jobs = [warm.start("--cpus", "1", "sh", "-c", script) for _ in range(2)]
    gate.wait_for(b"up\n")
    gate.wait_for(b"up\n")
    latch.open(2)
    assert [warm.wait(job) for job in jobs] == [0, 0]
    seen = {warm.jobrun("logs", job).passed().err.rsplit(":", 1)[1].strip() for job in jobs}
    assert len(seen) == 2, seen


def test_more_cpus_than_there_are(warm: Home) -> None:
    """A wish that can not be held would be dropped."""
    error = warm.jobrun("run", "--cpus", str((os.cpu_count() or 1) + 1), "true").refused(125)
    assert "cpus" in error


def test_a_limit_above_the_hard_one_of_the_server(home: Home) -> None:
    """A wish that the machine can not hold would be dropped, or put on record and fail at the start."""
    if os.getuid() == 0:  # else root may raise them
        home.env["AS"] = "setpriv --bounding-set=-sys_resource"
    server = 'ulimit -n 512; ulimit -t 1000; exec $AS "$JR" start --cpu-time 998s --open-files 512 sh -c "ulimit -Ht"'
    job = home.shell(server).passed().out.strip()
    assert (home.wait(job), home.jobrun("logs", job).passed().out) == (0, "1000\n")
    assert "512" in home.jobrun("start", "--open-files", "513", "true").refused(1)
    assert "998" in home.jobrun("start", "--cpu-time", "999s", "true").refused(1)
    assert home.jobrun("list", "-a", "-q").passed().out.split() == [job]


def test_more_open_files_than_any_process_may_have(warm: Home) -> None:
    """As above, where the server may raise its limits: the kernel has one of its own."""
    assert "above the hard limit" in warm.jobrun("start", "--open-files", str(2**31 - 1), "true").refused(1)


def test_status_says_what_enforces_each_limit(warm: Home) -> None:
    """A limit would be silently unenforced."""
    words = ["--cpu-time", "5s", "--memory", "1G", "--address-space", "8G", "--file-size", "1G", "--processes", "50"]
    words += ["--open-files", "100", "--cpus", "1", "--timeout", "1m", "--log-limit", "2M"]
    job = warm.start(*words, "true")
    warm.wait(job)
    status = warm.status(job)
    limits = status["effective_limits"]
    assert limits["cpu_time"] == "5s"
    assert (limits["memory_bytes"], limits["processes"], limits["log_bytes"]) == (1 << 30, 50, 2 << 20)
    assert status["spec"]["limits"] == limits
    kinds = {held["kind"]: held["by"] for held in status["enforcements"]}
    assert len(kinds) == 9
    assert all(kinds.values())
    shown = warm.jobrun("status", job).passed().out
    for word in ("supervisor", "rlimit", "affinity"):
        assert word in shown.lower()


def test_a_job_without_limits_has_the_default_of_its_log_alone(warm: Home) -> None:
    """A limit that nobody asked for would hit."""
    job = warm.start("true")
    warm.wait(job)
    status = warm.status(job)
    assert {k: v for k, v in status["effective_limits"].items() if v} == {"log_bytes": 256 << 20}
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert warm.jobrun("run", "sh", "-c", "ulimit -n").passed().out == f"{soft}\n"


def test_the_usage_of_a_job_is_on_record(warm: Home) -> None:
    """Nobody could tell what a job needs."""
    program = (
        EAT + "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass\nprint('x' * 999)"
    )
    job = warm.start(sys.executable, "-c", program)
    assert warm.wait(job) == 0
    usage = warm.status(job)["usage"]
    assert 0.4 < sum(float(usage[name].rstrip("s")) for name in ("user_cpu", "system_cpu")) < 5
    assert usage["peak_memory_bytes"] >= 100_000_000
    assert (usage["output_bytes"], usage["output_dropped_bytes"]) == (1000, 0)
    assert float(usage["elapsed"].rstrip("s")) >= 0.4
