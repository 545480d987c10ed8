"""A built file for the tests of its form and of its starts. The code inside is a stand-in."""

from __future__ import annotations

from pathlib import Path

import pytest
from builder import pack

from tests.stand_in import bare_env, contents


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A built file in a folder with a space in its name."""
    path = tmp_path / "some where" / "jobrun"
    pack.write_file(contents(), path)
    return path


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """What a start needs, and nothing else."""
    return bare_env(tmp_path)
