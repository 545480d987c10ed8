"""`run -- true` as a whole process, warm, on the private server; beside what importing grpc costs at least."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench import servers

RUNS = 21


def measure(file: Path, folder: Path) -> list[tuple[str, str, str, str, str]]:
    """In turn, so that a change of the machine's speed meets both."""
    with servers.private(file, folder / "home") as (env, _):
        ours = [str(file), "run", "--", "true"]
        peer = [sys.executable, "-c", "import grpc"]
        version = [str(file), "version"]
        bare = [sys.executable, "-I", "-S", "-c", "pass"]
        times: dict[str, list[float]] = {}
        for number in range(RUNS + 2):
            for argv in (ours, peer, version, bare):
                begun = time.perf_counter()
                subprocess.run(argv, env=env, check=True, stdout=subprocess.DEVNULL)
                if number > 1:
                    times.setdefault(" ".join(argv), []).append(1e3 * (time.perf_counter() - begun))
    a, b, c, d = (statistics.median(found) for found in times.values())
    return [
        (
            "run -- true, private, warm (peer: python -c 'import grpc')",
            f"{a:.0f} ms",
            f"{b:.0f} ms",
            f"{a / b:.2f}",
            "150 ms",
        ),
        ("version, warm (peer: python -I -S -c pass)", f"{c:.1f} ms", f"{d:.1f} ms", f"{c / d:.2f}", "2.0"),
    ]
