"""Key store in Google Secret Manager: the keys are versions of one secret.

The aliases `active`, `next` and `previous` are the states of versions, so that callers can name `versions/active`.
Annotations of the secret hold the rest: each public key, whether a key was retired or revoked, and when the active key
last changed. So `jwks` and `status` read no private key.
Rules of aliases, annotations and etags: https://cloud.google.com/secret-manager/docs/reference/rpc
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from meshpass._errors import SigningKeyError
from meshpass._frames import sealed
from meshpass._tokens.algorithms import public_jwk
from meshpass._tokens.key_sources import SecretManagerKey, missing_extra, secret_manager_client
from meshpass._tokens.signing_key import load_signing_key
from meshpass.keys._lifecycle_errors import KeyLifecycleError, changed_meanwhile, store_error
from meshpass.keys._model import PUBLISHED, Keys, KeyVersion, State, added

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient
    from google.cloud.secretmanager_v1.types import Secret, SecretVersion

_NOTE = "meshpass-key-"
_PROMOTED_AT = "meshpass-promoted-at"
# All annotations together may have 16 KiB, and one annotation has about 250 bytes.
_NOTES_KEPT = 40
_ENDED: tuple[State, ...] = ("retired", "revoked")


class SecretManagerKeyStore:
    """Key store of versions of a secret, with the official client (`meshpass[secretmanager]`).

    The version of a retired or revoked key is disabled; destroy it when it is not needed any more. A version that was
    added without meshpass is used as it is. `SECRET_MANAGER_EMULATOR_HOST` names an emulator.

    Args:
        name: `projects/P/secrets/S`, or `projects/P/locations/L/secrets/S` for a regional secret.
        timeout_s: Limit for one call with its retries, in seconds.
    """

    def __init__(self, name: str, *, timeout_s: float = 10.0) -> None:
        self._name = name
        self._timeout_s = timeout_s

    def __str__(self) -> str:
        return self._name

    @sealed
    def prepare(self) -> None:
        """Make the secret if it does not exist, with automatic replication; a regional secret stays in its region.

        Raises:
            KeyLifecycleError: it can be neither found nor made.
        """
        parent, _, secret_id = self._name.partition("/secrets/")
        with self._client("made") as client:
            from google.api_core.exceptions import AlreadyExists, NotFound

            try:
                client.get_secret(name=self._name, timeout=self._timeout_s)
            except NotFound:
                regional = "/locations/" in parent
                secret: dict[str, Any] = {} if regional else {"replication": {"automatic": {}}}
                try:
                    client.create_secret(
                        request={"parent": parent, "secret_id": secret_id, "secret": secret},
                        timeout=self._timeout_s,
                    )
                except AlreadyExists:
                    return

    @sealed
    def load(self) -> Keys:
        """Read the secret's aliases, annotations and versions. A private key is read only if it has no annotation.

        Raises:
            KeyLifecycleError: the secret does not exist or cannot be read.
        """
        with self._client("read") as client:
            secret = client.get_secret(name=self._name, timeout=self._timeout_s)
            found = list(client.list_secret_versions(parent=self._name, timeout=self._timeout_s))
        roles = {number: alias for alias, number in secret.version_aliases.items() if alias in PUBLISHED}
        promoted_at = secret.annotations.get(_PROMOTED_AT)
        versions = sorted(
            (self._version(version, secret, roles) for version in found), key=lambda v: v.number
        )
        return Keys(
            tuple(versions),
            datetime.fromisoformat(promoted_at).timestamp() if promoted_at else None,
            secret.etag,
        )

    @sealed
    def add(self, keys: Keys, pem: bytes, state: State, now: float) -> Keys:
        """Add a version and its state; disable the version if that fails.

        Raises:
            KeyLifecycleError: the secret cannot be changed, or was changed since it was loaded.
        """
        jwk = public_jwk(load_signing_key(pem, "this process"))
        with self._client("changed") as client:
            import google_crc32c

            payload = {"data": pem, "data_crc32c": google_crc32c.value(pem)}
            made = client.add_secret_version(
                request={"parent": self._name, "payload": payload}, timeout=self._timeout_s
            )
            version = KeyVersion(_number(made.name), state, now, jwk)
            try:
                self._update(client, added(keys, version))
            except BaseException:
                client.disable_secret_version(name=made.name, timeout=self._timeout_s)
                raise
        return self.load()

    @sealed
    def save(self, keys: Keys) -> Keys:
        """Move the aliases and write the annotations in one step, then disable retired and revoked keys.

        Raises:
            KeyLifecycleError: the secret cannot be changed, or was changed since it was loaded.
        """
        with self._client("changed") as client:
            self._update(client, keys)
            ended = {version.number for version in keys.versions if version.state in _ENDED}
            for version in client.list_secret_versions(parent=self._name, timeout=self._timeout_s):
                if _number(version.name) in ended and version.state == version.State.ENABLED:
                    client.disable_secret_version(name=version.name, timeout=self._timeout_s)
        return self.load()

    @sealed
    def read(self, number: int) -> bytes:
        """Read a version's payload.

        Raises:
            KeyLifecycleError: it cannot be read.
        """
        try:
            return SecretManagerKey(f"{self._name}/versions/{number}", self._timeout_s)()
        except SigningKeyError as exc:
            raise store_error(str(exc.args[0]), exc.hint, retryable=exc.retryable) from exc

    def _version(self, version: "SecretVersion", secret: "Secret", roles: dict[int, State]) -> KeyVersion:
        number = _number(version.name)
        note: dict[str, Any] = json.loads(secret.annotations.get(f"{_NOTE}{number}", "{}"))
        enabled = version.state == version.State.ENABLED
        state: State = note.get("ended") or (roles.get(number, "unused") if enabled else "disabled")
        jwk = note.get("jwk")
        if jwk is None and state in PUBLISHED:
            jwk = public_jwk(load_signing_key(self.read(number), version.name))
        return KeyVersion(number, state, version.create_time.timestamp(), jwk)

    def _update(self, client: "SecretManagerServiceClient", keys: Keys) -> None:
        """Write aliases and annotations; Secret Manager refuses if the secret changed since it was loaded."""
        from google.api_core.exceptions import Aborted, FailedPrecondition

        secret = client.get_secret(name=self._name, timeout=self._timeout_s)
        aliases = {
            alias: number for alias, number in secret.version_aliases.items() if alias not in PUBLISHED
        }
        aliases |= {version.state: version.number for version in keys.versions if version.published}
        notes = {name: text for name, text in secret.annotations.items() if not name.startswith(_NOTE)}
        notes |= {f"{_NOTE}{v.number}": _note(v) for v in keys.versions[-_NOTES_KEPT:] if v.jwk}
        if keys.promoted_at is not None:
            notes[_PROMOTED_AT] = datetime.fromtimestamp(keys.promoted_at, UTC).isoformat()
        changed = {"name": self._name, "etag": keys.etag, "version_aliases": aliases, "annotations": notes}
        try:
            client.update_secret(
                request={"secret": changed, "update_mask": {"paths": ["version_aliases", "annotations"]}},
                timeout=self._timeout_s,
            )
        except (FailedPrecondition, Aborted) as exc:
            raise changed_meanwhile(self) from exc

    @contextmanager
    def _client(self, what: str) -> Iterator["SecretManagerServiceClient"]:
        try:
            from google.api_core import exceptions
            from google.auth.exceptions import GoogleAuthError
        except ImportError as exc:
            raise self._missing(missing_extra(), what) from exc
        with ExitStack() as stack:
            try:
                yield stack.enter_context(secret_manager_client(self._name))
            except SigningKeyError as exc:
                raise self._missing(exc, what) from exc
            except exceptions.NotFound as exc:
                raise store_error(
                    f"The secret {self._name} cannot be {what}: there is no such secret.",
                    "Make it with `meshpass keys create`, or check its name.",
                ) from exc
            except exceptions.PermissionDenied as exc:
                raise store_error(
                    f"The secret {self._name} cannot be {what}: this identity has no permission.",
                    "It needs roles/secretmanager.admin on this secret to change keys, and roles/secretmanager.viewer"
                    " to see them.",
                ) from exc
            except (exceptions.GoogleAPICallError, exceptions.RetryError, GoogleAuthError) as exc:
                raise store_error(
                    f"The secret {self._name} cannot be {what}: {type(exc).__name__} from Secret Manager.",
                    "Check the credentials and the name, and try again.",
                    retryable=True,
                ) from exc

    def _missing(self, error: SigningKeyError, what: str) -> KeyLifecycleError:
        return store_error(f"The secret {self._name} cannot be {what}: {error.args[0]}", error.hint)


def _number(name: str) -> int:
    return int(name.rpartition("/")[2])


def _note(version: KeyVersion) -> str:
    ended = {"ended": version.state} if version.state in _ENDED else {}
    return json.dumps({"jwk": version.jwk, **ended}, separators=(",", ":"))
