"""Places where a file can be tried: a Python of this system, or another Debian under build/, emulated where the machine
is another. Each in namespaces of its own, from which no process is left."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.environment import BUILD, run, say

_ROOTS = BUILD / "portability"
_NEEDED = "libstdc++6"  # by grpc


@dataclass(frozen=True)
class _Machine:
    """What uname and qemu call it, and of the head of its programs the class and the machine: elf(5)."""

    name: str
    elf_class: int
    elf_machine: int


_MACHINES = {
    "amd64": _Machine("x86_64", 2, 0x3E),
    "arm64": _Machine("aarch64", 2, 0xB7),
    "armhf": _Machine("arm", 1, 0x28),
}


class Absent(Exception):
    """Why a target is not here."""


@dataclass(frozen=True)
class Place:
    """Where a file is tried: by which Python, below which root, emulated for which architecture."""

    python: str
    root: Path = Path("/")
    emulated: str = ""

    @property
    def tmp(self) -> Path:
        """Its /tmp as seen from here."""
        return self.root / "tmp"

    def inside(self, path: Path) -> str:
        """What a path from here is called there."""
        return f"/{path.relative_to(self.root)}"

    def command(self, words: Sequence[str]) -> list[str]:
        """What runs a program there, as root of a user namespace, with an empty environment. All that it started ends
        with it."""
        apart = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"]
        qemu, magic = _emulator(self.emulated) if self.emulated else ("", "")
        return [*apart, "/bin/sh", "-ec", _ENTER, "sh", str(self.root), qemu, magic, "/usr/bin/env", "-i", *words]


# binfmt_misc belongs to the user namespace (Linux 6.7): the rest of the machine does not see this emulator. O: it opens
# the program itself, F: found before the chroot. https://docs.kernel.org/admin-guide/binfmt-misc.html
_ENTER = """
root=$1 qemu=$2 magic=$3; shift 3
if [ -n "$qemu" ]; then
    mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
    printf ":jobrun:M::%s:$qemu:OF" "$magic" >/proc/sys/fs/binfmt_misc/register
fi
mount --rbind /dev "${root%/}/dev"
mount -t proc none "${root%/}/proc"
exec chroot "$root" "$@"
"""


def debian(suite: str, architecture: str, python: str = "python3") -> Callable[[], Place]:
    """A Debian with this package's program of the same name, unpacked below build/ the first time.

    Nothing of it is configured or started."""

    def find() -> Place:
        root = _ROOTS / f"{suite}-{architecture}-{python}"
        emulated = _emulated(architecture)
        if not root.is_dir():
            _require("debootstrap", "dpkg-deb", "unshare")
            _unpack(suite, architecture, f"{python},{_NEEDED}", root)
        return Place(f"/usr/bin/{python}", root, emulated)

    return find


def _emulated(architecture: str) -> str:
    """The architecture, if programs of it need an emulator here."""
    mine = os.uname().machine
    if architecture not in _MACHINES or _MACHINES[architecture].name == mine:
        return ""
    _require(f"qemu-{_MACHINES[architecture].name}-static")
    return architecture


def _emulator(architecture: str) -> tuple[str, str]:
    """The emulator, and MAGIC:MASK of its programs."""
    machine = _MACHINES[architecture]
    magic = b"\x7fELF" + bytes([machine.elf_class, 1, 1]) + bytes(9) + bytes([2, 0, machine.elf_machine, 0])
    mask = b"\xff" * 7 + b"\0" + b"\xff" * 8 + b"\xfe\xff\xff\xff"
    coded = ":".join("".join(f"\\x{byte:02x}" for byte in text) for text in (magic, mask))
    return f"/usr/bin/qemu-{machine.name}-static", coded


def _require(*programs: str) -> None:
    lacking = [name for name in programs if shutil.which(name) is None]
    if lacking:
        raise Absent(f"needs {' and '.join(lacking)}")


def _unpack(suite: str, architecture: str, wanted: str, root: Path) -> None:
    """All or nothing."""
    new = root.with_name(root.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.parent.mkdir(parents=True, exist_ok=True)
    say(f"fetching Debian {suite} for {architecture}")
    options = ["--foreign", f"--arch={architecture}", "--variant=minbase", f"--include={wanted}"]
    fetched = subprocess.run(
        ["debootstrap", *options, suite, str(new)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    packages = sorted((new / "var/cache/apt/archives").glob("*.deb"))
    if fetched.returncode or not packages:
        raise Absent("debootstrap could not fetch it")
    for package in packages:
        run(["dpkg-deb", "--extract", package, new], why="unpacking a Debian")
        package.unlink()
    (new / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    new.rename(root)
