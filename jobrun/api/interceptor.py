"""Round every call: who makes it is asked before a byte of its request is read; errors become status, faults become
incidents, and the call is counted."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from jobrun.api import incident
from jobrun.api.calls import Calls
from jobrun.api.current import caller_if_any, set_current_caller
from jobrun.api.status import DETAILS_KEY, Refusal, internal, refusal_of
from jobrun.api.turns import to_its_end
from jobrun.auth.access import ACCESS, Need
from jobrun.auth.addresses import address_of, network_of
from jobrun.auth.gate import Gate
from jobrun.model.errors import InvalidRequest, JobNotFound, JobrunError, StoreError
from jobrun.wire.understood import check_understood

LASTING = frozenset({"/jobrun.v1.JobService/Stop", "/jobrun.v1.AdminService/RemoveUser"})
"""Calls with one answer that wait for jobs. Those with a stream of answers all do. What was begun goes on when one is
cut."""
ONCE = frozenset({"/jobrun.v1.AdminService/RemoveUser"})
"""Of those, which no token's end cuts: asked again with the next one they would fail, as what they did was done."""

REQUEST_S = 60.0
"""From a call's beginning until its request is here: the longest, 4 MiB, over a line of 0.6 Mbit/s."""
STRANGERS_REQUEST_S = 5.0
"""The same where no token came: a login has a few hundred bytes, and is sent with the call. Whoever holds it back holds
one of the calls of his address."""

NOTED_HERE: Mapping[Need | None, type[JobrunError]] = {Need.READ: JobNotFound, Need.ADMIN: InvalidRequest}
"""Refusals that no servicer notes, nor what is behind it: somebody may try other users' jobs, or, as an admin, what can
not be."""

OURS = "/jobrun."
"""Methods whose requests must be understood whole; others' may have what came later."""

if TYPE_CHECKING:  # subscripts that these types have in their stubs alone
    from jobrun.auth.audit import Audit

    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """One method of a service, as it was registered."""

    name: str
    behaviour: Callable[[Any, Context], Any]
    parse: Callable[[bytes], Any]
    takes_stream: bool
    answers_stream: bool

    @property
    def lasts(self) -> bool:
        """It may go on as long as a job does."""
        return self.takes_stream or self.answers_stream or self.name in LASTING


class Interceptor(grpc.aio.ServerInterceptor):
    """For all kinds of methods. Those with one request are given to gRPC as if they took a stream: it would else read
    the request before it asks us anything, 4 MiB from whoever connects."""

    def __init__(self, calls: Calls, gate: Gate, audit: Audit | None) -> None:
        """`audit` None: the server has no login."""
        self._calls, self._gate, self._audit = calls, gate, audit
        gate.on_ended = calls.end_admission
        self._wrapped: dict[str, Handler] = {}
        """By method, so that each is wrapped once: there are as many as services have."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """As grpc.aio asks for. None: no such method, and gRPC says so, whoever asks: proto/ is no secret."""
        name = handler_call_details.method
        if name not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            self._wrapped[name] = self._wrap(_method(name, handler), handler.response_serializer)
        return self._wrapped[name]

    def _wrap(self, method: Method, serializer: Callable[[Any], bytes] | None) -> Handler:
        async def guarded(_: object, context: Context) -> Any:
            try:
                return await self._answer(method, context)
            except StoreError as error:
                await _refuse(context, internal(incident.report(method.name, error)))
            except JobrunError as error:
                need = ACCESS.get(method.name)
                if need in NOTED_HERE and isinstance(error, NOTED_HERE[need]):
                    self._note(method, context, error.reason)
                await _refuse(context, refusal_of(error))
            except grpc.aio.AbortError:
                raise
            except NotImplementedError:  # what is generated for a method that nobody wrote, as Health's List
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this server does not answer that")
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                self._note(method, context, "INTERNAL")
                await _refuse(context, internal(incident.report(method.name, error)))

        make: Any = (
            grpc.stream_stream_rpc_method_handler if method.answers_stream else grpc.stream_unary_rpc_method_handler
        )
        handler: Handler = make(guarded, request_deserializer=None, response_serializer=serializer)
        return handler

    def _note(self, method: Method, context: Context, outcome: str) -> None:
        """On the audit record, as the gate does with what it refuses: a line a minute for each caller and method. Calls
        that change things note their refusals with more, in servicers and behind them; a refused List is no line, as
        whoever asks for everybody's jobs, to find one by its id, is told of none."""
        if self._audit is not None:
            address, what = address_of(context.peer()), method.name.rpartition(".")[2]
            self._audit.note_often(caller_if_any() or "", address, "call", what, outcome)

    async def _answer(self, method: Method, context: Context) -> Any:
        peer = context.peer()
        metadata: Any = context.invocation_metadata()  # a tuple of pairs, whatever its stub says
        caller = self._gate.admit(method.name, metadata or (), peer)
        left = None
        if caller is not None:
            set_current_caller(caller)
            left = self._gate.seconds_left(caller)
        with self._calls.one(caller or f"{method.name} at {network_of(address_of(peer))}", left) as call:
            if method.takes_stream:
                request: Any = _requests(method, context)
            else:
                call.awaits_request(STRANGERS_REQUEST_S if caller is None else REQUEST_S)
                request = await _request(method, context)
            if method.name in ONCE:
                call.stop_timer()
            elif method.lasts:
                call.goes_on()
            else:
                call.must_finish()
            return await _behave(method, request, context)


def _method(name: str, handler: Handler) -> Method:
    behaviour: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    assert behaviour is not None, "one of the four is there"
    assert handler.request_deserializer is not None, "generated handlers have one"
    return Method(
        name=name,
        behaviour=behaviour,
        parse=handler.request_deserializer,
        takes_stream=bool(handler.request_streaming),
        answers_stream=bool(handler.response_streaming),
    )


async def _behave(method: Method, request: Any, context: Context) -> Any:
    answer = method.behaviour(request, context)
    if not inspect.isasyncgen(answer):
        return await answer
    async for part in answer:
        await to_its_end(context.write(part))
    return None


async def _request(method: Method, context: Context) -> Any:
    data: Any = await context.read()
    if data is grpc.aio.EOF:
        raise InvalidRequest("request", "there is none")
    return _parsed(method, data)


async def _requests(method: Method, context: Context) -> AsyncIterator[Any]:
    data: Any
    while (data := await context.read()) is not grpc.aio.EOF:
        yield _parsed(method, data)


def _parsed(method: Method, data: bytes) -> Any:
    """grpc itself would answer INTERNAL to what does not parse, with a traceback in the log."""
    try:
        request = method.parse(data)
    except DecodeError:
        raise InvalidRequest("request", "its bytes are no such message, or a string is no UTF-8") from None
    if method.name.startswith(OURS):
        check_understood(request)
    return request


async def _refuse(context: Context, refusal: Refusal) -> NoReturn:
    await context.abort(refusal.code, refusal.text, ((DETAILS_KEY, refusal.details),))
    raise AssertionError("abort raises")
