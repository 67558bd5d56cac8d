"""The blocking client."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from meshpass._errors import TokenRefused
from meshpass._request import Params, authorize, deauthorize, prepare, refusal
from meshpass._service import DEFAULT_CONNECT_TIMEOUT_S, DEFAULT_TIMEOUT_S, make_service
from meshpass._settings import Settings

if TYPE_CHECKING:
    from types import TracebackType

    import httpx

    from meshpass._token import TokenSource
    from meshpass._transport_sync import PinnedTransport


class Client:
    """Calls one service in the mesh, and blocks until its answer is there. Safe to share between threads.

    Connections are opened by the first call, and anew in a forked child.
    Redirects are not followed, cookies are not kept, and proxy variables are not read.

    Args:
        base_url: The service's virtual origin, such as `https://user-profile.internal`.
        auth: Where the caller's token comes from; a `SignedJWT`, for instance.
        address: Where to dial: `host` or `host:port`; the origin's own name and port when None.
        ca_file: PEM bundle of the CA that signed the gateway's certificate; the system's CAs when None.
        timeout_s: Limit for one call from connecting to the answer's last byte, in seconds.
        connect_timeout_s: Limit for connecting alone, in seconds.

    Raises:
        ConfigurationError: an argument is wrong, or `http://` would send the token over a public network.
    """

    def __init__(
        self,
        base_url: str,
        *,
        auth: "TokenSource",
        address: str | None = None,
        ca_file: Path | str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        connect_timeout_s: float = DEFAULT_CONNECT_TIMEOUT_S,
    ) -> None:
        self._service = make_service(base_url, address, ca_file, {"timeout_s": timeout_s, "connect_timeout_s": connect_timeout_s})
        self._auth = auth
        self._lock = threading.Lock()
        self._opened: tuple[int, PinnedTransport] | None = None
        self._closed = False

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> "Client":
        """Build a client from `GKE_GATEWAY_*`, `JWT_*` and `SIGNING_KEY_*`; see `Settings`.

        Args:
            environ: The variables; the process's own when None.
            timeout_s: Limit for one call, in seconds.

        Raises:
            ConfigurationError: variables are missing or wrong; it lists all of them.
        """
        found = Settings.from_env(environ)
        return cls(
            found.base_url,
            auth=found.token_source(),
            address=found.address,
            ca_file=found.ca_file,
            timeout_s=timeout_s,
        )

    def get(
        self,
        path_template: str,
        /,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        **path_values: str | int,
    ) -> "httpx.Response":
        """Send a GET; see `request`."""
        return self.request(
            "GET",
            path_template,
            params=params,
            headers=headers,
            json=None,
            content=None,
            timeout_s=timeout_s,
            **path_values,
        )

    def request(
        self,
        method: str,
        path_template: str,
        /,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        json: object = None,
        content: bytes | None = None,
        timeout_s: float | None = None,
        **path_values: str | int,
    ) -> "httpx.Response":
        """Send a request and return the service's own answer, whatever its status.

        Args:
            method: The HTTP method, in capitals.
            path_template: The path with placeholders, such as `/profile/{user_id}`.
            params: The query; a sequence makes one pair per item.
            headers: Further headers; Host and Authorization are the client's own.
            json: A body to send as JSON.
            content: A body to send as it is.
            timeout_s: Limit for this call in seconds; the client's when None.
            path_values: A value for each placeholder, encoded into exactly one segment.

        Raises:
            InvalidRequest: the call cannot be sent safely as written; nothing was sent.
            SigningKeyError: there is no token, for want of a key.
            RequestRefused: the mesh answered in the service's place.
            UpstreamUnavailable: no working service, or no connection.
            GatewayTLSError: the gateway is not trusted.
            MeshTimeout: the time was used up.
        """
        request = prepare(
            self._service,
            method,
            path_template,
            path_values,
            params=params,
            headers=headers,
            json=json,
            content=content,
            timeout_s=timeout_s,
        )
        transport = self._transport()
        token = self._auth.token()
        authorize(request, token)
        try:
            response = transport.handle_request(request)
        finally:
            deauthorize(request)
        error = refusal(self._service, method, path_template, response, token)
        if error is None:
            return response
        if isinstance(error, TokenRefused):
            self._auth.invalidate(token)
        raise error

    def close(self) -> None:
        """Close all connections; the client cannot be used any more."""
        with self._lock:
            self._closed = True
            opened, self._opened = self._opened, None
        if opened is not None and opened[0] == os.getpid():
            opened[1].close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        self.close()

    def _transport(self) -> "PinnedTransport":
        from meshpass._transport_sync import PinnedTransport

        with self._lock:
            if self._closed:
                raise RuntimeError("This meshpass.Client is closed.")
            # A forked child must not speak on its parent's connections.
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = (os.getpid(), PinnedTransport(self._service))
            return self._opened[1]
