"""The address at which the console listens."""

import ipaddress
import socket
from dataclasses import dataclass
from typing import Final

DEFAULT: Final = "127.0.0.1:50082"
_PORT_MAX: Final = 65_535


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A host and a port; port 0 lets the system choose one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "ListenAddress":
        """Read ``HOST:PORT``, with an IPv6 address in brackets. Raises ValueError if it is not of this form."""
        host, colon, port = text.rpartition(":")
        name = host.removeprefix("[").removesuffix("]")
        bracketed = host.startswith("[") and host.endswith("]")
        if not (colon and name and port.isascii() and port.isdecimal() and int(port) <= _PORT_MAX):
            message = f"{text} is not HOST:PORT with a port from 0 to {_PORT_MAX}"
            raise ValueError(message)
        if ":" in name and not bracketed:
            message = f"{text} is not HOST:PORT: write an IPv6 address in brackets, as in [::1]:50082"
            raise ValueError(message)
        return cls(name, int(port))

    def is_loopback(self) -> bool:
        """Return True if only this machine can reach the address. Raises OSError if the host has no address."""
        found = {str(address[0]) for *_, address in socket.getaddrinfo(self.host, None)}
        return all(ipaddress.ip_address(each.partition("%")[0]).is_loopback for each in found)

    def open(self) -> socket.socket:
        """Return a socket that listens there. Raises OSError if that is not possible."""
        family, *_, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((str(address[0]), self.port), family=family)

    def url(self, port: int) -> str:
        """Return the address for a browser; ``port`` is the one that was opened."""
        return f"http://[{self.host}]:{port}/" if ":" in self.host else f"http://{self.host}:{port}/"
