"""The gate: who may call what, and that a call tells who it is in one way alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]  # no stubs
from grpc_reflection.v1alpha import reflection_pb2  # type: ignore[import-untyped]  # no stubs

from jobrun.auth.access import ACCESS, Need
from jobrun.auth.addresses import address_of, network_of
from jobrun.auth.auth import Auth
from jobrun.auth.gate import OpenGate
from jobrun.model.caller import Caller, Role, Scope
from jobrun.model.errors import JobrunError, ScopeMissing, SessionEnded, TokenExpired, TokenInvalid, TokenMissing
from jobrun.wire.gen.jobrun.v1 import admin_service_pb2, auth_service_pb2, job_service_pb2, token_service_pb2
from tests.unit.auth_ground import DAY_S, PASSWORD, Times, admin, admit, create_token, log_in, opened, user, with_auth

SERVED: list[Any] = [
    *(admin_service_pb2, auth_service_pb2, job_service_pb2, token_service_pb2, health_pb2, reflection_pb2)
]


def methods(file: FileDescriptor) -> Iterator[str]:
    for service in file.services_by_name.values():
        for method in service.methods:
            yield f"/{service.full_name}/{method.name}"


def test_every_rpc_is_in_the_table_and_nothing_else() -> None:
    """A new RPC would be refused to all; or an old row would wait for whoever takes the name next."""
    assert {name for module in SERVED for name in methods(module.DESCRIPTOR)} == ACCESS.keys()


def test_no_service_is_left_out_of_the_walk() -> None:
    """A fifth service would slip past the test above."""
    folder = Path(__file__).parents[2] / "proto" / "jobrun" / "v1"
    walked = {Path(module.DESCRIPTOR.name).name for module in SERVED}
    assert {path.name for path in folder.glob("*.proto") if "\nservice " in path.read_text()} <= walked


def test_what_needs_no_token_is_the_contract_s() -> None:
    """One slip in the table opens the server."""
    open_ones = {name for name, need in ACCESS.items() if need is Need.OPEN}
    assert open_ones == {
        "/jobrun.v1.AuthService/IssueToken",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.health.v1.Health/List",
    }


ALLOWED: dict[str, set[Need]] = {
    "viewer": {Need.ANY, Need.SESSION, Need.READ},
    "user": {Need.ANY, Need.SESSION, Need.READ, Need.RUN},
    "admin": {Need.ANY, Need.SESSION, Need.READ, Need.RUN, Need.ADMIN},
    "admin, jobs:read": {Need.ANY, Need.SESSION, Need.READ},
    "admin, jobs:run": {Need.ANY, Need.SESSION, Need.READ, Need.RUN},
    "user, jobs:run admin": {Need.ANY, Need.SESSION, Need.READ, Need.RUN},
    "machine, jobs:run": {Need.ANY, Need.READ, Need.RUN},
    "machine, admin": {Need.ANY, Need.ADMIN},
}


@pytest.mark.parametrize("who", ALLOWED)
def test_every_rpc_for_every_kind_of_caller(tmp_path: Path, who: str) -> None:
    """A viewer that stops jobs, a machine token that changes passwords."""

    async def use(auth: Auth) -> None:
        token = await bearer(auth, who)
        for method, need in ACCESS.items():
            if need is Need.OPEN:
                assert auth.gate.admit(method, (), "ipv4:192.0.2.1:1") is None
            elif need in ALLOWED[who]:
                assert admit(auth, token, method).user
            else:
                with pytest.raises(ScopeMissing):
                    admit(auth, token, method)
        with pytest.raises(ScopeMissing):
            admit(auth, token, "/jobrun.v1.JobService/Unknown")

    with_auth(tmp_path, use)


async def bearer(auth: Auth, who: str) -> str:
    kind, _, scope = who.partition(", ")
    boss = await admin(auth)
    if kind == "machine":
        made = await create_token(auth, boss, scope=scope)
        return made[1]
    await auth.users.create(boss, name="ann", role=kind, password=PASSWORD)
    return (await log_in(auth, "ann", scope=scope)).access_token


@pytest.mark.parametrize("metadata", [(), (("user-agent", "x"),), (("Authorization", "Bearer x"),)])
def test_no_call_but_the_open_ones_goes_without_a_token(tmp_path: Path, metadata: Any) -> None:
    """Anybody would be in."""

    async def use(auth: Auth) -> None:
        for method in [*ACCESS, "/jobrun.v1.JobService/Unknown", ""]:
            if ACCESS.get(method) is Need.OPEN:
                continue
            with pytest.raises(TokenMissing):
                auth.gate.admit(method, metadata, "ipv4:192.0.2.1:1")

    with_auth(tmp_path, use)


def test_a_token_is_told_in_one_way_alone(tmp_path: Path) -> None:
    """Two tokens, and a proxy in front that looks at the other one."""

    async def use(auth: Auth) -> None:
        token = (await log_in(auth, "ann")).access_token if await user(auth, "ann") else ""
        twice = (("authorization", f"Bearer {token}"),) * 2
        for metadata in (
            *(twice, (("authorization", token),), (("authorization", f"bearer {token}"),)),
            *((("authorization", f"Basic {token}"),), (("authorization", f"Bearer {token}".encode()),)),
            *((("authorization-bin", f"Bearer {token}".encode()),), (("authorization", ""),)),
        ):
            with pytest.raises(TokenMissing):
                auth.gate.admit("/jobrun.v1.AuthService/WhoAmI", metadata, "ipv4:192.0.2.1:1")
        for spoilt in (f" {token}", f"{token} ", f"{token}, Bearer {token}", "", "jrt1.", "jrt1..", "jrt1.a.b"):
            with pytest.raises(TokenInvalid):
                admit(auth, spoilt)
        assert admit(auth, token).user == "ann"

    with_auth(tmp_path, use)


def test_a_caller_is_told_whole(tmp_path: Path) -> None:
    """`whoami` tells another end than the server keeps to; a job gets nobody's ceilings."""
    times = Times()

    async def use(auth: Auth) -> None:
        boss = await admin(auth)
        await auth.users.create(boss, name="ann", role="user", password=PASSWORD, ceilings={"cpus": 2, "timeout": 9})
        issued = await log_in(auth, "ann", scope="jobs:read admin")
        assert issued.scopes == frozenset({Scope.JOBS_READ})
        assert admit(auth, issued.access_token) == Caller(
            user="ann",
            role=Role.USER,
            scopes=frozenset({Scope.JOBS_READ}),
            session=issued.session_id,
            ceilings={"cpus": 2, "timeout": 9},
            expires_ns=times.wall + 600 * 10**9,
            session_expires_ns=times.wall + 14 * DAY_S * 10**9,
            address="192.0.2.1",
        )
        assert auth.gate.seconds_left(admit(auth, issued.access_token)) == 600
        ann = admit(auth, (await log_in(auth, "ann")).access_token)
        made, secret = await create_token(
            auth, ann, expires_in_s=60, ceilings={"cpus": 2, "timeout": 3, "processes": 1}
        )
        await auth.users.update(boss, "ann", ceilings={"cpus": 1})
        assert admit(auth, secret) == Caller(
            user="ann",
            role=Role.USER,
            scopes=frozenset({Scope.JOBS_RUN}),
            machine_token=made.id,
            machine_token_name="ci",
            all_jobs=False,
            ceilings={"cpus": 1, "timeout": 3, "processes": 1},
            expires_ns=times.wall + 60 * 10**9,
            address="192.0.2.1",
        )

    with_auth(tmp_path, use, times)


