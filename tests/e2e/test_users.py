"""Who may do what: roles, other people's jobs, and the life of a user, by the command line alone."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.e2e.accounts import Account, Accounts
from tests.e2e.client import Result
from tests.e2e.deadline import Deadline

pytestmark = pytest.mark.usefixtures("accounts")


@pytest.fixture(scope="module")
def alice(accounts: Accounts) -> Account:
    """A user with jobs."""
    return accounts.add(name="alice")


@pytest.fixture(scope="module")
def bob(accounts: Accounts) -> Account:
    """Another one."""
    return accounts.add(name="bob")


@pytest.fixture(scope="module")
def viewer(accounts: Accounts) -> Account:
    """Somebody who may only look."""
    return accounts.add("--role", "viewer", name="viewer")


@pytest.fixture(scope="module")
def alices_job(alice: Account) -> Iterator[str]:
    """A running job of alice's, with output."""
    job = alice.start("sh", "-c", "echo mine; sleep 300")
    attached = alice.client("attach", job)
    attached.read_until(b"mine\n")
    attached.end()
    yield job
    alice.jobrun("stop", job).passed()


def ids(result: Result) -> set[str]:
    """What `list -q` printed."""
    return set(result.passed().out.split())


OF_ONE_JOB = [
    (["status", "ID"], 3),
    (["status", "--json", "ID"], 3),
    (["logs", "ID"], 3),
    (["logs", "-f", "ID"], 3),
    (["stop", "ID"], 3),
    (["stop", "-s", "KILL", "ID"], 3),
    (["rm", "ID"], 3),
    (["rm", "-f", "ID"], 3),
    (["wait", "ID"], 125),
    (["attach", "ID"], 125),
]


@pytest.mark.parametrize(("words", "code"), OF_ONE_JOB, ids=[" ".join(words) for words, _ in OF_ONE_JOB])
def test_another_users_job_is_as_one_that_there_is_not(
    bob: Account, alices_job: str, words: list[str], code: int
) -> None:
    """A stranger would learn what others run, or stop it."""
    nobodys = alices_job[:-1] + ("2" if alices_job[-1] != "2" else "3")
    asked = bob.jobrun(*[alices_job if word == "ID" else word for word in words]).refused(code)
    random = bob.jobrun(*[nobodys if word == "ID" else word for word in words]).refused(code)
    assert asked.replace(alices_job, "ID") == random.replace(nobodys, "ID")


@pytest.mark.parametrize("length", [1, 2, 4])
def test_a_beginning_of_another_users_id_fits_nothing(bob: Account, alices_job: str, length: int) -> None:
    """An id could be guessed letter by letter."""
    bob.jobrun("status", alices_job[:length]).refused(3)


def test_lists_are_ones_own(alice: Account, bob: Account, alices_job: str) -> None:
    """Names and arguments of others would be there to read."""
    assert alices_job in ids(alice.jobrun("list", "-q"))
    assert ids(bob.jobrun("list", "-q", "-a")) == set()
    bob.jobrun("list", "-q", "-a", "--all-users").refused(1)


def test_stop_all_stops_ones_own_jobs_alone(accounts: Accounts, alice: Account, bob: Account, alices_job: str) -> None:
    """Somebody who tidies up would end the work of all others, an admin too."""
    bob.jobrun("stop", "--all").passed()
    accounts.admin.jobrun("stop", "--all").passed()
    assert "running" in alice.status(alices_job)


def test_a_request_id_belongs_to_its_user(alice: Account, bob: Account) -> None:
    """The job of another would be answered, with its name and arguments."""
    words = ["start", "--request-id", "build-1", "true"]
    first, second = alice.jobrun(*words).passed().out, bob.jobrun(*words).passed().out
    assert first != second
    assert alice.jobrun(*words).passed().out == first
    assert bob.status(second.strip())["user"] == "bob"


