"""Adapter with which a `requests.Session` calls a service in the mesh."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Unpack
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3 import HTTPHeaderDict, HTTPResponse

from meshpass._adapters.adapter_client import client_for
from meshpass._adapters.library_call import check_header_name, length_of, make_call
from meshpass._adapters.library_errors import combined, names_for
from meshpass._call.body import RequestBody
from meshpass._call.service import ClientOptions
from meshpass._client import Client
from meshpass._errors import InvalidRequest, MeshError

if TYPE_CHECKING:
    from typing import Self

    import httpx

    from meshpass._call.request import Call
    from meshpass._call.service import Service
    from meshpass._token import TokenSource


_READ_BYTES = 64 * 1024


class RequestsAdapter(BaseAdapter):
    """An adapter for `requests.Session` that calls one service in the mesh.

    Mount it on the service's origin with a slash at the end. It does for `requests` what `Transport` does for httpx.
    The rules for other origins, for the request's own Authorization (`auth=` or .netrc) and for the time limit are the
    same; of `timeout`, the read limit is used. Errors are both a `MeshError` and the error of `requests.exceptions` for
    the same failure. `verify`, `cert` and `proxies` have no effect.

    A redirect to another host uses the session's other adapters, which have no token of the mesh.

    Args:
        service: The service's virtual origin, such as `https://user-profile.internal`; or a `Client`, which the
            adapter then uses and does not close.
        auth: The source of the caller's tokens. This and the following arguments are for an origin, not for a `Client`.
        address: As for `Client`.
        ca_file: As for `Client`.
        authorization_header: As for `Transport`.
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
        super().__init__()
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
        """Build an adapter from the environment; see `Transport.from_env`."""
        made = cls(Client.from_env(environ, **options), authorization_header=authorization_header)
        made._made_here = True
        return made

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: "float | tuple[float | None, float | None] | None" = None,
        verify: "bool | str" = True,
        cert: object = None,
        proxies: object = None,
    ) -> requests.Response:
        """Send one request of `requests` and return the service's response.

        Args:
            request: The prepared request.
            stream: Whether the caller reads the body in parts.
            timeout: Limit in seconds, or a pair of limits for connecting and reading.
            verify: Has no effect: the gateway's certificate is always verified.
            cert: Has no effect.
            proxies: Has no effect.

        Raises:
            MeshError: as `Client.request`; it is also a `requests.RequestException`.
        """
        client = self._client
        try:
            call = _call(client._service, request, timeout, self._authorization_header, stream=stream)  # noqa: SLF001
            received = client._run(call)  # noqa: SLF001
        except MeshError as exc:
            failure = exc
        else:
            return self._response(call, request, received)
        # Out of the `except` block, so that one error does not hang on the other.
        raise _failure(failure, request)

    def close(self) -> None:
        """Close the connections, unless they are those of a client that was given."""
        if self._made_here:
            self._client.close()

    def _response(
        self, call: "Call", request: requests.PreparedRequest, received: "httpx.Response"
    ) -> requests.Response:
        headers = HTTPHeaderDict(received.headers.multi_items())
        if "content-encoding" in headers and call.method != "HEAD":
            # The client decodes the body within its size limit. urllib3 has no limit.
            del headers["content-encoding"]
            headers.discard("content-length")
        response = requests.Response()
        response.status_code = received.status_code
        response.reason = received.reason_phrase
        response.url = request.url or ""
        response.headers = CaseInsensitiveDict(headers)
        response.encoding = get_encoding_from_headers(response.headers)
        response.request = request
        # `auth` hooks use it to send a request again. The library's types allow only its own adapter.
        response.connection = self  # type: ignore[assignment]
        response.raw = DecodedBody(received, headers, request, call.method)
        requests.cookies.extract_cookies_to_jar(response.cookies, request, response.raw)
        return response


