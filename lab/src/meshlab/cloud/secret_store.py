"""Secrets and their versions in memory: the rules of Secret Manager, without its transport.

Source of the rules: https://cloud.google.com/secret-manager/docs/reference/rpc
"""

from __future__ import annotations

import datetime
import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

import google_crc32c
import grpc
from google.cloud.secretmanager_v1 import types

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PAYLOAD_BYTES = 65_536
MAX_PAGE_SIZE = 25_000

_PARENT = re.compile(r"projects/[^/]+(?:/locations/[a-z0-9-]+)?")
_SECRET = re.compile(rf"({_PARENT.pattern})/secrets/([A-Za-z0-9_-]{{1,255}})")
_VERSION = re.compile(rf"({_SECRET.pattern})/versions/([A-Za-z0-9_-]+)")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_UPDATABLE = {"labels", "annotations", "version_aliases"}
_UNSUPPORTED = (
    "topics",
    "expire_time",
    "ttl",
    "rotation",
    "version_destroy_ttl",
    "customer_managed_encryption",
    "tags",
)

State = types.SecretVersion.State
_Stamped = TypeVar("_Stamped", types.Secret, types.SecretVersion)


class SecretError(Exception):
    """A refusal, with the gRPC status it goes out with."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class SecretStore:
    """The secrets of all projects, in memory. One method per call of the service.

    Args:
        now_s: The clock, in seconds since the epoch.
    """

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        self._now_s = now_s
        self._secrets: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def create_secret(self, request: types.CreateSecretRequest) -> types.Secret:
        """Create an empty secret; ALREADY_EXISTS if the name is taken."""
        if not _PARENT.fullmatch(request.parent):
            _refuse_argument(f"Invalid resource field value in the request: parent {request.parent!r}.")
        name = f"{request.parent}/secrets/{request.secret_id}"
        if not _SECRET.fullmatch(name):
            _refuse_argument(
                f"The provided Secret ID [{request.secret_id}] does not match the expected format "
                "[[a-zA-Z_0-9-]+] of at most 255 characters."
            )
        _refuse_unsupported(request.secret, regional="/locations/" in request.parent)
        with self._lock:
            if name in self._secrets:
                raise SecretError(grpc.StatusCode.ALREADY_EXISTS, f"Secret [{name}] already exists.")
            secret = types.Secret(request.secret, name=name, create_time=self._now())
            self._check_aliases(secret, latest=0)
            self._secrets[name] = _Entry(_stamp(secret))
            return secret

    def get_secret(self, request: types.GetSecretRequest) -> types.Secret:
        """Return a secret's metadata."""
        with self._lock:
            return self._entry(request.name).secret

    def list_secrets(self, request: types.ListSecretsRequest) -> types.ListSecretsResponse:
        """List a project's secrets, newest first, in pages."""
        _refuse_filter(request.filter)
        with self._lock:
            prefix = f"{request.parent}/secrets/"
            found = [entry.secret for name, entry in self._secrets.items() if name.startswith(prefix)]
        page, token = _page(found[::-1], request.page_size, request.page_token)
        return types.ListSecretsResponse(secrets=page, next_page_token=token, total_size=len(found))

    def update_secret(self, request: types.UpdateSecretRequest) -> types.Secret:
        """Replace the masked fields of a secret: labels, annotations, version aliases."""
        paths = list(request.update_mask.paths)
        if not paths or not set(paths) <= _UPDATABLE:
            _refuse_argument(f"The update mask {paths} must name one or more of {sorted(_UPDATABLE)}.")
        with self._lock:
            entry = self._entry(request.secret.name)
            _check_etag(request.secret.etag, entry.secret)
            secret = types.Secret(entry.secret)
            for path in paths:
                setattr(secret, path, getattr(request.secret, path))
            self._check_aliases(secret, latest=len(entry.versions))
            entry.secret = _stamp(secret)
            return secret

    def delete_secret(self, request: types.DeleteSecretRequest) -> None:
        """Delete a secret with all its versions."""
        with self._lock:
            _check_etag(request.etag, self._entry(request.name).secret)
            del self._secrets[request.name]

    def add_secret_version(self, request: types.AddSecretVersionRequest) -> types.SecretVersion:
        """Add a payload as the next version; INVALID_ARGUMENT if it is too large or its checksum is wrong."""
        payload, data = request.payload, bytes(request.payload.data)
        if len(data) > MAX_PAYLOAD_BYTES:
            _refuse_argument(f"The payload has {len(data)} bytes; the limit is {MAX_PAYLOAD_BYTES}.")
        has_checksum = "data_crc32c" in payload
        if has_checksum and payload.data_crc32c != google_crc32c.value(data):
            _refuse_argument("The payload's data_crc32c does not match its data. Send it again.")
        with self._lock:
            entry = self._entry(request.parent)
            version = types.SecretVersion(
                name=f"{request.parent}/versions/{len(entry.versions) + 1}",
                create_time=self._now(),
                state=State.ENABLED,
                client_specified_payload_checksum=has_checksum,
            )
            entry.versions.append(_stamp(version))
            entry.payloads.append(data)
            return version

    def get_secret_version(self, request: types.GetSecretVersionRequest) -> types.SecretVersion:
        """Return a version's metadata, by number, alias or `latest`."""
        with self._lock:
            entry, index = self._version(request.name)
            return entry.versions[index]

    def list_secret_versions(
        self, request: types.ListSecretVersionsRequest
    ) -> types.ListSecretVersionsResponse:
        """List a secret's versions, newest first, in pages."""
        _refuse_filter(request.filter)
        with self._lock:
            versions = self._entry(request.parent).versions[::-1]
        page, token = _page(versions, request.page_size, request.page_token)
        return types.ListSecretVersionsResponse(
            versions=page, next_page_token=token, total_size=len(versions)
        )

    def access_secret_version(
        self, request: types.AccessSecretVersionRequest
    ) -> types.AccessSecretVersionResponse:
        """Return a version's payload; FAILED_PRECONDITION unless the version is enabled.

        `latest` is the newest version, whatever its state: it does not skip disabled ones.
        """
        with self._lock:
            entry, index = self._version(request.name)
            version = entry.versions[index]
            if version.state != State.ENABLED:
                _refuse_state(f"Secret Version [{version.name}] is in {version.state.name} state.")
            data = entry.payloads[index]
        payload = types.SecretPayload(data=data, data_crc32c=google_crc32c.value(data))
        return types.AccessSecretVersionResponse(name=version.name, payload=payload)

    def enable_secret_version(self, request: types.EnableSecretVersionRequest) -> types.SecretVersion:
        """Let a version be accessed again."""
        return self._set_state(request, State.ENABLED)

    def disable_secret_version(self, request: types.DisableSecretVersionRequest) -> types.SecretVersion:
        """Forbid access to a version for now."""
        return self._set_state(request, State.DISABLED)

    def destroy_secret_version(self, request: types.DestroySecretVersionRequest) -> types.SecretVersion:
        """Forget a version's payload for good."""
        return self._set_state(request, State.DESTROYED)

    def _set_state(self, request: _Tagged, state: int) -> types.SecretVersion:
        with self._lock:
            entry, index = self._version(request.name)
            old = entry.versions[index]
            _check_etag(request.etag, old)
            if old.state == State.DESTROYED:
                _refuse_state(f"Secret Version [{old.name}] is in DESTROYED state.")
            version = types.SecretVersion(old, state=state)
            if state == State.DESTROYED:
                version.destroy_time = self._now()
                entry.payloads[index] = b""
            entry.versions[index] = _stamp(version)
            return version

    def _entry(self, name: str) -> _Entry:
        if not _SECRET.fullmatch(name):
            _refuse_argument(f"Invalid resource name {name!r}; use projects/PROJECT/secrets/SECRET.")
        entry = self._secrets.get(name)
        if entry is None:
            raise SecretError(grpc.StatusCode.NOT_FOUND, f"Secret [{name}] not found.")
        return entry

    def _version(self, name: str) -> tuple[_Entry, int]:
        match = _VERSION.fullmatch(name)
        if match is None:
            _refuse_argument(
                f"Invalid resource name {name!r}; use projects/PROJECT/secrets/SECRET/versions/VERSION."
            )
        secret_name, which = match[1], match[4]
        entry = self._secrets.get(secret_name)
        if entry is None or not entry.versions:
            raise SecretError(
                grpc.StatusCode.NOT_FOUND, f"Secret [{secret_name}] not found or has no versions."
            )
        if which == "latest":
            number = len(entry.versions)
        elif which.isdecimal():
            number = int(which)
        else:
            number = dict(entry.secret.version_aliases).get(which, 0)
        if not 1 <= number <= len(entry.versions):
            raise SecretError(grpc.StatusCode.NOT_FOUND, f"Secret Version [{name}] not found.")
        return entry, number - 1

    def _check_aliases(self, secret: types.Secret, latest: int) -> None:
        for alias, number in dict(secret.version_aliases).items():
            if not _ALIAS.fullmatch(alias) or alias in ("latest", "NEW"):
                _refuse_argument(
                    f"The version alias {alias!r} is not allowed; use one of A-Z a-z, then A-Z a-z 0-9 _ -."
                )
            if not 1 <= number <= latest:
                _refuse_argument(
                    f"The version alias {alias!r} points to version {number}, which does not exist."
                )

    def _now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._now_s(), datetime.UTC)


