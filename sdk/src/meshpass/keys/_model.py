"""The keys of one caller, and the steps of their lifecycle as pure functions.

    next ──promote──► active ──promote──► previous ──retire──► retired
      └────────────────┴── revoke ──────────┴──────────────► revoked

At most one key is next, one active and one previous; these are published. Each step takes the keys and returns
the changed keys, or raises `KeyLifecycleError` with what to do first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from meshpass.keys._lifecycle_errors import KeyLifecycleError

State = Literal["next", "active", "previous", "retired", "revoked", "disabled", "unused"]
"""State of a key. `disabled` and `unused` are versions that were disabled or added without meshpass."""

PUBLISHED: tuple[State, ...] = ("active", "next", "previous")


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One key: its number in the store, its state and its public key.

    Attributes:
        number: The version in the store, from 1.
        state: Its state.
        created_at: When it was added, in POSIX seconds.
        jwk: The public key with its `kid` (RFC 7517, RFC 7638); None where the store no longer has it.
    """

    number: int
    state: State
    created_at: float
    jwk: Mapping[str, str] | None

    @property
    def kid(self) -> str | None:
        """The public key's RFC 7638 thumbprint, which is the `kid` of its tokens."""
        return self.jwk["kid"] if self.jwk else None

    @property
    def published(self) -> bool:
        """Whether this key belongs in the mesh's JWKS."""
        return self.state in PUBLISHED


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys of one caller.

    Attributes:
        versions: In the order of their numbers.
        promoted_at: When the active key last changed, in POSIX seconds; None if unknown.
        etag: Identifies the stored state that was read, so that a write cannot overwrite another change.
    """

    versions: tuple[KeyVersion, ...] = ()
    promoted_at: float | None = None
    etag: str = ""

    @property
    def active(self) -> KeyVersion | None:
        """The key that callers sign with."""
        return self._in("active")

    @property
    def next(self) -> KeyVersion | None:
        """The key that is published and does not sign yet."""
        return self._in("next")

    @property
    def previous(self) -> KeyVersion | None:
        """The key that signed before the active one, until its last tokens have expired."""
        return self._in("previous")

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the published keys for `jwks` of the mesh's RequestAuthentication (RFC 7517, section 5)."""
        by_state = {version.state: version for version in self.versions}
        published = [by_state[state] for state in PUBLISHED if state in by_state]
        return {"keys": [dict(version.jwk) for version in published if version.jwk]}

    def find(self, which: str) -> KeyVersion:
        """Return a key by its state, number or `kid`.

        Raises:
            KeyLifecycleError: there is no such key, or more than one.
        """
        found = [v for v in self.versions if which in (v.state, str(v.number), v.kid)]
        if len(found) != 1:
            raise KeyLifecycleError(
                f"There is no single key {which!r}.",
                hint="Name it by next, active, previous, its version or its kid.",
            )
        return found[0]

    def _in(self, state: State) -> KeyVersion | None:
        return next((version for version in self.versions if version.state == state), None)


def check_creatable(keys: Keys) -> None:
    """Refuse a first key where keys exist.

    Raises:
        KeyLifecycleError: there are keys.
    """
    if keys.versions:
        raise KeyLifecycleError(
            "There are keys here already.", hint="Add one with `meshpass keys next`, or name another store."
        )


def check_next(keys: Keys) -> None:
    """Refuse a next key where one exists, or where the last rotation is not complete.

    Raises:
        KeyLifecycleError: there is a next or a previous key.
    """
    if keys.next:
        raise KeyLifecycleError(
            f"Version {keys.next.number} is the next key already.",
            hint="Promote it, or remove it with `meshpass keys revoke next`.",
        )
    if keys.previous:
        raise KeyLifecycleError(
            f"Version {keys.previous.number}, the previous key, is still published.",
            hint="Remove it first: `meshpass keys retire`.",
        )


def added(keys: Keys, version: KeyVersion) -> Keys:
    """Return the keys with a new version."""
    return replace(keys, versions=(*keys.versions, version))


def promotable(keys: Keys) -> KeyVersion:
    """Return the key that a promotion would make active.

    Raises:
        KeyLifecycleError: there is no next key, or the last rotation is not complete.
    """
    if keys.next is None:
        raise KeyLifecycleError("There is no next key to promote.", hint="Add one with `meshpass keys next`.")
    if keys.previous:
        raise KeyLifecycleError(
            f"Version {keys.previous.number}, the previous key, is still published.",
            hint="Remove it first: `meshpass keys retire`, or `meshpass keys revoke previous`.",
        )
    return keys.next


def promoted(keys: Keys, now: float) -> Keys:
    """Make the next key active, and the active key previous.

    Raises:
        KeyLifecycleError: as `promotable`.
    """
    promotable(keys)
    return replace(_moved(keys, {"active": "previous", "next": "active"}), promoted_at=now)


def retire_wait_s(keys: Keys, now: float, drain_s: float) -> float:
    """Return for how many more seconds tokens of the previous key may be in use; 0 when it can be retired.

    A wall clock that was set back since the promotion makes the wait longer, never shorter.

    Raises:
        KeyLifecycleError: there is no previous key.
    """
    if keys.previous is None:
        raise KeyLifecycleError("There is no previous key to retire.", hint="See `meshpass keys status`.")
    if keys.promoted_at is None:
        # Another tool moved the aliases, so the time since the old key last signed is unknown.
        return drain_s
    return max(0.0, keys.promoted_at + drain_s - now)


def retired(keys: Keys, now: float, drain_s: float) -> Keys:
    """Retire the previous key after its last tokens have expired.

    Raises:
        KeyLifecycleError: there is no previous key, or its tokens may still be in use.
    """
    wait_s = retire_wait_s(keys, now, drain_s)
    if wait_s > 0 and keys.promoted_at is None:
        raise KeyLifecycleError(
            "It is not known when the active key last changed, so tokens of the previous key may still be in use.",
            code="key_too_early",
            hint=f"Wait {drain_s:.0f} s from now, then retire it with `--drain 0`.",
        )
    if wait_s > 0:
        raise KeyLifecycleError(
            f"Tokens of the previous key may be in use for another {wait_s:.0f} s.",
            code="key_too_early",
            hint="Wait with `meshpass keys retire --wait`. Remove a leaked key at once with `revoke previous`.",
        )
    return _moved(keys, {"previous": "retired"})


def revoked(keys: Keys, which: str, now: float, *, force: bool) -> Keys:
    """Revoke a key at once. If it is active, the next key signs, which is published already.

    Raises:
        KeyLifecycleError: there is no such published key, or no other key can sign.
    """
    version = keys.find(which)
    if not version.published:
        raise KeyLifecycleError(
            f"Version {version.number} is {version.state}: it is not published.",
            hint="See `meshpass keys status`.",
        )
    if version.state != "active":
        return _moved(keys, {version.state: "revoked"})
    if keys.next is None and not force:
        raise KeyLifecycleError(
            "The active key is the only one that can sign: without it every call fails.",
            hint="Run `meshpass keys next`, apply the JWKS, and revoke the key then: the next one takes over."
            " To stop all callers now, use --force.",
        )
    return replace(_moved(keys, {"active": "revoked", "next": "active"}), promoted_at=now)


def _moved(keys: Keys, moves: Mapping[State, State]) -> Keys:
    versions = tuple(replace(v, state=moves[v.state]) if v.state in moves else v for v in keys.versions)
    return replace(keys, versions=versions)
