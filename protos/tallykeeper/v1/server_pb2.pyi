import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tallykeeper.v1 import namespace_pb2 as _namespace_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StoreKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STORE_KIND_UNSPECIFIED: _ClassVar[StoreKind]
    STORE_KIND_EMBEDDED: _ClassVar[StoreKind]
    STORE_KIND_NODE: _ClassVar[StoreKind]
    STORE_KIND_SENTINEL: _ClassVar[StoreKind]
    STORE_KIND_CLUSTER: _ClassVar[StoreKind]
STORE_KIND_UNSPECIFIED: StoreKind
STORE_KIND_EMBEDDED: StoreKind
STORE_KIND_NODE: StoreKind
STORE_KIND_SENTINEL: StoreKind
STORE_KIND_CLUSTER: StoreKind

class GetServerStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerStatusResponse(_message.Message):
    __slots__ = ("server", "store", "promises", "limits")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    PROMISES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    server: ServerStatus
    store: StoreStatus
    promises: _containers.RepeatedCompositeFieldContainer[Promise]
    limits: _containers.RepeatedCompositeFieldContainer[LimitUse]
    def __init__(self, server: _Optional[_Union[ServerStatus, _Mapping]] = ..., store: _Optional[_Union[StoreStatus, _Mapping]] = ..., promises: _Optional[_Iterable[_Union[Promise, _Mapping]]] = ..., limits: _Optional[_Iterable[_Union[LimitUse, _Mapping]]] = ...) -> None: ...

class ServerStatus(_message.Message):
    __slots__ = ("version", "uptime", "worker_count", "worker", "worker_uptime", "certificate_expire_time")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    UPTIME_FIELD_NUMBER: _ClassVar[int]
    WORKER_COUNT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    WORKER_UPTIME_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    version: str
    uptime: _duration_pb2.Duration
    worker_count: int
    worker: int
    worker_uptime: _duration_pb2.Duration
    certificate_expire_time: _timestamp_pb2.Timestamp
    def __init__(self, version: _Optional[str] = ..., uptime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., worker_count: _Optional[int] = ..., worker: _Optional[int] = ..., worker_uptime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., certificate_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StoreStatus(_message.Message):
    __slots__ = ("kind", "location", "fault", "nodes", "request_id_count")
    KIND_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_COUNT_FIELD_NUMBER: _ClassVar[int]
    kind: StoreKind
    location: str
    fault: str
    nodes: _containers.RepeatedCompositeFieldContainer[StoreNode]
    request_id_count: int
    def __init__(self, kind: _Optional[_Union[StoreKind, str]] = ..., location: _Optional[str] = ..., fault: _Optional[str] = ..., nodes: _Optional[_Iterable[_Union[StoreNode, _Mapping]]] = ..., request_id_count: _Optional[int] = ...) -> None: ...

class StoreNode(_message.Message):
    __slots__ = ("address", "fault", "software", "memory_bytes", "memory_bytes_max", "append_only_file", "replicas")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    APPEND_ONLY_FILE_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    address: str
    fault: str
    software: str
    memory_bytes: int
    memory_bytes_max: int
    append_only_file: AppendOnlyFile
    replicas: _containers.RepeatedCompositeFieldContainer[Replica]
    def __init__(self, address: _Optional[str] = ..., fault: _Optional[str] = ..., software: _Optional[str] = ..., memory_bytes: _Optional[int] = ..., memory_bytes_max: _Optional[int] = ..., append_only_file: _Optional[_Union[AppendOnlyFile, _Mapping]] = ..., replicas: _Optional[_Iterable[_Union[Replica, _Mapping]]] = ...) -> None: ...

class AppendOnlyFile(_message.Message):
    __slots__ = ("enabled", "sync_policy", "last_write_succeeded", "last_rewrite_succeeded", "delayed_sync_count", "size_bytes")
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    SYNC_POLICY_FIELD_NUMBER: _ClassVar[int]
    LAST_WRITE_SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    LAST_REWRITE_SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    DELAYED_SYNC_COUNT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    enabled: bool
    sync_policy: str
    last_write_succeeded: bool
    last_rewrite_succeeded: bool
    delayed_sync_count: int
    size_bytes: int
    def __init__(self, enabled: _Optional[bool] = ..., sync_policy: _Optional[str] = ..., last_write_succeeded: _Optional[bool] = ..., last_rewrite_succeeded: _Optional[bool] = ..., delayed_sync_count: _Optional[int] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class Replica(_message.Message):
    __slots__ = ("address", "online", "lag", "lag_bytes")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    LAG_BYTES_FIELD_NUMBER: _ClassVar[int]
    address: str
    online: bool
    lag: _duration_pb2.Duration
    lag_bytes: int
    def __init__(self, address: _Optional[str] = ..., online: _Optional[bool] = ..., lag: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., lag_bytes: _Optional[int] = ...) -> None: ...

class Promise(_message.Message):
    __slots__ = ("durability", "is_default", "namespaces", "kept", "reasons")
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    IS_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    durability: _namespace_pb2.Durability
    is_default: bool
    namespaces: _containers.RepeatedScalarFieldContainer[str]
    kept: bool
    reasons: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, durability: _Optional[_Union[_namespace_pb2.Durability, str]] = ..., is_default: _Optional[bool] = ..., namespaces: _Optional[_Iterable[str]] = ..., kept: _Optional[bool] = ..., reasons: _Optional[_Iterable[str]] = ...) -> None: ...

class LimitUse(_message.Message):
    __slots__ = ("name", "unit", "used", "limit", "near")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    NEAR_FIELD_NUMBER: _ClassVar[int]
    name: str
    unit: str
    used: int
    limit: int
    near: bool
    def __init__(self, name: _Optional[str] = ..., unit: _Optional[str] = ..., used: _Optional[int] = ..., limit: _Optional[int] = ..., near: _Optional[bool] = ...) -> None: ...
