"""`passwd`: another password for oneself."""

from __future__ import annotations

from tests.e2e.accounts import Account, Accounts


def test_passwd_ends_the_other_sessions_and_no_tokens(newcomer: Account, accounts: Accounts) -> None:
    """A thief's session would outlive the new password, or every pipeline break with it."""
    newcomer.log_in().passed()
    other = accounts.another_home(newcomer.name, newcomer.password)
    other.log_in().passed()
    token = newcomer.jobrun("token", "create", "ci").passed().out.strip()
    words = f"{newcomer.password}\na much better one\n".encode()
    newcomer.jobrun("passwd", "--password-stdin", stdin=words).passed()
    newcomer.jobrun("run", "true").passed()
    other.jobrun("list").refused(4)
    other.jobrun("run", "true", env={"JOBRUN_TOKEN": token}).passed()
    other.log_in().refused(1)
    other.log_in(password="a much better one").passed()


def test_passwd_at_a_terminal(newcomer: Account) -> None:
    """A slip of the finger would be the new password."""
    newcomer.log_in().passed()
    for second, code in (("another one!", 1), ("a much better one", 0)):
        terminal = newcomer.terminal("passwd")
        for text in (newcomer.password, "a much better one", second):
            terminal.wait_for("(password|again).*: ?")
            terminal.type(text)
        left, shown = terminal.finish()
        assert left == code, shown
        assert "better" not in shown


def test_a_new_password_that_can_be_none(member: Account, accounts: Accounts) -> None:
    """The error would name a field of the protocol, which nobody typed."""
    told = member.jobrun("passwd", "--password-stdin", stdin=f"{member.password}\nshort\n".encode()).refused(1)
    assert told.startswith("jobrun: the new password: ")
    told = accounts.admin.jobrun("user", "add", "--password-stdin", "new", stdin=b"short\n").refused(1)
    assert told.startswith("jobrun: the password: ")


def test_passwd_asks_for_the_one_that_holds(member: Account) -> None:
    """Whoever finds an open terminal could take the account over."""
    member.jobrun("passwd", "--password-stdin", stdin=b"not this one\na much better one\n").refused(4)
    member.jobrun("list").passed()
