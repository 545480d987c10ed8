"""What a server with login has beside its jobs, and how it is read again."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from typing import TYPE_CHECKING

from jobrun.model.errors import JobrunError

if TYPE_CHECKING:
    from jobrun.api.tls import ReloadingCertificate
    from jobrun.auth.auth import Auth

RELOAD_AGAIN_S = 60.0
"""Between two attempts to read users that could not be read: a line in the log each."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Login:
    """The users of a server, and its certificate."""

    auth: Auth
    certificate: ReloadingCertificate

    async def reload_for_ever(self, hangup: asyncio.Event) -> None:
        """At each `hangup`: the certificate, and users from disk. What can not be used ends no server: what was known
        before stays, and users are asked for again, so that who was shut out is not in for longer than must be."""
        again_s = None
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(hangup.wait(), again_s)
                hangup.clear()
                log.info("SIGHUP came: users and certificate are looked at")
                self.certificate.look()
            again_s = None if await self._read_users() else RELOAD_AGAIN_S

    async def _read_users(self) -> bool:
        try:
            await self.auth.reload()
        except JobrunError as error:
            log.error("users stay as they were, until these can be read: %s", error)
            return False
        return True
