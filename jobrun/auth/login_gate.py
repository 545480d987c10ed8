"""The gate of a server with users: by the token that came, and by what is known of its session or machine token now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from jobrun.auth.access import ACCESS, Need
from jobrun.auth.access_tokens import AccessTokens, Claims
from jobrun.auth.addresses import address_of
from jobrun.auth.audit import Audit
from jobrun.auth.clock import IssuerClock
from jobrun.auth.gate import Metadata, nobody_waits
from jobrun.auth.machine_door import MachineTokenDoor
from jobrun.model.caller import ROLE_SCOPES, Caller, Scope
from jobrun.model.errors import JobrunError, ScopeMissing, SessionEnded, TokenMissing
from jobrun.model.user import MachineToken
from jobrun.store.users_memory import People
from jobrun.store.users_rows import Account

BEARER: Final = "Bearer "
"""RFC 6750 section 2.1."""
MOST_TARGET: Final = 64
"""Characters of a method on the audit record; ours have half."""
_ENOUGH: Final[Mapping[Need, frozenset[Scope]]] = {
    Need.READ: frozenset({Scope.JOBS_READ, Scope.JOBS_RUN}),
    Need.RUN: frozenset({Scope.JOBS_RUN}),
    Need.ADMIN: frozenset({Scope.ADMIN}),
}
"""One of these scopes is enough."""


class LoginGate:
    """As Gate has it. Every refusal is on the audit record."""

    def __init__(
        self, people: People, tokens: AccessTokens, machines: MachineTokenDoor, clock: IssuerClock, audit: Audit
    ) -> None:
        self._people, self._tokens, self._machines = people, tokens, machines
        self._clock, self._audit = clock, audit
        self.on_ended: Callable[[str], None] = nobody_waits
        people.on_ended = lambda ended: self.on_ended(ended)

    def admit(self, method: str, metadata: Metadata, peer: str) -> Caller | None:
        """As Gate has it. Refusals are on the audit record."""
        need = ACCESS.get(method)
        if need is Need.OPEN:
            return None
        address = address_of(peer)
        who: Caller | str = ""
        try:
            token = _token(metadata)
            if self._machines.knows(token):
                who = caller = self._by_machine_token(token, address)
                self._machines.check_holds(caller.machine_token)
            else:
                claims = self._tokens.verify(token)
                who = claims.user
                who = caller = self._by_session(claims, address)
            _check(need, caller)
        except JobrunError as error:
            self._audit.note_often(who, address, "call", method.rpartition(".")[2][:MOST_TARGET], error.reason)
            raise
        return caller

    def seconds_left(self, caller: Caller) -> float | None:
        """As Gate has it."""
        if caller.expires_ns is None:
            return None
        return (caller.expires_ns - self._clock.now_ns()) / 10**9

    def _by_machine_token(self, token: str, address: str) -> Caller:
        """Also who is not let in any more: he goes on record with it."""
        stored = self._machines.recognise(token)
        account = self._people.accounts[stored.token.user]
        return _by_machine_token(account, stored.token, address)

    def _by_session(self, claims: Claims, address: str) -> Caller:
        """Raises SessionEnded."""
        session = self._people.sessions.get(claims.session)
        if session is None or session.user != claims.user or session.expires_ns <= self._clock.now_ns():
            raise SessionEnded("the session has ended: log in again")
        account = self._people.accounts[session.user]
        return Caller(
            user=account.name,
            role=account.role,
            scopes=session.scopes & ROLE_SCOPES[account.role],
            session=session.id,
            ceilings=account.ceilings,
            expires_ns=claims.expires_ns,
            session_expires_ns=session.expires_ns,
            address=address,
        )


def _token(metadata: Metadata) -> str:
    """What came behind `Bearer `. Raises TokenMissing where there is none, or more than one that could be meant."""
    values = [value for key, value in metadata if key == "authorization"]
    if len(values) != 1:
        raise TokenMissing(
            "no token came with the call: log in" if not values else "more than one token came: send one"
        )
    value = values[0]
    if not isinstance(value, str) or not value.startswith(BEARER):
        raise TokenMissing("no Bearer token came with the call: log in")
    return value[len(BEARER) :]


def _by_machine_token(account: Account, token: MachineToken, address: str) -> Caller:
    return Caller(
        user=account.name,
        role=account.role,
        scopes=token.scopes & ROLE_SCOPES[account.role],
        machine_token=token.id,
        machine_token_name=token.name,
        all_jobs=token.all_jobs,
        ceilings=_lower(account.ceilings, token.ceilings),
        expires_ns=token.expires_ns,
        address=address,
    )


def _lower(one: Mapping[str, int], other: Mapping[str, int]) -> Mapping[str, int]:
    if not one or not other:
        return one or other
    return {field: min(ceilings[field] for ceilings in (one, other) if field in ceilings) for field in {*one, *other}}


def _check(need: Need | None, caller: Caller) -> None:
    """Raises ScopeMissing, also for what nobody decided about."""
    if need is Need.ANY:
        return
    if need is Need.SESSION:
        if not caller.session:
            raise ScopeMissing("a machine token may not do that: log in")
        return
    if need is None or not caller.scopes & _ENOUGH[need]:
        what = need.value if need else "what nobody has"
        who = "this machine token" if caller.machine_token else f"your login as {caller.role.value}"
        raise ScopeMissing(f"that needs {what}, which {who} has not: ask an admin")
