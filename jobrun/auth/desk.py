"""What all who decide about users work with."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Final

from jobrun.auth.audit import Audit
from jobrun.auth.passwords import Passwords
from jobrun.store.kept_tasks import KeptTasks
from jobrun.store.users import UserStore

log = logging.getLogger(__name__)

FIRST_ADMIN: Final = "admin"
"""Made by the first start."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Desk:
    """One of a server with login."""

    store: UserStore
    passwords: Passwords
    audit: Audit
    kept: KeptTasks
    password_file: Path
    """The first admin's password, until it is changed."""

    def known(self, name: str) -> str:
        """For the audit record, where a password that was typed as a name must not get to: empty for who is none."""
        return name if name in self.store.people.accounts else ""

    def forget_first_password(self, user: str) -> None:
        """After `user` got another password, or went: once it is the admin, the file says nothing any more."""
        if user != FIRST_ADMIN:
            return
        try:
            self.password_file.unlink(missing_ok=True)
        except OSError as error:
            log.error("%s can not be removed, it says nothing any more: %s", self.password_file, error.strerror)
