"""AuthService on the wire: logging in and out, and who one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import grpc.aio

from jobrun.api.current import current_caller
from jobrun.auth.addresses import address_of
from jobrun.model.errors import InvalidRequest, NoLoginHere
from jobrun.model.user import scope_text
from jobrun.wire.convert_auth import caller_to_wire
from jobrun.wire.gen.jobrun.v1 import auth_service_pb2 as wire
from jobrun.wire.gen.jobrun.v1 import auth_service_pb2_grpc
from jobrun.wire.times import timestamp

if TYPE_CHECKING:
    from jobrun.auth.auth import Auth
    from jobrun.auth.login import Logins
    from jobrun.auth.sessions import Issued

    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]  # a subscript that it has in its stub alone


class AuthServicer(auth_service_pb2_grpc.AuthServiceServicer):
    """Thin: no decision is made here. `auth` None: the server has no login."""

    def __init__(self, auth: Auth | None) -> None:
        self._auth = auth

    async def IssueToken(self, request: wire.IssueTokenRequest, context: Context) -> wire.IssueTokenResponse:
        logins, address = self._logins(), address_of(context.peer())
        which = request.WhichOneof("grant")
        if which == "password":
            return _issued(await _password(logins, request, address))
        if which == "refresh_token":
            return _issued(await _refresh(logins, request, address))
        raise InvalidRequest("grant", "give a password or a refresh token")

    async def RevokeToken(self, request: wire.RevokeTokenRequest, context: Context) -> wire.RevokeTokenResponse:
        await self._logins().revoke(current_caller(), all_sessions=request.all_sessions)
        return wire.RevokeTokenResponse()

    async def ChangePassword(
        self, request: wire.ChangePasswordRequest, context: Context
    ) -> wire.ChangePasswordResponse:
        caller = current_caller()
        await self._logins().change_password(caller, request.current_password, request.new_password, caller.address)
        return wire.ChangePasswordResponse()

    async def WhoAmI(self, request: wire.WhoAmIRequest, context: Context) -> wire.WhoAmIResponse:
        return caller_to_wire(current_caller())

    def _logins(self) -> Logins:
        return required(self._auth).logins


def required(auth: Auth | None) -> Auth:
    """Raises NoLoginHere."""
    if auth is None:
        raise NoLoginHere(
            "this server has no users: whoever reaches it may do everything: jobrun login HOST for a server that has"
        )
    return auth


async def _password(logins: Logins, request: wire.IssueTokenRequest, address: str) -> Issued:
    grant = request.password
    return await logins.password(
        username=grant.username,
        password=grant.password,
        refresh_sha256=grant.refresh_token_sha256,
        scope=request.scope,
        client_name=request.client_name,
        address=address,
    )


async def _refresh(logins: Logins, request: wire.IssueTokenRequest, address: str) -> Issued:
    grant = request.refresh_token
    return await logins.refresh(
        session_id=grant.session_id,
        refresh_token=grant.refresh_token,
        next_sha256=grant.next_refresh_token_sha256,
        scope=request.scope,
        address=address,
    )


def _issued(issued: Issued) -> wire.IssueTokenResponse:
    return wire.IssueTokenResponse(
        access_token=issued.access_token,
        token_type="Bearer",
        expires_in=issued.expires_in_s,
        scope=scope_text(issued.scopes),
        session_id=issued.session_id,
        session_expires_at=timestamp(issued.session_expires_ns),
    )
