"""What a job finds around it on the private server: environment, stdin, masks, limits, folder."""

from __future__ import annotations

import os
import re
import resource
import subprocess
from pathlib import Path

import pytest

from tests.e2e.client import BUILT
from tests.e2e.home import Home

TRICKY = [
    b"",
    b'a\n\n b "c"\n$D',
    b"ends in newlines\n\n",
    b"  blanks \t around  ",
    b"no utf-8: \xff\xfe\x80",
    b"\x01\x1b[31m\x7f",
    b"a=b=c;`id`$(id)'\\\"",
    b"x" * 100_000,
]


def printed_env(home: Home, *options: str, **env: str | bytes) -> dict[bytes, bytes]:
    """The environment that a job sees."""
    out = home.jobrun("run", *options, "env", "-0", env=env).passed().stdout
    return dict(entry.split(b"=", 1) for entry in out.split(b"\0") if entry)


def test_f01_variables_of_the_shell_that_started_the_server_are_not_in_later_jobs(home: Home) -> None:
    """A forgotten export would change every later build."""
    home.jobrun("run", "true", env={"X": "old"}).passed()
    assert home.jobrun("run", "sh", "-c", "echo ${X-none}").passed().out == "none\n"


@pytest.mark.parametrize("value", TRICKY, ids=range(len(TRICKY)))
def test_f02_a_value_arrives_as_the_very_bytes(warm: Home, value: bytes) -> None:
    """A key or a certificate of several lines would be cut or changed on its way."""
    script = 'printf %s "$K"'
    assert warm.jobrun("run", "--env", "K", "sh", "-c", script, env={"K": value}).passed().stdout == value
    assert warm.jobrun("run", "--env", b"K=" + value, "sh", "-c", script).passed().stdout == value


def test_env_option_beats_the_callers_own_value(warm: Home) -> None:
    """The value that was asked for would silently lose."""
    assert printed_env(warm, "--env", "K=new", K="old")[b"K"] == b"new"


def test_env_file_gives_names_and_values(warm: Home) -> None:
    """A file of settings would have to be spelled out as options."""
    (warm.work / "settings").write_text("A=1\nB=two words\n")
    seen = printed_env(warm, "--env-file", "settings")
    assert (seen[b"A"], seen[b"B"]) == (b"1", b"two words")


@pytest.mark.parametrize(
    "options",
    [
        ["--env", "=x"],
        ["--env", " A=x"],
        ["--env", "NOT_SET_ANYWHERE"],
        ["--env-file", "no-such-file"],
        ["--env-file", "script"],
    ],
)
def test_a_wrong_env_option_is_refused_by_name(warm: Home, options: list[str]) -> None:
    """A job would run without the variable that it was to have."""
    (warm.work / "script").write_text("export A=1\n")
    assert options[0] in warm.jobrun("run", *options, "true").refused(125)


def test_f43_the_job_has_the_callers_environment_and_nothing_of_the_launchers(warm: Home) -> None:
    """/bin/sh would die of a foreign library, or the caller's PYTHONPATH be gone."""
    mine = {
        "PYTHONPATH": "/p",
        "PYTHONHOME": "/nowhere",
        "LD_LIBRARY_PATH": "/nowhere/lib",
        "PYTHONUTF8": "0",
        "_X": "1",
    }
    seen = printed_env(warm, **mine)
    assert len(seen.pop(b"JOBRUN_JOB_ID")) >= 4
    for name in (b"_", b"OLDPWD", b"SHLVL"):
        seen.pop(name, None)
    assert seen == warm.environment(mine)


@pytest.mark.parametrize("locale", ["C", "POSIX", "xx_YY.nonsense"])
def test_f43_no_locale_is_added(warm: Home, locale: str) -> None:
    """Python's own coercion of a C locale would leak into every job."""
    seen = printed_env(warm, LC_ALL=locale)
    assert seen[b"LC_ALL"] == locale.encode()
    assert b"LC_CTYPE" not in seen


def test_passwords_of_jobrun_do_not_reach_a_job(warm: Home) -> None:
    """Any job could read the caller's password for the server."""
    seen = printed_env(warm, JOBRUN_PASSWORD="hunter22", JOBRUN_PASSWORD_BOX="hunter22")
    assert not [name for name in seen if name.startswith((b"JOBRUN_PASSWORD", b"JOBRUN_TOKEN", b"JOBRUN_SEARCHED"))]


def test_the_job_knows_its_own_id(warm: Home) -> None:
    """A job could not name itself, to be found again."""
    job = warm.start("sh", "-c", "echo $JOBRUN_JOB_ID")
    assert warm.jobrun("attach", job).passed().out.strip() == job