def test_access_and_refresh_tokens_are_not_each_other(tmp_path: Path) -> None:
    """Whoever reads a log with one of them would have the other's rights."""

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        with pytest.raises(TokenInvalid):
            admit(auth, "r0")
        issued = await log_in(auth, "ann")
        with pytest.raises(JobrunError) as refused:
            await auth.logins.refresh(
                session_id=ann.session, refresh_token=issued.access_token, next_sha256=bytes(32), scope="", address=""
            )
        assert refused.value.reason == "REFRESH_FAILED"

    with_auth(tmp_path, use)


def test_a_token_of_another_server_is_none(tmp_path: Path) -> None:
    """An admin of one server would be admin of all."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    async def use(one: Auth) -> None:
        token = (await log_in(one, "admin", one.password_file.read_text().strip())).access_token

        async def other(auth: Auth) -> None:
            with pytest.raises(TokenInvalid):
                admit(auth, token)

        async with opened(tmp_path / "b") as auth:
            await other(auth)

    with_auth(tmp_path / "a", use)


def test_an_expired_session_ends_its_tokens_and_a_clock_put_back_does_not_bring_them_back(tmp_path: Path) -> None:
    """Whoever can set the clock back, or NTP with a wrong server, would revive every old token."""
    times = Times()
    tokens: list[str] = []

    async def use(auth: Auth) -> None:
        tokens.append((await log_in(auth, "admin", auth.password_file.read_text().strip())).access_token)
        times.turn(601)
        with pytest.raises(TokenExpired):
            admit(auth, tokens[0])
        times.wall -= DAY_S * 10**9
        with pytest.raises(TokenExpired):
            admit(auth, tokens[0])

    async def again(auth: Auth) -> None:
        with pytest.raises(TokenExpired):
            admit(auth, tokens[0])
        times.turn(3600)
        fresh = (await log_in(auth, "admin", auth.password_file.read_text().strip())).access_token
        admit(auth, fresh)
        times.turn(601)  # the clock that was put back goes on all the same
        with pytest.raises(TokenExpired):
            admit(auth, fresh)

    with_auth(tmp_path, use, times)
    with_auth(tmp_path, again, times)


def test_a_clock_a_year_ahead_ends_everything_and_lets_log_in_again(tmp_path: Path) -> None:
    """A machine with a dead battery would lock its users out for good."""
    times = Times()

    async def use(auth: Auth) -> None:
        password = auth.password_file.read_text().strip()
        old = await log_in(auth, "admin", password)
        times.wall += 365 * DAY_S * 10**9
        with pytest.raises(TokenExpired):
            admit(auth, old.access_token)
        times.wall -= 365 * DAY_S * 10**9
        with pytest.raises(TokenExpired):
            admit(auth, old.access_token)
        fresh = await log_in(auth, "admin", password)
        assert fresh.expires_in_s == 600
        admit(auth, fresh.access_token)
        await auth.keep_up()
        assert auth.store.people.sessions.keys() == {fresh.session_id}
        with pytest.raises(TokenExpired):
            admit(auth, old.access_token)

    with_auth(tmp_path, use, times)


def test_a_signed_token_without_its_session_is_told_so(tmp_path: Path) -> None:
    """The client would try to refresh for ever instead of asking for a login."""

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        token = (await log_in(auth, "ann")).access_token
        await auth.logins.revoke(ann, all_sessions=True)
        with pytest.raises(SessionEnded):
            admit(auth, token)
        told = [(event.user, event.outcome) for event in await auth.audit.events(100) if event.action == "call"]
        assert told == [("ann", "SESSION_ENDED")], "and whose stolen token was tried is on record"

    with_auth(tmp_path, use)


def test_an_open_gate_lets_everybody_in_as_one() -> None:
    """The private server would ask for a login."""
    gate = OpenGate(Caller(user="me", role=Role.ADMIN))
    caller = gate.admit("/jobrun.v1.JobService/Start", (), "unix:")
    assert caller is not None
    assert caller.user == "me"
    assert gate.seconds_left(caller) is None


@pytest.mark.parametrize(
    ("peer", "address", "network"),
    [
        ("ipv4:192.0.2.1:567", "192.0.2.1", "192.0.2.1"),
        ("ipv6:%5B2001:db8::1%5D:567", "2001:db8::1", "2001:db8::/64"),
        ("ipv6:[2001:db8:0:1:ffff::9]:567", "2001:db8:0:1:ffff::9", "2001:db8:0:1::/64"),
        ("ipv6:%5B::ffff:192.0.2.1%5D:567", "192.0.2.1", "192.0.2.1"),
        ("ipv6:%5Bfe80::1%25eth0%5D:567", "fe80::1", "fe80::/64"),
        ("unix:", "", ""),
        ("unix:/run/x", "", ""),
        ("ipv6:nonsense", "unknown", "unknown"),
        ("ipv4:", "unknown", "unknown"),
        ("vsock:3:1024", "unknown", "unknown"),
        ("", "unknown", "unknown"),
    ],
)
def test_where_a_call_comes_from(peer: str, address: str, network: str) -> None:
    """The throttle would count a port as a stranger; one owner of an IPv6 network would be 2^64 of them; who came from
    nobody knows where would be on record as the server's own machine."""
    assert address_of(peer) == address
    assert network_of(address) == network
