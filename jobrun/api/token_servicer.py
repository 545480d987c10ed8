"""TokenService on the wire: machine tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import grpc.aio

from jobrun.api import page_token
from jobrun.api.auth_servicer import required
from jobrun.api.ceilings import ceilings_from_wire
from jobrun.api.current import current_caller
from jobrun.wire.convert_auth import machine_token_to_wire
from jobrun.wire.gen.jobrun.v1 import token_service_pb2 as wire
from jobrun.wire.gen.jobrun.v1 import token_service_pb2_grpc

if TYPE_CHECKING:
    from jobrun.auth.auth import Auth
    from jobrun.auth.machine_tokens import MachineTokens

    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]  # a subscript that it has in its stub alone

PAGE, MOST_PAGE = 100, 1000
"""Tokens on a page of a list: where none is asked for, and at most. One has less than 1 KiB."""


class TokenServicer(token_service_pb2_grpc.TokenServiceServicer):
    """Thin: no decision is made here. `auth` None: the server has no login."""

    def __init__(self, auth: Auth | None) -> None:
        self._auth = auth

    async def CreateMachineToken(
        self, request: wire.CreateMachineTokenRequest, context: Context
    ) -> wire.CreateMachineTokenResponse:
        token, secret = await self._tokens().create(
            current_caller(),
            name=request.name,
            scope=request.scope,
            expires_in_s=request.expires_in,
            all_jobs=request.all_jobs,
            ceilings=ceilings_from_wire(request.ceilings),
        )
        return wire.CreateMachineTokenResponse(token=machine_token_to_wire(token), secret=secret)

    async def ListMachineTokens(
        self, request: wire.ListMachineTokensRequest, context: Context
    ) -> wire.ListMachineTokensResponse:
        tokens = self._tokens()
        caller, asked = current_caller(), wire.ListMachineTokensRequest(all_users=request.all_users)
        before = page_token.decode(request.page_token, asked, caller.user)
        page = min(request.page_size or PAGE, MOST_PAGE)
        found, more = tokens.list(caller, all_users=request.all_users, page=page, before_ns=before)
        following = "" if more is None else page_token.encode(more, asked, caller.user)
        return wire.ListMachineTokensResponse(tokens=map(machine_token_to_wire, found), next_page_token=following)

    async def RevokeMachineToken(
        self, request: wire.RevokeMachineTokenRequest, context: Context
    ) -> wire.RevokeMachineTokenResponse:
        token = await self._tokens().revoke(current_caller(), request.token)
        return wire.RevokeMachineTokenResponse(token=machine_token_to_wire(token))

    def _tokens(self) -> MachineTokens:
        return required(self._auth).machine_tokens
