"""Login, put together: opened with the server, closed with it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from jobrun.auth import passwords
from jobrun.auth.access_tokens import AccessTokens, open_key
from jobrun.auth.audit import Audit
from jobrun.auth.clock import Clocks, IssuerClock
from jobrun.auth.desk import FIRST_ADMIN, Desk
from jobrun.auth.last_used import LastUsed
from jobrun.auth.login import Logins
from jobrun.auth.login_gate import LoginGate
from jobrun.auth.machine_door import MachineTokenDoor
from jobrun.auth.machine_tokens import MachineTokens
from jobrun.auth.sessions import Lifetimes, Sessions
from jobrun.auth.throttle import Throttle
from jobrun.auth.users import Users
from jobrun.files.data_files import write_data_file
from jobrun.files.data_folder import DataFolder
from jobrun.model.errors import StorageFull, StoreError
from jobrun.store.kept_tasks import KeptTasks
from jobrun.store.users import UserStore
from jobrun.store.users_writes import FIRST_PASSWORD

KEY: Final = "access-token-key.pem"
PASSWORD: Final = "admin-password"
AUDIT: Final = "audit.jsonl"

KEEP_UP_S: Final = 60.0
"""What has expired goes from memory and disk, and the time is put on record, so often."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Auth:
    """What a server with login has beside its jobs."""

    logins: Logins
    users: Users
    machine_tokens: MachineTokens
    gate: LoginGate
    audit: Audit
    clock: IssuerClock
    first_start: bool
    """This start made the users: the admin's password lies in `password_file`."""
    password_file: Path
    store: UserStore
    used: LastUsed
    desk: Desk

    async def keep_up_for_ever(self) -> None:
        """Each minute: ends what has expired, notes how late it is, sums up floods. One of the server's helpers. Raises
        StoreError once the database can not be written any more."""
        while True:
            try:
                raise await asyncio.wait_for(self.store.failed(), KEEP_UP_S)
            except asyncio.TimeoutError:
                await self.keep_up()

    async def keep_up(self) -> None:
        """Once. On a full disk it is left for the next time. Raises StoreError."""
        self.audit.keep_up()
        used = self.used.take()
        try:
            await self.store.sweep(self.clock.now_ns(), used)
        except StorageFull:
            self.used.put_back(used)
        await asyncio.to_thread(self.audit.sync)

    async def reload(self) -> None:
        """Opens the audit record again, and reads users.db again, for what another process changed there.

        Raises StoreError, StorageFull; then the users are as before."""
        self.audit.reopen()
        await asyncio.to_thread(self.audit.sync)
        await self.store.reload()

    async def close(self) -> None:
        """Finishes what is under way; all is on disk then. Raises StoreError."""
        await self.desk.kept.finish()
        await self.desk.passwords.close()
        try:
            await self.keep_up()
        finally:
            await self.store.close()
            self.audit.close()


async def open_auth(
    data: Path,
    loop: asyncio.AbstractEventLoop,
    lifetimes: Lifetimes,
    *,
    cost: int | None = None,
    clocks: Clocks | None = None,
) -> Auth:
    """Opens what is in the data folder; makes it at the first start. `cost`: bcrypt's at the first start; None: as
    much as takes this machine 150 ms.

    Raises StoreError, StorageFull, OSError."""
    clocks = clocks or Clocks()
    key = open_key(data / KEY)
    async with contextlib.AsyncExitStack() as stack:
        audit = Audit(data / AUDIT, clocks)
        stack.callback(audit.close)
        store = UserStore(DataFolder(data).users, loop)
        stack.push_async_callback(store.close)
        first_start = "server_id" not in store.meta
        if first_start:
            await _found(store, data / PASSWORD, cost, clocks.wall_ns())
            audit.note("", "", "user.create", FIRST_ADMIN)
        elif FIRST_PASSWORD not in store.meta:  # a server that was killed between the change and this left it
            (data / PASSWORD).unlink(missing_ok=True)
        auth = _put_together(data, store, audit, key, lifetimes, clocks, first_start=first_start)
        stack.pop_all()
        return auth


async def _found(store: UserStore, password_file: Path, cost: int | None, now_ns: int) -> None:
    """The first start: a password for the admin, then, in one commit, all that makes the next start not the first."""
    chosen = await asyncio.to_thread(passwords.measured_cost) if cost is None else cost
    password = passwords.readable_password()
    password_hash = await asyncio.to_thread(passwords.hashed, passwords.normalised(password), chosen)
    write_data_file(password_file, f"{password}\n".encode())
    facts = {"server_id": secrets.token_hex(16), "cost": str(chosen), FIRST_PASSWORD: FIRST_ADMIN}
    await store.found({**facts, "latest_ns": str(now_ns)}, FIRST_ADMIN, password_hash, now_ns)


def _put_together(
    data: Path,
    store: UserStore,
    audit: Audit,
    key: Ed25519PrivateKey,
    lifetimes: Lifetimes,
    clocks: Clocks,
    *,
    first_start: bool,
) -> Auth:
    facts = read_facts(store.meta, DataFolder(data).users)
    clock, used = IssuerClock(facts.latest_ns, clocks), LastUsed()
    tokens = AccessTokens(key, facts.server_id, clock, lifetimes.access_token_s)
    desk = Desk(
        store=store,
        passwords=passwords.Passwords(facts.cost),
        audit=audit,
        kept=KeptTasks(),
        password_file=data / PASSWORD,
    )
    return Auth(
        logins=Logins(
            desk, Sessions(store, tokens, clock, lifetimes), Throttle(clocks.steady_ns, lifetimes.access_token_s)
        ),
        users=Users(desk, clock),
        machine_tokens=MachineTokens(desk, clock, used),
        gate=LoginGate(store.people, tokens, MachineTokenDoor(store.people, clock, used), clock, audit),
        audit=audit,
        clock=clock,
        first_start=first_start,
        password_file=data / PASSWORD,
        store=store,
        used=used,
        desk=desk,
    )


@dataclasses.dataclass(frozen=True)
class Facts:
    """What users.db says of its server."""

    server_id: str
    cost: int
    """bcrypt's, of all hashes."""
    latest_ns: int


def read_facts(meta: Mapping[str, str], path: Path) -> Facts:
    """Raises StoreError."""
    try:
        return Facts(meta["server_id"], int(meta["cost"]), int(meta["latest_ns"]))
    except (KeyError, ValueError) as error:
        raise StoreError(f"{path} does not say whose it is: put a backup back, or move it away") from error
