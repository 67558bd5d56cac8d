"""Protocol of key stores, and the choice of a store by its name."""

import re
from typing import Protocol

from meshpass.keys._lifecycle_errors import KeyLifecycleError
from meshpass.keys._model import Keys, State

_SECRET = re.compile(
    r"(projects/[^/\s]+/(?:locations/[a-z0-9-]+/)?secrets/[A-Za-z0-9_-]{1,255})(/versions/[A-Za-z0-9_-]+)?"
)


class KeyStore(Protocol):
    """Store of one caller's keys. Methods raise `KeyLifecycleError` with code `key_store` if it cannot be used."""

    def prepare(self) -> None:
        """Make the store if it does not exist; change no key."""
        ...

    def load(self) -> Keys:
        """Return all keys, without private keys."""
        ...

    def add(self, keys: Keys, pem: bytes, state: State, now: float) -> Keys:
        """Store a private key with this state and return all keys; refuse if they changed since they were loaded."""
        ...

    def save(self, keys: Keys) -> Keys:
        """Store the states of these keys and return all keys; refuse if they changed since they were loaded.

        Callers then sign with the active key. A retired or revoked key can no longer be read.
        """
        ...

    def read(self, number: int) -> bytes:
        """Return a private key as PEM."""
        ...


def open_store(name: str) -> KeyStore:
    """Return the store of this name without reading it.

    Args:
        name: `projects/P/secrets/S`, or `projects/P/locations/L/secrets/S` for a regional secret, in Secret Manager,
            with or without `/versions/V`; else a directory.

    Raises:
        KeyLifecycleError: it begins like a secret's name and is not one.
    """
    from meshpass.keys._files import FileKeyStore
    from meshpass.keys._secret_manager import SecretManagerKeyStore

    found = _SECRET.fullmatch(name)
    if found:
        return SecretManagerKeyStore(found[1])
    if name.startswith("projects/"):
        raise KeyLifecycleError(
            f"{name!r} does not name a secret.",
            code="key_store",
            hint="Write projects/PROJECT/secrets/SECRET, projects/PROJECT/locations/LOCATION/secrets/SECRET where it is"
            " regional, or ./projects/... for a directory.",
        )
    return FileKeyStore(name)