class DecodedBody(HTTPResponse):
    """The body of a response for `requests`: it is decoded, and its errors are errors of `requests`.

    urllib3 would convert these errors into its own.

    Args:
        received: The response of the call.
        headers: Its headers, without a content coding.
        request: The request of this response.
        method: The request's method.
    """

    def __init__(
        self,
        received: "httpx.Response",
        headers: HTTPHeaderDict,
        request: requests.PreparedRequest,
        method: str,
    ) -> None:
        super().__init__(
            b"",
            headers,
            received.status_code,
            reason=received.reason_phrase,
            preload_content=False,
            original_response=_head(headers),  # type: ignore[arg-type]
            request_method=method,
        )
        self._received = received
        self._request = request
        self._parts: Iterator[bytes] | None = None
        self._unread = bytearray()

    def stream(
        self, amt: int | None = 2**16, decode_content: bool | None = None
    ) -> Generator[bytes, None, None]:
        """Yield the body in parts of this size."""
        while part := self.read(amt):
            yield part

    def read(
        self,
        amt: int | None = None,
        decode_content: bool | None = None,
        cache_content: bool = False,
    ) -> bytes:
        """Return this number of bytes of the body, fewer at its end; all bytes when None."""
        if self._parts is None:
            self._parts = self._received.iter_bytes()
        failure: MeshError | None = None
        try:
            while amt is None or amt < 0 or len(self._unread) < amt:
                part = next(self._parts, None)
                if part is None:
                    break
                self._unread += part
        except MeshError as exc:
            failure = exc
        if failure is not None:
            raise _failure(failure, self._request)
        end = len(self._unread) if amt is None or amt < 0 else amt
        found = bytes(self._unread[:end])
        del self._unread[:end]
        return found

    def close(self) -> None:
        """Close the response. Its connection is closed, too, if parts of the body were not read."""
        self._received.close()
        super().close()

    def release_conn(self) -> None:
        """Close the response. Its connection returns to the client's pool at the end of the body."""
        self._received.close()


requests_adapter = RequestsAdapter
"""`RequestsAdapter` under the name of a function."""


def _call(
    service: "Service",
    request: requests.PreparedRequest,
    timeout: "float | tuple[float | None, float | None] | None",
    authorization_header: str | None,
    *,
    stream: bool,
) -> "Call":
    try:
        url = urlsplit(request.url or "")
        origin = url.scheme, url.hostname or "", url.port
    except ValueError:
        origin = None
    if origin is None:
        raise InvalidRequest("The URL has no valid host and port.")
    return make_call(
        service,
        request.method or "",
        origin,
        request.path_url,
        [(_text(name).lower(), _text(value)) for name, value in request.headers.items()],
        _content(request),
        _limits(timeout),
        authorization_header,
        stream=stream,
    )


def _limits(timeout: object) -> tuple[object, object]:
    """Return the limits for connecting and for reading; `requests` takes a pair, or one number for both."""
    if not isinstance(timeout, tuple):
        return timeout, timeout
    if len(timeout) != 2:
        raise InvalidRequest("The time limit is not a pair of limits for connecting and for reading.")
    connect_s, read_s = timeout
    return connect_s, read_s


def _content(request: requests.PreparedRequest) -> bytes | RequestBody | None:
    body: object = request.body
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    length = length_of({name.lower(): _text(value) for name, value in request.headers.items()})
    if hasattr(body, "read"):
        read: Callable[[int], bytes] = body.read
        return RequestBody(lambda: iter(lambda: read(_READ_BYTES), b""), length=length, replayable=False)
    if isinstance(body, Iterable):
        return RequestBody(lambda: body, length=length, replayable=False)
    raise InvalidRequest(f"The body is of type {type(body).__name__}, which cannot be sent.")


def _failure(error: MeshError, request: requests.PreparedRequest) -> MeshError:
    base: type[Exception] = getattr(requests.exceptions, names_for(error).requests)
    return combined(error, base, request)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _head(headers: HTTPHeaderDict) -> SimpleNamespace:
    """Return an object that has cookies where `requests` reads them: in `msg`, as in the standard library."""
    message = Message()
    for value in headers.getlist("set-cookie"):
        message["set-cookie"] = value
    return SimpleNamespace(msg=message, isclosed=lambda: True, close=lambda: None)
