"""What a running `sleep` job takes, supervisor, kernel's share and all, with 1,000 at once."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import grpc.aio

from bench import servers
from jobrun.wire.gen.jobrun.v1 import job_pb2, job_service_pb2, job_service_pb2_grpc

JOBS = 1000
FIELDS = ("AnonPages", "PageTables", "Slab", "KernelStack", "Shmem")


def measure(file: Path, folder: Path) -> list[tuple[str, str, str, str, str]]:
    """From /proc/meminfo of the whole machine, before and with the jobs; and the sum of Pss of supervisors and jobs."""
    with servers.private(file, folder / "home") as (env, socket):
        subprocess.run([file, "run", "--", "true"], env=env, check=True)
        before = _used()
        asyncio.run(_start(f"unix:{socket}"))
        all_in = (_used() - before) / JOBS / 1e6
        pss = _pss_of_sleepers() / JOBS / 1e6
        subprocess.run([file, "stop", "--all", "-s", "KILL"], env=env, check=True, stdout=subprocess.DEVNULL)
    what = f"a running sleep job of {JOBS}, machine's memory (Pss of supervisor and job: {pss:.2f} MB)"
    return [(what, f"{all_in:.2f} MB", "", "", "1.5 MB")]


async def _start(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        places = asyncio.Semaphore(32)
        await asyncio.gather(*(_one(stub, places) for _ in range(JOBS)))


async def _one(stub: job_service_pb2_grpc.JobServiceAsyncStub, places: asyncio.Semaphore) -> None:
    async with places:
        spec = job_pb2.JobSpec(argv=["/bin/sleep", "600"], cwd="/")
        answer = await stub.Start(job_service_pb2.StartRequest(spec=spec))
        watch = stub.Watch(job_service_pb2.WatchRequest(job_id=answer.job.id))
        async for seen in watch:
            if seen.job.HasField("running"):
                watch.cancel()
                return


def _used() -> int:
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return sum(int(lines[field].split()[0]) << 10 for field in FIELDS)


def _pss_of_sleepers() -> int:
    total = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            argv = (folder / "cmdline").read_bytes()
            if b"jobrun/runner" not in argv and argv != b"/bin/sleep\x00600\x00":
                continue
            rollup = (folder / "smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += next(int(line.split()[1]) << 10 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total
