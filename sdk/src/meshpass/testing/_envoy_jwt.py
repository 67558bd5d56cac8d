"""Parser of tokens that follows Envoy's jwt_verify_lib: the same checks, order and words."""

import base64
import json
import re
from dataclasses import dataclass
from typing import NoReturn

BASE64URL_OR_DOT = r"A-Za-z0-9_.\-"
_BASE64URL = re.compile(r"([A-Za-z0-9_-]*)(={0,2})")
_ALGORITHMS = frozenset(
    f"{family}{bits}" for family in ("ES", "HS", "RS", "PS") for bits in (256, 384, 512)
) | {"EdDSA"}
_UINT64_LIMIT = 2.0**64


class Refused(Exception):  # noqa: N818
    """Raised for a token that is refused.

    Args:
        words: Envoy's own words.
        status: The response's HTTP status.
    """

    def __init__(self, words: str, *, status: int = 401) -> None:
        super().__init__(words)
        self.words = words
        self.status = status


@dataclass(frozen=True, slots=True, repr=False)
class Jwt:
    """A token in its parts; nothing of it is verified yet."""

    algorithm: str
    kid: str
    claims: dict[str, object]
    issuer: str
    audiences: tuple[str, ...]
    not_before: int
    expires_at: int
    signed: bytes
    signature: bytes


def parse(token: str) -> Jwt:
    """Split a token into its parts.

    Raises:
        Refused: It has not the form of a token that Envoy reads.
    """
    # Empty sections do not count: Envoy accepts a token with a dot too many at either end.
    parts = [part for part in token.split(".") if part]
    if len(parts) != 3:
        raise Refused("Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections")
    header = _json_object(_decode(parts[0], "header"), "header")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        raise Refused("Jwt header [alg] field is required and must be a string")
    if algorithm not in _ALGORITHMS:
        raise Refused("Jwt header [alg] is not supported")
    kid = header.get("kid", "")
    if not isinstance(kid, str):
        raise Refused("Jwt header [kid] field is not a string")
    claims = _json_object(_decode(parts[1], "payload"), "payload")
    issuer, _ = _string(claims, "iss"), _string(claims, "sub")
    _, not_before, expires_at = (_seconds(claims, name) for name in ("iat", "nbf", "exp"))
    _string(claims, "jti")
    return Jwt(
        algorithm=algorithm,
        kid=kid,
        claims=claims,
        issuer=issuer,
        audiences=_audiences(claims),
        not_before=not_before,
        expires_at=expires_at,
        signed=f"{parts[0]}.{parts[1]}".encode(),
        signature=_decode(parts[2], "signature"),
    )


def _decode(part: str, name: str) -> bytes:
    # Abseil's decoder skips white space, accepts exact padding, and ignores unused last bits.
    match = _BASE64URL.fullmatch(re.sub(r"[ \t\n\v\f\r]", "", part))
    digits, padding = match.groups() if match else ("", "?")
    missing = -len(digits) % 4
    if missing == 3 or padding not in ("", "=" * missing):
        raise Refused(f"Jwt {name} is an invalid Base64url encoded")
    return base64.urlsafe_b64decode(digits + "=" * missing)


def _json_object(data: bytes, name: str) -> dict[str, object]:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("A name is there twice.")
        return dict(pairs)

    def finite(number: str) -> float:
        value = float(number)
        if value in (float("inf"), float("-inf")):
            raise ValueError("A number is too large.")
        return value

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON.")

    try:
        text = data.decode()
        # Not strict: like Envoy's parser this one accepts control characters within a text.
        value = json.loads(
            text, strict=False, object_pairs_hook=unique, parse_float=finite, parse_constant=refuse
        )
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        value = ()
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused(f"Jwt {name} is an invalid JSON")
    return value


def _string(claims: dict[str, object], name: str) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str):
        raise Refused(f"Jwt payload [{name}] field is not a string")
    return value


def _seconds(claims: dict[str, object], name: str) -> int:
    value = claims.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"Jwt payload [{name}] field is not an integer")
    if not 0 <= value < _UINT64_LIMIT:
        raise Refused(f"Jwt payload [{name}] field is not a positive 64 bit integer")
    return int(value)


def _audiences(claims: dict[str, object]) -> tuple[str, ...]:
    value = claims.get("aud", [])
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(audience, str) for audience in listed):
        raise Refused("Jwt payload [aud] field is not a string or string list")
    return tuple(listed)
