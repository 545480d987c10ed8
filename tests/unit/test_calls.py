"""Calls under way: counted, bounded, cut with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from jobrun.api import calls as api_calls
from jobrun.api.calls import Calls
from jobrun.model.caller import Caller, Role
from jobrun.model.errors import JobrunError, SessionEnded, ShuttingDown, TokenExpired, TooManyCalls

ANN = Caller(user="ann", role=Role.USER, session="s1")
SOON_S = 30.0


def with_calls(use: Callable[[Calls], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(use(Calls(asyncio.get_running_loop())), SOON_S)

    asyncio.run(main())


async def begun(calls: Calls, caller: Caller | str, *, left: float | None = None, lasts: bool = True) -> Any:
    """A call that goes on until it is told, and the event that tells it."""
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def one() -> None:
        with calls.one(caller, left) as call:
            call.goes_on() if lasts else call.must_finish()
            inside.set()
            await go_on.wait()

    task = asyncio.create_task(one())
    await asyncio.wait((task, asyncio.create_task(inside.wait())), return_when=asyncio.FIRST_COMPLETED)
    return task, go_on


@pytest.mark.parametrize(
    ("left", "cut", "reason"),
    [
        (None, lambda calls: calls.drain(), ShuttingDown),
        (0.01, lambda calls: None, TokenExpired),
        (-1.0, lambda calls: None, TokenExpired),
        (None, lambda calls: calls.end_admission("s1"), SessionEnded),
    ],
)
def test_a_call_is_cut_with_its_reason(
    left: float | None, cut: Callable[[Calls], None], reason: type[JobrunError]
) -> None:
    """The client would give up where it has to refresh, or to ask the next server."""

    async def use(calls: Calls) -> None:
        task, _ = await begun(calls, ANN, left=left)
        cut(calls)
        with pytest.raises(reason):
            await task
        assert calls.count == 0

    with_calls(use)


def test_a_machine_that_slept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever closed his laptop would be let on for as long as it slept, by a token that is long over."""
    now = [1000.0]
    monkeypatch.setattr(api_calls, "since_boot_s", lambda: now[0])
    monkeypatch.setattr(api_calls, "LOOK_S", 0.01)

    async def use(calls: Calls) -> None:
        task, _ = await begun(calls, ANN, left=3600.0)
        other, _ = await begun(calls, ANN, left=7201.0)
        now[0] += 7200.0
        with pytest.raises(TokenExpired):
            await task
        assert not other.done()
        other.cancel()

    with_calls(use)


@pytest.mark.parametrize(
    ("caller", "words"),
    [(ANN, "session"), (Caller(user="ann", role=Role.USER, machine_token="m1"), "token")],
)
def test_what_ended_is_named(caller: Caller, words: str) -> None:
    """A pipeline whose token was revoked would be told to log in again."""

    async def use(calls: Calls) -> None:
        task, _ = await begun(calls, caller)
        calls.end_admission("")
        calls.end_admission("other")
        await asyncio.sleep(0)
        assert not task.done()
        calls.end_admission(caller.session or caller.machine_token)
        with pytest.raises(SessionEnded, match=f"^the {words} has ended"):
            await task

    with_calls(use)


def test_what_has_to_finish_is_not_cut() -> None:
    """A logout would be told that it failed, because it ended its own session."""

    async def use(calls: Calls) -> None:
        task, go_on = await begun(calls, ANN, left=0.0, lasts=False)
        await asyncio.sleep(0)
        calls.end_admission("s1")
        calls.drain()
        go_on.set()
        await task

    with_calls(use)


def test_others_go_on() -> None:
    """One logout would cut everybody."""

    async def use(calls: Calls) -> None:
        others = [
            await begun(calls, "/a/B at 192.0.2.1"),
            await begun(calls, Caller(user="ann", role=Role.USER, session="s2")),
            await begun(calls, Caller(user="ann", role=Role.USER, machine_token="s3")),
        ]
        calls.end_admission("s1")
        for task, go_on in others:
            go_on.set()
            await task

    with_calls(use)


def test_a_client_that_leaves_is_no_refusal() -> None:
    """A cancelled call would be told an error that nobody hears, and noted as a fault."""

    async def use(calls: Calls) -> None:
        task, _ = await begun(calls, ANN)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert calls.count == 0

    with_calls(use)


def test_nothing_new_while_it_ends() -> None:
    """A server that is ending would never be done."""

    async def use(calls: Calls) -> None:
        calls.drain()
        with pytest.raises(ShuttingDown):
            await (await begun(calls, ANN))[0]

    with_calls(use)


def test_without_login_there_is_no_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who runs a thousand jobs at once on his own machine would be refused, for the sake of nobody else."""
    monkeypatch.setattr(api_calls, "OF_A_USER", 3)

    async def use(calls: Calls) -> None:
        held = [await begun(calls, Caller(user="ann", role=Role.ADMIN)) for _ in range(5)]
        assert calls.count == 5
        for task, go_on in held:
            go_on.set()
            await task

    with_calls(use)


@pytest.mark.parametrize(("caller", "most"), [(ANN, "OF_A_USER"), ("/a/B at 192.0.2.1", "OF_AN_ADDRESS")])
def test_so_many_at_once(monkeypatch: pytest.MonkeyPatch, caller: Caller | str, most: str) -> None:
    """One user, or one stranger, would take the memory of all; or nobody else would get in then."""
    monkeypatch.setattr(api_calls, most, 3)

    async def use(calls: Calls) -> None:
        held = [await begun(calls, caller) for _ in range(3)]
        with pytest.raises(TooManyCalls):
            await (await begun(calls, caller))[0]
        bob = await begun(calls, Caller(user="bob", role=Role.USER))
        for task, go_on in (held.pop(), bob):
            go_on.set()
            await task
        held.append(await begun(calls, caller))
        for task, go_on in held:
            go_on.set()
            await task
        assert calls.count == 0
        assert not calls._of, "it would grow by every name that ever called"

    with_calls(use)
