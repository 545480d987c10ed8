"""What the owner of a data folder does to it from outside the server, which may run."""

from __future__ import annotations

import time
from pathlib import Path

from jobrun.auth.audit import Audit
from jobrun.auth.auth import AUDIT, PASSWORD, read_facts
from jobrun.auth.clock import Clocks
from jobrun.auth.desk import FIRST_ADMIN
from jobrun.auth.passwords import checked, hashed
from jobrun.files.data_folder import DataFolder
from jobrun.model.errors import StoreError
from jobrun.model.user import MachineToken
from jobrun.store.users import accounts_alone, set_password_alone, users_meta


def set_password_offline(data: Path, user: str, password: str) -> None:
    """Gives a user another password and ends all his sessions, on disk; a server that runs must be told to reload.

    Raises UserNotFound, InvalidRequest (new_password), StoreError, StorageFull, OSError."""
    path = DataFolder(data).users
    if not path.exists():
        raise StoreError(f"{data} has no users: start a server there with login first, or name another folder")
    new = checked("new_password", password)
    facts = read_facts(users_meta(path), path)
    audit = Audit(data / AUDIT, Clocks())
    try:
        set_password_alone(path, user, hashed(new, facts.cost))
        if user == FIRST_ADMIN:
            (data / PASSWORD).unlink(missing_ok=True)
        audit.note("", "", "user.password", user)
    finally:
        audit.close()


def note_certificate(data: Path, fingerprint: str) -> None:
    """Puts on record that the server has another certificate. Raises StoreError."""
    audit = Audit(data / AUDIT, Clocks())
    audit.note("", "", "server.certificate", fingerprint)
    audit.close()


def machine_tokens_offline(data: Path) -> list[MachineToken]:
    """Those of all users that hold, by user and name. Raises StoreError, StorageFull."""
    path = DataFolder(data).users
    now_ns = max(time.time_ns(), read_facts(users_meta(path), path).latest_ns)
    stored = [one for account in accounts_alone(path) for one in account.tokens.values()]
    held = [one.token for one in stored if not one.ended and one.token.expires_ns > now_ns]
    return sorted(held, key=lambda token: (token.user, token.name))
