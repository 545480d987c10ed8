"""A connection that breaks at the worst moment: what the server has done, and its answer does not arrive."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]  # no stubs
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no stubs

from tests.e2e.tls_server import TlsServer

WITHIN_S = 30


class Relay(grpc.GenericRpcHandler):
    """Between clients and a server, with the server's own certificate. Passes calls with one answer alone."""

    def __init__(self, server: TlsServer) -> None:
        self.lose: dict[str, int] = {}
        """By the name of a method: so many of its next answers are lost on the way."""
        self.busy: dict[str, int] = {}
        """So many of its next calls are not begun, as by a server that is ending."""
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
            if _one_of(self.busy, name):
                context.set_trailing_metadata((("grpc-status-details-bin", NOT_BEGUN.SerializeToString()),))
                context.abort(grpc.StatusCode.UNAVAILABLE, NOT_BEGUN.message)
            sent = tuple(pair for pair in details.invocation_metadata if pair[0] == "authorization")
            call: Any = self._channel.unary_unary(details.method)
            answer = call.future(message, metadata=sent, timeout=WITHIN_S)
            code = answer.code()  # once it has ended
            if _one_of(self.lose, name):
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


def _one_of(left: dict[str, int], name: str) -> bool:
    """Whether this call is one of those; takes it off."""
    if not left.get(name):
        return False
    left[name] -= 1
    return True


def _not_begun() -> Any:
    """What a server says that is ending, of a call that it did not begin."""
    packed = Packed()
    packed.Pack(ErrorInfo(domain="jobrun", reason="SHUTTING_DOWN"))
    return Status(code=grpc.StatusCode.UNAVAILABLE.value[0], message="the server is shutting down", details=[packed])


NOT_BEGUN = _not_begun()


@contextlib.contextmanager
def relay_to(server: TlsServer) -> Iterator[Relay]:
    """One that listens, until the end of the block."""
    relay = Relay(server)
    try:
        yield relay
    finally:
        relay.close()
