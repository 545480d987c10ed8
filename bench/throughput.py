"""Jobs a second, start to finished, through one connection; beside HyperQueue's LocalCluster."""

from __future__ import annotations

import asyncio
import contextlib
import io
import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path

import grpc.aio

from bench import servers
from jobrun.wire.gen.jobrun.v1 import job_pb2, job_service_pb2, job_service_pb2_grpc

JOBS, ROUNDS, IN_FLIGHT = 600, 3, 64
HYPERQUEUE = """
import sys, time
from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=2))
    client = cluster.client()
    for _ in range(int(sys.argv[2])):
        begun, job = time.perf_counter(), Job()
        for _ in range(int(sys.argv[1])):
            job.program(["/bin/true"])
        client.wait_for_jobs([client.submit(job)])
        print("rate", int(sys.argv[1]) / (time.perf_counter() - begun))
"""


def measure(file: Path, folder: Path) -> list[tuple[str, str, str, str, str]]:
    """Rounds of the two in turn would share the cores: one after the other instead."""
    with servers.private(file, folder / "home") as (_, socket):
        ours = asyncio.run(_rates(f"unix:{socket}"))
    peer = _hyperqueue(folder)
    a, b = statistics.median(ours), statistics.median(peer)
    what = f"{JOBS} x /bin/true, start to finished, {IN_FLIGHT} in flight (peer: HyperQueue)"
    return [(what, f"{a:.0f} a second", f"{b:.0f} a second", f"{a / b:.2f}", "300 a second")]


async def _rates(address: str) -> list[float]:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        await _round(stub, 50)
        return [await _round(stub, JOBS) for _ in range(ROUNDS)]


async def _round(stub: job_service_pb2_grpc.JobServiceAsyncStub, jobs: int) -> float:
    places = asyncio.Semaphore(IN_FLIGHT)
    begun = time.perf_counter()
    await asyncio.gather(*(_one(stub, places) for _ in range(jobs)))
    return jobs / (time.perf_counter() - begun)


async def _one(stub: job_service_pb2_grpc.JobServiceAsyncStub, places: asyncio.Semaphore) -> None:
    async with places:
        spec = job_pb2.JobSpec(argv=["/bin/true"], cwd="/")
        answer = await stub.Start(job_service_pb2.StartRequest(spec=spec))
        last = answer.job
        async for seen in stub.Watch(job_service_pb2.WatchRequest(job_id=answer.job.id)):
            last = seen.job
        if last.finished.reason != job_pb2.END_REASON_EXITED:
            raise SystemExit(f"bench: a job did not end well: {last}")


def _hyperqueue(folder: Path) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        venv.create(folder / "hq", with_pip=True)
    python = str(folder / "hq/bin/python")
    subprocess.run([python, "-m", "pip", "-q", "install", "hyperqueue"], check=True, stderr=subprocess.DEVNULL)
    argv = [python, "-c", HYPERQUEUE, str(JOBS), str(ROUNDS)]
    done = subprocess.run(argv, cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("rate ")] or sys.exit(
        "bench: HyperQueue told nothing"
    )
