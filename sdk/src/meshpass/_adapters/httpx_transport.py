"""Transports of httpx: a plain `httpx.Client` or `httpx.AsyncClient` calls a service in the mesh."""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import httpx

from meshpass._adapters.adapter_client import client_for
from meshpass._adapters.library_call import check_header_name, make_call
from meshpass._adapters.library_errors import combined, names_for
from meshpass._async_client import AsyncClient
from meshpass._call.response import Response
from meshpass._call.service import ClientOptions
from meshpass._client import Client
from meshpass._errors import MeshError

if TYPE_CHECKING:
    from typing import Self

    from meshpass._call.request import Call
    from meshpass._call.service import Service
    from meshpass._token import TokenSource


class Transport(httpx.BaseTransport):
    """A transport for `httpx.Client` that calls one service in the mesh.

    It pins the address, puts the caller's token on each request, and keeps to the client's time limit, retries and
    size limit. Errors are `MeshError` and the httpx error that stands for the same failure, such as
    `httpx.ConnectError`. Redirects, cookies and default headers are httpx's own.

    - The URL's origin must be the service's: a request to another one is refused, and nothing is sent.
    - A limit of httpx's `timeout` for reading counts for the whole call where it is smaller than `timeout_s`. httpx's
      own default is 5 seconds; `timeout=None` leaves the limit to `timeout_s`.
    - httpx's `verify`, `cert`, `proxy` and `http2` have no effect on a transport.

    Args:
        service: The service's virtual origin, such as `https://user-profile.internal`; or a `Client`, which the
            transport then uses and does not close.
        auth: Where the caller's token comes from; only with an origin, as the arguments that follow.
        address: As for `Client`.
        ca_file: As for `Client`.
        authorization_header: The header that takes an Authorization that a request has already, such as
            `X-User-Authorization`. The mesh's token has its place, so that without this such a request is refused.
        options: As for `Client`.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    def __init__(
        self,
        service: "Client | str",
        *,
        auth: "TokenSource | None" = None,
        address: str | None = None,
        ca_file: Path | str | None = None,
        authorization_header: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        self._authorization_header = check_header_name(authorization_header)
        self._client, self._made_here = client_for(Client, service, auth, address, ca_file, options)

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        authorization_header: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> "Self":
        """Build a transport from the environment, as `Client.from_env` builds a client.

        Args:
            environ: The variables; the process's own when None.
            authorization_header: As for the transport itself.
            options: As for `Client`.

        Raises:
            ConfigurationError: variables are missing or wrong; it lists all of them.
        """
        made = cls(Client.from_env(environ, **options), authorization_header=authorization_header)
        made._made_here = True
        return made

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request of httpx and return the service's response.

        Raises:
            MeshError: as `Client.request`; it is an `httpx.RequestError`, too.
        """
        client = self._client
        try:
            call = _call(client._service, request, _content(request), self._authorization_header)  # noqa: SLF001
            return _response(call, client._run(call))  # noqa: SLF001
        except MeshError as exc:
            failure = _failure(exc, request)
        # Out of the `except` block, so that one error does not hang on the other.
        raise failure

    def close(self) -> None:
        """Close the connections, unless they are those of a client that was given."""
        if self._made_here:
            self._client.close()


class AsyncTransport(httpx.AsyncBaseTransport):
    """A transport for `httpx.AsyncClient`; arguments and errors are those of `Transport`.

    Args:
        service: The service's virtual origin, or an `AsyncClient`, which the transport then uses and does not close.
        auth: As for `Transport`.
        address: As for `Client`.
        ca_file: As for `Client`.
        authorization_header: As for `Transport`.
        options: As for `Client`.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    def __init__(
        self,
        service: "AsyncClient | str",
        *,
        auth: "TokenSource | None" = None,
        address: str | None = None,
        ca_file: Path | str | None = None,
        authorization_header: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        self._authorization_header = check_header_name(authorization_header)
        self._client, self._made_here = client_for(AsyncClient, service, auth, address, ca_file, options)

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        authorization_header: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> "Self":
        """Build a transport from the environment; see `Transport.from_env`."""
        made = cls(AsyncClient.from_env(environ, **options), authorization_header=authorization_header)
        made._made_here = True
        return made

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request of httpx and return the service's response.

        Raises:
            MeshError: as `Client.request`; it is an `httpx.RequestError`, too.
        """
        client = self._client
        try:
            content = await _acontent(request)
            call = _call(client._service, request, content, self._authorization_header)  # noqa: SLF001
            return _response(call, await client._run(call))  # noqa: SLF001
        except MeshError as exc:
            failure = _failure(exc, request)
        # Out of the `except` block, so that one error does not hang on the other.
        raise failure

    async def aclose(self) -> None:
        """Close the connections, unless they are those of a client that was given."""
        if self._made_here:
            await self._client.aclose()


httpx_transport = Transport
"""`Transport` under the name of a function."""

async_httpx_transport = AsyncTransport
"""`AsyncTransport` under the name of a function."""


def _call(
    service: "Service", request: httpx.Request, content: bytes | None, authorization_header: str | None
) -> "Call":
    url, extensions = request.url, request.extensions
    target: bytes = extensions.get("target", url.raw_path)
    return make_call(
        service,
        request.method,
        (url.scheme, url.raw_host.decode("ascii"), url.port),
        # Every byte has a character in Latin-1, and the checks refuse what is not ASCII.
        target.decode("latin-1"),
        [(name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
        content,
        extensions.get("timeout", {}).get("read"),
        authorization_header,
    )


def _content(request: httpx.Request) -> bytes | None:
    return request.read()


async def _acontent(request: httpx.Request) -> bytes | None:
    return await request.aread()


class WholeResponse(Response):
    """A response that is read already, and that httpx and what wraps its transports may read in any way."""

    def iter_raw(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Return the body in parts; it has no content coding any more."""
        return self.iter_bytes(chunk_size)

    def aiter_raw(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """Return the body in parts; see `iter_raw`."""
        return self.aiter_bytes(chunk_size)


def _response(call: "Call", received: httpx.Response) -> httpx.Response:
    """Return the response as httpx takes it from a transport."""
    content = received.content
    if "content-encoding" in received.headers and call.method != "HEAD":
        # The body is decoded already, within the client's limit: httpx would have none.
        del received.headers["content-encoding"]
        received.headers["content-length"] = str(len(content))
    received.stream = httpx.ByteStream(content)
    received.extensions = {"http_version": b"HTTP/1.1"}
    received._num_bytes_downloaded = len(content)  # noqa: SLF001
    # What the plan made is reused: another object and another read would cost a tenth of the call.
    received.__class__ = WholeResponse
    return received


def _failure(error: MeshError, request: httpx.Request) -> MeshError:
    base: type[Exception] = getattr(httpx, names_for(error).httpx)
    return combined(error, base, request)
