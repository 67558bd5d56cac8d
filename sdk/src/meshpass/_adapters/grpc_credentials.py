"""gRPC call credentials that put the caller's token on each call."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import grpc

from meshpass._address import parse_origin
from meshpass._call.request import Bearer
from meshpass._errors import ConfigurationError, InvalidRequest, MeshError
from meshpass._tokens.cache import CachedSource

if TYPE_CHECKING:
    from meshpass._token import Token, TokenSource

Deliver = Callable[[tuple[tuple[str, str], ...], Exception | None], None]


class CallTokens(grpc.AuthMetadataPlugin):  # type: ignore[misc]
    """gRPC plugin that puts a source's token on each call.

    gRPC may call it in one of its threads or in the event loop. So a cached token is returned at once, and a fetch runs
    in one separate thread for all waiting calls.

    Args:
        source: The source of the caller's tokens.
        origin: The one origin whose calls get a token, as `https://host[:port]`; any origin when None.
    """

    def __init__(self, source: "TokenSource", origin: str | None) -> None:
        self._source = source
        self._origin = origin
        self._bearer = Bearer()
        self._lock = threading.Lock()
        self._waiting: list[Deliver] = []
        self._last: Token | None = None

    def __call__(self, context: grpc.AuthMetadataContext, callback: Deliver) -> None:
        """Get the metadata for one call. `callback` receives it, or an error, from any thread."""
        if self._origin is not None and not _belongs(context.service_url, self._origin):
            callback((), InvalidRequest(f"The call does not go to {self._origin}: it gets no token."))
            return
        token = self._source.cached() if isinstance(self._source, CachedSource) else None
        if token is not None:
            self._deliver(callback, token)
            return
        with self._lock:
            self._waiting.append(callback)
            first = len(self._waiting) == 1
        if first:
            threading.Thread(target=self._fetch, name="meshpass-grpc-token", daemon=True).start()

    def metadata(self, token: "Token") -> tuple[tuple[str, str], ...]:
        """Return the metadata that carries the token.

        Raises:
            MeshError: it is not a token that a header can hold.
        """
        value = self._bearer.header(token)
        self._last = token
        return (("authorization", value),)

    def refused(self) -> None:
        """Remove the last token from its source's cache, because a call was not authenticated."""
        if self._last is not None:
            self._source.invalidate(self._last)

    def _fetch(self) -> None:
        token, failure = None, None
        try:
            token = self._source.token()
        except MeshError as exc:
            failure = exc
        except Exception as exc:  # noqa: BLE001 - from a source of the caller; its text may hold a secret
            failure = MeshError(f"The token source failed with {type(exc).__name__}.")
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for callback in waiting:
            if token is not None:
                self._deliver(callback, token)
            else:
                callback((), failure)

    def _deliver(self, callback: Deliver, token: "Token") -> None:
        try:
            metadata, failure = self.metadata(token), None
        except MeshError as exc:
            metadata, failure = (), exc
        callback(metadata, failure)


def grpc_call_credentials(source: "TokenSource", *, base_url: str | None = None) -> grpc.CallCredentials:
    """Return call credentials that put a source's token on each call, for a secure channel that you make.

    `grpc_channel` has them already. They do not block an event loop, and no error or log of gRPC holds the token.

    Args:
        source: The source of the caller's tokens; a `SignedJWT`, for instance.
        base_url: The one origin whose calls get a token; the calls of every channel that uses them when None.

    Raises:
        ConfigurationError: base_url is not an origin with https://.
    """
    return grpc.metadata_call_credentials(CallTokens(source, _secure(base_url)), name="meshpass")


def _secure(base_url: str | None) -> str | None:
    if base_url is None:
        return None
    try:
        origin, problem = parse_origin(base_url), None
    except ValueError as exc:
        origin, problem = None, f"base_url {exc}."
    if origin is not None and origin.scheme != "https":
        problem = "base_url must begin with https://: gRPC sends call credentials over TLS alone."
    if origin is None or problem is not None:
        raise ConfigurationError(problem or "")
    return origin.url


def _belongs(service_url: str, origin: str) -> bool:
    # gRPC's service_url is the origin and the service's name: https://host:port/package.Service
    return (
        service_url.partition("://")[2].partition("/")[0].removesuffix(":443") == origin.partition("://")[2]
    )
