"""The command line of build.py. Modules that cost are imported by the command that uses them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from builder.environment import ROOT, VENV_PYTHON, BuildError, alone, install_tools, say

if TYPE_CHECKING:
    import argparse

USAGE = """\
usage: python3 build.py COMMAND
  run -- ARGV...           build for this machine if needed, and run ARGV as a job
  run COMMAND...           the same with any command of jobrun: run list -a
  test [PYTEST ARGS]       the whole test suite, or the folders of it that are named, some at once; or what pytest is
                           told to take, one by one
  check                    ruff, mypy, buf lint, and whether what is generated is current
  proto                    generate jobrun/wire/gen from proto/
  docs                     make docs/reference and docs/man from the program's tables
  build [--check] [--output FILE] [--version X.Y.Z]
                           the file for all targets, its bill of materials and SHA256SUMS; --check: again elsewhere,
                           to see that the same bytes come out
  build --this-machine [--output FILE] [--version X.Y.Z]
  portability [WORD...]    a table of what the file for all targets does on each that can be had here; WORD: part of
                           a target's name
  image [--output FILE] [--stand-in]
                           the image of the Dockerfile, by docker or podman, if its tests pass; --stand-in: on a base
                           of Debian's, for trying it where none can be pulled
  bench [ARGS]             figures beside those of other programs
  lock                     resolve packaging/*.in anew; takes the newest releases
"""


def main(argv: Sequence[str]) -> int:
    """Do one command: 0, 1 for a failure said in one line, 2 for wrong usage, or the code of the program it became."""
    commands: dict[str, Callable[[list[str]], int]] = {
        "run": run,
        "test": test,
        "check": check,
        "proto": proto,
        "docs": docs,
        "build": build,
        "portability": portability,
        "image": image,
        "bench": bench,
        "lock": lock,
    }
    if not argv or argv[0] not in commands:
        asked = bool(argv) and argv[0] in ("help", "--help", "-h")
        print(USAGE, end="", file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    try:
        return commands[argv[0]](list(argv[1:]))
    except BuildError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def run(words: list[str]) -> NoReturn:
    """Become jobrun, built from the sources as they are."""
    from builder.freshness import fresh_dist

    file = str(fresh_dist())
    arguments = ["run", *words] if words[:1] == ["--"] else words
    os.execv(file, [file, *arguments])


def test(words: list[str]) -> NoReturn:
    """Become pytest."""
    from builder.freshness import fresh_dist

    install_tools()
    fresh_dist()
    os.chdir(ROOT)
    os.execv(VENV_PYTHON, [str(VENV_PYTHON), "-m", "pytest", *_some_at_once(words), *words])


def _some_at_once(words: list[str]) -> list[str]:
    """How pytest runs the whole suite, or folders of it: a worker more than there are CPUs, as tests wait a third of
    their time. By file, as the tests of one share servers; in the order of the names, so that the quickest, those of
    tests/unit, come last and no worker is left alone with a long one. Single files and tests run one by one."""
    if any(os.path.isfile(word.partition("::")[0]) for word in words):
        return []
    workers = len(os.sched_getaffinity(0)) + 1
    return ["--numprocesses", str(workers), "--dist", "loadfile", "--no-loadscope-reorder"]


def check(_: list[str]) -> int:
    """All checks but the tests."""
    from builder import checks

    checks.check()
    return 0


def proto(_: list[str]) -> int:
    """Generate the code from proto/."""
    from builder import stubs

    stubs.generate()
    return 0


def docs(_: list[str]) -> int:
    """Make the reference and the manual pages."""
    from builder import docs

    docs.write()
    return 0


def build(words: list[str]) -> int:
    """Write the file, for all targets or this machine."""
    from builder import assemble, freshness

    options = _build_options(words)
    with alone():
        build_it = assemble.build_this_machine if options.this_machine else assemble.build_all
        build_it(options.output, options.version)
        if options.output == freshness.DIST and options.version == assemble.source_version():
            freshness.record()
    if options.check:
        from builder import reproduce

        reproduce.check(options.output, options.version)
    return 0


def _build_options(words: list[str]) -> argparse.Namespace:
    import argparse
    from pathlib import Path

    from builder import assemble
    from builder.freshness import DIST

    parser = argparse.ArgumentParser(prog="build.py build")
    parser.add_argument("--this-machine", action="store_true", help="for this CPU and this Python's minor version only")
    parser.add_argument("--output", type=Path, default=DIST, metavar="FILE")
    parser.add_argument(
        "--version", default=assemble.source_version(), metavar="X.Y.Z", help="what the file says it is"
    )
    parser.add_argument("--check", action="store_true", help="build again elsewhere and compare")
    options = parser.parse_args(words)
    if options.check and options.this_machine:
        parser.error("--check is for the file that is the same everywhere, which one of --this-machine is not")
    return options


def portability(words: list[str]) -> int:
    """Write the file for all targets, and the table of what it does where."""
    from builder import portability
    from builder.freshness import DIST

    build([])
    portability.table(DIST, words)
    return 0


def image(words: list[str]) -> int:
    """Build the image, and test it."""
    import argparse
    from pathlib import Path

    from builder import image

    parser = argparse.ArgumentParser(prog="build.py image")
    parser.add_argument("--output", type=Path, metavar="FILE", help="save it there, for docker load")
    parser.add_argument("--stand-in", action="store_true", help="on a base made by debootstrap")
    options = parser.parse_args(words)
    image.build(options.output, stand_in=options.stand_in)
    return 0


def bench(words: list[str]) -> NoReturn:
    """Become bench/run.py."""
    from builder.freshness import fresh_dist

    if not (ROOT / "bench" / "run.py").exists():
        raise BuildError("bench/run.py: not in this version")
    install_tools()
    fresh_dist()
    os.chdir(ROOT)
    os.execv(VENV_PYTHON, [str(VENV_PYTHON), "bench/run.py", *words])


def lock(_: list[str]) -> int:
    """Resolve the requirement files anew."""
    from builder import locking

    locking.lock()
    return 0
