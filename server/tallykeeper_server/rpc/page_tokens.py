"""Page tokens: each is the cursor of the next page, sealed together with the listing that it belongs to.

A token is sealed with AES-SIV (RFC 5297), which needs no nonce: the same cursor in a listing gives the same token. The
store keeps the key, so a token is good at every server of the store, and after each restart.
"""

import base64
import binascii
import secrets
from collections.abc import Callable
from typing import Final, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from tallykeeper_server.domain.errors import PageTokenInvalidError
from tallykeeper_server.domain.limits import PAGE_TOKEN_KEY_BYTES
from tallykeeper_server.domain.queries import PageTokenKey
from tallykeeper_server.engine.engine import Engine

_FORM: Final = b"tallykeeper page token 1"
"""A sealed part of each token. A new form of tokens gets a new number, so that no server misreads a token."""

Cursor = TypeVar("Cursor")


class PageTokens:
    """Seals and opens page tokens with the key that the store keeps. It reads the key once, with the first token."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._cipher: AESSIV | None = None

    async def seal(self, after: str, *listing: str, deadline: float) -> str:
        """Return the token of the page that follows the cursor ``after`` in a listing.

        :raises TallyError: the store could not be asked for the key; Engine.ask says more.
        """
        cipher = await self._with_key(deadline)
        return base64.urlsafe_b64encode(cipher.encrypt(after.encode(), _associated(listing))).decode()

    async def open(
        self, token: str, read_cursor: Callable[[str], Cursor], *listing: str, deadline: float
    ) -> Cursor | None:
        """Return the cursor after which a token's page begins; None for the first page.

        ``read_cursor`` reads the text of a cursor. It raises ValueError for a text that this server does not know.

        :raises PageTokenInvalidError: no server of this store made the token for this listing.
        :raises TallyError: the store could not be asked for the key; Engine.ask says more.
        """
        if not token:
            return None
        cipher = await self._with_key(deadline)
        try:
            sealed = base64.b64decode(token, altchars=b"-_", validate=True)
            return read_cursor(cipher.decrypt(sealed, _associated(listing)).decode())
        except (binascii.Error, ValueError, InvalidTag) as error:
            raise PageTokenInvalidError(
                [("page_token", "is not a next_page_token of this listing; begin again with an empty one")]
            ) from error

    async def _with_key(self, deadline: float) -> AESSIV:
        if self._cipher is None:
            key = await self._engine.ask(PageTokenKey(), deadline=deadline)
            if key is None:
                proposal = PageTokenKey(secrets.token_bytes(PAGE_TOKEN_KEY_BYTES))
                key = await self._engine.ask(proposal, deadline=deadline)
            self._cipher = AESSIV(key or b"")
        return self._cipher


def _associated(listing: tuple[str, ...]) -> list[bytes]:
    """Return the parts that name a listing, as bytes. AES-SIV keeps the parts apart."""
    return [_FORM, *(part.encode() for part in listing)]
