"""The built file itself: what is in it, its first start and its warm one. Starts that go wrong, one by one, are in
tests/unit/test_first_start.py."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from tests.e2e import processes
from tests.e2e.client import BUILT
from tests.e2e.deadline import patience
from tests.e2e.home import Home
from tests.e2e.insecure import Nobody

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "packaging" / "requirements.txt"
FIRST_START_S = 2.5
WARM_TO_BARE = 2.0
"""What a warm `version` may take, beside an interpreter that does nothing."""

ALL_THAT_IS_USED = """
import sys
sys.path.append(sys.argv[1])
import bcrypt, grpc, grpc.aio, jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.internal import api_implementation
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha._async import ReflectionServicer
key = Ed25519PrivateKey.generate()
assert jwt.decode(jwt.encode({"a": 1}, key, algorithm="EdDSA"), key.public_key(), algorithms=["EdDSA"]) == {"a": 1}
assert bcrypt.checkpw(b"p", bcrypt.hashpw(b"p", bcrypt.gensalt(4)))
pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
assert serialization.load_pem_private_key(pem, None).key_size == 256
assert api_implementation.Type() == "upb"
"""


@pytest.fixture
def empty_cache() -> Iterator[Path]:
    """A cache of this test's own."""
    folder = Path(tempfile.mkdtemp(prefix="jc-", dir="/tmp"))
    yield folder
    rmtree(folder)


def unpacked(cache: Path) -> tuple[str, str]:
    """The Python that the file starts, and the one tree in that cache."""
    (record,) = cache.glob("*/python")
    (tree,) = record.parent.glob("cp3*")
    return record.read_text().strip(), str(tree)


