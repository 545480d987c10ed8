"""Users, machine tokens, sessions and the audit record, from the model to the wire."""

from __future__ import annotations

from jobrun.model.caller import Caller
from jobrun.model.user import AuditEvent, MachineToken, User, scope_text
from jobrun.wire.convert import limits_to_wire
from jobrun.wire.gen.jobrun.v1 import admin_service_pb2, auth_service_pb2, token_service_pb2
from jobrun.wire.times import timestamp


def caller_to_wire(caller: Caller) -> auth_service_pb2.WhoAmIResponse:
    """Who he is. Times that there are none of are not set."""
    wire = auth_service_pb2.WhoAmIResponse(
        username=caller.user, role=caller.role.value, scope=scope_text(caller.scopes)
    )
    if caller.expires_ns is not None:
        wire.expires_at.CopyFrom(timestamp(caller.expires_ns))
    if caller.session_expires_ns is not None:
        wire.session_expires_at.CopyFrom(timestamp(caller.session_expires_ns))
    return wire


def user_to_wire(user: User) -> admin_service_pb2.User:
    """One account."""
    return admin_service_pb2.User(
        username=user.name,
        role=user.role.value,
        disabled=user.disabled,
        created_at=timestamp(user.created_ns),
        sessions=user.sessions,
        machine_tokens=user.machine_tokens,
        ceilings=limits_to_wire(user.ceilings),
    )


def machine_token_to_wire(token: MachineToken) -> token_service_pb2.MachineToken:
    """One machine token, without its secret."""
    return token_service_pb2.MachineToken(
        id=token.id,
        name=token.name,
        username=token.user,
        scope=scope_text(token.scopes),
        all_jobs=token.all_jobs,
        created_at=timestamp(token.created_ns),
        expires_at=timestamp(token.expires_ns),
        last_used_at=timestamp(token.last_used_ns) if token.last_used_ns else None,
        ceilings=limits_to_wire(token.ceilings),
    )


def event_to_wire(event: AuditEvent) -> admin_service_pb2.AuditEvent:
    """One security decision."""
    return admin_service_pb2.AuditEvent(
        time=timestamp(event.time_ns),
        username=event.user,
        machine_token=event.machine_token,
        address=event.address,
        action=event.action,
        target=event.target,
        outcome=event.outcome,
        count=event.count,
    )