def test_a_viewer_looks_and_does_not_touch(viewer: Account, alice: Account, alices_job: str) -> None:
    """A dashboard's account could start or stop things."""
    assert viewer.status(alices_job)["user"] == "alice"
    assert viewer.jobrun("logs", alices_job).passed().out == "mine\n"
    assert alices_job in ids(viewer.jobrun("list", "-q", "--all-users"))
    viewer.jobrun("start", "true").refused(1)
    viewer.jobrun("run", "true").refused(125)
    viewer.jobrun("stop", alices_job).refused(1)
    viewer.jobrun("rm", "-f", alices_job).refused(1)
    viewer.jobrun("user", "list").refused(1)
    viewer.jobrun("audit", "show").refused(1)
    assert "running" in alice.status(alices_job)


def test_a_user_is_no_admin(bob: Account) -> None:
    """Any account would be all of them."""
    for words in (["user", "list"], ["user", "set", "--role", "admin", "bob"], ["user", "remove", "alice"]):
        bob.jobrun(*words).refused(1)
    bob.jobrun("user", "add", "--password-stdin", "friend", stdin=b"long enough\n").refused(1)
    bob.jobrun("user", "passwd", "--password-stdin", "admin", stdin=b"long enough\n").refused(1)
    bob.jobrun("audit", "show").refused(1)


def test_an_admin_sees_and_stops_all(accounts: Accounts, alice: Account) -> None:
    """A job that eats the machine could only be stopped by who started it; and nobody would know who did."""
    job = alice.start("sleep", "300")
    assert job in ids(accounts.admin.jobrun("list", "-q", "--all-users"))
    accounts.admin.jobrun("stop", job).passed()
    finished = alice.end(job)
    assert finished["reason"] == "END_REASON_STOPPED"
    assert finished["stopped_by"] == "admin"
    assert "admin" in alice.jobrun("status", job).passed().out


def test_the_table_of_users(accounts: Accounts, viewer: Account) -> None:
    """An admin would not know whom he let in."""
    shown = accounts.admin.jobrun("user", "list").passed().out
    assert all(name in shown for name in ("admin", viewer.name))
    by_name = {user["username"]: user for user in accounts.admin.facts("user", "list")}
    assert by_name["viewer"]["role"] == "viewer"
    assert by_name["admin"]["role"] == "admin"
    assert by_name["viewer"]["sessions"] == 1
    assert not by_name["viewer"]["disabled"]


def test_another_role_acts_at_once(accounts: Accounts) -> None:
    """Rights that were taken away would hold until the token ends."""
    carol = accounts.add(name="carol")
    carol.jobrun("run", "true").passed()
    accounts.admin.jobrun("user", "set", "--role", "viewer", "carol").passed()
    carol.jobrun("run", "true").refused(125)
    accounts.admin.jobrun("user", "set", "--role", "user", "carol").passed()
    carol.jobrun("run", "true").passed()


def test_a_disabled_user_is_out_at_once_and_his_jobs_go_on(accounts: Accounts) -> None:
    """Somebody whose laptop was stolen could not be kept out; or his night's work would be lost by it."""
    dave = accounts.add(name="dave")
    gate = dave.gate()
    running = dave.client("run", "sh", "-c", f"{gate.hold} sleep 300")
    gate.wait_opened()
    accounts.admin.jobrun("user", "disable", "dave").passed()
    running.finish(within=8).complained(125)
    dave.jobrun("list").refused(4)
    dave.log_in().refused(1)
    assert gate.held()
    accounts.admin.jobrun("user", "set", "--enable", "dave").passed()
    dave.jobrun("list").refused(4)
    dave.log_in().passed()
    accounts.admin.jobrun("stop", *ids(accounts.admin.jobrun("list", "-q", "--filter", "user=dave", "--all-users")))
    gate.wait_released()


def test_a_user_with_unfinished_jobs_stays(accounts: Accounts) -> None:
    """Jobs would run on that nobody owns."""
    erin = accounts.add(name="erin")
    job = erin.start("sleep", "300")
    error = accounts.admin.jobrun("user", "remove", "erin").refused(1)
    assert "--stop-jobs" in error
    assert "running" in erin.status(job)
    accounts.admin.jobrun("user", "remove", "--stop-jobs", "erin").passed()
    erin.jobrun("status", job).refused(4)
    finished = accounts.admin.status(job)["finished"]
    assert finished["reason"] == "END_REASON_STOPPED"
    assert "erin" not in {user["username"] for user in accounts.admin.facts("user", "list")}


