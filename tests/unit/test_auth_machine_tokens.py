"""Machine tokens: what one can do, and until when."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from jobrun.auth.auth import Auth
from jobrun.model.caller import Scope
from jobrun.model.errors import (
    InvalidRequest,
    MachineTokenExists,
    MachineTokenNotFound,
    ScopeMissing,
    SessionEnded,
    TokenExpired,
    TokenInvalid,
)
from tests.unit.auth_ground import (
    DAY_S,
    Times,
    admin,
    admit,
    create_token,
    listed_tokens,
    log_in,
    user,
    with_auth,
)


def test_a_token_s_secret_is_in_its_answer_and_nowhere_else(tmp_path: Path) -> None:
    """Whoever reads a backup of the data folder would have every pipeline's rights."""

    async def use(auth: Auth) -> None:
        token, text = await create_token(auth, await user(auth, "ann"))
        prefix, token_id, secret = text.split(".")
        assert (prefix, token_id, len(secret)) == ("jrt1", token.id, 43)
        assert admit(auth, text).machine_token == token.id
        await auth.keep_up()
        for path in tmp_path.iterdir():
            assert secret.encode() not in path.read_bytes()
        rows = sqlite3.connect(tmp_path / "users.db")
        assert rows.execute("SELECT secret FROM machine_tokens").fetchall() == [
            (hashlib.sha256(secret.encode()).digest(),)
        ]
        rows.close()

    with_auth(tmp_path, use)


def test_what_is_not_asked_for_is_narrow(tmp_path: Path) -> None:
    """A token made in a hurry could do everything for ever."""
    times = Times()

    async def use(auth: Auth) -> None:
        ann, vera = await user(auth, "ann"), await user(auth, "vera", "viewer")
        token, _ = await create_token(auth, ann)
        assert token.scopes == {Scope.JOBS_RUN}
        assert not token.all_jobs
        assert token.expires_ns == times.wall + 90 * DAY_S * 10**9
        assert (await create_token(auth, vera))[0].scopes == {Scope.JOBS_READ}
        longest, _ = await create_token(auth, ann, name="long", expires_in_s=366 * DAY_S)
        assert longest.expires_ns == times.wall + 366 * DAY_S * 10**9

    with_auth(tmp_path, use, times)


def test_nobody_gives_more_than_he_has(tmp_path: Path) -> None:
    """A narrowed login would make itself a wide token."""

    async def use(auth: Auth) -> None:
        ann, vera = await user(auth, "ann"), await user(auth, "vera", "viewer")
        narrow = admit(auth, (await log_in(auth, "ann", scope="jobs:read")).access_token)
        for caller, scope in ((ann, "admin"), (ann, "jobs:run admin"), (vera, "jobs:run"), (narrow, "jobs:run")):
            with pytest.raises(ScopeMissing):
                await create_token(auth, caller, scope=scope)
        with pytest.raises(ScopeMissing):
            await create_token(auth, narrow)
        assert auth.store.people.tokens == {}

    with_auth(tmp_path, use)


@pytest.mark.parametrize(
    "wish",
    [
        *({"name": ""}, {"name": "x" * 65}, {"name": "a\nb"}, {"name": "\x1b[2J"}, {"name": "a\u202eb"}),
        *({"name": "a b"}, {"name": "-n"}, {"name": "ключ"}, {"name": "a/b"}),
        *({"scope": "root"}, {"expires_in_s": 366 * DAY_S + 1}, {"expires_in_s": 2**64 - 1}),
    ],
)
def test_what_can_be_no_token_is_refused(tmp_path: Path, wish: dict[str, Any]) -> None:
    """A name that moves the cursor of whoever lists tokens; a token for a thousand years."""

    async def use(auth: Auth) -> None:
        with pytest.raises(InvalidRequest):
            await create_token(auth, await admin(auth), **wish)

    with_auth(tmp_path, use)


def test_a_token_ends_by_its_time_and_its_name_is_free(tmp_path: Path) -> None:
    """It would be good for ever; or `token create` would fail because of one that nobody can see any more."""
    times = Times()

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        token, text = await create_token(auth, ann, expires_in_s=60)
        assert auth.gate.seconds_left(admit(auth, text)) == 60
        times.turn(60)
        with pytest.raises(TokenExpired):
            admit(auth, text)
        assert listed_tokens(auth, ann, all_users=False) == []
        with pytest.raises(MachineTokenNotFound):
            await auth.machine_tokens.revoke(ann, token.id)
        ended: list[str] = []
        auth.gate.on_ended = ended.append
        _, again = await create_token(auth, ann)
        assert ended == [token.id]
        await auth.keep_up()
        admit(auth, again)
        with pytest.raises(TokenExpired):
            admit(auth, text)

    with_auth(tmp_path, use, times)


def test_expired_ones_are_ended_in_time(tmp_path: Path) -> None:
    """A stream that began before would go on."""
    times = Times()

    async def use(auth: Auth) -> None:
        token, _ = await create_token(auth, await user(auth, "ann"), expires_in_s=60)
        ended: list[str] = []
        auth.gate.on_ended = ended.append
        await auth.keep_up()
        assert ended == []
        times.turn(60)
        await auth.keep_up()
        assert ended == [token.id]

    with_auth(tmp_path, use, times)


