"""What can go wrong while keys are made, moved and taken out."""

from meshpass._errors import MeshError


class KeyLifecycleError(MeshError):
    """A step of a key's life cannot be taken, or its store cannot be used; nothing was changed by halves.

    `code` is one of `key_state` (this step does not follow from the keys as they are), `key_not_proven` (the gateway
    did not show that it accepts the new key), `key_too_early` (tokens of the old key may still be in use) and
    `key_store` (the store cannot be read or written).
    """

    code = "key_state"


def store_error(message: str, hint: str, *, retryable: bool = False) -> KeyLifecycleError:
    """Return the error of a store that cannot be used."""
    return KeyLifecycleError(message, code="key_store", hint=hint, retryable=retryable)


def changed_meanwhile(store: object) -> KeyLifecycleError:
    """Return the error of keys that another process changed between reading and writing them."""
    return store_error(
        f"The keys in {store} changed while this step was taken, so it was not.",
        "See `meshpass keys status`, and take it again if it is still wanted.",
        retryable=True,
    )
