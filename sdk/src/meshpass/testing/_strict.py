"""What the RFCs refuse of a token and Envoy's library accepts. Each rule names its section."""

import base64
import json
import re
from collections.abc import Mapping
from typing import NoReturn

from meshpass.testing._envoy_jwt import Jwt, Refused

# RFC 7518, section 3.4: P-256 signs ES256 alone, in two numbers of 32 bytes.
_ALGORITHM = "ES256"
_NUMBER_BYTES = 32
# The order of P-256 (FIPS 186-5 and SP 800-186, section 3.2.1.3): r and s lie between 1 and it, both excluded.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_BEARER = re.compile(r"Bearer +[A-Za-z0-9._~+/-]+=*")

NOT_BEARER = "strict: the Authorization header is not `Bearer TOKEN` (RFC 6750, section 2.1)"


def may_verify(jwk: Mapping[str, object]) -> bool:
    """Return whether a key may verify ES256 signatures: its `use`, `key_ops` and `alg` say so, or are absent.

    Source: RFC 7517, sections 4.2 to 4.4.
    """
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and len(operations) == len(set(map(str, operations)))
        and jwk.get("alg", _ALGORITHM) == _ALGORITHM
    )


def check(token: str, jwt: Jwt, latest_end: float) -> None:
    """Refuse a token that Envoy accepts, where an RFC does not.

    Args:
        token: The encoded token.
        jwt: The same, as Envoy reads it.
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
    _check_header(header, jwt)
    _check_signature(jwt.signature)
    ends = claims.get("exp")
    if isinstance(ends, int | float) and ends <= latest_end:
        _refuse("the token is expired", "RFC 7519, section 4.1.4")


def is_bearer(authorization: str) -> bool:
    """Return whether a header's value is one bearer token and nothing else (RFC 6750, section 2.1)."""
    return _BEARER.fullmatch(authorization) is not None


def _check_header(header: Mapping[str, object], jwt: Jwt) -> None:
    if jwt.algorithm != _ALGORITHM:
        _refuse(f"a P-256 key does not verify {jwt.algorithm}", "RFC 7518, section 3.4")
    # No extension is implemented here, so that each one that must be understood is a reason to refuse.
    if "crit" in header:
        _refuse("`crit` names extensions that are not understood", "RFC 7515, section 4.1.11")
    if header.get("b64", True) is not True:
        _refuse("a JWT's payload is encoded, whatever `b64` says", "RFC 7797, section 7")
    for name in ("typ", "cty"):
        if not isinstance(header.get(name, ""), str):
            _refuse(f"`{name}` is not a string", "RFC 7515, sections 4.1.9 and 4.1.10")


def _check_signature(signature: bytes) -> None:
    if len(signature) != 2 * _NUMBER_BYTES:
        _refuse(f"an ES256 signature has 64 bytes, and this one {len(signature)}", "RFC 7518, section 3.4")
    for number in (signature[:_NUMBER_BYTES], signature[_NUMBER_BYTES:]):
        if not 0 < int.from_bytes(number, "big") < _ORDER:
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
