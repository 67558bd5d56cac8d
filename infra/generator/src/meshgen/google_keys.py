"""Google's public keys for ID tokens, as an overlay holds them inline: fetched, verified strictly, written atomically.

Google publishes them as a JSON Web Key Set, and replaces them without notice: a key is published before it signs.
Source: https://developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import os
import re
import tempfile
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ADDRESS", "Change", "GoogleKeysError", "KeySet", "read_keys", "refresh"]

ADDRESS = "https://www.googleapis.com/oauth2/v3/certs"
"""Where Google publishes the keys."""

_MAX_BYTES = 64 * 1024
_MAX_KEYS = 16
_MAX_CHARS_OF_N = 2048
_TIMEOUT_S = 20
_MIN_BITS, _MAX_BITS = 2048, 8192
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_EXPECTED = {"kty": "RSA", "alg": "RS256", "use": "sig", "e": "AQAB"}
_PLACEHOLDER = "no-key-of-google-yet-run-meshgen-google-keys"
"""The kid of the key that the shipped overlay holds. Its private half was never kept, so no token is accepted by it."""
_KID = re.compile(r"[A-Za-z0-9_-]{8,128}")
_EPILOG = (
    "exit code: 0 the keys are those of before, 1 they changed, 2 nothing was written because of an error"
)

Key = dict[str, str]


class GoogleKeysError(Exception):
    """The keys cannot be fetched, are none of Google's kind, or cannot be written.

    Attributes:
        problems: One sentence each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True)
class KeySet:
    """Public keys by their `kid`, with the members that a verifier needs and no others."""

    keys: Mapping[str, Key]

    def document(self) -> str:
        """Return the key set as a JSON document (RFC 7517), in the order of the key ids."""
        return json.dumps({"keys": [self.keys[kid] for kid in sorted(self.keys)]}, indent=2) + "\n"


@dataclass(frozen=True)
class Change:
    """How new keys differ from those of before.

    Attributes:
        added: The ids of new keys.
        removed: The ids of keys that Google does not publish any more.
        count: How many keys there are.
        is_late: Whether no key of before is left, so that the mesh refuses Google's tokens until these are applied.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    count: int
    is_late: bool


def refresh(out: Path, source: Path | None, *, check: bool) -> Change:
    """Bring a file of keys up to date.

    Args:
        out: The file; where it holds no such keys, it is replaced.
        source: Where to read the keys; None to fetch them from Google.
        check: Whether to write nothing.

    Raises:
        GoogleKeysError: The keys cannot be had, verified or written; the file is as it was.
    """
    found = read_keys(_read(source), str(source)) if source else read_keys(_fetch(), ADDRESS)
    before = _before(out)
    reused = [kid for kid, key in found.keys.items() if before.keys.get(kid, key) != key]
    if reused:
        problem = (
            "is another one than before under the same kid, which Google does not do. Find out which one is"
            " Google's; if it is the new one, remove the file and run this again."
        )
        raise GoogleKeysError([f"{out}: the key {kid} {problem}" for kid in reused])
    new, old = found.keys.keys(), before.keys.keys()
    change = Change(
        tuple(sorted(new - old)),
        tuple(sorted(old - new)),
        len(found.keys),
        is_late=bool(old - {_PLACEHOLDER}) and not old & new,
    )
    if (change.added or change.removed) and not check:
        _write(out, found.document())
    return change


def read_keys(data: bytes, where: str) -> KeySet:
    """Read and verify a key set.

    Args:
        data: The JSON document.
        where: Where it comes from, for messages. No part of a key is shown but its `kid`.

    Raises:
        GoogleKeysError: It holds anything but RSA public keys for RS256, each with its own `kid`; with all problems.
    """
    if len(data) > _MAX_BYTES:
        raise GoogleKeysError([f"{where}: holds more than {_MAX_BYTES} bytes; Google's keys need 2000."])
    try:
        document = json.loads(data, object_pairs_hook=_unambiguous)
    except (ValueError, RecursionError):
        raise GoogleKeysError([f"{where}: is no JSON document in which each key stands once."]) from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not 0 < len(entries) <= _MAX_KEYS:
        raise GoogleKeysError([f"{where}: holds no list `keys` of 1 to {_MAX_KEYS} keys."])
    problems = [
        f"{where}: keys[{number}] {problem}."
        for number, entry in enumerate(entries)
        for problem in _problems(entry)
    ]
    if problems:
        raise GoogleKeysError(problems)
    keys = {entry["kid"]: {name: entry[name] for name in ("kid", *_EXPECTED, "n")} for entry in entries}
    if len(keys) != len(entries):
        raise GoogleKeysError([f"{where}: two keys have the same kid."])
    return KeySet(keys)


def _before(out: Path) -> KeySet:
    """Return the keys of the file; none where there is no file or not such a one, which is replaced."""
    try:
        return read_keys(out.read_bytes(), str(out))
    except (OSError, GoogleKeysError):
        return KeySet({})


def _read(source: Path) -> bytes:
    try:
        with source.open("rb") as file:
            return file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise GoogleKeysError([f"{source}: cannot be read: {error.strerror}."]) from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuse redirects: another host's keys would let that host's tokens in."""

    def redirect_request(self, *_: object) -> None:
        return None


def _fetch() -> bytes:
    # Certificates are verified against the system's CAs, as urllib does by default.
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(ADDRESS, timeout=_TIMEOUT_S) as response:
            data: bytes = response.read(_MAX_BYTES + 1)
            return data
    except urllib.error.HTTPError as error:
        why = f"it answered {error.code}"
    except (OSError, http.client.HTTPException) as error:
        why = str(getattr(error, "reason", "") or error or type(error).__name__)
    problem = f"{ADDRESS}: cannot be fetched: {why}. The file is as it was."
    raise GoogleKeysError([f"{problem} Where there is no way to it, fetch it elsewhere and use --from FILE."])


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _problems(entry: object) -> list[str]:
    if not isinstance(entry, dict):
        return ["is no JSON object"]
    problems = [f"holds the private member {name}" for name in _PRIVATE if name in entry]
    problems += [
        f"has another {name} than {expected}"
        for name, expected in _EXPECTED.items()
        if entry.get(name) != expected
    ]
    kid, modulus = entry.get("kid"), entry.get("n")
    if not isinstance(kid, str) or not _KID.fullmatch(kid):
        problems.append("has no kid of 8 to 128 letters, digits, - and _")
    if not isinstance(modulus, str) or not _is_modulus(modulus):
        problems.append(f"has no modulus n of {_MIN_BITS} to {_MAX_BITS} bits in base64url")
    return problems


def _is_modulus(text: str) -> bool:
    if len(text) > _MAX_CHARS_OF_N:
        return False
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return False
    number = int.from_bytes(data, "big")
    # Written as RFC 7518 (section 6.3.1.1) asks: no padding, no zero in front, no unused bits. An RSA modulus is odd.
    canonical = base64.urlsafe_b64encode(data).rstrip(b"=").decode() == text and data[:1] != b"\0"
    return canonical and _MIN_BITS <= number.bit_length() <= _MAX_BITS and number % 2 == 1


def _write(out: Path, text: str) -> None:
    """Put the whole file in place at once, so that a build that reads it meanwhile sees the old or the new one."""
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(out)
    except OSError as error:
        with suppress(OSError):
            Path(temporary).unlink()
        raise GoogleKeysError(
            [f"{out}: cannot be written: {error.strerror}. The file is as it was."]
        ) from None
