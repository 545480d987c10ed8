"""Owner and thief of one session, in any order."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from jobrun.auth.auth import Auth
from jobrun.model.errors import RefreshFailed
from tests.unit.auth_ground import (
    DAY_S,
    Times,
    first_password,
    go_on,
    lives,
    log_in,
    opened,
    refused_to_go_on,
)


@dataclasses.dataclass
class Holder:
    """Owner or thief: a file with the current token and, from before it is sent, the next one."""

    name: str
    current: str
    following: str = ""
    made: int = 0

    def pair(self) -> tuple[str, str]:
        """What is sent: a pair that is on disk is sent again, never a new one."""
        if not self.following:
            self.made += 1
            self.following = f"{self.name} {self.made}"
        return self.current, self.following


class Story:
    """What happens to one session. The server must keep to what is asserted here, whatever the order of the steps."""

    def __init__(self, session: str, times: Times) -> None:
        self.session, self.times = session, times
        self.owner, self.thief = Holder("owner", "r0"), Holder("thief", "none")
        self.stolen = self.ended = False
        self.taken: dict[str, str] = {}
        """Refresh tokens that the server took, in order, and the next one of each."""

    async def step(self, auth: Auth, what: str) -> None:
        self.times.turn(20)  # so that the throttle keeps out of it
        if what == "theft":
            self.stolen, self.thief = True, dataclasses.replace(self.owner, name="thief")
        elif what == "another next":
            self.thief.following = ""
        elif what == "guess":
            await refused_to_go_on(go_on(auth, self.session, "guess", "g"))
        elif what == "a day":
            self.times.turn(DAY_S)
        elif what != "thief" or self.stolen:
            holder = self.thief if what == "thief" else self.owner
            if await self._goes_on(auth, *holder.pair()) and what != "owner, answer lost":
                holder.current, holder.following = holder.following, ""
        assert lives(auth, self.session) is not self.ended

    async def _goes_on(self, auth: Auth, came: str, following: str) -> bool:
        newest = self.taken[[*self.taken][-1]] if self.taken else "r0"
        previous = [*self.taken][-1] if self.taken else None
        if self.ended:
            expected = False
        elif came == newest:
            expected = True
            self.taken[came] = following
        else:
            expected = came == previous and self.taken[came] == following
            self.ended = came in self.taken and self.taken[came] != following
        try:
            await go_on(auth, self.session, came, following)
        except RefreshFailed:
            assert not expected
            assert self.stolen, "nobody stole it, and its owner was refused"
            return False
        assert expected
        return True


STEPS = ["owner", "owner, answer lost", "theft", "thief", "another next", "guess", "a day", "restart"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(STEPS), max_size=13))
def test_owner_and_thief_in_any_order(steps: list[str]) -> None:
    """Some order of lost answers, thefts and restarts would log an honest owner out, or let a thief stay."""

    async def main(folder: Path) -> None:
        times = Times()
        async with opened(folder, times) as auth:
            story = Story((await log_in(auth, "admin", first_password(auth))).session_id, times)
        for _, part in itertools.groupby(steps, lambda step: step == "restart"):
            async with opened(folder, times) as auth:
                for step in part:
                    await story.step(auth, step)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))