def test_f04_stdin_is_at_its_end_whatever_the_clients_is(warm: Home) -> None:
    """A program that asks a question would hang for ever."""
    reader, writer = os.pipe()
    try:
        assert warm.jobrun("run", "cat", stdin=reader).passed().stdout == b""
        assert warm.jobrun("run", "readlink", "/proc/self/fd/0", stdin=reader).passed().out == "/dev/null\n"
    finally:
        os.close(reader)
        os.close(writer)


def test_i_gives_the_job_what_the_client_read(warm: Home) -> None:
    """Input could not be piped into a job."""
    data = bytes(range(256)) * 4096
    assert len(data) == 1 << 20
    assert warm.jobrun("run", "-i", "cat", stdin=data).passed().stdout == data
    assert warm.jobrun("run", "-i", "cat", stdin=b"").passed().stdout == b""


def test_i_refuses_more_than_a_mebibyte(warm: Home) -> None:
    """A job would work on a part of its input as if it were all."""
    warm.jobrun("run", "-i", "cat", stdin=b"x" * ((1 << 20) + 1)).refused(125)


@pytest.mark.parametrize("mask", [0o027, 0o077, 0o002, 0])
def test_f06_the_callers_umask(warm: Home, mask: int) -> None:
    """Files of jobs would be open to everyone, or closed to the caller's group."""
    assert int(warm.jobrun("run", "sh", "-c", "umask", umask=mask).passed().out, 8) == mask


def test_f08_a_bare_name_is_looked_up_in_the_jobs_path(warm: Home) -> None:
    """Another program than the one on the job's PATH would run."""
    folder = warm.work / "tools"
    folder.mkdir()
    warm.script("tools/mytool", "#!/bin/sh\necho mine\n")
    assert warm.jobrun("run", "--env", f"PATH={folder}:/bin", "mytool").passed().out == "mine\n"
    assert warm.jobrun("run", "mytool", env={"PATH": f"{folder}:{warm.env['PATH']}"}).passed().out == "mine\n"


def test_f08_not_found_names_the_path_that_was_searched(warm: Home) -> None:
    """Nobody could tell why a program that is there is not found."""
    error = warm.jobrun("run", "--env", "PATH=/opt/t:/nowhere", "mytool").refused(127)
    assert "mytool" in error
    assert "/opt/t:/nowhere" in error


def test_f08_a_file_that_may_not_be_executed_does_not_hide_a_later_one(warm: Home) -> None:
    """execvp(3) goes on behind a file without x; a job would fail where a shell does not."""
    for name, mode in (("first", 0o644), ("second", 0o755)):
        (warm.work / name).mkdir()
        warm.script(f"{name}/both", f"#!/bin/sh\necho {name}\n").chmod(mode)
    path = f"PATH={warm.work}/first:{warm.work}/second:/bin"
    assert warm.jobrun("run", "--env", path, "both").passed().out == "second\n"


def test_the_working_folder_is_the_callers(warm: Home) -> None:
    """A relative path on the command line would point elsewhere."""
    folder = warm.work / "a b\n c"
    folder.mkdir()
    assert warm.jobrun("run", "readlink", "/proc/self/cwd", cwd=folder).passed().out == f"{folder}\n"
    assert warm.jobrun("run", "--cwd", "a b\n c", "readlink", "/proc/self/cwd").passed().out == f"{folder}\n"


def test_an_argument_is_data(warm: Home) -> None:
    """A shell in between would expand or split it."""
    words = ["$HOME", "a b", "", "*", "`id`", "-x", "--", "é", "a\nb", "\x1b[0m"]
    out = warm.jobrun("run", "--", "printf", "%s\\0", *words).passed().out
    assert out.split("\0")[:-1] == words


def limits(text: str) -> dict[str, tuple[str, str]]:
    """Soft and hard limit by name, from /proc/PID/limits (proc(5)); less core, which is 0, and the one by which
    jobrun finds its own again."""
    rows = re.findall(r"^(Max .+?)\s{2,}(\S+)\s+(\S+)", text, re.M)
    return {
        name: (soft, hard) for name, soft, hard in rows if name not in ("Max core file size", "Max realtime timeout")
    }


def test_f36_limits_that_were_not_asked_for_are_the_callers(home: Home) -> None:
    """A job would meet the daemon's: a billion descriptors to close, another stack."""
    soft, hard = 1000, 4000
    limit = f"ulimit -Sn {soft}; ulimit -Hn {hard}; ulimit -s 7000; "
    script = f"{limit} cat /proc/self/limits; echo ===; jobrun run cat /proc/self/limits"
    before, _, after = home.shell(script).passed().out.partition("===")
    assert limits(after) == limits(before)
    assert limits(after)["Max open files"] == (str(soft), str(hard))


