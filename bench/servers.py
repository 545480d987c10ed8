"""Servers to measure: private ones, and one over TCP that an unprivileged user runs."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

NOBODY = 65534


def environment(home: Path) -> dict[str, str]:
    """Of somebody new, but for the cache: what is measured is a warm start."""
    home.mkdir(exist_ok=True)
    (home / "run").mkdir(mode=0o700, exist_ok=True)
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "JOBRUN_CACHE": os.environ.get("JOBRUN_CACHE", f"{cache}/jobrun"),
    }


@contextlib.contextmanager
def private(file: Path, home: Path) -> Iterator[tuple[dict[str, str], Path]]:
    """A private server that is up: the environment of its clients, and its socket."""
    env = environment(home)
    process = subprocess.Popen(
        [file, "server", "--private"], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with _stopped(process) as ready:
        yield env, Path(ready.removeprefix("unix:"))


@contextlib.contextmanager
def insecure(file: Path, home: Path) -> Iterator[tuple[dict[str, str], str]]:
    """A server over TCP on loopback, which root may not run: the environment of a client, and HOST:PORT."""
    client = environment(home.with_name("client"))
    env = environment(home)
    account: dict[str, object] = {}
    if os.getuid() == 0:
        account = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        env = {**env, "JOBRUN_CACHE": str(home / "cache"), "USER": pwd.getpwuid(NOBODY).pw_name}
        for folder in (home, home / "run"):
            os.chown(folder, NOBODY, NOBODY)
    argv = [file, "server", "--insecure", "--listen", "127.0.0.1:0", "--data", str(home / "data")]
    process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **account)  # type: ignore[call-overload]  # one mapping for three keywords
    with _stopped(process) as ready:
        yield {**client, "JOBRUN_SERVER": ready}, ready.removeprefix("insecure:")


@contextlib.contextmanager
def _stopped(process: subprocess.Popen[bytes]) -> Iterator[str]:
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode().split()
        if line[:1] != ["ready"]:
            raise SystemExit("bench: the server did not start: run it by hand to see why")
        yield line[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
