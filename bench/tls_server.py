"""A server with TLS as its own process, from source: `python -m bench.tls_server DATA token|open`.

`token`: as it is. `open`: the same, but for its gate, which asks for nothing: what is between the two is what a token
costs. The product has no such server."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

from jobrun.auth import auth
from jobrun.auth.gate import OpenGate
from jobrun.config.environment import quiet_grpc
from jobrun.config.server_settings import ServerSettings
from jobrun.daemon.serve import serve
from jobrun.model.caller import Caller, Role


def main() -> int:
    """Serves until a signal."""
    data, kind = sys.argv[1:]
    os.umask(0o077)
    quiet_grpc()
    if kind == "open":
        auth.open_auth = _with_open_gate(auth.open_auth)
    return serve(
        ServerSettings(
            data=Path(data),
            listen="127.0.0.1:0",
            private=False,
            insecure=False,
            socket=None,
            idle_s=0.0,
            user_name="bench",
            slots=8,
            notify_socket="",
            version="bench",
            build="source",
            access_token_s=86_400,
        )
    )


def _with_open_gate(open_auth: Any) -> Any:
    async def open_ungated(*given: Any, **named: Any) -> auth.Auth:
        gate: Any = OpenGate(Caller(user="admin", role=Role.ADMIN))
        opened: auth.Auth = await open_auth(*given, **named)
        return dataclasses.replace(opened, gate=gate)

    return open_ungated


if __name__ == "__main__":
    sys.exit(main())
