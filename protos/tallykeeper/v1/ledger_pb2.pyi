import datetime

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

class OperationKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPERATION_KIND_UNSPECIFIED: _ClassVar[OperationKind]
    OPERATION_KIND_INCREMENT: _ClassVar[OperationKind]
    OPERATION_KIND_SET_COUNTER: _ClassVar[OperationKind]
    OPERATION_KIND_CONFIGURE_COUNTER: _ClassVar[OperationKind]
    OPERATION_KIND_DELETE_COUNTER: _ClassVar[OperationKind]
    OPERATION_KIND_DECREMENT_COPIES: _ClassVar[OperationKind]
    OPERATION_KIND_INCREMENT_COPIES: _ClassVar[OperationKind]
    OPERATION_KIND_SET_STOCK: _ClassVar[OperationKind]
    OPERATION_KIND_MOVE_COPIES: _ClassVar[OperationKind]
    OPERATION_KIND_CONFIGURE_STOCK: _ClassVar[OperationKind]
    OPERATION_KIND_DELETE_STOCK: _ClassVar[OperationKind]
    OPERATION_KIND_RESERVE: _ClassVar[OperationKind]
    OPERATION_KIND_COMMIT: _ClassVar[OperationKind]
    OPERATION_KIND_RELEASE: _ClassVar[OperationKind]
    OPERATION_KIND_EXTEND: _ClassVar[OperationKind]
    OPERATION_KIND_EXPIRE: _ClassVar[OperationKind]

class ThresholdCrossing(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    THRESHOLD_CROSSING_UNSPECIFIED: _ClassVar[ThresholdCrossing]
    THRESHOLD_CROSSING_LOW: _ClassVar[ThresholdCrossing]
    THRESHOLD_CROSSING_OUT: _ClassVar[ThresholdCrossing]
    THRESHOLD_CROSSING_BACK_IN_STOCK: _ClassVar[ThresholdCrossing]

class RequestOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REQUEST_OUTCOME_UNSPECIFIED: _ClassVar[RequestOutcome]
    REQUEST_OUTCOME_UNKNOWN: _ClassVar[RequestOutcome]
    REQUEST_OUTCOME_APPLIED: _ClassVar[RequestOutcome]
    REQUEST_OUTCOME_REFUSED: _ClassVar[RequestOutcome]
    REQUEST_OUTCOME_INCOMPLETE: _ClassVar[RequestOutcome]

class DifferenceKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIFFERENCE_KIND_UNSPECIFIED: _ClassVar[DifferenceKind]
    DIFFERENCE_KIND_STOCK: _ClassVar[DifferenceKind]
    DIFFERENCE_KIND_COUNTER: _ClassVar[DifferenceKind]
    DIFFERENCE_KIND_RESERVATION: _ClassVar[DifferenceKind]
    DIFFERENCE_KIND_LEDGER: _ClassVar[DifferenceKind]
    DIFFERENCE_KIND_DAMAGED_ENTRY: _ClassVar[DifferenceKind]
OPERATION_KIND_UNSPECIFIED: OperationKind
OPERATION_KIND_INCREMENT: OperationKind
OPERATION_KIND_SET_COUNTER: OperationKind
OPERATION_KIND_CONFIGURE_COUNTER: OperationKind
OPERATION_KIND_DELETE_COUNTER: OperationKind
OPERATION_KIND_DECREMENT_COPIES: OperationKind
OPERATION_KIND_INCREMENT_COPIES: OperationKind
OPERATION_KIND_SET_STOCK: OperationKind
OPERATION_KIND_MOVE_COPIES: OperationKind
OPERATION_KIND_CONFIGURE_STOCK: OperationKind
OPERATION_KIND_DELETE_STOCK: OperationKind
OPERATION_KIND_RESERVE: OperationKind
OPERATION_KIND_COMMIT: OperationKind
OPERATION_KIND_RELEASE: OperationKind
OPERATION_KIND_EXTEND: OperationKind
OPERATION_KIND_EXPIRE: OperationKind
THRESHOLD_CROSSING_UNSPECIFIED: ThresholdCrossing
THRESHOLD_CROSSING_LOW: ThresholdCrossing
THRESHOLD_CROSSING_OUT: ThresholdCrossing
THRESHOLD_CROSSING_BACK_IN_STOCK: ThresholdCrossing
REQUEST_OUTCOME_UNSPECIFIED: RequestOutcome
REQUEST_OUTCOME_UNKNOWN: RequestOutcome
REQUEST_OUTCOME_APPLIED: RequestOutcome
REQUEST_OUTCOME_REFUSED: RequestOutcome
REQUEST_OUTCOME_INCOMPLETE: RequestOutcome
DIFFERENCE_KIND_UNSPECIFIED: DifferenceKind
DIFFERENCE_KIND_STOCK: DifferenceKind
DIFFERENCE_KIND_COUNTER: DifferenceKind
DIFFERENCE_KIND_RESERVATION: DifferenceKind
DIFFERENCE_KIND_LEDGER: DifferenceKind
DIFFERENCE_KIND_DAMAGED_ENTRY: DifferenceKind

class Entry(_message.Message):
    __slots__ = ("revision", "commit_time", "operation", "request_id", "reason", "reference", "identity", "lines", "reservation", "damage", "missing_from")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    DAMAGE_FIELD_NUMBER: _ClassVar[int]
    MISSING_FROM_FIELD_NUMBER: _ClassVar[int]
    revision: int
    commit_time: _timestamp_pb2.Timestamp
    operation: OperationKind
    request_id: str
    reason: str
    reference: str
    identity: str
    lines: _containers.RepeatedCompositeFieldContainer[EntryLine]
    reservation: EntryReservation
    damage: str
    missing_from: int
    def __init__(self, revision: _Optional[int] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., operation: _Optional[_Union[OperationKind, str]] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ..., identity: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[EntryLine, _Mapping]]] = ..., reservation: _Optional[_Union[EntryReservation, _Mapping]] = ..., damage: _Optional[str] = ..., missing_from: _Optional[int] = ...) -> None: ...

