"""Errors of the key lifecycle."""

from meshpass._errors import MeshError


class KeyLifecycleError(MeshError):
    """A step of the key lifecycle is not possible, or the store cannot be used. No step is left half done.

    `code` is one of `key_state` (the step is not possible in the present state of the keys), `key_not_proven` (the
    calls did not show that the mesh accepts the new key), `key_too_early` (tokens of the old key may still be in use)
    and `key_store` (the store cannot be read or written).
    """

    code = "key_state"


def store_error(message: str, hint: str, *, retryable: bool = False) -> KeyLifecycleError:
    """Return the error of a store that cannot be used."""
    return KeyLifecycleError(message, code="key_store", hint=hint, retryable=retryable)


def changed_meanwhile(store: object) -> KeyLifecycleError:
    """Return the error of keys that another process changed between reading and writing them."""
    return store_error(
        f"The keys in {store} changed while this step was in progress, so it was not taken.",
        "See `meshpass keys status`, and take it again if it is still wanted.",
        retryable=True,
    )