def test_f36_no_core_files(warm: Home) -> None:
    """A crash would put secrets of the job on disk."""
    assert warm.jobrun("run", "sh", "-c", "ulimit -c; ulimit -Hc").passed().out == "0\n0\n"


def test_f36_the_servers_own_wish_for_descriptors_is_no_jobs(warm: Home) -> None:
    """Programs that close all possible descriptors would take seconds to start."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert warm.jobrun("run", "sh", "-c", "ulimit -Sn; ulimit -Hn").passed().out == f"{soft}\n{hard}\n"


def test_nice_and_oom_score(warm: Home) -> None:
    """When memory ends the kernel would take the server before a job, or a job would run at another priority."""
    out = warm.jobrun("run", "sh", "-c", "nice; cat /proc/self/oom_score_adj").passed().out
    assert out == f"{os.nice(0)}\n500\n"


def test_f44_a_deep_home(home: Home) -> None:
    """The socket's path would be too long for bind(2)."""
    deep = home.root / ("d" * 150)
    deep.mkdir(mode=0o700)
    home.env["HOME"] = str(deep)
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        home.env.pop(name)
    assert home.jobrun("run", "echo", "hi").passed().out == "hi\n"


@pytest.mark.parametrize("runtime", ["deep", None], ids=["deep", "none"])
def test_f44_a_runtime_folder_that_will_not_do(home: Home, runtime: str | None) -> None:
    """As above, where the socket's own folder is what is too long or not there."""
    deep = home.root / ("r" * 150)
    deep.mkdir(mode=0o700)
    home.env.pop("XDG_RUNTIME_DIR")
    if runtime:
        home.env["XDG_RUNTIME_DIR"] = str(deep)
    assert home.jobrun("run", "echo", "hi").passed().out == "hi\n"
    assert Path(f"/tmp/jobrun-{os.getuid()}").stat().st_mode & 0o777 == 0o700


def test_f41_proxy_variables_are_for_the_job_alone(home: Home) -> None:
    """Behind a proxy not even the private server could be reached."""
    proxies = {
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "grpc_proxy": "http://127.0.0.1:9",
    }
    out = home.jobrun("run", "sh", "-c", "echo $http_proxy $https_proxy $grpc_proxy", env=proxies).passed().out
    assert out.split() == ["http://127.0.0.1:9"] * 3


@pytest.mark.parametrize("where", [None, "/nonexistent"], ids=["none", "not there"])
def test_f42_without_a_home(home: Home, where: str | None) -> None:
    """A service or a container without HOME would meet a traceback."""
    env: dict[str, str | bytes | None] = {"HOME": where}
    assert home.jobrun("run", "echo", "hi", env=env).passed().out == "hi\n"


def test_a_working_folder_that_is_gone(home: Home) -> None:
    """As above, for a shell whose folder was removed."""
    done = home.shell('mkdir gone; cd gone; rmdir ../gone; exec "$JR" run true')
    lines = [line for line in done.err.splitlines() if not line.startswith("sh: ")]  # what /bin/sh itself has to say
    assert (done.code, len(lines)) == (125, 1)
    assert lines[0].startswith("jobrun: ")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors(warm: Home, closed: str) -> None:
    """The job's output, or the log of the server, would go into whatever file was opened next."""
    done = warm.shell(f"jobrun run sh -c 'echo out; echo err >&2; exit 3' {closed}")
    assert b"Traceback" not in done.stderr
    assert warm.jobrun("logs", "@last").passed().stderr == b"err\n"
    assert warm.wait("@last") in (3, 143)


def test_no_login_is_told_once_when_the_server_is_started(home: Home) -> None:
    """Somebody who meant another machine would not notice that his own runs the job."""
    told = home.jobrun("run", "true").passed().err
    assert told == "jobrun: no login: running on this machine\n"
    assert home.jobrun("run", "true").passed().err == ""


def test_the_built_file_is_a_zip_application(warm: Home) -> None:
    """`unzip -l` and `python3 jobrun` would not show or start what is inside."""
    listed = subprocess.run(["/usr/bin/env", "python3", "-m", "zipfile", "-l", BUILT], capture_output=True, check=True)
    assert b"__main__.py" in listed.stdout
    run = warm.command("python3", BUILT, "run", "echo", "hi").finish()
    assert run.passed().out == "hi\n"