def test_a_removal_that_was_left_goes_on(accounts: Accounts) -> None:
    """An admin would see nothing for as long as the job may take; and not know, after Ctrl-C, what he left behind."""
    oscar, gate = accounts.add(name="oscar"), accounts.admin.gate()
    job = oscar.start("--grace", "366d", "sh", "-c", f"trap '' TERM; {gate.hold} sleep 300 & wait; wait")
    gate.wait_opened()
    waiting = accounts.admin.client("user", "remove", "--stop-jobs", "oscar")
    assert waiting.read_error_line() == b"jobrun: waiting until 1 job of oscar stopped, 10 s at most\n"
    deadline = Deadline(10, "oscar to be shut out")
    while oscar.jobrun("list").code == 0:
        deadline.left()
    waiting.signal(signal.SIGINT)
    left = waiting.finish()
    assert (left.code, left.err) == (
        130,
        "jobrun: oscar is being removed, and that goes on: jobrun user list shows who is still there\n",
    )
    accounts.admin.jobrun("stop", "--grace", "0s", job).passed()
    gate.wait_released()
    deadline = Deadline(10, "oscar to be removed")
    while "oscar" in {user["username"] for user in accounts.admin.facts("user", "list")}:
        deadline.left()
    deeds = [(event["action"], event["target"]) for event in accounts.audit(username="admin", outcome="ok")]
    told = [deed for deed in deeds if "oscar" in deed[1] or job in deed[1]]
    steps = ("user.set", "oscar disabled=true"), ("job.stop", job), ("job.stop", job), ("user.remove", "oscar")
    assert tuple(told[1:]) == steps, "the second stop is the one above"


def test_an_admin_who_removes_himself(accounts: Accounts) -> None:
    """He would be told to log in, and not know that it is done."""
    peggy = accounts.add("--role", "admin", name="peggy")
    told = peggy.jobrun("user", "remove", "--stop-jobs", "peggy").refused(4)
    assert "peggy may be removed" in told
    deadline = Deadline(10, "peggy to be removed")
    while "peggy" in {user["username"] for user in accounts.admin.facts("user", "list")}:
        deadline.left()
    assert "may be removed" not in peggy.jobrun("user", "remove", "admin").refused(4), "nothing was sent"


def test_a_name_is_never_used_again(accounts: Accounts) -> None:
    """Whoever gets the name would get the jobs and the record of somebody else."""
    accounts.add_only(name="frank")
    assert accounts.admin.facts("user", "remove", "frank") == [{"username": "frank"}]
    words = ["user", "add", "--password-stdin", "frank"]
    assert "frank" in accounts.admin.jobrun(*words, stdin=b"another password\n").refused(1)
    accounts.admin.jobrun("user", "remove", "frank").refused(3)


def test_the_last_admin_can_not_go(accounts: Accounts) -> None:
    """Nobody could let anybody in any more."""
    for words in (["remove", "admin"], ["disable", "admin"], ["set", "--role", "user", "admin"]):
        assert "admin" in accounts.admin.jobrun("user", *words).refused(1)
    accounts.admin.jobrun("user", "list").passed()


NO_NAMES = ["a\x1b[2Jb", "a\nb", "", "A", "9a", "a b", "x" * 33, "\u202ereversed", "a/b", "-a", "root\t"]


@pytest.mark.parametrize("name", NO_NAMES, ids=range(len(NO_NAMES)))
def test_a_name_that_is_none(accounts: Accounts, name: str) -> None:
    """A name could paint over the admin's terminal, or look like another's."""
    result = accounts.admin.jobrun("user", "add", "--password-stdin", "--", name, stdin=b"long enough\n")
    assert result.code in (1, 2)
    result.refused(result.code)


