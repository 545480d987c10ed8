"""The smoke test that `build.py portability` does on each target, done on this one."""

from __future__ import annotations

import os
import sys

from builder import portability
from builder.debian import Place

from tests.e2e.client import BUILT


def test_it_passes_here() -> None:
    """A smoke test that fails everywhere tells nothing of a target."""
    target = portability.Target("here", lambda: Place(os.path.realpath(sys.executable)))
    assert portability.row(target, BUILT)["result"] == "works"
