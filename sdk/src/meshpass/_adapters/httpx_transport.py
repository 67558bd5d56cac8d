"""Transports with which an `httpx.Client` or `httpx.AsyncClient` calls a service in the mesh."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import httpx

from meshpass._adapters.adapter_client import client_for
from meshpass._adapters.library_call import check_header_name, length_of, make_call
from meshpass._adapters.library_errors import combined, names_for
from meshpass._async_client import AsyncClient
from meshpass._call.body import RequestBody
from meshpass._call.response import Response
from meshpass._call.service import ClientOptions
from meshpass._call.streamed_response import StreamedResponse
from meshpass._client import Client
from meshpass._errors import MeshError

if TYPE_CHECKING:
    from typing import Self

    from meshpass._call.request import Call
    from meshpass._call.service import Service
    from meshpass._token import TokenSource


class Transport(httpx.BaseTransport):
    """A transport for `httpx.Client` that calls one service in the mesh.

    It pins the address, puts the caller's token on each request, and applies the client's time limit, retries and
    size limit. Errors are both a `MeshError` and the httpx error for the same failure, such as `httpx.ConnectError`.
    Redirects, cookies and default headers are those of httpx.

    - The URL's origin must be the service's: a request to another one is refused, and nothing is sent.
    - The read limit of httpx's `timeout` limits the whole call where it is smaller than `timeout_s`. httpx's default is
      5 seconds; with `timeout=None`, only `timeout_s` applies.
    - httpx's `verify`, `cert`, `proxy` and `http2` have no effect on a transport.

    Args:
        service: The service's virtual origin, such as `https://user-profile.internal`; or a `Client`, which the
            transport then uses and does not close.
        auth: The source of the caller's tokens. This and the following arguments are for an origin, not for a `Client`.
        address: As for `Client`.
        ca_file: As for `Client`.
        authorization_header: The header to which a request's own Authorization is moved, such as
            `X-User-Authorization`. When None, such a request is refused, because Authorization has the mesh's token.
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
            MeshError: as `Client.request`; it is also an `httpx.RequestError`.
        """
        client = self._client
        try:
            call = _call(client._service, request, self._authorization_header)  # noqa: SLF001
            return _response(request, client._run(call))  # noqa: SLF001
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
            MeshError: as `Client.request`; it is also an `httpx.RequestError`.
        """
        client = self._client
        try:
            call = _call(client._service, request, self._authorization_header)  # noqa: SLF001
            return _response(request, await client._run(call))  # noqa: SLF001
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


class WholeResponse(Response):
    """A response whose body was read and decoded together with its head."""

    def read(self) -> bytes:
        """Return the body."""
        self.is_closed = self.is_stream_consumed = True
        return self.content

    async def aread(self) -> bytes:
        """Return the body."""
        return self.read()


class PartialResponse(StreamedResponse):
    """A response whose body is read later. Errors of reading are also errors of httpx."""

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Return the decoded body part by part; see `StreamedResponse.iter_bytes`."""
        with _errors_for(self.request):
            yield from super().iter_bytes(chunk_size)

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """Return the decoded body part by part; see `StreamedResponse.iter_bytes`."""
        with _errors_for(self.request):
            async for part in super().aiter_bytes(chunk_size):
                yield part


class _Parts(httpx.SyncByteStream):
    """The body as it comes in."""

    def __init__(self, stream: httpx.SyncByteStream, request: httpx.Request) -> None:
        self._stream = stream
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        with _errors_for(self._request):
            yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _AsyncParts(httpx.AsyncByteStream):
    """The body as it comes in."""

    def __init__(self, stream: httpx.AsyncByteStream, request: httpx.Request) -> None:
        self._stream = stream
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors_for(self._request):
            async for part in self._stream:
                yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


def _call(service: "Service", request: httpx.Request, authorization_header: str | None) -> "Call":
    url, extensions = request.url, request.extensions
    target: bytes = extensions.get("target", url.raw_path)
    limits = extensions.get("timeout", {})
    return make_call(
        service,
        request.method,
        (url.scheme, url.raw_host.decode("ascii"), url.port),
        # Every byte has a character in Latin-1, and the checks refuse what is not ASCII.
        target.decode("latin-1"),
        [(name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
        _content(request),
        (limits.get("connect"), limits.get("read")),
        authorization_header,
        stream=True,
    )


def _content(request: httpx.Request) -> bytes | RequestBody:
    stream = request.stream
    if isinstance(stream, httpx.ByteStream):
        return request.read()
    return RequestBody(lambda: stream, length=length_of(request.headers), replayable=False)


def _response(request: httpx.Request, received: httpx.Response) -> httpx.Response:
    """Return the response as httpx takes it from a transport.

    The object of the plan is reused: another object and another read would cost a tenth of the call.
    """
    received.extensions = {"http_version": b"HTTP/1.1"}
    if isinstance(received, StreamedResponse):
        received.__class__ = PartialResponse
        if isinstance(received.stream, httpx.AsyncByteStream):
            received.stream = _AsyncParts(received.stream, request)
        elif isinstance(received.stream, httpx.SyncByteStream):
            received.stream = _Parts(received.stream, request)
    else:
        received.__class__ = WholeResponse
    return received


@contextmanager
def _errors_for(request: httpx.Request) -> Iterator[None]:
    failure: MeshError | None = None
    try:
        yield
    except MeshError as exc:
        failure = exc
    if failure is not None:
        raise failure if isinstance(failure, httpx.RequestError) else _failure(failure, request)


def _failure(error: MeshError, request: httpx.Request) -> MeshError:
    base: type[Exception] = getattr(httpx, names_for(error).httpx)
    return combined(error, base, request)