def test_a_token_is_revoked_at_once(tmp_path: Path) -> None:
    """One that was found in a public log would work on."""
    kept = []

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        (token, text), (other, _) = await create_token(auth, ann), await create_token(auth, ann, name="other")
        ended: list[str] = []
        auth.gate.on_ended = ended.append
        assert await auth.machine_tokens.revoke(ann, "ci") == token
        assert (await auth.machine_tokens.revoke(ann, other.id)).id == other.id
        assert ended == [token.id, other.id]
        with pytest.raises(SessionEnded):
            admit(auth, text)
        with pytest.raises(MachineTokenNotFound):
            await auth.machine_tokens.revoke(ann, "ci")
        kept.append(text)
        await create_token(auth, ann)

    async def again(auth: Auth) -> None:
        with pytest.raises(SessionEnded):
            admit(auth, kept[0])

    with_auth(tmp_path, use)
    with_auth(tmp_path, again)


def test_use_of_one_that_lets_nobody_in_is_on_record_with_its_owner(tmp_path: Path) -> None:
    """Somebody goes on trying a token that was revoked after a theft, and nobody learns which, or whose it was."""
    times = Times()

    async def use(auth: Auth) -> None:
        ann, boss = await user(auth, "ann"), await admin(auth)
        revoked, expired, disabled = [
            await create_token(auth, ann, name=name, expires_in_s=ttl)
            for name, ttl in (("revoked", 0), ("expired", 60), ("disabled", 0))
        ]
        times.turn(60)
        await auth.machine_tokens.revoke(boss, revoked[0].id)
        await auth.users.update(boss, "ann", disabled=True)
        for _, secret in (revoked, expired, disabled):
            with pytest.raises((SessionEnded, TokenExpired)):
                admit(auth, secret)
        told = [(one.user, one.machine_token, one.outcome) for one in await auth.audit.events(3)]
        assert told == [
            ("ann", revoked[0].id, "SESSION_ENDED"),
            ("ann", expired[0].id, "TOKEN_EXPIRED"),
            ("ann", disabled[0].id, "SESSION_ENDED"),
        ]
        assert not auth.used.take()

    with_auth(tmp_path, use, times)


def test_two_who_revoke_one_token(tmp_path: Path) -> None:
    """Both would be told that it was theirs, and the record would have it twice."""

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        await create_token(auth, ann)
        both = (auth.machine_tokens.revoke(ann, "ci") for _ in range(2))
        outcomes = await asyncio.gather(*both, return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["MachineToken", "MachineTokenNotFound"]

    with_auth(tmp_path, use)


def test_tokens_of_others_are_not_there(tmp_path: Path) -> None:
    """Any user could end every pipeline, or learn what others run."""

    async def use(auth: Auth) -> None:
        ann, bob = await user(auth, "ann"), await user(auth, "bob")
        token, _ = await create_token(auth, ann)
        told = set()
        for name in (token.id, "ci", "zzzzzzzzzz", ""):
            with pytest.raises(MachineTokenNotFound) as refused:
                await auth.machine_tokens.revoke(bob, name)
            told.add(str(refused.value))
        assert told == {"no such token that holds: jobrun token list shows yours"}
        assert listed_tokens(auth, bob, all_users=False) == []
        with pytest.raises(ScopeMissing):
            listed_tokens(auth, bob, all_users=True)
        narrow = admit(
            auth,
            (
                await log_in(auth, "admin", (tmp_path / "admin-password").read_text().strip(), scope="jobs:run")
            ).access_token,
        )
        with pytest.raises(MachineTokenNotFound):
            await auth.machine_tokens.revoke(narrow, token.id)
        with pytest.raises(ScopeMissing):
            listed_tokens(auth, narrow, all_users=True)
        boss = await admin(auth)
        assert listed_tokens(auth, boss, all_users=True) == [token]
        with pytest.raises(MachineTokenNotFound):
            await auth.machine_tokens.revoke(boss, "ci")
        await auth.machine_tokens.revoke(boss, token.id)

    with_auth(tmp_path, use)


def test_forged_ones_are_refused_in_the_same_words(tmp_path: Path) -> None:
    """A stranger would learn which ids there are."""

    async def use(auth: Auth) -> None:
        token, text = await create_token(auth, await user(auth, "ann"))
        secret = text.rpartition(".")[2]
        told = set()
        for forged in (
            *(f"jrt1.{token.id}.", f"jrt1.{token.id}.{'A' * 43}", f"jrt1.zzzzzzzzzz.{secret}", f"jrt1..{secret}"),
            *(
                f"{text}.",
                f"{text}=",
                text[:-1],
                text.upper(),
                f"jrt1.{token.id}",
                f"jrt1.{token.id}.\ud800",
                "jrt1.\0.\0",
            ),
        ):
            with pytest.raises(TokenInvalid) as refused:
                admit(auth, forged)
            told.add(str(refused.value))
        assert len(told) == 1

    with_auth(tmp_path, use)


def test_a_name_is_one_token_s(tmp_path: Path) -> None:
    """`token revoke ci` would end the wrong one."""

    async def use(auth: Auth) -> None:
        ann, bob = await user(auth, "ann"), await user(auth, "bob")
        await create_token(auth, ann)
        with pytest.raises(MachineTokenExists):
            await create_token(auth, ann)
        await create_token(auth, bob)
        both = await asyncio.gather(*(create_token(auth, ann, name="x") for _ in range(2)), return_exceptions=True)
        assert sum(isinstance(one, MachineTokenExists) for one in both) == 1

    with_auth(tmp_path, use)
