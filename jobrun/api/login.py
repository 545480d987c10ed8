"""What a server with login has beside its jobs, and how it is read again."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import math
from typing import TYPE_CHECKING

from jobrun.api.calls import since_boot_s
from jobrun.model.errors import JobrunError, StoreError

if TYPE_CHECKING:
    from jobrun.api.tls import ReloadingCertificate
    from jobrun.auth.auth import Auth

RELOAD_AGAIN_S = 60.0
"""Between two attempts to read users that could not be read: a line in the log each."""
UNREAD_S = 300.0
"""So long may users be as they were: time to put a backup back. Who was shut out on disk is in meanwhile."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Login:
    """The users of a server, and its certificate."""

    auth: Auth
    certificate: ReloadingCertificate

    async def reload_for_ever(self, hangup: asyncio.Event) -> None:
        """At each `hangup`: the certificate, and users from disk. Where these can not be used, what was known before
        stays, and users are asked for again. One of the server's helpers: raises StoreError, which ends it, where they
        could not be read for UNREAD_S."""
        again_s, unread_since = None, math.inf
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(hangup.wait(), again_s)
                hangup.clear()
                log.info("SIGHUP came: users and certificate are looked at")
                self.certificate.look()
            try:
                await self.auth.reload()
            except JobrunError as error:
                unread_since = min(unread_since, since_boot_s())
                if since_boot_s() - unread_since >= UNREAD_S:
                    raise StoreError(f"users could not be read for {UNREAD_S:g} s: {error}") from error
                log.error("users stay as they were for %g s at most, until these can be read: %s", UNREAD_S, error)
                again_s = RELOAD_AGAIN_S
            else:
                again_s, unread_since = None, math.inf
