"""Machine tokens: how many there may be, shown page by page, and their last use."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jobrun.auth.auth import Auth
from jobrun.model.errors import (
    TooMany,
)
from jobrun.model.user import MachineToken
from jobrun.store.users_writes import MOST_TOKENS
from tests.unit.auth_ground import (
    HOUR_NS,
    PASSWORD,
    Times,
    admin,
    admit,
    create_token,
    listed_tokens,
    log_in,
    user,
    with_auth,
)


def test_tokens_are_bounded(tmp_path: Path) -> None:
    """A pipeline that makes one in each run, and revokes it, would fill memory and disk."""

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        await asyncio.gather(*(create_token(auth, ann, name=f"t{number}") for number in range(MOST_TOKENS)))
        with pytest.raises(TooMany):
            await create_token(auth, ann)
        for number in range(MOST_TOKENS):
            await auth.machine_tokens.revoke(ann, f"t{number}")
        for _ in range(10):
            await create_token(auth, ann)
            await auth.machine_tokens.revoke(ann, "ci")
        assert len(auth.store.people.tokens) == MOST_TOKENS

    with_auth(tmp_path, use)


@pytest.mark.parametrize("swept", [True, False])
def test_expired_tokens_are_bounded(tmp_path: Path, *, swept: bool) -> None:
    """A pipeline that makes a short one in each run, and leaves it to its end."""
    times = Times()

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        for _ in range(2):
            await asyncio.gather(*(create_token(auth, ann, name=f"t{number}", expires_in_s=60) for number in range(70)))
            times.turn(60)
            if swept:
                await auth.keep_up()
        if not swept:
            await create_token(auth, ann)
        assert len(auth.store.people.tokens) == MOST_TOKENS + (not swept)

    with_auth(tmp_path, use, times)


@pytest.mark.parametrize("page", [1, 3, 7])
def test_pages_show_each_token_once(tmp_path: Path, page: int) -> None:
    """A list of all would be too long for one answer; one in parts would hide a token that nobody then revokes."""
    times = Times()

    async def use(auth: Auth) -> None:
        ann, boss = await user(auth, "ann"), await admin(auth)
        for number in range(12):
            await create_token(auth, ann if number % 2 else boss, name=f"t{number}")
            times.turn(number % 3)  # some are of one moment
        whole = listed_tokens(auth, boss, all_users=True)
        await auth.machine_tokens.revoke(boss, whole[0].id)
        found, before_ns = list[MachineToken](), None
        while found == [] or before_ns is not None:
            part, before_ns = auth.machine_tokens.list(boss, all_users=True, page=page, before_ns=before_ns)
            assert part
            found += part
            if len(found) == 5:
                await auth.machine_tokens.revoke(boss, part[-1].id)
                await create_token(auth, ann, name="newer-than-all")
        assert found == whole[1:]
        assert [one.user for one in auth.machine_tokens.list(ann, all_users=False, page=2)[0]] == ["ann"] * 2

    with_auth(tmp_path, use, times)


def test_the_last_use_is_known_to_the_hour(tmp_path: Path) -> None:
    """Nobody would dare to revoke a token: is it used? Or it would be told as used before it was made."""
    times = Times()
    hours: list[int] = []

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        times.turn(90)
        token, text = await create_token(auth, ann)
        assert listed_tokens(auth, ann, all_users=False)[0].last_used_ns == 0
        admit(auth, text)
        hours.append(times.wall - times.wall % HOUR_NS)
        assert hours[0] < token.created_ns
        assert listed_tokens(auth, ann, all_users=False)[0].last_used_ns == token.created_ns
        await auth.keep_up()
        assert listed_tokens(auth, ann, all_users=False)[0].last_used_ns == token.created_ns
        times.turn(3600)
        admit(auth, text)

    async def again(auth: Auth) -> None:
        ann = admit(auth, (await log_in(auth, "ann", PASSWORD)).access_token)
        assert listed_tokens(auth, ann, all_users=False)[0].last_used_ns == hours[0] + HOUR_NS

    with_auth(tmp_path, use, times)
    with_auth(tmp_path, again, times)
