import datetime

from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ShortagePolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SHORTAGE_POLICY_UNSPECIFIED: _ClassVar[ShortagePolicy]
    SHORTAGE_POLICY_REJECT: _ClassVar[ShortagePolicy]
    SHORTAGE_POLICY_TAKE_AVAILABLE: _ClassVar[ShortagePolicy]
SHORTAGE_POLICY_UNSPECIFIED: ShortagePolicy
SHORTAGE_POLICY_REJECT: ShortagePolicy
SHORTAGE_POLICY_TAKE_AVAILABLE: ShortagePolicy

class StockLevel(_message.Message):
    __slots__ = ("item", "location", "on_hand", "reserved", "safety_stock", "backorder_limit", "low_stock_threshold", "available", "damage", "short_copies")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    ON_HAND_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    SAFETY_STOCK_FIELD_NUMBER: _ClassVar[int]
    BACKORDER_LIMIT_FIELD_NUMBER: _ClassVar[int]
    LOW_STOCK_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    DAMAGE_FIELD_NUMBER: _ClassVar[int]
    SHORT_COPIES_FIELD_NUMBER: _ClassVar[int]
    item: str
    location: str
    on_hand: int
    reserved: int
    safety_stock: int
    backorder_limit: int
    low_stock_threshold: int
    available: int
    damage: str
    short_copies: int
    def __init__(self, item: _Optional[str] = ..., location: _Optional[str] = ..., on_hand: _Optional[int] = ..., reserved: _Optional[int] = ..., safety_stock: _Optional[int] = ..., backorder_limit: _Optional[int] = ..., low_stock_threshold: _Optional[int] = ..., available: _Optional[int] = ..., damage: _Optional[str] = ..., short_copies: _Optional[int] = ...) -> None: ...

class StockKey(_message.Message):
    __slots__ = ("item", "location")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    item: str
    location: str
    def __init__(self, item: _Optional[str] = ..., location: _Optional[str] = ...) -> None: ...

class DecrementCopiesRequest(_message.Message):
    __slots__ = ("namespace", "request_id", "reason", "reference", "item", "location", "copies", "shortage_policy")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    SHORTAGE_POLICY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    request_id: str
    reason: str
    reference: str
    item: str
    location: str
    copies: int
    shortage_policy: ShortagePolicy
    def __init__(self, namespace: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ..., item: _Optional[str] = ..., location: _Optional[str] = ..., copies: _Optional[int] = ..., shortage_policy: _Optional[_Union[ShortagePolicy, str]] = ...) -> None: ...

class DecrementCopiesResponse(_message.Message):
    __slots__ = ("copies_taken", "stock_level", "revision", "commit_time", "replayed")
    COPIES_TAKEN_FIELD_NUMBER: _ClassVar[int]
    STOCK_LEVEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    copies_taken: int
    stock_level: StockLevel
    revision: int
    commit_time: _timestamp_pb2.Timestamp
    replayed: bool
    def __init__(self, copies_taken: _Optional[int] = ..., stock_level: _Optional[_Union[StockLevel, _Mapping]] = ..., revision: _Optional[int] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replayed: _Optional[bool] = ...) -> None: ...

class IncrementCopiesRequest(_message.Message):
    __slots__ = ("namespace", "request_id", "reason", "reference", "item", "location", "copies")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    request_id: str
    reason: str
    reference: str
    item: str
    location: str
    copies: int
    def __init__(self, namespace: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ..., item: _Optional[str] = ..., location: _Optional[str] = ..., copies: _Optional[int] = ...) -> None: ...

class IncrementCopiesResponse(_message.Message):
    __slots__ = ("stock_level", "revision", "commit_time", "replayed")
    STOCK_LEVEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    stock_level: StockLevel
    revision: int
    commit_time: _timestamp_pb2.Timestamp
    replayed: bool
    def __init__(self, stock_level: _Optional[_Union[StockLevel, _Mapping]] = ..., revision: _Optional[int] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replayed: _Optional[bool] = ...) -> None: ...

class SetStockRequest(_message.Message):
    __slots__ = ("namespace", "request_id", "reason", "reference", "item", "location", "on_hand", "expected_on_hand", "allow_below_reserved")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    ON_HAND_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ON_HAND_FIELD_NUMBER: _ClassVar[int]
    ALLOW_BELOW_RESERVED_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    request_id: str
    reason: str
    reference: str
    item: str
    location: str
    on_hand: int
    expected_on_hand: int
    allow_below_reserved: bool
    def __init__(self, namespace: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ..., item: _Optional[str] = ..., location: _Optional[str] = ..., on_hand: _Optional[int] = ..., expected_on_hand: _Optional[int] = ..., allow_below_reserved: _Optional[bool] = ...) -> None: ...

class SetStockResponse(_message.Message):
    __slots__ = ("stock_level", "revision", "commit_time", "replayed")
    STOCK_LEVEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    stock_level: StockLevel
    revision: int
    commit_time: _timestamp_pb2.Timestamp
    replayed: bool
    def __init__(self, stock_level: _Optional[_Union[StockLevel, _Mapping]] = ..., revision: _Optional[int] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replayed: _Optional[bool] = ...) -> None: ...