@pytest.mark.parametrize("password", [b"short\n", b"x" * 73 + b"\n", b"with\0nul-and-more\n", b"\n", b"", b"\xff" * 9])
def test_f37_a_password_that_can_be_none_is_refused_when_it_is_made(accounts: Accounts, password: bytes) -> None:
    """bcrypt would ignore what is past 72 bytes, or raise in the middle of a login."""
    result = accounts.admin.jobrun("user", "add", "--password-stdin", "long", stdin=password)
    assert result.code in (1, 2)
    error = result.refused(result.code)
    if len(password) > 72:
        assert "72" in error


def test_f37_72_bytes_and_one_more(accounts: Accounts) -> None:
    """The 73rd byte would not count, and the words would say that something is special about this one."""
    exact = accounts.add_only(name="exact")
    longest = "p" * 70 + "\u00e9"
    words = ["user", "passwd", "--password-stdin", "exact"]
    accounts.admin.jobrun(*words, stdin=f"{longest}\n".encode()).passed()
    assert "72" in accounts.admin.jobrun(*words, stdin=f"{longest}x\n".encode()).refused(1)
    wrong = exact.log_in(password="wrong password").refused(1)
    assert exact.log_in(password=longest + "x").refused(1) == wrong
    exact.log_in(password="p" * 70 + "e\u0301").passed()


def test_a_password_of_the_admins_choice_ends_all_sessions(accounts: Accounts) -> None:
    """Who knew the old password would stay in."""
    grace = accounts.add(name="grace")
    words = ["user", "passwd", "--password-stdin", "grace"]
    accounts.admin.jobrun(*words, stdin=b"a better password\n").passed()
    grace.jobrun("list").refused(4)
    grace.log_in().refused(1)
    grace.log_in(password="a better password").passed()
    grace.jobrun("list").passed()


def test_a_users_ceilings_bind_his_jobs(accounts: Accounts) -> None:
    """One user could take the whole machine."""
    heidi = accounts.add("--memory", "64M", "--timeout", "1h", name="heidi")
    error = heidi.jobrun("start", "--memory", "128M", "true").refused(1)
    assert "memory" in error
    assert "64M" in error or str(64 << 20) in error
    job = heidi.start("true")
    effective = heidi.status(job)["effective_limits"]
    assert (effective["memory_bytes"], effective["timeout"]) == (64 << 20, "3600s")
    heidi.jobrun("run", "--memory", "32M", "true").passed()


def test_one_ceiling_is_changed_and_the_others_stay(accounts: Accounts) -> None:
    """An admin who gives a user more memory would take all his other limits away by it, without a word."""
    accounts.add_only("--memory", "64M", "--timeout", "1h", name="ivan")

    def set_(*options: str) -> dict[str, object]:
        changed = accounts.admin.facts("user", "set", "ivan", *options)[0]["ceilings"]
        return {name: value for name, value in changed.items() if value}

    assert set_("--memory", "128M") == {"memory_bytes": 128 << 20, "timeout": "3600s"}
    assert set_("--no-ceiling", "timeout", "--cpus", "1") == {"memory_bytes": 128 << 20, "cpus": 1}
    assert set_("--role", "viewer") == {"memory_bytes": 128 << 20, "cpus": 1}
    assert "128M" in accounts.admin.jobrun("user", "set", "ivan", "--role", "user").passed().out
    assert set_("--no-ceiling", "all") == {}
    assert "--no-ceiling" in accounts.admin.jobrun("user", "set", "ivan").refused(2)
    for wrong in (["--no-ceiling", "memroy"], ["--no-ceiling", "memory", "--memory", "1G"], ["--no-ceiling", ""]):
        assert "--no-ceiling" in accounts.admin.jobrun("user", "set", "ivan", *wrong).refused(2)


def test_no_such_user(accounts: Accounts) -> None:
    """A slip of the finger would look like success."""
    for words in (["remove"], ["disable"], ["set", "--role", "user"]):
        accounts.admin.jobrun("user", *words, "nobody-there").refused(3)
