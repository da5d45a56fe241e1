"""An issuer of valid and invalid tokens."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER: Final = "https://login.example.com/"
AUDIENCE: Final = "tallykeeper"
_RSA: Final = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
_OTHER_RSA: Final = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
_EC: Final = ec.generate_private_key(ec.SECP256R1())


def token(
    subject: object = "reader",
    *,
    key: Any = _RSA,  # noqa: ANN401  # of any kind
    algorithm: str = "RS256",
    kid: str = "rsa",
    **claims: Any,  # noqa: ANN401  # claims have any type
) -> str:
    """Return a token that is valid for a minute, with these claims; a claim of None is left out."""
    payload = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": time.time() + 60, **claims}
    given = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(given, key, algorithm=algorithm, headers={"kid": kid})


def bad_tokens() -> dict[str, str]:
    """Return invalid tokens by the fault of each."""
    good = token()
    public = _RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header, payload, signature = good.split(".")
    return {
        "another audience": token(aud="another"),
        "no audience": token(aud=None),
        "another issuer": token(iss="https://elsewhere.example.com/"),
        "no issuer": token(iss=None),
        "no expiry": token(exp=None),
        "not yet": token(nbf=time.time() + 600),
        "no subject": token(sub=None),
        "an empty subject": token(""),
        "a subject with a control character": token("read\ter"),
        "everybody": token("*"),
        "another key": token(key=_OTHER_RSA),
        "an unknown key": token(kid="none"),
        "an algorithm that is not allowed": token(algorithm="RS512"),
        "the algorithm of another key": token(key=_EC, algorithm="ES256", kid="rsa"),
        "no signature": f"{header}.{payload}.",
        "no algorithm": jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "sub": "reader"}, "", algorithm="none"),
        "the public key as a secret": _signed_with_secret(public),
        "a broken signature": f"{header}.{payload}.{signature[::-1]}",
        "not a token": "eyJhbGciOiJSUzI1NiJ9.e30",
    }


def write_key_set(path: Path, *, keys: tuple[str, ...] = ("rsa", "ec")) -> None:
    """Write the key set with the issuer's public keys."""
    rsa_key = {**jwt.algorithms.RSAAlgorithm.to_jwk(_RSA.public_key(), as_dict=True), "kid": "rsa", "alg": "RS256"}
    ec_key = {**jwt.algorithms.ECAlgorithm.to_jwk(_EC.public_key(), as_dict=True), "kid": "ec", "alg": "ES256"}
    both = {"rsa": rsa_key, "ec": ec_key}
    path.write_text(json.dumps({"keys": [both[name] for name in keys]}))


def other_algorithm_token() -> str:
    """Return a token that is signed with the key on an elliptic curve."""
    return token(key=_EC, algorithm="ES256", kid="ec")


def _signed_with_secret(secret: bytes) -> str:
    """Return a token that is signed with HMAC and a public key. PyJWT refuses to make one."""

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "reader", "exp": time.time() + 60}
    signed = part({"alg": "HS256", "kid": "rsa", "typ": "JWT"}) + b"." + part(claims)
    signature = base64.urlsafe_b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).rstrip(b"=")
    return (signed + b"." + signature).decode()
