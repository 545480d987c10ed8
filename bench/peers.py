"""An sshd of Debian's on loopback, for somebody who may log in by key."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

CLIENT_OPTIONS = ("StrictHostKeyChecking=yes", "BatchMode=yes")
"""Besides the key and the port all is Debian's default: ed25519 host key, no connection shared."""


@contextlib.contextmanager
def ssh(folder: Path) -> Iterator[list[str]]:
    """The words before a remote command, each time with a new connection. The daemon runs until the end."""
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if sshd is None:
        raise SystemExit("bench: no sshd: apt-get install openssh-server")
    Path("/run/sshd").mkdir(exist_ok=True)  # its chroot for privilege separation: the package's unit makes it
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    port = _free_port()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    options = [
        f"HostKey={folder}/host",
        f"AuthorizedKeysFile={folder}/authorized",
        "StrictModes=no",  # the key lies under /tmp
        f"ListenAddress=127.0.0.1:{port}",
        f"PidFile={folder}/pid",
        "UsePAM=no",
    ]
    words = [word for option in options for word in ("-o", option)]
    daemon = subprocess.Popen([sshd, "-D", "-e", "-f", "/dev/null", *words], stderr=subprocess.PIPE)
    try:
        assert daemon.stderr is not None
        while b"listening" not in (line := daemon.stderr.readline()):
            if not line:
                raise SystemExit("bench: sshd did not start")
        yield [
            *("ssh", "-F", "none", "-p", str(port), "-i", f"{folder}/user", "-o", f"UserKnownHostsFile={folder}/known"),
            *(word for option in CLIENT_OPTIONS for word in ("-o", option)),
            "127.0.0.1",
        ]
    finally:
        daemon.terminate()
        daemon.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
