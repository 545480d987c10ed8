"""The daemon from source, as its own process: `python serve.py DATA [NAME=VALUE...]`. Not a test."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from jobrun.config.environment import quiet_grpc
from jobrun.config.server_settings import ServerSettings
from jobrun.daemon.serve import serve


def main() -> int:
    """Private on DATA/socket; with `slots` one that gives jobs fresh folders, on a TCP port as well; with `login` one
    with TLS and users, whose access tokens are good for that many seconds."""
    data, asked = Path(sys.argv[1]), dict(word.split("=", 1) for word in sys.argv[2:])
    login = "login" in asked
    private = not login and "slots" not in asked
    os.umask(0o077)
    quiet_grpc()
    return serve(
        ServerSettings(
            data=data,
            listen="" if private else asked.get("listen", "127.0.0.1:0"),
            private=private,
            insecure=not private and not login,
            socket=None if login else data / "socket",
            idle_s=float(asked.get("idle", "0")),
            user_name="ann",
            slots=None if private else int(asked.get("slots", "8")),
            version="0.1.0.dev0",
            build="source",
            notify_socket=asked.get("notify", ""),
            access_token_s=int(asked.get("login", "600")),
        )
    )


if __name__ == "__main__":
    sys.exit(main())
