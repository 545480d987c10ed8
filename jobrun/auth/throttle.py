"""How often one may be wrong. Only failures count: who knows his password is never in his own way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

from jobrun.auth.addresses import network_of
from jobrun.model.errors import LoginThrottled

KEYS: Final = 8192
"""Buckets of each kind, 2 MB. One that was not touched for its time to fill up says nothing; who wants to push another
one out has to fail so often first, at the few tries a second that bcrypt has time for."""
TEXT: Final = "too many logins: try again in a few seconds"


class Buckets:
    """Token buckets by key: `burst` at once, then one each `period_s` seconds."""

    def __init__(self, period_s: int, burst: int, now_ns: Callable[[], int], keys: int = KEYS) -> None:
        self._period_ns, self._burst, self._now_ns, self._keys = period_s * 10**9, burst, now_ns, keys
        self._full_at: OrderedDict[Hashable, int] = OrderedDict()
        """By key, least lately touched first: when the bucket is full again. None there: it is full."""

    def has(self, key: Hashable) -> bool:
        """Whether one can be taken."""
        return self._full_at.get(key, 0) - self._now_ns() <= (self._burst - 1) * self._period_ns

    def take(self, key: Hashable) -> None:
        """Takes one, which must be there."""
        self._full_at[key] = max(self._full_at.get(key, 0), self._now_ns()) + self._period_ns
        self._full_at.move_to_end(key)
        while len(self._full_at) > self._keys:
            self._full_at.popitem(last=False)

    def give_back(self, key: Hashable) -> None:
        """As if the last one had not been taken."""
        if key in self._full_at:
            self._full_at[key] -= self._period_ns


REFRESHES: Final = 10, 20
"""Of one session: ten in the life of an access token, which needs one or two, and 20 at once. So no client with a fault
fills the record, and a thief can not make haste."""


class Throttle:
    """Of logins and refreshes. Nobody can lock out another: what he spends from his addresses is his. Who guesses from
    very many addresses is held by the one worker that passwords have, and by their length."""

    def __init__(self, steady_ns: Callable[[], int], access_token_s: int) -> None:
        in_a_life, at_once = REFRESHES
        self._by_user_here = Buckets(5, 5, steady_ns)
        self._by_address = Buckets(1, 20, steady_ns)
        self._wrong_refreshes = Buckets(1, 20, steady_ns)
        self._refreshes = Buckets(max(access_token_s // in_a_life, 1), at_once, steady_ns)

    def check(self, user: str, address: str) -> None:
        """Before a password is looked at: counts it as wrong until it proves right. Raises LoginThrottled."""
        wanted = self._buckets(user, address)
        if not all(buckets.has(key) for buckets, key in wanted):  # all or none: what is refused here costs nobody
            raise LoginThrottled(TEXT)
        for buckets, key in wanted:
            buckets.take(key)

    def was_right(self, user: str, address: str) -> None:
        """Takes back what `check` counted."""
        for buckets, key in self._buckets(user, address):
            buckets.give_back(key)

    def check_refresh(self, session: str) -> None:
        """Counts one by a token that is good: it is in the way of its own session alone. Raises LoginThrottled."""
        if not self._refreshes.has(session):
            raise LoginThrottled("too many refreshes of this session: use the access token that came with the last one")
        self._refreshes.take(session)

    def check_wrong_refresh(self, address: str) -> None:
        """Counts a refresh token that is none, or was used before. Raises LoginThrottled."""
        network = network_of(address)
        if not self._wrong_refreshes.has(network):
            raise LoginThrottled("too many refresh tokens that are none: try again in a few seconds")
        self._wrong_refreshes.take(network)

    def _buckets(self, user: str, address: str) -> tuple[tuple[Buckets, Hashable], ...]:
        network = network_of(address)
        return (
            (self._by_user_here, (user, network)),
            (self._by_address, network),
        )
