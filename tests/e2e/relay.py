"""A connection that breaks at the worst moment: what the server has done, and its answer does not arrive."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Iterator
from typing import Any

import grpc

from tests.e2e.tls_server import TlsServer

WITHIN_S = 30


class Relay(grpc.GenericRpcHandler):
    """Between clients and a server, with the server's own certificate. Passes calls with one answer alone."""

    def __init__(self, server: TlsServer) -> None:
        self.lose = ""
        """The name of a method: its next answer is lost on the way."""
        self.calls: list[str] = []
        """Methods that were called, in order."""
        trusted = grpc.ssl_channel_credentials(server.certificate)
        self._channel = grpc.secure_channel(
            server.address, trusted, [("grpc.ssl_target_name_override", "jobrun.internal")]
        )
        pem = (server.data / "tls.pem").read_bytes()
        key = pem[: pem.index(b"-----BEGIN CERTIFICATE-----")]
        self._pool = concurrent.futures.ThreadPoolExecutor(8)
        self._server = grpc.server(self._pool, options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self,))
        credentials = grpc.ssl_server_credentials([(key, server.certificate)])
        self.address = f"127.0.0.1:{self._server.add_secure_port('127.0.0.1:0', credentials)}"
        self._server.start()

    def service(self, details: Any) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Any call: passed on with what came with it."""

        def passed(message: bytes, context: Any) -> bytes:
            name = details.method.rpartition("/")[2]
            self.calls.append(name)
            sent = tuple(pair for pair in details.invocation_metadata if pair[0] == "authorization")
            call: Any = self._channel.unary_unary(details.method)
            answer = call.future(message, metadata=sent, timeout=WITHIN_S)
            code = answer.code()  # once it has ended
            if name == self.lose:
                self.lose = ""
                context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
            if code is not grpc.StatusCode.OK:
                context.set_trailing_metadata(answer.trailing_metadata())
                context.abort(code, answer.details())
            got: bytes = answer.result()
            return got

        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(passed)
        return handler

    def close(self) -> None:
        """The test's end."""
        self._server.stop(0).wait()
        self._pool.shutdown()
        self._channel.close()


@contextlib.contextmanager
def relay_to(server: TlsServer) -> Iterator[Relay]:
    """One that listens, until the end of the block."""
    relay = Relay(server)
    try:
        yield relay
    finally:
        relay.close()
