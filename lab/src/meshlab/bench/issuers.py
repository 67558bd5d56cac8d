"""Token issuers of one run: each issuer that the manifests name gets a signing key of its own.

The public half replaces the manifests' inline `jwks` and stands behind their `jwksUri`; the private half signs the
tokens of cases.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from meshlab.bench.signing_keys import SigningKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Issuers"]


class Issuers:
    """The issuers of one run. Safe to use from several threads.

    Args:
        audiences: Issuer to the audiences that its rules name; empty where they name none.
    """

    def __init__(self, audiences: Mapping[str, Sequence[str]]) -> None:
        self._audiences: dict[str, tuple[str, ...]] = {}
        self._keys: dict[str, SigningKey] = {}
        self._foreign: dict[str, SigningKey] = {}
        self._lock = threading.Lock()
        self.unknown_key = SigningKey.generate()
        self.update(audiences)

    def update(self, audiences: Mapping[str, Sequence[str]]) -> None:
        """Follow changed manifests; issuers that were known before keep their keys."""
        with self._lock:
            self._audiences = {issuer: tuple(names) for issuer, names in audiences.items()}
        self.keys_of(audiences)

    @property
    def names(self) -> tuple[str, ...]:
        """The manifests' issuers."""
        return tuple(self._audiences)

    @property
    def jwks(self) -> dict[str, str]:
        """Issuer to its public keys (RFC 7517), as the compiler takes them."""
        return self.keys_of(self._audiences)

    def keys_of(self, issuers: Iterable[str]) -> dict[str, str]:
        """Return the public keys of issuers, as `jwks` does. A new issuer gets a key; no token changes by that."""
        found = {}
        with self._lock:
            for issuer in issuers:
                if issuer not in self._keys:
                    self._keys[issuer] = SigningKey.generate()
                found[issuer] = self._keys[issuer].jwks
        return found

    def audiences(self, issuer: str) -> tuple[str, ...]:
        """Return the audiences that the issuer's rules name."""
        return self._audiences.get(issuer, ())

    def key(self, issuer: str) -> SigningKey:
        """Return the issuer's signing key; an issuer that the manifests do not name gets one that nothing trusts."""
        if issuer in self._audiences:
            return self._keys[issuer]
        with self._lock:
            return self._foreign.setdefault(issuer, SigningKey.generate())

    def only(self) -> str:
        """Return the issuer of a token that names none.

        Raises:
            LookupError: The manifests name no issuer, or more than one.
        """
        if len(self._audiences) == 1:
            return next(iter(self._audiences))
        known = (
            f"the manifests name {', '.join(sorted(self._audiences))}" if self._audiences else "there is none"
        )
        raise LookupError(f"a token needs its issuer written down, because {known}")
