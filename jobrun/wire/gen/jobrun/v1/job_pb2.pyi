import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Network(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NETWORK_UNSPECIFIED: _ClassVar[Network]
    NETWORK_HOST: _ClassVar[Network]
    NETWORK_NONE: _ClassVar[Network]

class Isolation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ISOLATION_UNSPECIFIED: _ClassVar[Isolation]
    ISOLATION_NONE: _ClassVar[Isolation]
    ISOLATION_PARTIAL: _ClassVar[Isolation]
    ISOLATION_MEDIUM: _ClassVar[Isolation]
    ISOLATION_STRONG: _ClassVar[Isolation]

class StartStep(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    START_STEP_UNSPECIFIED: _ClassVar[StartStep]
    START_STEP_ISOLATE: _ClassVar[StartStep]
    START_STEP_LIMITS: _ClassVar[StartStep]
    START_STEP_CHDIR: _ClassVar[StartStep]
    START_STEP_EXEC: _ClassVar[StartStep]

class EndReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    END_REASON_UNSPECIFIED: _ClassVar[EndReason]
    END_REASON_EXITED: _ClassVar[EndReason]
    END_REASON_SIGNALED: _ClassVar[EndReason]
    END_REASON_STOPPED: _ClassVar[EndReason]
    END_REASON_TIMEOUT: _ClassVar[EndReason]
    END_REASON_CPU_LIMIT: _ClassVar[EndReason]
    END_REASON_MEMORY_LIMIT: _ClassVar[EndReason]
    END_REASON_FILE_SIZE_LIMIT: _ClassVar[EndReason]
    END_REASON_PROCESS_LIMIT: _ClassVar[EndReason]
    END_REASON_START_FAILED: _ClassVar[EndReason]
    END_REASON_LOST: _ClassVar[EndReason]

class LimitKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LIMIT_KIND_UNSPECIFIED: _ClassVar[LimitKind]
    LIMIT_KIND_CPU_TIME: _ClassVar[LimitKind]
    LIMIT_KIND_MEMORY: _ClassVar[LimitKind]
    LIMIT_KIND_ADDRESS_SPACE: _ClassVar[LimitKind]
    LIMIT_KIND_FILE_SIZE: _ClassVar[LimitKind]
    LIMIT_KIND_PROCESSES: _ClassVar[LimitKind]
    LIMIT_KIND_OPEN_FILES: _ClassVar[LimitKind]
    LIMIT_KIND_CPUS: _ClassVar[LimitKind]
    LIMIT_KIND_TIMEOUT: _ClassVar[LimitKind]
    LIMIT_KIND_LOG: _ClassVar[LimitKind]

class Enforcement(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENFORCEMENT_UNSPECIFIED: _ClassVar[Enforcement]
    ENFORCEMENT_RLIMIT: _ClassVar[Enforcement]
    ENFORCEMENT_CGROUP: _ClassVar[Enforcement]
    ENFORCEMENT_SUPERVISOR: _ClassVar[Enforcement]
    ENFORCEMENT_AFFINITY: _ClassVar[Enforcement]
NETWORK_UNSPECIFIED: Network
NETWORK_HOST: Network
NETWORK_NONE: Network
ISOLATION_UNSPECIFIED: Isolation
ISOLATION_NONE: Isolation
ISOLATION_PARTIAL: Isolation
ISOLATION_MEDIUM: Isolation
ISOLATION_STRONG: Isolation
START_STEP_UNSPECIFIED: StartStep
START_STEP_ISOLATE: StartStep
START_STEP_LIMITS: StartStep
START_STEP_CHDIR: StartStep
START_STEP_EXEC: StartStep
END_REASON_UNSPECIFIED: EndReason
END_REASON_EXITED: EndReason
END_REASON_SIGNALED: EndReason
END_REASON_STOPPED: EndReason
END_REASON_TIMEOUT: EndReason
END_REASON_CPU_LIMIT: EndReason
END_REASON_MEMORY_LIMIT: EndReason
END_REASON_FILE_SIZE_LIMIT: EndReason
END_REASON_PROCESS_LIMIT: EndReason
END_REASON_START_FAILED: EndReason
END_REASON_LOST: EndReason
LIMIT_KIND_UNSPECIFIED: LimitKind
LIMIT_KIND_CPU_TIME: LimitKind
LIMIT_KIND_MEMORY: LimitKind
LIMIT_KIND_ADDRESS_SPACE: LimitKind
LIMIT_KIND_FILE_SIZE: LimitKind
LIMIT_KIND_PROCESSES: LimitKind
LIMIT_KIND_OPEN_FILES: LimitKind
LIMIT_KIND_CPUS: LimitKind
LIMIT_KIND_TIMEOUT: LimitKind
LIMIT_KIND_LOG: LimitKind
ENFORCEMENT_UNSPECIFIED: Enforcement
ENFORCEMENT_RLIMIT: Enforcement
ENFORCEMENT_CGROUP: Enforcement
ENFORCEMENT_SUPERVISOR: Enforcement
ENFORCEMENT_AFFINITY: Enforcement

class JobSpec(_message.Message):
    __slots__ = ("argv", "name", "env", "secret_env", "cwd", "limits", "slots", "grace", "network", "stdin", "umask")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    class SecretEnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    ARGV_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    SECRET_ENV_FIELD_NUMBER: _ClassVar[int]
    CWD_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    GRACE_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    STDIN_FIELD_NUMBER: _ClassVar[int]
    UMASK_FIELD_NUMBER: _ClassVar[int]
    argv: _containers.RepeatedScalarFieldContainer[str]
    name: str
    env: _containers.ScalarMap[str, bytes]
    secret_env: _containers.ScalarMap[str, bytes]
    cwd: str
    limits: Limits
    slots: int
    grace: _duration_pb2.Duration
    network: Network
    stdin: bytes
    umask: int
    def __init__(self, argv: _Optional[_Iterable[str]] = ..., name: _Optional[str] = ..., env: _Optional[_Mapping[str, bytes]] = ..., secret_env: _Optional[_Mapping[str, bytes]] = ..., cwd: _Optional[str] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., slots: _Optional[int] = ..., grace: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., network: _Optional[_Union[Network, str]] = ..., stdin: _Optional[bytes] = ..., umask: _Optional[int] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("cpu_time", "memory_bytes", "address_space_bytes", "file_size_bytes", "processes", "open_files", "cpus", "timeout", "log_bytes")
    CPU_TIME_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_SPACE_BYTES_FIELD_NUMBER: _ClassVar[int]
    FILE_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    OPEN_FILES_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    LOG_BYTES_FIELD_NUMBER: _ClassVar[int]
    cpu_time: _duration_pb2.Duration
    memory_bytes: int
    address_space_bytes: int
    file_size_bytes: int
    processes: int
    open_files: int
    cpus: int
    timeout: _duration_pb2.Duration
    log_bytes: int
    def __init__(self, cpu_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., memory_bytes: _Optional[int] = ..., address_space_bytes: _Optional[int] = ..., file_size_bytes: _Optional[int] = ..., processes: _Optional[int] = ..., open_files: _Optional[int] = ..., cpus: _Optional[int] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., log_bytes: _Optional[int] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("id", "user", "spec", "created_at", "queued", "starting", "running", "finished", "effective_limits", "usage", "unix_user", "isolation", "token_name", "enforcements")
    ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    STARTING_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_LIMITS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    UNIX_USER_FIELD_NUMBER: _ClassVar[int]
    ISOLATION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_NAME_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    user: str
    spec: JobSpec
    created_at: _timestamp_pb2.Timestamp
    queued: Queued
    starting: Starting
    running: Running
    finished: Finished
    effective_limits: Limits
    usage: Usage
    unix_user: str
    isolation: Isolation
    token_name: str
    enforcements: _containers.RepeatedCompositeFieldContainer[LimitEnforcement]
    def __init__(self, id: _Optional[str] = ..., user: _Optional[str] = ..., spec: _Optional[_Union[JobSpec, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., queued: _Optional[_Union[Queued, _Mapping]] = ..., starting: _Optional[_Union[Starting, _Mapping]] = ..., running: _Optional[_Union[Running, _Mapping]] = ..., finished: _Optional[_Union[Finished, _Mapping]] = ..., effective_limits: _Optional[_Union[Limits, _Mapping]] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., unix_user: _Optional[str] = ..., isolation: _Optional[_Union[Isolation, str]] = ..., token_name: _Optional[str] = ..., enforcements: _Optional[_Iterable[_Union[LimitEnforcement, _Mapping]]] = ...) -> None: ...

class Queued(_message.Message):
    __slots__ = ("ahead", "detail")
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    ahead: int
    detail: str
    def __init__(self, ahead: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class Starting(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Running(_message.Message):
    __slots__ = ("started_at", "pid", "stopping_since")
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    STOPPING_SINCE_FIELD_NUMBER: _ClassVar[int]
    started_at: _timestamp_pb2.Timestamp
    pid: int
    stopping_since: _timestamp_pb2.Timestamp
    def __init__(self, started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., pid: _Optional[int] = ..., stopping_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Finished(_message.Message):
    __slots__ = ("reason", "exit_code", "signal", "started_at", "finished_at", "detail", "stopped_by", "start_failure", "survivors")
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    STOPPED_BY_FIELD_NUMBER: _ClassVar[int]
    START_FAILURE_FIELD_NUMBER: _ClassVar[int]
    SURVIVORS_FIELD_NUMBER: _ClassVar[int]
    reason: EndReason
    exit_code: int
    signal: int
    started_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    detail: str
    stopped_by: str
    start_failure: StartFailure
    survivors: int
    def __init__(self, reason: _Optional[_Union[EndReason, str]] = ..., exit_code: _Optional[int] = ..., signal: _Optional[int] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., detail: _Optional[str] = ..., stopped_by: _Optional[str] = ..., start_failure: _Optional[_Union[StartFailure, _Mapping]] = ..., survivors: _Optional[int] = ...) -> None: ...

class StartFailure(_message.Message):
    __slots__ = ("step", "errno", "path")
    STEP_FIELD_NUMBER: _ClassVar[int]
    ERRNO_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    step: StartStep
    errno: int
    path: str
    def __init__(self, step: _Optional[_Union[StartStep, str]] = ..., errno: _Optional[int] = ..., path: _Optional[str] = ...) -> None: ...

class LimitEnforcement(_message.Message):
    __slots__ = ("kind", "by")
    KIND_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    kind: LimitKind
    by: _containers.RepeatedScalarFieldContainer[Enforcement]
    def __init__(self, kind: _Optional[_Union[LimitKind, str]] = ..., by: _Optional[_Iterable[_Union[Enforcement, str]]] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("user_cpu", "system_cpu", "peak_memory_bytes", "output_bytes", "output_dropped_bytes", "elapsed")
    USER_CPU_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_CPU_FIELD_NUMBER: _ClassVar[int]
    PEAK_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_DROPPED_BYTES_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    user_cpu: _duration_pb2.Duration
    system_cpu: _duration_pb2.Duration
    peak_memory_bytes: int
    output_bytes: int
    output_dropped_bytes: int
    elapsed: _duration_pb2.Duration
    def __init__(self, user_cpu: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., system_cpu: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., peak_memory_bytes: _Optional[int] = ..., output_bytes: _Optional[int] = ..., output_dropped_bytes: _Optional[int] = ..., elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
