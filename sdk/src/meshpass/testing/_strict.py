"""What the RFCs refuse of a token and Envoy's library accepts. Each rule names its section."""

import base64
import json
import re
from collections.abc import Mapping
from typing import NoReturn

from meshpass.testing._envoy_jwt import Jwt, Refused
from meshpass.testing._public_key import PublicKey

_SMALLEST_RSA_BITS = 2048
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_BEARER = re.compile(r"Bearer +[A-Za-z0-9._~+/-]+=*")

NOT_BEARER = "strict: the Authorization header is not `Bearer TOKEN` (RFC 6750, section 2.1)"


def may_verify(jwk: Mapping[str, object], key: PublicKey) -> bool:
    """Return whether a key may verify signatures: its `use`, `key_ops` and `alg` say so, or are absent.

    Source: RFC 7517, sections 4.2 to 4.4; for the size of RSA keys RFC 7518, section 3.3.
    """
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and len(operations) == len(set(map(str, operations)))
        and ("alg" not in jwk or key.alg in key.algorithms)
        and getattr(key.public, "key_size", _SMALLEST_RSA_BITS) >= (0 if key.curve else _SMALLEST_RSA_BITS)
    )


def check(token: str, jwt: Jwt, key: PublicKey, latest_end: float) -> None:
    """Refuse a token that Envoy accepts, where an RFC does not.

    Args:
        token: The encoded token.
        jwt: The same, as Envoy reads it.
        key: The key whose signature it has.
        latest_end: A token whose `exp` is not after this is expired; POSIX seconds, the clock skew taken off.

    Raises:
        Refused: It breaks a rule; the words name it.
    """
    sections = token.split(".")
    if len(sections) != 3:
        _refuse("the token has not exactly three sections", "RFC 7515, section 7.1")
    for section in sections:
        if not _is_canonical(section):
            _refuse("a section is not canonical base64url", "RFC 7515, section 2; RFC 4648, section 3.5")
    header, claims = (_json(section) for section in sections[:2])
    _check_header(header)
    check_signature(jwt, key)
    ends = claims.get("exp")
    if isinstance(ends, int | float) and ends <= latest_end:
        _refuse("the token is expired", "RFC 7519, section 4.1.4")


def is_bearer(authorization: str) -> bool:
    """Return whether a header's value is one bearer token and nothing else (RFC 6750, section 2.1)."""
    return _BEARER.fullmatch(authorization) is not None


def _check_header(header: Mapping[str, object]) -> None:
    # No extension is implemented here, so that each one that must be understood is a reason to refuse.
    if "crit" in header:
        _refuse("`crit` names extensions that are not understood", "RFC 7515, section 4.1.11")
    if header.get("b64", True) is not True:
        _refuse("a JWT's payload is encoded, whatever `b64` says", "RFC 7797, section 7")
    for name in ("typ", "cty"):
        if not isinstance(header.get(name, ""), str):
            _refuse(f"`{name}` is not a string", "RFC 7515, sections 4.1.9 and 4.1.10")


def check_signature(jwt: Jwt, key: PublicKey) -> None:
    """Refuse a signature that the key verifies, where its algorithm, size or numbers are not those of the key.

    Raises:
        Refused: It breaks a rule; the words name it.
    """
    if jwt.algorithm not in key.algorithms:
        _refuse(f"a key of this kind does not verify {jwt.algorithm}", "RFC 7518, section 3.1")
    if key.curve is None:
        return  # The libraries of RSA and Ed25519 check the size themselves.
    size, found = 2 * key.curve.number_bytes, len(jwt.signature)
    if found != size:
        _refuse(
            f"an {jwt.algorithm} signature has {size} bytes, and this one {found}", "RFC 7518, section 3.4"
        )
    for number in (jwt.signature[: size // 2], jwt.signature[size // 2 :]):
        if not 0 < int.from_bytes(number, "big") < key.curve.order:
            _refuse("a number of the signature is out of range", "FIPS 186-5, section 6.4.2")


def _is_canonical(section: str) -> bool:
    if not _BASE64URL.fullmatch(section) or len(section) % 4 == 1:
        return False
    data = base64.urlsafe_b64decode(section + "=" * (-len(section) % 4))
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode() == section


def _json(section: str) -> dict[str, object]:
    try:
        value = json.loads(base64.urlsafe_b64decode(section + "=" * (-len(section) % 4)))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        _refuse("header or payload is not a JSON object", "RFC 8259, section 7; RFC 7519, section 7.2")
    return value


def _refuse(what: str, source: str) -> NoReturn:
    raise Refused(f"strict: {what} ({source})")
