import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from jobrun.wire.gen.jobrun.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MachineToken(_message.Message):
    __slots__ = ("id", "name", "username", "scope", "all_jobs", "created_at", "expires_at", "last_used_at", "ceilings")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    ALL_JOBS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_AT_FIELD_NUMBER: _ClassVar[int]
    CEILINGS_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    username: str
    scope: str
    all_jobs: bool
    created_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    last_used_at: _timestamp_pb2.Timestamp
    ceilings: _job_pb2.Limits
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., username: _Optional[str] = ..., scope: _Optional[str] = ..., all_jobs: _Optional[bool] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_used_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ceilings: _Optional[_Union[_job_pb2.Limits, _Mapping]] = ...) -> None: ...

class CreateMachineTokenRequest(_message.Message):
    __slots__ = ("name", "scope", "expires_in", "all_jobs", "ceilings")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_FIELD_NUMBER: _ClassVar[int]
    ALL_JOBS_FIELD_NUMBER: _ClassVar[int]
    CEILINGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    scope: str
    expires_in: int
    all_jobs: bool
    ceilings: _job_pb2.Limits
    def __init__(self, name: _Optional[str] = ..., scope: _Optional[str] = ..., expires_in: _Optional[int] = ..., all_jobs: _Optional[bool] = ..., ceilings: _Optional[_Union[_job_pb2.Limits, _Mapping]] = ...) -> None: ...

class CreateMachineTokenResponse(_message.Message):
    __slots__ = ("token", "secret")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    token: MachineToken
    secret: str
    def __init__(self, token: _Optional[_Union[MachineToken, _Mapping]] = ..., secret: _Optional[str] = ...) -> None: ...

class ListMachineTokensRequest(_message.Message):
    __slots__ = ("all_users", "page_size", "page_token")
    ALL_USERS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    all_users: bool
    page_size: int
    page_token: str
    def __init__(self, all_users: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListMachineTokensResponse(_message.Message):
    __slots__ = ("tokens", "next_page_token")
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[MachineToken]
    next_page_token: str
    def __init__(self, tokens: _Optional[_Iterable[_Union[MachineToken, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RevokeMachineTokenRequest(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: str
    def __init__(self, token: _Optional[str] = ...) -> None: ...

class RevokeMachineTokenResponse(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: MachineToken
    def __init__(self, token: _Optional[_Union[MachineToken, _Mapping]] = ...) -> None: ...
