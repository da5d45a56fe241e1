import datetime

from google.protobuf import any_pb2 as _any_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tallykeeper.v1 import counter_pb2 as _counter_pb2
from tallykeeper.v1 import inventory_pb2 as _inventory_pb2
from tallykeeper.v1 import reservation_pb2 as _reservation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BatchMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BATCH_MODE_UNSPECIFIED: _ClassVar[BatchMode]
    BATCH_MODE_ATOMIC: _ClassVar[BatchMode]
    BATCH_MODE_INDEPENDENT: _ClassVar[BatchMode]
BATCH_MODE_UNSPECIFIED: BatchMode
BATCH_MODE_ATOMIC: BatchMode
BATCH_MODE_INDEPENDENT: BatchMode

class ApplyRequest(_message.Message):
    __slots__ = ("namespace", "request_id", "reason", "reference", "operations", "mode")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    request_id: str
    reason: str
    reference: str
    operations: _containers.RepeatedCompositeFieldContainer[Operation]
    mode: BatchMode
    def __init__(self, namespace: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ..., operations: _Optional[_Iterable[_Union[Operation, _Mapping]]] = ..., mode: _Optional[_Union[BatchMode, str]] = ...) -> None: ...

class Operation(_message.Message):
    __slots__ = ("increment", "set_counter", "configure_counter", "delete_counter", "decrement_copies", "increment_copies", "set_stock", "move_copies", "configure_stock", "delete_stock", "reserve", "commit", "release", "extend")
    INCREMENT_FIELD_NUMBER: _ClassVar[int]
    SET_COUNTER_FIELD_NUMBER: _ClassVar[int]
    CONFIGURE_COUNTER_FIELD_NUMBER: _ClassVar[int]
    DELETE_COUNTER_FIELD_NUMBER: _ClassVar[int]
    DECREMENT_COPIES_FIELD_NUMBER: _ClassVar[int]
    INCREMENT_COPIES_FIELD_NUMBER: _ClassVar[int]
    SET_STOCK_FIELD_NUMBER: _ClassVar[int]
    MOVE_COPIES_FIELD_NUMBER: _ClassVar[int]
    CONFIGURE_STOCK_FIELD_NUMBER: _ClassVar[int]
    DELETE_STOCK_FIELD_NUMBER: _ClassVar[int]
    RESERVE_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    EXTEND_FIELD_NUMBER: _ClassVar[int]
    increment: _counter_pb2.IncrementRequest
    set_counter: _counter_pb2.SetCounterRequest
    configure_counter: _counter_pb2.ConfigureCounterRequest
    delete_counter: _counter_pb2.DeleteCounterRequest
    decrement_copies: _inventory_pb2.DecrementCopiesRequest
    increment_copies: _inventory_pb2.IncrementCopiesRequest
    set_stock: _inventory_pb2.SetStockRequest
    move_copies: _inventory_pb2.MoveCopiesRequest
    configure_stock: _inventory_pb2.ConfigureStockRequest
    delete_stock: _inventory_pb2.DeleteStockRequest
    reserve: _reservation_pb2.ReserveRequest
    commit: _reservation_pb2.CommitRequest
    release: _reservation_pb2.ReleaseRequest
    extend: _reservation_pb2.ExtendRequest
    def __init__(self, increment: _Optional[_Union[_counter_pb2.IncrementRequest, _Mapping]] = ..., set_counter: _Optional[_Union[_counter_pb2.SetCounterRequest, _Mapping]] = ..., configure_counter: _Optional[_Union[_counter_pb2.ConfigureCounterRequest, _Mapping]] = ..., delete_counter: _Optional[_Union[_counter_pb2.DeleteCounterRequest, _Mapping]] = ..., decrement_copies: _Optional[_Union[_inventory_pb2.DecrementCopiesRequest, _Mapping]] = ..., increment_copies: _Optional[_Union[_inventory_pb2.IncrementCopiesRequest, _Mapping]] = ..., set_stock: _Optional[_Union[_inventory_pb2.SetStockRequest, _Mapping]] = ..., move_copies: _Optional[_Union[_inventory_pb2.MoveCopiesRequest, _Mapping]] = ..., configure_stock: _Optional[_Union[_inventory_pb2.ConfigureStockRequest, _Mapping]] = ..., delete_stock: _Optional[_Union[_inventory_pb2.DeleteStockRequest, _Mapping]] = ..., reserve: _Optional[_Union[_reservation_pb2.ReserveRequest, _Mapping]] = ..., commit: _Optional[_Union[_reservation_pb2.CommitRequest, _Mapping]] = ..., release: _Optional[_Union[_reservation_pb2.ReleaseRequest, _Mapping]] = ..., extend: _Optional[_Union[_reservation_pb2.ExtendRequest, _Mapping]] = ...) -> None: ...

