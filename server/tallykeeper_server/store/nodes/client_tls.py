"""The TLS of connections to a node, which follows its files: a renewed certificate is used without a restart."""

import ssl
from pathlib import Path
from typing import Final, TypeAlias

from tallykeeper_server.store.nodes.node_options import TlsOptions
from tallykeeper_server.store.nodes.wire import tls_context

_Stamp: TypeAlias = tuple[int, int, int]
_MISSING: Final[_Stamp] = (0, 0, 0)


class ClientTls:
    """The TLS settings of a client. Each new connection uses the files as they are then."""

    def __init__(self, options: TlsOptions) -> None:
        """Take the options. No file is read yet."""
        self._options = options
        self._context: ssl.SSLContext | None = None
        self._seen: list[_Stamp] = []

    def context(self) -> ssl.SSLContext:
        """Return the settings for a new connection.

        While files are replaced one by one, they may not fit together. Then the former settings are returned.

        :raises OSError: a file cannot be read or used, and there are no former settings.
        """
        options = self._options
        paths = (options.ca_file, options.certificate_file, options.key_file)
        stamps = [_stamp_of(path) for path in paths if path]
        if self._context is None:
            self._context, self._seen = tls_context(options), stamps
        elif stamps != self._seen:
            try:
                self._context, self._seen = tls_context(options), stamps
            except OSError:
                return self._context
        return self._context


def _stamp_of(path: str) -> _Stamp:
    """Return values that change when a file is changed or replaced."""
    try:
        status = Path(path).stat()
    except OSError:
        return _MISSING
    return status.st_ino, status.st_mtime_ns, status.st_size
