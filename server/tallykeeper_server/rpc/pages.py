"""Page tokens: where a listing goes on, sealed together with what it lists."""

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Final, TypeVar

from tallykeeper_server.domain.errors import PageTokenInvalidError

_SEAL_BYTES: Final = 8

Place = TypeVar("Place")


def seal_page_token(after: str, *listing: str) -> str:
    """Return the token of the page that follows the name ``after`` in a listing."""
    return base64.urlsafe_b64encode(_seal(after, listing) + after.encode()).decode()


def open_page_token(token: str, place_of: Callable[[str], Place], *listing: str) -> Place | None:
    """Return the place after which a token's page begins; None if it is the first.

    ``place_of`` makes a place of a name, or raises ValueError: anyone can seal what is none.

    :raises PageTokenInvalidError: the token was not made for this listing.
    """
    if not token:
        return None
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
        after = raw[_SEAL_BYTES:].decode()
        place = place_of(after)
    except (binascii.Error, ValueError) as error:
        raise _invalid() from error
    if raw[:_SEAL_BYTES] != _seal(after, listing):
        raise _invalid()
    return place


def _seal(after: str, listing: tuple[str, ...]) -> bytes:
    """Return a checksum over the place and what is listed. It guards against mistakes, not against forgery."""
    return hashlib.blake2b("\0".join((after, *listing)).encode(), digest_size=_SEAL_BYTES).digest()


def _invalid() -> PageTokenInvalidError:
    return PageTokenInvalidError(
        [("page_token", "is not a next_page_token of this listing; begin again with an empty one")]
    )
