"""Round every call: errors become status, faults become incidents, and the call is counted."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from jobrun.api.calls import Calls
from jobrun.api.status import DETAILS_KEY, Refusal, internal, refusal_of
from jobrun.model.errors import InvalidRequest, JobrunError, StoreError
from jobrun.wire.understood import check_understood

log = logging.getLogger(__name__)

WAIT = frozenset({"/jobrun.v1.JobService/Stop"})
"""Calls with one answer that wait for a job. Those with a stream of answers all do."""

OURS = "/jobrun."
"""Methods whose requests must be understood whole; others' may have what came later."""

if TYPE_CHECKING:  # subscripts that these types have in their stubs alone
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
    Behaviour: TypeAlias = Callable[[Any, Context], Awaitable[Any]]


class Undecodable:
    """In the place of a request whose bytes are no such message."""


class Interceptor(grpc.aio.ServerInterceptor):
    """One for unary calls and for streams of answers; a stream of requests, which reflection has, passes."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._wrapped: dict[str, Handler | None] = {}
        """By method, so that each is wrapped once: there are as many as services have."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """As grpc.aio asks for."""
        method = handler_call_details.method
        if method in self._wrapped:
            return self._wrapped[method]
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    def _wrap(self, method: str, handler: Handler) -> Handler:
        waits = handler.response_streaming or method in WAIT
        behaviour: Any = handler.unary_stream if handler.response_streaming else handler.unary_unary
        assert behaviour is not None, "one of the two is there"
        make = (
            grpc.unary_stream_rpc_method_handler if handler.response_streaming else grpc.unary_unary_rpc_method_handler
        )
        return make(
            self._guarded(method, behaviour, waits=waits),
            request_deserializer=_tolerant(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )

    def _guarded(self, method: str, behaviour: Behaviour, *, waits: bool) -> Behaviour:
        async def guarded(request: Any, context: Context) -> Any:
            try:
                with self._calls.one(waits=waits):
                    if isinstance(request, Undecodable):
                        raise InvalidRequest("request", "its bytes are no such message, or a string is no UTF-8")
                    if method.startswith(OURS):
                        check_understood(request)
                    return await behaviour(request, context)
            except StoreError as error:
                await _refuse(context, _incident(method, error))
            except JobrunError as error:
                await _refuse(context, refusal_of(error))
            except grpc.aio.AbortError:
                raise
            except Exception as error:
                await _refuse(context, _incident(method, error))
                raise  # never reached: _refuse ends the call

        return guarded


def _tolerant(parse: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """grpc itself would answer INTERNAL to what does not parse."""
    assert parse is not None, "generated handlers have one"

    def tolerant(data: bytes) -> Any:
        try:
            return parse(data)
        except DecodeError:
            return Undecodable()

    return tolerant


def _incident(method: str, error: Exception) -> Refusal:
    number = secrets.token_hex(4)
    log.error("incident %s in %s", number, method, exc_info=error)
    return internal(number)


async def _refuse(context: Context, refusal: Refusal) -> NoReturn:
    await context.abort(refusal.code, refusal.text, ((DETAILS_KEY, refusal.details),))
    raise AssertionError("abort raises")
