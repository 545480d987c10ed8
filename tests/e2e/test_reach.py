"""A private server that lives can be reached, wherever its socket is, or is no more."""

from __future__ import annotations

import contextlib
import shutil

from tests.e2e.home import Home


def test_a_client_with_another_runtime_folder_finds_the_server(home: Home) -> None:
    """A cron job, or a shell after su, would be locked out as long as a job runs."""
    gate = home.gate()
    job = home.start("sh", "-c", f"{gate.hold} echo here; sleep 300")
    other = home.root / "r2"
    other.mkdir(mode=0o700)
    server = home.server_pid()
    assert home.jobrun("list", "-q", env={"XDG_RUNTIME_DIR": str(other)}).passed().out == f"{job}\n"
    assert home.jobrun("list", "-q", env={"XDG_RUNTIME_DIR": None}).passed().out == f"{job}\n"
    assert home.server_pid() == server
    home.jobrun("stop", job, env={"XDG_RUNTIME_DIR": str(other)}).passed()


def test_a_server_whose_socket_is_gone_is_replaced_under_its_jobs(home: Home) -> None:
    """A logout removes the runtime folder: the jobs would run on, and nobody could reach them."""
    job = home.start("sh", "-c", "echo here; sleep 300")
    home.jobrun("logs", "-n", "1", job).passed()
    shutil.rmtree(home.runtime / "jobrun")
    assert home.jobrun("list", "-q").passed().out == f"{job}\n"
    assert home.jobrun("stop", "--json", job).passed().stdout.count(b"END_REASON_STOPPED") == 1
    assert home.jobrun("logs", job).passed().out == "here\n"


def test_a_server_whose_data_folder_is_gone_is_replaced(home: Home) -> None:
    """Who removes the folder to begin anew could start no job for as long as he tries, and would see jobs of files that
    are gone."""
    home.jobrun("run", "echo", "one").passed()
    with contextlib.closing(home.server()) as before:
        shutil.rmtree(home.state / "jobrun")
        assert home.jobrun("run", "echo", "two").passed().out == "two\n"
        before.wait()
    assert len(home.jobrun("list", "-a", "-q").passed().out.split()) == 1
    server = home.server_pid()
    assert home.jobrun("run", "echo", "three").passed().out == "three\n"
    assert home.server_pid() == server, "the one before took nothing of the new one's away"


def test_a_list_of_a_data_folder_that_was_removed(home: Home) -> None:
    """It would show jobs of files that are gone, for as long as the server has not noticed."""
    home.jobrun("run", "true").passed()
    with contextlib.closing(home.server()) as before:
        shutil.rmtree(home.state / "jobrun")
        assert home.jobrun("list", "-a", "-q").passed().out == ""
        assert home.server_pid() != before.pid
        before.wait(30)  # before the test removes what it looks at


def test_a_server_looks_by_itself_whether_its_data_folder_is_there(home: Home) -> None:
    """It would stay for as long as somebody follows a job of it."""
    home.jobrun("run", "true").passed()
    with contextlib.closing(home.server()) as before:
        shutil.rmtree(home.state / "jobrun")
        before.wait(30)  # it looks every 10 s
    assert home.jobrun("list", "-a", "-q").passed().out == ""


def test_a_result_of_an_earlier_call_is_not_left_there(home: Home) -> None:
    """A script would read yesterday's result of a run that never ended."""
    result = home.work / "result"
    result.write_text("stale")
    assert home.jobrun("run", "--result", result, "--server", "unix:/nowhere", "true").code == 125
    assert result.read_text() == ""


def test_an_id_that_can_not_be_written_is_told(home: Home) -> None:
    """A job would run of which nobody knows the id."""
    error = home.jobrun("start", "--id-file", "/dev/full", "true").refused(1)
    job = home.jobrun("list", "-a", "-q").passed().out.strip()
    assert job in error


def test_a_signal_does_not_look_like_a_code(home: Home) -> None:
    """`stopped 2` could be SIGINT, or a program's own way out."""
    home.jobrun("run", "sh", "-c", "kill -9 $$")
    assert "signaled SIGKILL" in home.jobrun("list", "-a").passed().out