def test_all_that_is_used_is_inside(cache: Path, warm: Home) -> None:
    """A part of a package that was left out, but is needed, would be missed where it is used first: at a login."""
    python, tree = unpacked(cache)
    done = subprocess.run(
        [python, "-I", "-S", "-c", ALL_THAT_IS_USED, tree],
        capture_output=True,
        text=True,
        timeout=patience(10),
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nothing_is_inside_that_is_not_used(cache: Path, warm: Home) -> None:
    """Each file costs a first start, and each byte a copy."""
    tree = Path(unpacked(cache)[1])
    wrong = re.compile(r"(^|/)(tests?|docs?|cffi|pycparser|[^/]*\.dist-info)/|\.(pyi|h|cc|pyx|pxd|proto)$")
    assert [name for name in map(str, (p.relative_to(tree) for p in tree.rglob("*"))) if wrong.search(name)] == []


def test_licenses_are_told(warm: Home) -> None:
    """Who passes the file on must pass on the licences of what is inside."""
    locked = set(re.findall(r"^([a-z0-9-]+)==", LOCK.read_text(), re.M)) - {"pycparser"}
    whole = json.loads(warm.jobrun("version", "--licenses", "--json").passed().out)
    told = whole["inside"]
    assert {work["name"].lower().replace("_", "-") for work in told} == locked
    assert [work["name"] for work in told if not work["license"] or not work["texts"]] == []
    words = warm.jobrun("version", "--licenses").passed().out
    assert "cryptography 50" in words
    assert "with openssl" in words
    own = (ROOT / "LICENSE").read_text()
    assert own[: own.index("APPENDIX")].strip() in words, "the terms of jobrun's own licence, word for word"
    assert words.startswith(f"jobrun {whole['version']}: {whole['license']}\n")
    assert f'\nlicense = "{whole["license"]}"\n' in (ROOT / "pyproject.toml").read_text()


def test_first_start_is_quick(warm: Home, empty_cache: Path) -> None:
    """Each new container pays for it. Counted in CPU time, which other load does not lengthen."""
    begun = os.times()
    warm.jobrun("version", env={"JOBRUN_CACHE": str(empty_cache)}).passed()
    ended = os.times()
    used = ended.children_user + ended.children_system - begun.children_user - begun.children_system
    assert used < FIRST_START_S


def test_warm_start_is_quick(cache: Path, warm: Home) -> None:
    """Scripts call jobrun in loops. The best of many, beside the bare interpreter's, so that other load falls out."""
    python, _ = unpacked(cache)
    bare, ours = [], []
    for _ in range(20):
        bare.append(_seconds([python, "-I", "-S", "-c", "pass"], warm))
        ours.append(_seconds([str(BUILT), "version"], warm))
    assert min(ours) < WARM_TO_BARE * min(bare)


def _seconds(command: list[str], home: Home) -> float:
    begun = time.perf_counter()
    subprocess.run(command, env=home.environment(), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def test_many_first_starts_at_once(warm: Home, empty_cache: Path) -> None:
    """A pipeline's parallel steps on a fresh machine: each works, and it is unpacked once."""
    starts = [warm.client("version", env={"JOBRUN_CACHE": str(empty_cache)}) for _ in range(8)]
    for one in starts:
        assert one.finish(60).passed().out.startswith("jobrun ")
    assert len([path for path in empty_cache.iterdir() if path.name != ".lock"]) == 1


def test_a_compiled_module_that_was_cut(warm: Home, empty_cache: Path) -> None:
    """Without a look at its length, the process dies of SIGBUS and says nothing."""
    env = {"JOBRUN_CACHE": str(empty_cache)}
    warm.jobrun("version", env=env).passed()
    (module,) = empty_cache.rglob("cygrpc.*.so")
    os.truncate(module, 1 << 20)
    assert warm.jobrun("run", "echo", "hi", env=env).passed().out == "hi\n"


LITTLE_SPACE = "the address space is limited to 307 MB, and 800 MB are needed: raise it by ulimit -v"


@pytest.mark.parametrize(
    ("limit", "line"),
    [
        ("-v 300000", f"the private server did not start: {LITTLE_SPACE}"),
        ("-d 50000", "the private server did not start: private memory is limited to 51 MB, and 120 MB are needed:"),
        ("-n 20", "the private server did not start: 20 open files are allowed, and a server needs 64: raise it by"),
    ],
)
def test_limits_that_grpc_would_meet(limit: str, line: str, home: Home) -> None:
    """In a batch system's job, or a tight service: C++ ended with `bad_alloc`, or talked about its eventfd."""
    assert refused_within(limit, home).startswith(f"jobrun: {line}")


def test_little_memory_beside_a_server(warm: Home) -> None:
    """The same, where a server runs already, as in a job of a small --memory: the client itself aborted."""
    assert refused_within("-v 300000", warm) == f"jobrun: {LITTLE_SPACE}\n"
    assert refused_within("-d 50000", warm).startswith("jobrun: private memory is limited to 51 MB")


def refused_within(limit: str, home: Home) -> str:
    """The line that `jobrun run` says when it is started under an ulimit."""
    command = ["/bin/sh", "-c", f'ulimit {limit} && exec "$0" run -- true', str(BUILT)]
    done = subprocess.run(
        command, env=home.environment(), capture_output=True, text=True, timeout=patience(20), check=False
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (125, "", 1)
    return done.stderr


@pytest.mark.parametrize("home", ["unset", "/nonexistent", "another's", "file"])
def test_f42_no_home_to_write_to(home: str, nobody: Nobody) -> None:
    """A service user without a home, or one whose cache sudo left to root: a traceback."""
    (nobody.root / "file").touch()
    (nobody.root / "scratch").mkdir(mode=0o777)
    (nobody.root / "scratch").chmod(0o1777)
    places = {"/nonexistent": "/nonexistent", "another's": "/root", "file": f"{nobody.root}/file"}
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": f"{nobody.root}/scratch"}
    if home in places:
        env["HOME"] = places[home]
    uid = 65534 if os.getuid() == 0 else None
    done = subprocess.run(
        [str(BUILT), "version"], env=env, user=uid, group=uid, capture_output=True, timeout=patience(20), check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert list((nobody.root / "scratch").glob("jobrun-cache-*/*/boot.py"))


def test_f44_a_home_so_deep_that_no_socket_fits(warm: Home) -> None:
    """bind(2) takes 107 bytes of a path: an obscure error, or a name cut short that two users share."""
    deep = warm.root / ("d" * 150)
    deep.mkdir(mode=0o700)
    moved = dict.fromkeys(("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"))
    with_deep = {**moved, "HOME": str(deep)}
    assert warm.jobrun("run", "echo", "hi", env=with_deep).passed().out == "hi\n"
    (data,) = (deep / ".local/state/jobrun").glob("private*")
    with contextlib.closing(processes.Process(processes.lock_holder(data / "lock"))) as server:
        server.signal(signal.SIGTERM)
        server.wait()
