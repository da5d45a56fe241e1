"""Certificates, API keys and tokens for the servers of the cases, and the access files that tell of them."""

import hashlib
import itertools
import secrets
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.access.tokens import AUDIENCE, ISSUER, token, write_key_set
from tests.support.server import TALLYKEEPER

_NAMESPACES: Final = "case-*"
"""The namespaces of the cases, as grants name them."""
_ROLES: Final = {
    "reader": "read",
    "writer": "write",
    "administrator": "administer",
    "late": "write",
    "expiring": "write",
}
_LATE: Final = "not_after = 2020-01-01\n"
_RATES: Final = {"limited": (0.1, 3), "slowed": (5, 2)}
"""The calls per second and the calls at once of identities that begin so. Each case has its own identity."""
_RATED_EACH: Final = 30
_RATED: Final = tuple(f"{name}-{number}" for name in _RATES for number in range(_RATED_EACH))
_KEYS: Final = (*_ROLES, "stranger", *_RATED)


class Credentials:
    """A folder with certificates and an access file, which a server reads."""

    def __init__(self, folder: Path) -> None:
        """Make all files."""
        folder.mkdir(parents=True)
        self.folder = folder
        self.access_file = folder / "access.toml"
        self._secrets = {name: secrets.token_urlsafe(32) for name in _KEYS}
        self._cases = itertools.count()
        self._expired = {"late"}
        self._revoked: set[str] = set()
        _make_certificates(folder, "writer", "stranger")
        _make_certificates(folder / "other")
        write_key_set(folder / "keys.json")
        self.write()

    def write(self) -> None:
        """Write the access file as it is now."""
        parts = [self._key_table(name) for name in _KEYS]
        parts += ['[[certificate]]\nsan = "uri:spiffe://tallykeeper/writer"\nidentity = "writer"\n']
        parts += [
            f'[[grant]]\nidentity = "{name}"\nnamespaces = ["{_NAMESPACES}"]\nrole = "{role}"\n'
            for name, role in {**_ROLES, **dict.fromkeys(_RATED, "write")}.items()
            if name not in self._revoked
        ]
        parts.append(
            f'[[issuer]]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\nalgorithms = ["RS256", "ES256"]\n'
            'jwks = "keys.json"\nprefix = "*"\nleeway_seconds = 0\n'
        )
        parts += [
            f'[[rate]]\nidentity = "{name}"\ncalls_per_second = {rate}\nburst = {burst}\n'
            for name in _RATED
            for rate, burst in [_RATES[name.partition("-")[0]]]
        ]
        new = self.access_file.with_suffix(".new")
        new.write_text("\n".join(parts))
        new.replace(self.access_file)

    def expire(self, name: str) -> None:
        """Let an API key have expired."""
        self._expired.add(name)
        self.write()

    def revoke(self, name: str) -> None:
        """Take back the grants of an identity."""
        self._revoked.add(name)
        self.write()

    def restore(self) -> set[str]:
        """Undo what `expire` and `revoke` did, and return the identities that it concerns."""
        concerned = (self._expired - {"late"}) | self._revoked
        if concerned:
            self._expired, self._revoked = {"late"}, set()
            self.write()
        return concerned

    def key(self, name: str) -> str:
        """Return an API key."""
        return f"tk.{name}.{self._secrets[name]}"

    def variables(self) -> Mapping[str, str]:
        """Return the credentials for the cases: keys, JWTs and the paths of files."""
        now = time.time()
        number = next(self._cases) % _RATED_EACH
        jwts = {
            "writer": token("writer", exp=now + 3_600),
            "expired": token("writer", exp=now - 60),
            "unsigned": ".".join([*token("writer").split(".")[:2], ""]),
            "elsewhere": token("writer", iss="https://elsewhere.example.com/"),
        }
        files = {
            "ca": "ca.pem",
            "other_ca": "other/ca.pem",
            **{f"{name}_cert": f"{name}.pem" for name in ("writer", "stranger")},
            **{f"{name}_key": f"{name}.key" for name in ("writer", "stranger")},
        }
        return {
            **{f"key.{name}": self.key(name) for name in (*_ROLES, "stranger")},
            **{f"key.{name}": self.key(f"{name}-{number}") for name in _RATES},
            **{f"jwt.{name}": text for name, text in jwts.items()},
            **{f"file.{name}": str(self.folder / file) for name, file in files.items()},
        }

    def _key_table(self, name: str) -> str:
        digest = hashlib.sha256(self._secrets[name].encode()).hexdigest()
        expiry = _LATE if name in self._expired else ""
        return f'[[key]]\nid = "{name}"\nidentity = "{name}"\nsha256 = "{digest}"\n{expiry}'


def _make_certificates(folder: Path, *clients: str) -> None:
    names = [argument for name in clients for argument in ("--client", name)]
    subprocess.run([TALLYKEEPER, "certificates", folder, *names], check=True, capture_output=True)
