"""Between the model and what a job's file holds: the spec, the exit record, a lost job's end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobrun.jobfile import file, layout, lock, reader
from jobrun.jobs.orders import Order
from jobrun.model.job import DEFAULT_LOG_BYTES, End, StartFailure, Usage
from jobrun.model.lifecycle import EndReason, StartStep
from jobrun.runner import ending, marked, tree
from jobrun.runner.claim import boot_id
from jobrun.runner.record import exit_record

if TYPE_CHECKING:
    from jobrun.jobfile.bencode import Decoded, Value


def spec_record(job_id: str, order: Order, *, cwd: str) -> dict[bytes, Value]:
    """What the supervisor reads, and what an index could be made from anew. No value of the environment that a caller
    gave is in it."""
    spec = order.spec
    return {
        b"id": job_id,
        b"user": order.user,
        b"machine_token": order.machine_token,
        b"name": spec.name,
        b"argv": list(spec.argv),
        b"cwd": cwd,
        b"env_base": {name.encode(): value for name, value in order.env_base.items()},
        b"env_names": list(spec.env_names),
        b"secret_env_names": list(spec.secret_env_names),
        b"limits": {name.encode(): value for name, value in spec.limits.items()},
        b"log_bytes": spec.limits.get("log_bytes", DEFAULT_LOG_BYTES),
        b"grace_ns": spec.grace_ns,
        b"umask": spec.umask,
        b"slots": spec.slots,
        b"cpus": list(order.cpuset),
    }


def end_of(record: dict[bytes, Decoded]) -> End:
    """How a job ended, by its exit record. Damaged where it says what is not known."""
    if number(record, b"reason") not in map(int, EndReason) or number(record, b"step") not in (0, *map(int, StartStep)):
        raise layout.Damaged("its end is one that this release does not know")
    step = number(record, b"step")
    failure = (
        StartFailure(step=StartStep(step), errno=number(record, b"errno"), path=text(record, b"path")) if step else None
    )
    return End(
        reason=EndReason(number(record, b"reason")),
        exit_code=number(record, b"code") if b"code" in record else None,
        signal=number(record, b"signal") if b"signal" in record else None,
        started_ns=number(record, b"started_ns"),
        finished_ns=number(record, b"finished_ns"),
        detail=text(record, b"detail"),
        stopped_by=text(record, b"by"),
        start_failure=failure,
        survivors=number(record, b"survivors"),
    )


def usage_of(record: dict[bytes, Decoded]) -> Usage | None:
    """What a job used in all; None where none of it ran."""
    if not number(record, b"started_ns"):
        return None
    return Usage(
        user_cpu_ns=number(record, b"user_cpu_ns"),
        system_cpu_ns=number(record, b"system_cpu_ns"),
        peak_memory_bytes=number(record, b"peak_memory"),
        output_bytes=number(record, b"output"),
        output_dropped_bytes=number(record, b"dropped"),
        elapsed_ns=number(record, b"elapsed_ns"),
    )


def usage_so_far(fd: int, key: int, slot: layout.Slot) -> Usage:
    """Of a running job: a walk of its tree, and a look at the end of its log."""
    found = tree.sample(slot.supervisor)
    return Usage(
        user_cpu_ns=found.user_cpu_ns,
        system_cpu_ns=found.system_cpu_ns,
        peak_memory_bytes=found.memory_bytes,
        output_bytes=sum(reader.tail_of(fd, key).written),
        output_dropped_bytes=slot.gap_dropped,
        elapsed_ns=max(0, time.clock_gettime_ns(time.CLOCK_BOOTTIME) - slot.started_boot_ns),
    )


def record_lost(fd: int, key: int) -> None:
    """The judge's part, under the file's lock: kill what a killed supervisor left, then record the end."""
    slot = layout.read_slot(fd, key)
    file.wipe_secrets(fd, key)
    if slot.boot_id != boot_id():
        text_ = "the machine was restarted while it ran"
    else:
        text_ = "its supervisor was killed: how it ended was not seen"
        if slot.mark:
            marked.kill_marked(slot.mark)
    verdict = ending.Verdict(ending.LOST, text_)
    written = sum(reader.tail_of(fd, key).written)
    record = exit_record(verdict, slot, reader.log_end(fd, key))
    file.write_exit(fd, key, {**record, b"output": written, b"dropped": slot.gap_dropped})


def wake_holder(fd: int) -> None:
    """SIGUSR1 to the supervisor that holds the file's lock, if there is one and it is the one that was seen."""
    pid = lock.holder(fd)
    if pid is not None and pid > 0:
        marked.signal_if(pid, marked.SIGUSR1, lambda: lock.holder(fd) == pid)


def number(record: dict[bytes, Decoded], name: bytes) -> int:
    """0 where it is missing."""
    value = record.get(name, 0)
    return value if isinstance(value, int) else 0


def text(record: dict[bytes, Decoded], name: bytes) -> str:
    """Empty where it is missing."""
    value = record.get(name, b"")
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else ""
