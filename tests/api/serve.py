"""The daemon from source, as its own process: `python serve.py DATA [SLOTS]`. Not a test."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from jobrun.config.environment import quiet_grpc
from jobrun.config.server_settings import ServerSettings
from jobrun.daemon import serve


def main() -> int:
    """Private on DATA/socket; with SLOTS one that gives jobs fresh folders, on a free port as well."""
    data, private = Path(sys.argv[1]), len(sys.argv) < 3
    os.umask(0o077)
    quiet_grpc()
    return serve(
        ServerSettings(
            data=data,
            listen="" if private else "127.0.0.1:0",
            private=private,
            insecure=not private,
            socket=data / "socket",
            idle_s=0.0,
            user_name="ann",
            slots=None if private else int(sys.argv[2]),
            version="0.1.0.dev0",
            build="source",
            notify_socket="",
        )
    )


if __name__ == "__main__":
    sys.exit(main())
