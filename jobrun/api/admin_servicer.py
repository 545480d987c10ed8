"""AdminService on the wire: users and the audit record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import grpc.aio

from jobrun.api.auth_servicer import required
from jobrun.api.ceilings import ceilings_from_wire, changed_ceilings
from jobrun.api.current import current_caller
from jobrun.wire.convert_auth import event_to_wire, user_to_wire
from jobrun.wire.gen.jobrun.v1 import admin_service_pb2 as wire
from jobrun.wire.gen.jobrun.v1 import admin_service_pb2_grpc
from jobrun.wire.times import timestamp_ns

if TYPE_CHECKING:
    from jobrun.auth.auth import Auth
    from jobrun.auth.users import UserJobs, Users

    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]  # a subscript that it has in its stub alone

EVENTS, MOST_EVENTS = 100, 1000
"""Of the audit record in one answer: where no number is asked for, and at most. One has less than 1 KiB."""


class AdminServicer(admin_service_pb2_grpc.AdminServiceServicer):
    """Thin: no decision is made here. `auth` None: the server has no login."""

    def __init__(self, auth: Auth | None, jobs: UserJobs) -> None:
        self._auth, self._jobs = auth, jobs

    async def CreateUser(self, request: wire.CreateUserRequest, context: Context) -> wire.CreateUserResponse:
        user = await self._users().create(
            current_caller(),
            name=request.username,
            role=request.role,
            password=request.password,
            ceilings=ceilings_from_wire(request.ceilings),
        )
        return wire.CreateUserResponse(user=user_to_wire(user))

    async def ListUsers(self, request: wire.ListUsersRequest, context: Context) -> wire.ListUsersResponse:
        return wire.ListUsersResponse(users=map(user_to_wire, self._users().list()))

    async def UpdateUser(self, request: wire.UpdateUserRequest, context: Context) -> wire.UpdateUserResponse:
        user = await self._users().update(
            current_caller(),
            request.username,
            role=request.role if request.HasField("role") else None,
            disabled=request.disabled if request.HasField("disabled") else None,
            ceilings=changed_ceilings(request),
        )
        return wire.UpdateUserResponse(user=user_to_wire(user))

    async def SetUserPassword(
        self, request: wire.SetUserPasswordRequest, context: Context
    ) -> wire.SetUserPasswordResponse:
        await self._users().set_password(current_caller(), request.username, request.new_password)
        return wire.SetUserPasswordResponse()

    async def RemoveUser(self, request: wire.RemoveUserRequest, context: Context) -> wire.RemoveUserResponse:
        await self._users().remove(current_caller(), request.username, stop_jobs=request.stop_jobs, jobs=self._jobs)
        return wire.RemoveUserResponse()

    async def ListAuditEvents(
        self, request: wire.ListAuditEventsRequest, context: Context
    ) -> wire.ListAuditEventsResponse:
        most = min(request.page_size or EVENTS, MOST_EVENTS)
        since = timestamp_ns(request.since, "since") if request.HasField("since") else 0
        events = await required(self._auth).audit.events(most, user=request.username, since_ns=since)
        return wire.ListAuditEventsResponse(events=map(event_to_wire, events))

    def _users(self) -> Users:
        return required(self._auth).users
