"""Lifecycle of the keys in a store."""

import time
from collections.abc import Callable, Mapping

from meshpass._frames import sealed
from meshpass._tokens.algorithms import DEFAULT, NAMES, generate
from meshpass.keys._lifecycle_errors import KeyLifecycleError
from meshpass.keys._model import (
    Keys,
    check_creatable,
    check_next,
    promotable,
    promoted,
    retire_wait_s,
    retired,
    revoked,
)
from meshpass.keys._proof import KeyProof
from meshpass.keys._store import KeyStore

# A running process signs with the old key until it reads its key again (300 s), each token is valid for up to 300 s,
# and clocks may differ by a minute.
DEFAULT_DRAIN_S = 660.0


class KeyRing:
    """The keys of one caller in a store, with the steps of their lifecycle. No method prints or returns a private key.

    Args:
        store: The store of the keys: `open_store(...)`.
        drain_s: For how long after a promotion tokens of the old key may be in use, in seconds: the time until all
            callers have read their key again, plus a token's lifetime, plus the difference of clocks.
        clock: Returns POSIX seconds.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        store: KeyStore,
        *,
        drain_s: float = DEFAULT_DRAIN_S,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._drain_s = drain_s
        self._clock = clock
        self._sleep = sleep

    def status(self) -> Keys:
        """Return the keys and their states.

        Raises:
            KeyLifecycleError: the store cannot be read.
        """
        return self._store.load()

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public keys that the mesh must have now.

        Raises:
            KeyLifecycleError: the store cannot be read, or it publishes no key.
        """
        keys = self._store.load()
        if not any(version.published for version in keys.versions):
            raise KeyLifecycleError(
                f"There is no key in {self._store}.", hint="Make the first one with `meshpass keys create`."
            )
        return keys.jwks()

    @sealed
    def create(self, algorithm: str = DEFAULT) -> Keys:
        """Make the first key. It is active at once, because there is no other.

        Args:
            algorithm: `ES256`, `ES384`, `RS256` (of 3072 bits) or `EdDSA` (Ed25519).

        Raises:
            KeyLifecycleError: there are keys already, or the store cannot be used.
        """
        _check_algorithm(algorithm)
        self._store.prepare()
        keys = self._store.load()
        check_creatable(keys)
        return self._store.add(keys, _new_key(algorithm), "active", self._clock())

    @sealed
    def next(self, algorithm: str | None = None) -> Keys:
        """Add the key that will sign after the active one. Before `promote`, publish it and wait until the mesh has it.

        Args:
            algorithm: As for `create`; that of the active key when None.

        Raises:
            KeyLifecycleError: there is a next key already, or a previous key that is not retired.
        """
        keys = self._store.load()
        check_next(keys)
        before = (keys.active.jwk or {}).get("alg", DEFAULT) if keys.active else DEFAULT
        return self._store.add(keys, _new_key(_check_algorithm(algorithm or before)), "next", self._clock())

    def promote(self, prove: KeyProof) -> Keys:
        """Make the next key active after a proof that the mesh accepts it.

        Args:
            prove: Called with the next private key as PEM; raises where the mesh does not accept it.

        Raises:
            KeyLifecycleError: there is no next key, or the proof failed; the active key is as before.
        """
        keys = self._store.load()
        version = promotable(keys)
        self._prove(prove, version.number)
        return self._store.save(promoted(keys, self._clock()))

    def retire(self, *, wait: bool = False) -> Keys:
        """Retire the previous key after its last tokens have expired. It cannot sign again.

        Args:
            wait: Whether to wait for that time. If not, a call before it is refused.

        Raises:
            KeyLifecycleError: there is no previous key, or its tokens may still be in use.
        """
        keys = self._store.load()
        drain_s = self._drain_s
        if wait:
            # A clock that is set back during the wait must not cause a refusal.
            self._sleep(retire_wait_s(keys, self._clock(), drain_s))
            keys, drain_s = self._store.load(), 0.0
        return self._store.save(retired(keys, self._clock(), drain_s))

    def revoke(self, which: str, *, force: bool = False) -> Keys:
        """Revoke a leaked key at once. It cannot sign again.

        The mesh accepts the key until the JWKS without it is applied, and with it any token that an attacker signs.

        Args:
            which: `active`, `next`, `previous`, a version's number, or a `kid`.
            force: Revoke the active key even if no other key can sign.

        Raises:
            KeyLifecycleError: there is no such published key, or no other key can sign.
        """
        return self._store.save(revoked(self._store.load(), which, self._clock(), force=force))

    def probe(self, prove: KeyProof) -> Mapping[int, KeyLifecycleError | None]:
        """Return for each published key whether the mesh accepts it: None, or the error."""
        outcome: dict[int, KeyLifecycleError | None] = {}
        for version in self._store.load().versions:
            if version.published:
                try:
                    self._prove(prove, version.number)
                    outcome[version.number] = None
                except KeyLifecycleError as exc:
                    outcome[version.number] = exc
        return outcome

    @sealed
    def _prove(self, prove: KeyProof, number: int) -> None:
        # Sealed, because the proof is a function of the caller, and has the key in its variables.
        prove(self._store.read(number))


def _check_algorithm(algorithm: str) -> str:
    if algorithm not in NAMES:
        raise KeyLifecycleError(
            f"The algorithm {algorithm!r} is not one of {', '.join(NAMES)}.", hint="Name one of them."
        )
    return algorithm


def _new_key(algorithm: str) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return generate(algorithm).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
