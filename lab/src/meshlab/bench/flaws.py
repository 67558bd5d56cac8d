"""The flaws of tokens, by name, as case files write them. Imports nothing, so that the command starts fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FLAWS"]

FLAWS: Mapping[str, str] = {
    "expired": "`exp` was two minutes ago, more than the 60 s that Envoy tolerates",
    "expired a moment ago": "`exp` was 20 seconds ago, less than the 60 s that Envoy tolerates",
    "not yet valid": "`nbf` is in two minutes",
    "no exp": "has no `exp`",
    "no sub": "has no `sub`",
    "wrong audience": "`aud` names another service",
    "wrong issuer": "`iss` is an issuer that no RequestAuthentication names",
    "foreign key": "signed with a key that the mesh does not trust, under that key's `kid`",
    "foreign key with the known kid": "signed with a key that the mesh does not trust, under the trusted `kid`",
    "alg none": "not signed, and its header says `alg: none`",
    "HS256 with the public key": "signed with HMAC, keyed with the public key",
    "not a token": "three words with dots between them that are no token",
}