class ApplyResponse(_message.Message):
    __slots__ = ("results", "failed_count", "revision", "commit_time", "replayed")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[OperationResult]
    failed_count: int
    revision: int
    commit_time: _timestamp_pb2.Timestamp
    replayed: bool
    def __init__(self, results: _Optional[_Iterable[_Union[OperationResult, _Mapping]]] = ..., failed_count: _Optional[int] = ..., revision: _Optional[int] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replayed: _Optional[bool] = ...) -> None: ...

class OperationResult(_message.Message):
    __slots__ = ("increment", "set_counter", "configure_counter", "delete_counter", "decrement_copies", "increment_copies", "set_stock", "move_copies", "configure_stock", "delete_stock", "reserve", "commit", "release", "extend", "error")
    INCREMENT_FIELD_NUMBER: _ClassVar[int]
    SET_COUNTER_FIELD_NUMBER: _ClassVar[int]
    CONFIGURE_COUNTER_FIELD_NUMBER: _ClassVar[int]
    DELETE_COUNTER_FIELD_NUMBER: _ClassVar[int]
    DECREMENT_COPIES_FIELD_NUMBER: _ClassVar[int]
    INCREMENT_COPIES_FIELD_NUMBER: _ClassVar[int]
    SET_STOCK_FIELD_NUMBER: _ClassVar[int]
    MOVE_COPIES_FIELD_NUMBER: _ClassVar[int]
    CONFIGURE_STOCK_FIELD_NUMBER: _ClassVar[int]
    DELETE_STOCK_FIELD_NUMBER: _ClassVar[int]
    RESERVE_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    EXTEND_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    increment: _counter_pb2.IncrementResponse
    set_counter: _counter_pb2.SetCounterResponse
    configure_counter: _counter_pb2.ConfigureCounterResponse
    delete_counter: _counter_pb2.DeleteCounterResponse
    decrement_copies: _inventory_pb2.DecrementCopiesResponse
    increment_copies: _inventory_pb2.IncrementCopiesResponse
    set_stock: _inventory_pb2.SetStockResponse
    move_copies: _inventory_pb2.MoveCopiesResponse
    configure_stock: _inventory_pb2.ConfigureStockResponse
    delete_stock: _inventory_pb2.DeleteStockResponse
    reserve: _reservation_pb2.ReserveResponse
    commit: _reservation_pb2.CommitResponse
    release: _reservation_pb2.ReleaseResponse
    extend: _reservation_pb2.ExtendResponse
    error: Status
    def __init__(self, increment: _Optional[_Union[_counter_pb2.IncrementResponse, _Mapping]] = ..., set_counter: _Optional[_Union[_counter_pb2.SetCounterResponse, _Mapping]] = ..., configure_counter: _Optional[_Union[_counter_pb2.ConfigureCounterResponse, _Mapping]] = ..., delete_counter: _Optional[_Union[_counter_pb2.DeleteCounterResponse, _Mapping]] = ..., decrement_copies: _Optional[_Union[_inventory_pb2.DecrementCopiesResponse, _Mapping]] = ..., increment_copies: _Optional[_Union[_inventory_pb2.IncrementCopiesResponse, _Mapping]] = ..., set_stock: _Optional[_Union[_inventory_pb2.SetStockResponse, _Mapping]] = ..., move_copies: _Optional[_Union[_inventory_pb2.MoveCopiesResponse, _Mapping]] = ..., configure_stock: _Optional[_Union[_inventory_pb2.ConfigureStockResponse, _Mapping]] = ..., delete_stock: _Optional[_Union[_inventory_pb2.DeleteStockResponse, _Mapping]] = ..., reserve: _Optional[_Union[_reservation_pb2.ReserveResponse, _Mapping]] = ..., commit: _Optional[_Union[_reservation_pb2.CommitResponse, _Mapping]] = ..., release: _Optional[_Union[_reservation_pb2.ReleaseResponse, _Mapping]] = ..., extend: _Optional[_Union[_reservation_pb2.ExtendResponse, _Mapping]] = ..., error: _Optional[_Union[Status, _Mapping]] = ...) -> None: ...

class Status(_message.Message):
    __slots__ = ("code", "message", "details")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    details: _containers.RepeatedCompositeFieldContainer[_any_pb2.Any]
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., details: _Optional[_Iterable[_Union[_any_pb2.Any, _Mapping]]] = ...) -> None: ...

class BatchRefused(_message.Message):
    __slots__ = ("failed_count", "operations")
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    failed_count: int
    operations: _containers.RepeatedCompositeFieldContainer[FailedOperation]
    def __init__(self, failed_count: _Optional[int] = ..., operations: _Optional[_Iterable[_Union[FailedOperation, _Mapping]]] = ...) -> None: ...

class FailedOperation(_message.Message):
    __slots__ = ("index", "error")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    index: int
    error: Status
    def __init__(self, index: _Optional[int] = ..., error: _Optional[_Union[Status, _Mapping]] = ...) -> None: ...
