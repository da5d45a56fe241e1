import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Durability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DURABILITY_UNSPECIFIED: _ClassVar[Durability]
    DURABILITY_FSYNC: _ClassVar[Durability]
    DURABILITY_REPLICATED: _ClassVar[Durability]
    DURABILITY_MEMORY: _ClassVar[Durability]
DURABILITY_UNSPECIFIED: Durability
DURABILITY_FSYNC: Durability
DURABILITY_REPLICATED: Durability
DURABILITY_MEMORY: Durability

class ListNamespacesRequest(_message.Message):
    __slots__ = ("prefix", "page_size", "page_token")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    page_size: int
    page_token: str
    def __init__(self, prefix: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListNamespacesResponse(_message.Message):
    __slots__ = ("namespaces", "next_page_token")
    NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespaces: _containers.RepeatedCompositeFieldContainer[Namespace]
    next_page_token: str
    def __init__(self, namespaces: _Optional[_Iterable[_Union[Namespace, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetNamespaceRequest(_message.Message):
    __slots__ = ("namespace",)
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class GetNamespaceResponse(_message.Message):
    __slots__ = ("namespace", "revision")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    namespace: Namespace
    revision: int
    def __init__(self, namespace: _Optional[_Union[Namespace, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class Namespace(_message.Message):
    __slots__ = ("namespace", "revision", "oldest_revision", "stock_level_count", "counter_count", "active_reservation_count", "request_retention", "ledger_revisions_max", "reservation_retention", "reservation_lifetime_max", "durability", "damage")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OLDEST_REVISION_FIELD_NUMBER: _ClassVar[int]
    STOCK_LEVEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    COUNTER_COUNT_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_RESERVATION_COUNT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_RETENTION_FIELD_NUMBER: _ClassVar[int]
    LEDGER_REVISIONS_MAX_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_RETENTION_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_LIFETIME_MAX_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    DAMAGE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    revision: int
    oldest_revision: int
    stock_level_count: int
    counter_count: int
    active_reservation_count: int
    request_retention: _duration_pb2.Duration
    ledger_revisions_max: int
    reservation_retention: _duration_pb2.Duration
    reservation_lifetime_max: _duration_pb2.Duration
    durability: Durability
    damage: str
    def __init__(self, namespace: _Optional[str] = ..., revision: _Optional[int] = ..., oldest_revision: _Optional[int] = ..., stock_level_count: _Optional[int] = ..., counter_count: _Optional[int] = ..., active_reservation_count: _Optional[int] = ..., request_retention: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., ledger_revisions_max: _Optional[int] = ..., reservation_retention: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., reservation_lifetime_max: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., durability: _Optional[_Union[Durability, str]] = ..., damage: _Optional[str] = ...) -> None: ...