class _Tagged(Protocol):
    name: str
    etag: str


@dataclass
class _Entry:
    secret: types.Secret
    versions: list[types.SecretVersion] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)


def _stamp(message: _Stamped) -> _Stamped:
    """Give a changed message a new etag, made from its content."""
    message.etag = ""
    message.etag = f'"{google_crc32c.value(type(message).serialize(message)):08x}"'
    return message


def _check_etag(sent: str, current: _Tagged) -> None:
    if sent and sent != current.etag:
        _refuse_state(f"The etag sent for [{current.name}] is not its current one. Get it again and retry.")


def _page(items: list[Any], size: int, token: str) -> tuple[list[Any], str]:
    """Cut one page; the token is the offset of the next."""
    if token and not token.isdecimal():
        _refuse_argument("The page_token is not one that this service gave.")
    start = int(token or 0)
    end = start + min(size or MAX_PAGE_SIZE, MAX_PAGE_SIZE)
    return items[start:end], str(end) if end < len(items) else ""


def _refuse_unsupported(secret: types.Secret, *, regional: bool) -> None:
    # A regional secret is in its region alone.
    if regional and "replication" in secret:
        _refuse_argument("Secret.replication is set; a regional secret has none.")
    if not regional and "replication" not in secret:
        _refuse_argument("Secret.replication is missing; give it automatic or user_managed replication.")
    found = [name for name in _UNSUPPORTED if name in secret]
    if found:
        raise SecretError(
            grpc.StatusCode.UNIMPLEMENTED, f"This fake does not offer {', '.join(found)}; leave it out."
        )


def _refuse_filter(text: str) -> None:
    if text:
        raise SecretError(
            grpc.StatusCode.UNIMPLEMENTED, "This fake does not filter lists; leave filter empty."
        )


def _refuse_argument(message: str) -> NoReturn:
    raise SecretError(grpc.StatusCode.INVALID_ARGUMENT, message)


def _refuse_state(message: str) -> NoReturn:
    raise SecretError(grpc.StatusCode.FAILED_PRECONDITION, message)
