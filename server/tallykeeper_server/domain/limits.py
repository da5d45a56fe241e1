"""The contract's limits: what a field may hold. They are part of the API and no settings."""

from typing import Final

INTEGER_MAX: Final = 2**53 - 1
"""The greatest magnitude of any number: the last integer that a double, and so JavaScript, holds exactly."""

NAME_BYTES_MAX: Final = 128
"""The longest item, counter or prefix, in bytes of UTF-8."""

PLACE_CHARACTERS_MAX: Final = 63
"""The longest namespace or location, in characters, which are all ASCII."""

REQUEST_ID_CHARACTERS_MAX: Final = 64
"""The longest request id, in printable ASCII characters."""

REASON_BYTES_MAX: Final = 64
REFERENCE_BYTES_MAX: Final = 256

BATCH_GET_NAMES_MAX: Final = 1_000
"""The most levels that one batch read may name."""

PAGE_SIZE_MAX: Final = 1_000
PAGE_SIZE_DEFAULT: Final = 100

ITEM_LOCATIONS_MAX: Final = 10_000
"""The most locations of one item that are read at once."""

EXPIRE_AFTER_MS_MAX: Final = 3_650 * 24 * 60 * 60 * 1_000
"""The longest life of a counter that expires: 3,650 days, in milliseconds."""

DEFAULT_NAMESPACE: Final = "default"
DEFAULT_LOCATION: Final = "main"