class MoveCopiesRequest(_message.Message):
    __slots__ = ("namespace", "request_id", "reason", "reference", "item", "from_location", "to_location", "copies")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    FROM_LOCATION_FIELD_NUMBER: _ClassVar[int]
    TO_LOCATION_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    request_id: str
    reason: str
    reference: str
    item: str
    from_location: str
    to_location: str
    copies: int
    def __init__(self, namespace: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ..., item: _Optional[str] = ..., from_location: _Optional[str] = ..., to_location: _Optional[str] = ..., copies: _Optional[int] = ...) -> None: ...

class MoveCopiesResponse(_message.Message):
    __slots__ = ("from_stock_level", "to_stock_level", "revision", "commit_time", "replayed")
    FROM_STOCK_LEVEL_FIELD_NUMBER: _ClassVar[int]
    TO_STOCK_LEVEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    from_stock_level: StockLevel
    to_stock_level: StockLevel
    revision: int
    commit_time: _timestamp_pb2.Timestamp
    replayed: bool
    def __init__(self, from_stock_level: _Optional[_Union[StockLevel, _Mapping]] = ..., to_stock_level: _Optional[_Union[StockLevel, _Mapping]] = ..., revision: _Optional[int] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replayed: _Optional[bool] = ...) -> None: ...

class ConfigureStockRequest(_message.Message):
    __slots__ = ("namespace", "request_id", "reason", "reference", "item", "location", "safety_stock", "backorder_limit", "low_stock_threshold", "update_mask")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    SAFETY_STOCK_FIELD_NUMBER: _ClassVar[int]
    BACKORDER_LIMIT_FIELD_NUMBER: _ClassVar[int]
    LOW_STOCK_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    request_id: str
    reason: str
    reference: str
    item: str
    location: str
    safety_stock: int
    backorder_limit: int
    low_stock_threshold: int
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, namespace: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ..., item: _Optional[str] = ..., location: _Optional[str] = ..., safety_stock: _Optional[int] = ..., backorder_limit: _Optional[int] = ..., low_stock_threshold: _Optional[int] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class ConfigureStockResponse(_message.Message):
    __slots__ = ("stock_level", "revision", "commit_time", "replayed")
    STOCK_LEVEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    stock_level: StockLevel
    revision: int
    commit_time: _timestamp_pb2.Timestamp
    replayed: bool
    def __init__(self, stock_level: _Optional[_Union[StockLevel, _Mapping]] = ..., revision: _Optional[int] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replayed: _Optional[bool] = ...) -> None: ...

class DeleteStockRequest(_message.Message):
    __slots__ = ("namespace", "request_id", "reason", "reference", "item", "location")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    request_id: str
    reason: str
    reference: str
    item: str
    location: str
    def __init__(self, namespace: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ..., item: _Optional[str] = ..., location: _Optional[str] = ...) -> None: ...

class DeleteStockResponse(_message.Message):
    __slots__ = ("stock_level", "revision", "commit_time", "replayed")
    STOCK_LEVEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    stock_level: StockLevel
    revision: int
    commit_time: _timestamp_pb2.Timestamp
    replayed: bool
    def __init__(self, stock_level: _Optional[_Union[StockLevel, _Mapping]] = ..., revision: _Optional[int] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replayed: _Optional[bool] = ...) -> None: ...

class GetStockRequest(_message.Message):
    __slots__ = ("namespace", "item", "location", "min_revision")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    item: str
    location: str
    min_revision: int
    def __init__(self, namespace: _Optional[str] = ..., item: _Optional[str] = ..., location: _Optional[str] = ..., min_revision: _Optional[int] = ...) -> None: ...

