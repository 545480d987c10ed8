"""One follower of 2 GiB over plaintext loopback, as a job writes them and once they are stored; beside tee and cat."""

from __future__ import annotations

import statistics
import subprocess
import time
from pathlib import Path

from bench import servers

SIZE, ROUNDS = 2 << 30, 3


def measure(file: Path, folder: Path) -> list[tuple[str, str, str, str, str]]:
    """MB (10^6 bytes) a second of the job's bytes, whole client process. In turn, so that a change of the
    machine's speed meets all."""
    kept, plain = folder / "kept", folder / "plain"
    subprocess.run(["truncate", "-s", str(SIZE), plain], check=True)
    made = ["head", "-c", str(SIZE), "/dev/zero"]
    live, teed, ours, peer = list[float](), list[float](), list[float](), list[float]()
    with servers.insecure(file, folder / "home") as (env, _):
        for _ in range(ROUNDS):
            live.append(_rate([file, "run", "--log-limit", "3G", "--", *made], env))
            teed.append(_rate(["sh", "-c", f"{' '.join(made)} | tee {kept}"], {}))
            ours.append(_rate([file, "logs", "@last"], env))
            peer.append(_rate(["cat", plain], {}))
            subprocess.run([file, "rm", "@last"], env=env, check=True)
            kept.unlink()
    return [
        _line("2 GiB stored, one follower, insecure loopback (peer: cat into a pipe)", ours, peer, "500 MB/s"),
        _line("2 GiB live output, job to client, insecure loopback (peer: tee into a file and a pipe)", live, teed, ""),
    ]


def _line(what: str, ours: list[float], peer: list[float], reach: str) -> tuple[str, str, str, str, str]:
    a, b = statistics.median(ours), statistics.median(peer)
    return what, f"{a:.0f} MB/s", f"{b:.0f} MB/s", f"{a / b:.2f}", reach


def _rate(argv: list[object], env: dict[str, str]) -> float:
    begun, seen = time.perf_counter(), 0
    with subprocess.Popen([str(word) for word in argv], env=env or None, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        buffer = memoryview(bytearray(1 << 20))
        while got := process.stdout.readinto(buffer):  # type: ignore[attr-defined]  # a BufferedReader
            seen += got
    if process.returncode or seen != SIZE:
        raise SystemExit(f"bench: {seen} bytes and code {process.returncode} of {argv}")
    return SIZE / 1e6 / (time.perf_counter() - begun)
