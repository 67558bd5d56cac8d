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
    "no exp": "there is no `exp`",
    "no sub": "there is no `sub`",
    "wrong audience": "`aud` names another service",
    "no audience": "there is no `aud`",
    "wrong issuer": "`iss` is an issuer that no RequestAuthentication names",
    "no issuer": "there is no `iss`",
    "unknown key": "signed with a key that the mesh does not trust, under the `kid` of that key",
    "other key under the known kid": "signed with a key that the mesh does not trust, under the trusted `kid`",
    "alg none": "not signed, and the header says `alg: none`",
    "HS256 with the public key": "signed with HMAC, keyed with the public key",
    "tampered": "the claims were changed after the token was signed",
    "garbage": "three words with dots between them that are no token",
}