class GetStockResponse(_message.Message):
    __slots__ = ("stock_level", "revision")
    STOCK_LEVEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    stock_level: StockLevel
    revision: int
    def __init__(self, stock_level: _Optional[_Union[StockLevel, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class BatchGetStockRequest(_message.Message):
    __slots__ = ("namespace", "keys", "min_revision")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    keys: _containers.RepeatedCompositeFieldContainer[StockKey]
    min_revision: int
    def __init__(self, namespace: _Optional[str] = ..., keys: _Optional[_Iterable[_Union[StockKey, _Mapping]]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class BatchGetStockResponse(_message.Message):
    __slots__ = ("stock_levels", "missing", "revision")
    STOCK_LEVELS_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    stock_levels: _containers.RepeatedCompositeFieldContainer[StockLevel]
    missing: _containers.RepeatedCompositeFieldContainer[StockKey]
    revision: int
    def __init__(self, stock_levels: _Optional[_Iterable[_Union[StockLevel, _Mapping]]] = ..., missing: _Optional[_Iterable[_Union[StockKey, _Mapping]]] = ..., revision: _Optional[int] = ...) -> None: ...

class GetItemRequest(_message.Message):
    __slots__ = ("namespace", "item", "min_revision")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    item: str
    min_revision: int
    def __init__(self, namespace: _Optional[str] = ..., item: _Optional[str] = ..., min_revision: _Optional[int] = ...) -> None: ...

class GetItemResponse(_message.Message):
    __slots__ = ("stock_levels", "total_on_hand", "total_reserved", "total_available", "revision")
    STOCK_LEVELS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_ON_HAND_FIELD_NUMBER: _ClassVar[int]
    TOTAL_RESERVED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    stock_levels: _containers.RepeatedCompositeFieldContainer[StockLevel]
    total_on_hand: int
    total_reserved: int
    total_available: int
    revision: int
    def __init__(self, stock_levels: _Optional[_Iterable[_Union[StockLevel, _Mapping]]] = ..., total_on_hand: _Optional[int] = ..., total_reserved: _Optional[int] = ..., total_available: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

class ListStockRequest(_message.Message):
    __slots__ = ("namespace", "item_prefix", "location", "page_size", "page_token", "any_location")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    ITEM_PREFIX_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ANY_LOCATION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    item_prefix: str
    location: str
    page_size: int
    page_token: str
    any_location: bool
    def __init__(self, namespace: _Optional[str] = ..., item_prefix: _Optional[str] = ..., location: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., any_location: _Optional[bool] = ...) -> None: ...

class ListStockResponse(_message.Message):
    __slots__ = ("stock_levels", "next_page_token", "revision")
    STOCK_LEVELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    stock_levels: _containers.RepeatedCompositeFieldContainer[StockLevel]
    next_page_token: str
    revision: int
    def __init__(self, stock_levels: _Optional[_Iterable[_Union[StockLevel, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class CheckAvailabilityRequest(_message.Message):
    __slots__ = ("namespace", "lines", "min_revision")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    lines: _containers.RepeatedCompositeFieldContainer[AvailabilityLine]
    min_revision: int
    def __init__(self, namespace: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[AvailabilityLine, _Mapping]]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class AvailabilityLine(_message.Message):
    __slots__ = ("item", "location", "copies", "any_location")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    ANY_LOCATION_FIELD_NUMBER: _ClassVar[int]
    item: str
    location: str
    copies: int
    any_location: bool
    def __init__(self, item: _Optional[str] = ..., location: _Optional[str] = ..., copies: _Optional[int] = ..., any_location: _Optional[bool] = ...) -> None: ...

class CheckAvailabilityResponse(_message.Message):
    __slots__ = ("lines", "sufficient", "revision")
    LINES_FIELD_NUMBER: _ClassVar[int]
    SUFFICIENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[LineAvailability]
    sufficient: bool
    revision: int
    def __init__(self, lines: _Optional[_Iterable[_Union[LineAvailability, _Mapping]]] = ..., sufficient: _Optional[bool] = ..., revision: _Optional[int] = ...) -> None: ...

class LineAvailability(_message.Message):
    __slots__ = ("item", "location", "requested", "available", "backorder_limit", "sufficient", "locations")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    BACKORDER_LIMIT_FIELD_NUMBER: _ClassVar[int]
    SUFFICIENT_FIELD_NUMBER: _ClassVar[int]
    LOCATIONS_FIELD_NUMBER: _ClassVar[int]
    item: str
    location: str
    requested: int
    available: int
    backorder_limit: int
    sufficient: bool
    locations: _containers.RepeatedCompositeFieldContainer[LocationAvailability]
    def __init__(self, item: _Optional[str] = ..., location: _Optional[str] = ..., requested: _Optional[int] = ..., available: _Optional[int] = ..., backorder_limit: _Optional[int] = ..., sufficient: _Optional[bool] = ..., locations: _Optional[_Iterable[_Union[LocationAvailability, _Mapping]]] = ...) -> None: ...

class LocationAvailability(_message.Message):
    __slots__ = ("location", "available", "backorder_limit")
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    BACKORDER_LIMIT_FIELD_NUMBER: _ClassVar[int]
    location: str
    available: int
    backorder_limit: int
    def __init__(self, location: _Optional[str] = ..., available: _Optional[int] = ..., backorder_limit: _Optional[int] = ...) -> None: ...

class Shortages(_message.Message):
    __slots__ = ("shortages", "count")
    SHORTAGES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    shortages: _containers.RepeatedCompositeFieldContainer[Shortage]
    count: int
    def __init__(self, shortages: _Optional[_Iterable[_Union[Shortage, _Mapping]]] = ..., count: _Optional[int] = ...) -> None: ...

class Shortage(_message.Message):
    __slots__ = ("item", "location", "requested", "available", "backorder_limit", "reserved")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    BACKORDER_LIMIT_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    item: str
    location: str
    requested: int
    available: int
    backorder_limit: int
    reserved: int
    def __init__(self, item: _Optional[str] = ..., location: _Optional[str] = ..., requested: _Optional[int] = ..., available: _Optional[int] = ..., backorder_limit: _Optional[int] = ..., reserved: _Optional[int] = ...) -> None: ...
