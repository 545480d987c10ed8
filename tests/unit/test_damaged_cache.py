"""Starts of the built file where its cache is not whole: the next start mends it, and goes on. The code inside is a
stand-in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stand_in import answer, cache, entry, refusal, start, tree


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _garble(path: Path) -> None:
    path.write_bytes(b"\xff\x00 garbage\n")


@pytest.mark.parametrize("damage", [Path.unlink, _cut, _empty, _garble])
@pytest.mark.parametrize("what", ["python", "any.so", "main.*.pyc"])
def test_mends_what_was_damaged(damage: Callable[[Path], None], what: str, file: Path, env: dict[str, str]) -> None:
    """Somebody cleaned ~/.cache by age, a restore was cut, a disk was full: the next start mends it and goes on."""
    answer(file, env=env)
    (path,) = entry(env).rglob(what)
    size = path.stat().st_size
    damage(path)
    answer(file, env=env)
    assert path.stat().st_size == size


@pytest.mark.parametrize(("what", "damage"), [("boot.py", Path.unlink), ("boot.py", _empty), ("sizes", Path.unlink)])
def test_mends_what_starts_it(damage: Callable[[Path], None], what: str, file: Path, env: dict[str, str]) -> None:
    """As above. Nothing of ours runs before boot.py, so what else may be wrong in it is not seen."""
    test_mends_what_was_damaged(damage, what, file, env)


@pytest.mark.parametrize("damage", [Path.unlink, _cut, _empty, _garble])
@pytest.mark.parametrize("what", ["sizes", "main.py"])
def test_starts_whatever_is_damaged(damage: Callable[[Path], None], what: str, file: Path, env: dict[str, str]) -> None:
    """A cache that a crash left half written would keep jobrun from starting for ever."""
    answer(file, env=env)
    (path,) = entry(env).rglob(what)
    damage(path)
    for _ in ("mending", "mended"):
        answer(file, env=env)


def test_mends_a_tree_that_is_gone(file: Path, env: dict[str, str]) -> None:
    """A cleaner of /tmp or of caches would break jobrun for good."""
    answer(file, env=env)
    shutil.rmtree(tree(env))
    answer(file, env=env)
    assert tree(env).is_dir()


def test_what_cannot_be_mended(file: Path, env: dict[str, str]) -> None:
    """Code of the same length that is wrong is somebody's own work: one line, not a traceback, and no circle."""
    answer(file, env=env)
    main = tree(env) / "jobrun" / "cli" / "main.py"
    main.write_bytes(b"?" * main.stat().st_size)
    os.utime(main, (0, 0))
    assert f"cannot start from my cache '{entry(env)}' (" in refusal(file, env=env)


def test_the_jobs_environment_after_mending(file: Path, env: dict[str, str]) -> None:
    """Python's own LC_CTYPE would be in it, as for each start that goes by way of another Python process."""
    answer(file, env=env)
    warm = answer(file, env=env)["environ"]
    (tree(env) / "sizes").unlink()
    mended = answer(file, env=env)["environ"]
    assert isinstance(warm, list)
    assert isinstance(mended, list)
    assert sorted(mended) == sorted(warm)


def test_mends_below_a_folder_named_like_its_own(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """Where somebody's home lies is his own choice."""
    env["HOME"] = str(tmp_path / ".new-home")
    test_mends_what_was_damaged(_cut, "any.so", file, env)


def test_left_overs_of_a_killed_first_start_go(file: Path, env: dict[str, str]) -> None:
    """40 MB each, for ever."""
    for name in (".new-abc", ".old-abc"):
        (cache(env) / name / "x").mkdir(parents=True)
    cache(env).chmod(0o700)
    answer(file, env=env)
    assert [path.name for path in cache(env).iterdir() if path.name != ".lock"] == [entry(env).name]


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, to kill at a certain call")
@pytest.mark.parametrize("moment", ["mkdir 2", "mkdir 3", "fsync 1", "fsync 5", "rename 1", "rename 2", "rename 3"])
def test_killed_first_start(moment: str, file: Path, env: dict[str, str]) -> None:
    """It leaves nothing that the next one trips over."""
    call, nth = moment.split()
    killed = start("strace", "-f", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={nth}", file, env=env)
    assert killed.returncode != 7, "it was not killed"
    for _ in ("cold", "warm"):
        answer(file, env=env)
    assert not list(cache(env).glob(".new-*"))
