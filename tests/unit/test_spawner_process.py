"""The server's side of its spawner."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from jobrun.jobs.spawner_process import SpawnerProcess


def highest() -> int:
    """The highest descriptor that is open."""
    return max(map(int, os.listdir("/proc/self/fd")))


def test_a_start_that_fails_for_want_of_descriptors_leaves_none_open(tmp_path: Path) -> None:
    """A server that tries until there is room would take what becomes free itself, and never have any again."""
    spawner, failed = SpawnerProcess(tmp_path), 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = set(os.listdir("/proc/self/fd"))
    for most in range(highest() + 20):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        try:
            spawner.restart()
        except OSError:
            failed += 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if spawner.is_connected:
            break
        assert set(os.listdir("/proc/self/fd")) == before
    assert failed > 4
    spawner.close()
