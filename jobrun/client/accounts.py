"""The calls of AuthService, AdminService and TokenService. All of them raise Refusal.

What would be another thing when it is done twice is sent once: behind a call that changes nothing, so that the
connection stands and what fails then was sent. Such a call raises LostAnswer where the server may have done it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import grpc

from jobrun.client.access import Metadata
from jobrun.client.connection import Connection
from jobrun.client.errors import LostAnswer, LostConnection, SessionOver, is_lost
from jobrun.client.retry import ask, ask_to_end
from jobrun.config.errors import NoSuchThing, Refusal
from jobrun.wire.gen.jobrun.v1 import admin_service_pb2 as admin
from jobrun.wire.gen.jobrun.v1 import auth_service_pb2 as auth
from jobrun.wire.gen.jobrun.v1 import token_service_pb2 as token
from jobrun.wire.gen.jobrun.v1.admin_service_pb2_grpc import AdminServiceStub
from jobrun.wire.gen.jobrun.v1.auth_service_pb2_grpc import AuthServiceStub
from jobrun.wire.gen.jobrun.v1.token_service_pb2_grpc import TokenServiceStub

Stub = TypeVar("Stub")
Answer = TypeVar("Answer")

ANSWER_S = 60.0
"""Seconds for an answer: passwords wait for their turn to be hashed."""
PAGE = 1000
"""Machine tokens asked for at once, the most that a server gives (token_service.proto)."""
RECONNECT_S = 2.0
"""Seconds that an outage may take: somebody waits at a prompt."""


class Accounts:
    """One server's users, tokens and record."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def who_am_i(self) -> auth.WhoAmIResponse:
        """Who the caller is."""
        request = auth.WhoAmIRequest()
        return self._auth(lambda stub, who: stub.WhoAmI(request, timeout=ANSWER_S, metadata=who))

    def revoke(self, *, all_sessions: bool) -> None:
        """Ends the caller's session, or all of his. Raises SessionOver where it had ended before, LostConnection where
        it may have ended."""
        request = auth.RevokeTokenRequest(all_sessions=all_sessions)
        self._end(
            AuthServiceStub,
            lambda stub, who: stub.RevokeToken(request, timeout=ANSWER_S, metadata=who),
            gone=SessionOver,
        )

    def change_password(self, current: str, new: str) -> None:
        """Changes the caller's own. Raises LostAnswer."""
        request = auth.ChangePasswordRequest(current_password=current, new_password=new)
        self._once(
            AuthServiceStub,
            lambda stub, who: stub.ChangePassword(request, timeout=ANSWER_S, metadata=who),
            "the password may be changed: try the new one first at the next jobrun login",
        )

    def create_user(self, request: admin.CreateUserRequest) -> admin.User:
        """Makes a user. Raises LostAnswer."""
        answer: admin.CreateUserResponse = self._once(
            AdminServiceStub,
            lambda stub, who: stub.CreateUser(request, timeout=ANSWER_S, metadata=who),
            f"user {request.username} may be there: look at jobrun user list",
        )
        return answer.user

    def users(self) -> Sequence[admin.User]:
        """All of them, by name."""
        request = admin.ListUsersRequest()
        return self._admin(lambda stub, who: stub.ListUsers(request, timeout=ANSWER_S, metadata=who)).users

    def update_user(self, request: admin.UpdateUserRequest) -> admin.User:
        """Changes what is set in the request."""
        return self._admin(lambda stub, who: stub.UpdateUser(request, timeout=ANSWER_S, metadata=who)).user

    def set_password(self, user: str, new: str) -> None:
        """Gives a user another password."""
        request = admin.SetUserPasswordRequest(username=user, new_password=new)
        self._admin(lambda stub, who: stub.SetUserPassword(request, timeout=ANSWER_S, metadata=who))

    def remove_user(self, user: str, *, stop_jobs: bool) -> None:
        """Removes a user. Takes as long as the grace of his jobs, where they are stopped. What was begun goes on where
        the connection is lost or the caller's session ends, as that of an admin who removes himself."""
        request = admin.RemoveUserRequest(username=user, stop_jobs=stop_jobs)
        self.who_am_i()  # what fails behind this was sent
        try:
            self._end(AdminServiceStub, lambda stub, who: stub.RemoveUser(request, metadata=who))
        except (LostConnection, SessionOver) as error:
            doubt = f"{user} may be removed, or shut out alone: look at jobrun user list, and ask again"
            raise type(error)(f"{error}: {doubt}") from error

    def audit_events(self, request: admin.ListAuditEventsRequest) -> Sequence[admin.AuditEvent]:
        """What was decided, newest last."""
        return self._admin(lambda stub, who: stub.ListAuditEvents(request, timeout=ANSWER_S, metadata=who)).events

    def create_token(self, request: token.CreateMachineTokenRequest) -> token.CreateMachineTokenResponse:
        """Makes a machine token. Raises LostAnswer."""
        answer: token.CreateMachineTokenResponse = self._once(
            TokenServiceStub,
            lambda stub, who: stub.CreateMachineToken(request, timeout=ANSWER_S, metadata=who),
            token_doubt(request.name),
        )
        return answer

    def tokens(self, *, all_users: bool) -> Sequence[token.MachineToken]:
        """Those that hold, newest first."""
        request, found = token.ListMachineTokensRequest(all_users=all_users, page_size=PAGE), list[token.MachineToken]()
        while True:
            page = self._token(lambda stub, who: stub.ListMachineTokens(request, timeout=ANSWER_S, metadata=who))
            found += page.tokens
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def revoke_token(self, name: str) -> token.MachineToken | None:
        """Ends a machine token by its id, or its name among the caller's own. None: it is ended, and the answer that
        says which one is lost."""
        request = token.RevokeMachineTokenRequest(token=name)
        answer = self._end(
            TokenServiceStub, lambda stub, who: stub.RevokeMachineToken(request, timeout=ANSWER_S, metadata=who)
        )
        return answer and answer.token

    def _auth(self, call: Callable[[AuthServiceStub, Metadata], Answer]) -> Answer:
        return ask(self._connection, RECONNECT_S, AuthServiceStub, call)

    def _admin(self, call: Callable[[AdminServiceStub, Metadata], Answer]) -> Answer:
        return ask(self._connection, RECONNECT_S, AdminServiceStub, call)

    def _token(self, call: Callable[[TokenServiceStub, Metadata], Answer]) -> Answer:
        return ask(self._connection, RECONNECT_S, TokenServiceStub, call)

    def _once(
        self, stub: Callable[[grpc.Channel], Stub], call: Callable[[Stub, Metadata], Answer], doubt: str
    ) -> Answer:
        """`doubt`: what may have come of it, and what to do, where the answer is lost."""

        def once(stub: Stub, who: Metadata) -> Answer:
            try:
                return call(stub, who)
            except grpc.RpcError as error:
                if is_lost(error):
                    raise LostAnswer(f"lost the connection before the answer came: {doubt}") from error
                raise

        self.who_am_i()
        return ask(self._connection, RECONNECT_S, stub, once)

    def _end(
        self,
        stub: Callable[[grpc.Channel], Stub],
        call: Callable[[Stub, Metadata], Answer],
        gone: type[Refusal] = NoSuchThing,
    ) -> Answer | None:
        """None: it is done, and the answer lost."""
        self.who_am_i()
        return ask_to_end(self._connection, RECONNECT_S, stub, call, gone)


def token_doubt(name: str) -> str:
    """What may have come of create_token, and what to do, where its answer did not come."""
    return (
        f"token {name} may be there, and nobody has its secret: if jobrun token list shows it, "
        f"jobrun token revoke {name}"
    )