class EntryLine(_message.Message):
    __slots__ = ("counter", "stock")
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    STOCK_FIELD_NUMBER: _ClassVar[int]
    counter: CounterChange
    stock: StockChange
    def __init__(self, counter: _Optional[_Union[CounterChange, _Mapping]] = ..., stock: _Optional[_Union[StockChange, _Mapping]] = ...) -> None: ...

class CounterChange(_message.Message):
    __slots__ = ("counter", "value_change", "after")
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    VALUE_CHANGE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    counter: str
    value_change: int
    after: _counter_pb2.Counter
    def __init__(self, counter: _Optional[str] = ..., value_change: _Optional[int] = ..., after: _Optional[_Union[_counter_pb2.Counter, _Mapping]] = ...) -> None: ...

class StockChange(_message.Message):
    __slots__ = ("item", "location", "on_hand_change", "reserved_change", "crossings", "after")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    ON_HAND_CHANGE_FIELD_NUMBER: _ClassVar[int]
    RESERVED_CHANGE_FIELD_NUMBER: _ClassVar[int]
    CROSSINGS_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    item: str
    location: str
    on_hand_change: int
    reserved_change: int
    crossings: _containers.RepeatedScalarFieldContainer[ThresholdCrossing]
    after: _inventory_pb2.StockLevel
    def __init__(self, item: _Optional[str] = ..., location: _Optional[str] = ..., on_hand_change: _Optional[int] = ..., reserved_change: _Optional[int] = ..., crossings: _Optional[_Iterable[_Union[ThresholdCrossing, str]]] = ..., after: _Optional[_Union[_inventory_pb2.StockLevel, _Mapping]] = ...) -> None: ...

