import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Counter(_message.Message):
    __slots__ = ("counter", "value", "min", "max", "expire_time", "damage")
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    DAMAGE_FIELD_NUMBER: _ClassVar[int]
    counter: str
    value: int
    min: int
    max: int
    expire_time: _timestamp_pb2.Timestamp
    damage: str
    def __init__(self, counter: _Optional[str] = ..., value: _Optional[int] = ..., min: _Optional[int] = ..., max: _Optional[int] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., damage: _Optional[str] = ...) -> None: ...

class NewCounter(_message.Message):
    __slots__ = ("ttl", "min", "max")
    TTL_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    ttl: _duration_pb2.Duration
    min: int
    max: int
    def __init__(self, ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., min: _Optional[int] = ..., max: _Optional[int] = ...) -> None: ...

class IncrementRequest(_message.Message):
    __slots__ = ("namespace", "request_id", "reason", "reference", "counter", "delta", "create")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    CREATE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    request_id: str
    reason: str
    reference: str
    counter: str
    delta: int
    create: NewCounter
    def __init__(self, namespace: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ..., counter: _Optional[str] = ..., delta: _Optional[int] = ..., create: _Optional[_Union[NewCounter, _Mapping]] = ...) -> None: ...

class IncrementResponse(_message.Message):
    __slots__ = ("counter", "revision", "commit_time", "replayed")
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    counter: Counter
    revision: int
    commit_time: _timestamp_pb2.Timestamp
    replayed: bool
    def __init__(self, counter: _Optional[_Union[Counter, _Mapping]] = ..., revision: _Optional[int] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replayed: _Optional[bool] = ...) -> None: ...

class SetCounterRequest(_message.Message):
    __slots__ = ("namespace", "request_id", "reason", "reference", "counter", "value", "expected_value")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VALUE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    request_id: str
    reason: str
    reference: str
    counter: str
    value: int
    expected_value: int
    def __init__(self, namespace: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ..., counter: _Optional[str] = ..., value: _Optional[int] = ..., expected_value: _Optional[int] = ...) -> None: ...

class SetCounterResponse(_message.Message):
    __slots__ = ("counter", "revision", "commit_time", "replayed")
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    counter: Counter
    revision: int
    commit_time: _timestamp_pb2.Timestamp
    replayed: bool
    def __init__(self, counter: _Optional[_Union[Counter, _Mapping]] = ..., revision: _Optional[int] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replayed: _Optional[bool] = ...) -> None: ...

class ConfigureCounterRequest(_message.Message):
    __slots__ = ("namespace", "request_id", "reason", "reference", "counter", "min", "max", "ttl", "update_mask")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    request_id: str
    reason: str
    reference: str
    counter: str
    min: int
    max: int
    ttl: _duration_pb2.Duration
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, namespace: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ..., counter: _Optional[str] = ..., min: _Optional[int] = ..., max: _Optional[int] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class ConfigureCounterResponse(_message.Message):
    __slots__ = ("counter", "revision", "commit_time", "replayed")
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    counter: Counter
    revision: int
    commit_time: _timestamp_pb2.Timestamp
    replayed: bool
    def __init__(self, counter: _Optional[_Union[Counter, _Mapping]] = ..., revision: _Optional[int] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replayed: _Optional[bool] = ...) -> None: ...

class DeleteCounterRequest(_message.Message):
    __slots__ = ("namespace", "request_id", "reason", "reference", "counter")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    request_id: str
    reason: str
    reference: str
    counter: str
    def __init__(self, namespace: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ..., counter: _Optional[str] = ...) -> None: ...

class DeleteCounterResponse(_message.Message):
    __slots__ = ("counter", "revision", "commit_time", "replayed")
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    counter: Counter
    revision: int
    commit_time: _timestamp_pb2.Timestamp
    replayed: bool
    def __init__(self, counter: _Optional[_Union[Counter, _Mapping]] = ..., revision: _Optional[int] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replayed: _Optional[bool] = ...) -> None: ...

class GetCounterRequest(_message.Message):
    __slots__ = ("namespace", "counter", "min_revision")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    counter: str
    min_revision: int
    def __init__(self, namespace: _Optional[str] = ..., counter: _Optional[str] = ..., min_revision: _Optional[int] = ...) -> None: ...

class GetCounterResponse(_message.Message):
    __slots__ = ("counter", "revision")
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    counter: Counter
    revision: int
    def __init__(self, counter: _Optional[_Union[Counter, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class BatchGetCountersRequest(_message.Message):
    __slots__ = ("namespace", "counters", "min_revision")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    counters: _containers.RepeatedScalarFieldContainer[str]
    min_revision: int
    def __init__(self, namespace: _Optional[str] = ..., counters: _Optional[_Iterable[str]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class BatchGetCountersResponse(_message.Message):
    __slots__ = ("counters", "missing", "revision")
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    counters: _containers.RepeatedCompositeFieldContainer[Counter]
    missing: _containers.RepeatedScalarFieldContainer[str]
    revision: int
    def __init__(self, counters: _Optional[_Iterable[_Union[Counter, _Mapping]]] = ..., missing: _Optional[_Iterable[str]] = ..., revision: _Optional[int] = ...) -> None: ...

class ListCountersRequest(_message.Message):
    __slots__ = ("namespace", "prefix", "page_size", "page_token")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    prefix: str
    page_size: int
    page_token: str
    def __init__(self, namespace: _Optional[str] = ..., prefix: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCountersResponse(_message.Message):
    __slots__ = ("counters", "next_page_token", "revision")
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    counters: _containers.RepeatedCompositeFieldContainer[Counter]
    next_page_token: str
    revision: int
    def __init__(self, counters: _Optional[_Iterable[_Union[Counter, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...
