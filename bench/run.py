"""Figures of the built file beside those of other programs, in one run: medians and ratios. python3 build.py bench"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import follower, login, memory, throughput, whole_process


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table. `reach` is what it should be, for people."""

    what: str
    ours: str
    peer: str
    ratio: str
    reach: str


BENCHES: dict[str, Callable[[Path, Path], list[tuple[str, str, str, str, str]]]] = {
    "process": whole_process.measure,
    "login": login.measure,
    "jobs": throughput.measure,
    "follower": follower.measure,
    "memory": memory.measure,
}


def main() -> int:
    """Run those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; none: all")
    names = parser.parse_args().names or list(BENCHES)
    file = Path(os.environ.get("JOBRUN_FILE", "dist/jobrun")).resolve()
    print(f"{os.cpu_count()} CPUs, {file}")
    rows = [Row("what", "jobrun", "peer", "ratio", "reach")]
    for name in names:
        print(f"{name}: load {os.getloadavg()[0]:.1f} before")
        with tempfile.TemporaryDirectory(prefix="jr", dir="/tmp") as folder:
            Path(folder).chmod(0o711)
            rows += [Row(*line) for line in BENCHES[name](file, Path(folder))]
    widths = [max(len(getattr(row, field.name)) for row in rows) for field in dataclasses.fields(Row)]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(dataclasses.astuple(row), widths, strict=True)).rstrip()
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
