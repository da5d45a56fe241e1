"""The limits of fields. They are part of the API and no settings."""

from typing import Final

INTEGER_MAX: Final = 2**53 - 1
"""The greatest magnitude of any number: the last integer that a double, and so JavaScript, holds exactly."""

NAME_BYTES_MAX: Final = 128
"""The longest item, counter, reservation id or prefix, in bytes of UTF-8."""

LABEL_CHARACTERS_MAX: Final = 63
"""The longest namespace or location, in characters, which are all ASCII."""

LABEL_PATTERN: Final = f"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LABEL_CHARACTERS_MAX - 1}}}"
"""The form of a namespace or a location, as a regular expression."""

REQUEST_ID_CHARACTERS_MAX: Final = 64
"""The longest request id, in printable ASCII characters."""

REASON_BYTES_MAX: Final = 64
REFERENCE_BYTES_MAX: Final = 256

BATCH_GET_NAMES_MAX: Final = 1_000
"""The most levels that one batch read may name."""

PAGE_SIZE_MAX: Final = 1_000
"""The maximum page size. A request for a larger page gets a page of this size."""
PAGE_SIZE_DEFAULT: Final = 100
PAGE_TOKEN_KEY_BYTES: Final = 64
"""The length of the key that seals page tokens: two keys of AES-256, as AES-SIV takes them."""

ITEM_LOCATIONS_MAX: Final = 10_000
"""The most locations of one item that are read at once."""

COUNTER_TTL_MS_MAX: Final = 3_650 * 24 * 60 * 60 * 1_000
"""The longest life of a counter that expires: 3,650 days, in milliseconds."""

DEFAULT_NAMESPACE: Final = "default"
DEFAULT_LOCATION: Final = "main"

RESERVATION_LINES_MAX: Final = 100
HOLDER_BYTES_MAX: Final = 128
RESERVATION_TTL_MS_DEFAULT: Final = 15 * 60 * 1_000
"""The life of a reservation whose request names none: 15 minutes, in milliseconds."""

AVAILABILITY_LINES_MAX: Final = 100

BATCH_OPERATIONS_MAX: Final = 1_000
BATCH_LINES_MAX: Final = 10_000
"""The most levels that the operations of one batch may name together."""
BATCH_PART_OPERATIONS: Final = 250
"""The operations of an independent batch that are applied in one step. A repeat finds its records by this number: to
change it would forget the batches that were applied before."""

WATCH_NAMES_MAX: Final = 1_000
"""The most items, counters, reservations and locations, each, that a watch may name."""
WATCH_LEVELS_MAX: Final = 10_000
"""The most levels that a watch may ask for at its beginning."""

ANSWER_LINES_MAX: Final = 5_000
"""The approximate number of lines in the entries or reservations of one answer, so that it stays well below the 4 MiB
that gRPC's clients take. A page, or a part of a stream, with more lines is cut shorter."""

DIFFERENCES_MAX: Final = 1_000
"""The most differences that a verification lists."""