class EntryReservation(_message.Message):
    __slots__ = ("reservation_id", "state", "holder", "expire_time")
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    reservation_id: str
    state: _reservation_pb2.ReservationState
    holder: str
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, reservation_id: _Optional[str] = ..., state: _Optional[_Union[_reservation_pb2.ReservationState, str]] = ..., holder: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListEntriesRequest(_message.Message):
    __slots__ = ("namespace", "item", "counter", "location", "reservation_id", "operation", "reference", "request_id", "start_time", "end_time", "newest_first", "page_size", "page_token")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIRST_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    item: str
    counter: str
    location: str
    reservation_id: str
    operation: OperationKind
    reference: str
    request_id: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    newest_first: bool
    page_size: int
    page_token: str
    def __init__(self, namespace: _Optional[str] = ..., item: _Optional[str] = ..., counter: _Optional[str] = ..., location: _Optional[str] = ..., reservation_id: _Optional[str] = ..., operation: _Optional[_Union[OperationKind, str]] = ..., reference: _Optional[str] = ..., request_id: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., newest_first: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListEntriesResponse(_message.Message):
    __slots__ = ("entries", "next_page_token", "revision")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    next_page_token: str
    revision: int
    def __init__(self, entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("namespace", "items", "counters", "reservation_ids", "locations", "after_revision", "include_levels")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_IDS_FIELD_NUMBER: _ClassVar[int]
    LOCATIONS_FIELD_NUMBER: _ClassVar[int]
    AFTER_REVISION_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_LEVELS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    items: _containers.RepeatedScalarFieldContainer[str]
    counters: _containers.RepeatedScalarFieldContainer[str]
    reservation_ids: _containers.RepeatedScalarFieldContainer[str]
    locations: _containers.RepeatedScalarFieldContainer[str]
    after_revision: int
    include_levels: bool
    def __init__(self, namespace: _Optional[str] = ..., items: _Optional[_Iterable[str]] = ..., counters: _Optional[_Iterable[str]] = ..., reservation_ids: _Optional[_Iterable[str]] = ..., locations: _Optional[_Iterable[str]] = ..., after_revision: _Optional[int] = ..., include_levels: _Optional[bool] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("entries", "revision", "stock_levels", "counters")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STOCK_LEVELS_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    revision: int
    stock_levels: _containers.RepeatedCompositeFieldContainer[_inventory_pb2.StockLevel]
    counters: _containers.RepeatedCompositeFieldContainer[_counter_pb2.Counter]
    def __init__(self, entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., revision: _Optional[int] = ..., stock_levels: _Optional[_Iterable[_Union[_inventory_pb2.StockLevel, _Mapping]]] = ..., counters: _Optional[_Iterable[_Union[_counter_pb2.Counter, _Mapping]]] = ...) -> None: ...

class LookupRequestRequest(_message.Message):
    __slots__ = ("namespace", "request_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    request_id: str
    def __init__(self, namespace: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class LookupRequestResponse(_message.Message):
    __slots__ = ("outcome", "applied_revision", "commit_time", "refusal_reason", "applied_count", "refused_count", "revision")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    APPLIED_REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_REASON_FIELD_NUMBER: _ClassVar[int]
    APPLIED_COUNT_FIELD_NUMBER: _ClassVar[int]
    REFUSED_COUNT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    outcome: RequestOutcome
    applied_revision: int
    commit_time: _timestamp_pb2.Timestamp
    refusal_reason: str
    applied_count: int
    refused_count: int
    revision: int
    def __init__(self, outcome: _Optional[_Union[RequestOutcome, str]] = ..., applied_revision: _Optional[int] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., refusal_reason: _Optional[str] = ..., applied_count: _Optional[int] = ..., refused_count: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

class VerifyNamespaceRequest(_message.Message):
    __slots__ = ("namespace",)
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class VerifyNamespaceResponse(_message.Message):
    __slots__ = ("progress", "result")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    progress: VerifyProgress
    result: VerifyResult
    def __init__(self, progress: _Optional[_Union[VerifyProgress, _Mapping]] = ..., result: _Optional[_Union[VerifyResult, _Mapping]] = ...) -> None: ...

class VerifyProgress(_message.Message):
    __slots__ = ("revisions_replayed", "revisions_total", "reservations_checked", "reservations_total", "levels_checked", "levels_total")
    REVISIONS_REPLAYED_FIELD_NUMBER: _ClassVar[int]
    REVISIONS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    RESERVATIONS_CHECKED_FIELD_NUMBER: _ClassVar[int]
    RESERVATIONS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    LEVELS_CHECKED_FIELD_NUMBER: _ClassVar[int]
    LEVELS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    revisions_replayed: int
    revisions_total: int
    reservations_checked: int
    reservations_total: int
    levels_checked: int
    levels_total: int
    def __init__(self, revisions_replayed: _Optional[int] = ..., revisions_total: _Optional[int] = ..., reservations_checked: _Optional[int] = ..., reservations_total: _Optional[int] = ..., levels_checked: _Optional[int] = ..., levels_total: _Optional[int] = ...) -> None: ...

class VerifyResult(_message.Message):
    __slots__ = ("clean", "differences", "difference_count", "from_revision", "revision", "levels_checked", "levels_unchecked", "reservations_checked")
    CLEAN_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    FROM_REVISION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    LEVELS_CHECKED_FIELD_NUMBER: _ClassVar[int]
    LEVELS_UNCHECKED_FIELD_NUMBER: _ClassVar[int]
    RESERVATIONS_CHECKED_FIELD_NUMBER: _ClassVar[int]
    clean: bool
    differences: _containers.RepeatedCompositeFieldContainer[Difference]
    difference_count: int
    from_revision: int
    revision: int
    levels_checked: int
    levels_unchecked: int
    reservations_checked: int
    def __init__(self, clean: _Optional[bool] = ..., differences: _Optional[_Iterable[_Union[Difference, _Mapping]]] = ..., difference_count: _Optional[int] = ..., from_revision: _Optional[int] = ..., revision: _Optional[int] = ..., levels_checked: _Optional[int] = ..., levels_unchecked: _Optional[int] = ..., reservations_checked: _Optional[int] = ...) -> None: ...

class Difference(_message.Message):
    __slots__ = ("kind", "name", "location", "revision", "expected", "actual")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_FIELD_NUMBER: _ClassVar[int]
    kind: DifferenceKind
    name: str
    location: str
    revision: int
    expected: str
    actual: str
    def __init__(self, kind: _Optional[_Union[DifferenceKind, str]] = ..., name: _Optional[str] = ..., location: _Optional[str] = ..., revision: _Optional[int] = ..., expected: _Optional[str] = ..., actual: _Optional[str] = ...) -> None: ...
