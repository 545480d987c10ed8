"""What a user does first with the file, by real commands; the same on each target. Started by the target's own Python,
which may be too old for jobrun: `python3 smoke.py FILE FOLDER jobs|client`, the latter where no job can run.

Prints what came of it as one JSON object.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

DEADLINE_S = 600.0  # ends what hangs; an emulated machine is 20 times as slow
ROUNDS = 15
IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.append(sys.argv[1])
import jobrun
for module in pkgutil.walk_packages(jobrun.__path__, "jobrun."):
    importlib.import_module(module.name)
"""


class Box:
    """A user with a fresh HOME in `folder`, and the file."""

    def __init__(self, file: str, folder: str) -> None:
        self.file = file
        self.folder = folder
        self.python = os.path.realpath(sys.executable)
        bin_ = self.make("bin")
        os.symlink(self.python, bin_ + "/python3")
        self.env = {"PATH": bin_ + ":/usr/bin:/bin", "HOME": self.make("home"), "XDG_RUNTIME_DIR": self.make("run")}

    def make(self, name: str) -> str:
        """A new folder for the user alone."""
        path = os.path.join(self.folder, name)
        os.mkdir(path, 0o700)
        return path

    def run(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """The file, to its end."""
        return subprocess.run(
            [self.file, *words],
            env=self.env,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def told(self, *words: str, stdin: bytes = b"") -> bytes:
        """What the file prints; AssertionError unless it leaves with 0."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def expect(self, code: int, out: bytes, *words: str, stdin: bytes = b"") -> None:
        """AssertionError unless the file does this."""
        done = self.run(*words, stdin=stdin)
        assert (done.returncode, done.stdout) == (code, out), (done.returncode, done.stdout, done.stderr)


def says_its_version(box: Box) -> None:
    """And what is inside."""
    assert b"cryptography" in box.told("version", "--licenses")


def imports_every_module(box: Box) -> None:
    """A command that is seldom used would fail on one Python alone."""
    (tree,) = glob.glob(box.env["HOME"] + "/.cache/jobrun/*/cp3*")
    words = [box.python, "-I", "-S", "-c", IMPORT_ALL, tree]
    done = subprocess.run(words, env=box.env, capture_output=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.splitlines()[-1:]


def runs_a_command(box: Box) -> None:
    """Output and exit code are the command's."""
    box.expect(3, b"out\n", "run", "--", "/bin/sh", "-c", "echo out; echo err >&2; exit 3")


def gives_it_stdin(box: Box) -> None:
    """All bytes."""
    data = bytes(range(256)) * 512
    box.expect(0, data, "run", "-i", "--", "cat", stdin=data)


def holds_limits(box: Box) -> None:
    """Wall time, the size of a file, open files."""
    box.expect(124, b"", "run", "--timeout", "500ms", "--grace", "0s", "--", "sleep", "600")
    fill = "trap '' XFSZ; head -c 20000 /dev/zero >big 2>/dev/null; wc -c <big"
    box.expect(0, b"10240\n", "run", "--file-size", "10K", "--", "/bin/sh", "-c", fill)
    box.expect(0, b"77\n", "run", "--open-files", "77", "--", "/bin/sh", "-c", "ulimit -n")


def lists_jobs(box: Box) -> None:
    """As JSON, the newest first."""
    started = box.told("start", "--name", "last", "--", "true").decode().strip()
    box.expect(0, b"", "wait", started)
    jobs = [json.loads(line) for line in box.told("list", "-a", "--json").splitlines()]
    assert (jobs[0]["id"], jobs[0]["finished"]["exit_code"]) == (started, 0), jobs[:1]


def logs_in_to_a_server(box: Box) -> None:
    """TLS, password, token: all that is compiled has a part in it."""
    with logged_in(box):
        assert b"admin" in box.told("whoami")


def runs_a_command_there(box: Box) -> None:
    """As on this machine."""
    with logged_in(box):
        box.expect(5, b"there\n", "run", "--", "/bin/sh", "-c", "echo there; exit 5")


@contextlib.contextmanager
def logged_in(box: Box) -> Iterator[None]:
    """A server of its own, and the login there is the current one."""
    data = os.path.join(box.folder, "data")
    words = [box.file, "server", "--listen", "127.0.0.1:0", "--data", data]
    with open(box.folder + "/server.log", "wb") as log:
        server = subprocess.Popen(words, env=box.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
    try:
        assert server.stdout is not None
        _, address, fingerprint = server.stdout.readline().decode().split()[:3]
        with open(data + "/admin-password", "rb") as password:
            typed = password.read()
        login = ["login", "--user", "admin", "--fingerprint", fingerprint, "--password-stdin", address]
        box.told(*login, stdin=typed)
        yield
        box.told("logout")
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=DEADLINE_S)
    assert server.returncode == 0, server.returncode


CLIENT_CHECKS = (says_its_version, imports_every_module, logs_in_to_a_server)
# Before the others: after a login no command goes to this machine by itself.
JOB_CHECKS = (runs_a_command, gives_it_stdin, holds_limits, lists_jobs, runs_a_command_there)


def milliseconds(box: Box, words: Sequence[str]) -> float:
    """The whole process."""
    begun = time.perf_counter()
    subprocess.run(words, env=box.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - begun) * 1000


def warm_starts(box: Box) -> dict[str, float]:
    """Medians in ms, one after the other in turns: `version`, and the interpreter that does nothing."""
    pairs = [
        (milliseconds(box, [box.file, "version"]), milliseconds(box, [box.python, "-I", "-S", "-c", "pass"]))
        for _ in range(ROUNDS)
    ]
    warm, bare = (statistics.median(column) for column in zip(*pairs))  # noqa: B905 - 3.9 has no strict
    return {"warm_ms": round(warm, 1), "bare_ms": round(bare, 1)}


def unpacked(box: Box) -> dict[str, object]:
    """How large the cache is, and which Python the next start takes."""
    cache = box.env["HOME"] + "/.cache/jobrun"
    paths = [os.path.join(where, name) for where, _, names in os.walk(cache) for name in names]
    (record,) = [path for path in paths if os.path.basename(path) == "python"]
    with open(record) as known:
        by_me = known.read().strip() == box.python
    return {"entry_mb": round(sum(os.lstat(path).st_size for path in paths) / 1e6, 1), "by_this_python": by_me}


def failures(box: Box, *, jobs: bool) -> dict[str, str]:
    """What did not do as it should, by the name of the check."""
    failed = {}
    for check in (*JOB_CHECKS, *CLIENT_CHECKS) if jobs else CLIENT_CHECKS:
        try:
            check(box)
        except Exception as error:  # noqa: BLE001 - told, and the other checks are still worth making
            failed[check.__name__] = f"{type(error).__name__}: {error}"
    return failed


def report(box: Box, *, jobs: bool) -> dict[str, object]:
    """All of it."""
    facts: dict[str, object] = {
        "python": platform.python_version(),
        "machine": os.uname().machine,
        "libc": " ".join(platform.libc_ver()),
    }
    begun = time.perf_counter()
    first = box.run("version")
    facts["first_start_s"] = round(time.perf_counter() - begun, 2)
    if first.returncode:
        return {**facts, "refused": first.stderr.decode(), "code": first.returncode}
    return {**facts, **unpacked(box), **warm_starts(box), "failed": failures(box, jobs=jobs)}


if __name__ == "__main__":
    print(json.dumps(report(Box(*sys.argv[1:3]), jobs=sys.argv[3] == "jobs")))
