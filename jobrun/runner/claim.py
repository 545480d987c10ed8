"""A job's file in the hands of its supervisor: from the claim to an end without a start."""

from __future__ import annotations

import os
import resource

from jobrun.jobfile import file, layout
from jobrun.runner import ending
from jobrun.runner.order import Order
from jobrun.runner.record import exit_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MARK_BASE = 1 << 61
"""Microseconds of RLIMIT_RTTIME: without meaning there, so that the bits below can mark the job's processes."""


class Claim:
    """A job's file that is this process's to write."""

    def __init__(self, fd: int, key: int, slot: layout.Slot) -> None:
        self.fd, self.key, self.slot = fd, key, slot

    def take(self, boot: bytes) -> Order | None:
        """From here on the job is never dispatched again. None: what it needs is damaged, which is recorded."""
        try:
            order = Order(file.read_spec(self.fd, self.key), file.read_secrets(self.fd, self.key))
        except (layout.Damaged, KeyError) as error:  # KeyError: of a release that knows another spec
            self.end_unstarted(ending.Verdict(ending.LOST, f"it could not be started: {error}"), {})
            return None
        slot = self.slot
        slot.state, slot.supervisor = layout.CLAIMED, os.getpid()
        slot.boot_id, slot.mark = boot, _new_mark()
        self.write_slot()
        file.wipe_secrets(self.fd, self.key)
        return order

    def write_slot(self) -> None:
        """Make what changed in the slot known."""
        layout.write_slot(self.fd, self.key, self.slot)

    def end_unstarted(self, verdict: ending.Verdict, more: Mapping[bytes, int | bytes | str]) -> None:
        """The end of a job of which no process ran."""
        record = exit_record(verdict, self.slot, file.frames_begin(self.fd, self.key))
        file.write_exit(self.fd, self.key, {**record, **more})


def boot_id() -> bytes:
    """The random number of this boot of the machine, from random(4)."""
    with open("/proc/sys/kernel/random/boot_id", "rb") as source:
        return bytes.fromhex(source.read().decode().strip().replace("-", ""))


def _new_mark() -> int:
    """A hard RLIMIT_RTTIME that no other job has; 0 where there is no room for one."""
    _, hard = resource.getrlimit(resource.RLIMIT_RTTIME)
    mark = MARK_BASE + int.from_bytes(os.urandom(6), "little")
    return mark if hard == resource.RLIM_INFINITY or mark <= hard else 0
