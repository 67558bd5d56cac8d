"""The asyncio client."""

import asyncio
import weakref
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
    from meshpass._transport_async import PinnedAsyncTransport


class AsyncClient:
    """Calls one service in the mesh from asyncio code.

    Connections belong to the event loop that first calls; a client used in several loops keeps some for each.
    Everything else is as in `Client`, and so are the arguments and errors.

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
        self._transports: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, PinnedAsyncTransport]
        self._transports = weakref.WeakKeyDictionary()
        self._closed = False

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> "AsyncClient":
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

    async def get(
        self,
        path_template: str,
        /,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        **path_values: str | int,
    ) -> "httpx.Response":
        """Send a GET; see `Client.request`."""
        return await self.request(
            "GET",
            path_template,
            params=params,
            headers=headers,
            json=None,
            content=None,
            timeout_s=timeout_s,
            **path_values,
        )

    async def request(
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
        """Send a request and return the service's own answer, whatever its status; see `Client.request`.

        Raises:
            MeshError: as `Client.request`.
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
        transport = await self._transport()
        token = await self._auth.atoken()
        authorize(request, token)
        try:
            response = await transport.handle_async_request(request)
        finally:
            deauthorize(request)
        error = refusal(self._service, method, path_template, response, token)
        if error is None:
            return response
        if isinstance(error, TokenRefused):
            self._auth.invalidate(token)
        raise error

    async def aclose(self) -> None:
        """Close all connections; the client cannot be used any more."""
        self._closed = True
        transports, self._transports = list(self._transports.values()), weakref.WeakKeyDictionary()
        for transport in transports:
            await transport.aclose()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        await self.aclose()

    async def _transport(self) -> "PinnedAsyncTransport":
        from meshpass._transport_async import PinnedAsyncTransport

        if self._closed:
            raise RuntimeError("This meshpass.AsyncClient is closed.")
        loop = asyncio.get_running_loop()
        transport = self._transports.get(loop)
        if transport is None:
            for ended in [known for known in self._transports if known.is_closed()]:
                await self._transports.pop(ended).aclose()
            transport = self._transports[loop] = PinnedAsyncTransport(self._service)
        return transport
