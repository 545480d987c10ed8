"""One follower reads 2 GiB of stored output over plaintext loopback; beside cat of a file of that size into a pipe."""

from __future__ import annotations

import statistics
import subprocess
import time
from pathlib import Path

from bench import servers

SIZE, ROUNDS = 2 << 30, 3


def measure(file: Path, folder: Path) -> list[tuple[str, str, str, str, str]]:
    """MB (10^6 bytes) a second of the job's bytes, whole client process."""
    home = folder / "home"
    with servers.insecure(file, home) as (env, _):
        start = [file, "run", "--log-limit", "3G", "--", "head", "-c", str(SIZE), "/dev/zero"]
        live = _rate(start, env)
        ours = [_rate([file, "logs", "@last"], env) for _ in range(ROUNDS)]
    plain = folder / "plain"
    subprocess.run(["truncate", "-s", str(SIZE), plain], check=True)
    peer = [_rate(["cat", plain], {}) for _ in range(ROUNDS)]
    a, b = statistics.median(ours), statistics.median(peer)
    return [
        (
            "2 GiB stored, one follower, insecure loopback (peer: cat into a pipe)",
            f"{a:.0f} MB/s",
            f"{b:.0f} MB/s",
            f"{a / b:.2f}",
            "500 MB/s",
        ),
        ("2 GiB live output, job to client, insecure loopback", f"{live:.0f} MB/s", "", "", ""),
    ]


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
