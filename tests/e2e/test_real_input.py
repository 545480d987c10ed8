"""What people really run: a build, two gigabytes, a log by the line."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.e2e.client import BUILT
from tests.e2e.deadline import patience
from tests.e2e.home import Home

MARKUPSAFE = "MarkupSafe-2.1.5.tar.gz"
MARKUPSAFE_SHA256 = "d283d37a890ba4c1ae73ffadf8046435c76e7bc2247bbb63c00bd1a709c6544b"
BIG = 2 << 30
GENERATE = "openssl enc -aes-128-ctr -K 00112233445566778899aabbccddeeff -iv 0 -in /dev/zero 2>/dev/null | head -c {}"
"""Shell text: so many bytes that look random and are always the same."""


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MarkupSafe's source, from PyPI, of a pinned hash."""
    folder = tmp_path_factory.mktemp("sdist")
    pinned = folder / "requirements.txt"
    pinned.write_text(f"markupsafe==2.1.5 --hash=sha256:{MARKUPSAFE_SHA256}\n")
    words = [
        "download",
        "-q",
        "--no-deps",
        "--no-binary",
        ":all:",
        "--no-build-isolation",
        "-d",
        str(folder),
        "-r",
        str(pinned),
    ]
    done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, timeout=patience(60), check=False)
    if done.returncode:
        pytest.skip(f"PyPI is not reachable: {done.stderr.decode()[-300:]}")
    return folder / MARKUPSAFE


def build(sdist: Path, home: Home, *prefix: str) -> tuple[bytes, str, str]:
    """Builds the extension in the same folder each time, with the setuptools of these tests: the .so, and what was said
    on both streams."""
    folder = home.work / "build"
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    source = next(folder.iterdir())
    program = "import setuptools, sys; sys.argv = ['setup.py', 'build_ext', '--inplace']; exec(open('setup.py').read())"
    env = {"SOURCE_DATE_EPOCH": "1700000000", "PYTHONHASHSEED": "0", "CIBUILDWHEEL": "1"}
    script = f'cd "{source}" && exec "$@"'
    client = home.command("sh", "-c", script, "sh", *prefix, sys.executable, "-c", program, env=env)
    result = client.finish(120).passed()
    (shared,) = source.glob("src/markupsafe/*.so")
    built = shared.read_bytes()
    shutil.rmtree(folder)
    return built, result.out, result.err


def test_a_build_of_a_real_package_is_the_same(warm: Home, sdist: Path) -> None:
    """A build through jobrun would not be the one without."""
    without = build(sdist, warm)
    through = build(sdist, warm, str(BUILT), "run", "--")
    assert through[0] == without[0]
    assert through[1] == without[1]
    assert through[2] == without[2]


def test_two_gigabytes_of_binary_output(warm: Home) -> None:
    """A large result, a disk image or a backup, would come damaged or not at all. The server may have removed a job of
    that size before anybody can ask for it."""
    script = f"jobrun run --log-limit 3G --result big.json sh -c '{GENERATE.format(BIG)}' | sha256sum"
    through = warm.shell(script, within=200).passed()
    direct = warm.shell(f"{GENERATE.format(BIG)} | sha256sum", within=100).passed()
    assert through.out == direct.out
    assert through.err == ""
    usage = json.loads((warm.work / "big.json").read_text())["usage"]
    assert int(usage["output_bytes"]) == BIG
    assert int(usage["output_dropped_bytes"]) == 0


def test_output_of_every_byte(warm: Home) -> None:
    """A tar or a core on stdout would be changed by a codec or a terminal's rules."""
    script = f"jobrun run sh -c '{GENERATE.format(5_000_000)}'"
    through = warm.shell(script).passed().stdout
    assert hashlib.sha256(through).digest() == hashlib.sha256(warm.shell(GENERATE.format(5_000_000)).stdout).digest()
    job = warm.status("@last")["id"]
    assert list((warm.data / "jobs").glob(job))
    warm.jobrun("rm", job).passed()
    assert not list((warm.data / "jobs").glob(job)), "its room is given back"


def test_tar_through_a_job(warm: Home) -> None:
    """The oldest way to move a folder would not work."""
    source = warm.work / "source"
    source.mkdir()
    for n in range(50):
        (source / f"file{n}").write_bytes(os.urandom(n * 997))
    script = "mkdir copy && jobrun run tar -C source -cf - . | tar -C copy -xf - && diff -r source copy"
    assert warm.shell(script).passed().err == ""


def test_a_program_that_asks_whether_it_has_a_terminal(warm: Home) -> None:
    """A program would colour its output, or ask a question that nobody answers."""
    assert warm.jobrun("run", "sh", "-c", "test -t 0 || test -t 1 || test -t 2 || echo none").passed().out == "none\n"
    with contextlib.suppress(FileNotFoundError):
        terminal = subprocess.run(
            ["script", "-qec", f"{BUILT} run sh -c 'test -t 1 || test -t 0 || echo none'", "/dev/null"],
            env=warm.environment(),
            cwd=warm.work,
            capture_output=True,
            timeout=patience(20),
            check=True,
        )
        assert terminal.stdout.strip() == b"none"


def test_jobs_that_call_jobrun(warm: Home) -> None:
    """A job that starts another one would wait for itself."""
    script = '"$JR" run sh -c "exit 5"; echo $?'
    assert warm.jobrun("run", "sh", "-c", script, env={"JR": str(BUILT)}).passed().out == "5\n"
