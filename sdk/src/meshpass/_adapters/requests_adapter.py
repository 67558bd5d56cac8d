"""An adapter of `requests`: a plain `requests.Session` calls a service in the mesh."""

import io
from collections.abc import Mapping
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
from meshpass._adapters.library_call import check_header_name, make_call
from meshpass._adapters.library_errors import combined, names_for
from meshpass._call.service import ClientOptions
from meshpass._client import Client
from meshpass._errors import InvalidRequest, MeshError

if TYPE_CHECKING:
    from typing import Self

    import httpx

    from meshpass._call.request import Call
    from meshpass._call.service import Service
    from meshpass._token import TokenSource


class RequestsAdapter(BaseAdapter):
    """An adapter for `requests.Session` that calls one service in the mesh.

    Mount it on the service's origin with a slash at the end. It does for `requests` what `Transport` does for httpx,
    with the same rules for other origins, for an Authorization of the caller's own (`auth=` or .netrc) and for
    the time limit, where the reading limit of `timeout` is the one that counts. Errors are `MeshError` and the error of
    `requests.exceptions` that stands for the same failure. `verify`, `cert` and `proxies` have no effect on it.

    A redirect to another host is sent by the session's other adapters, which have no token of the mesh.

    Args:
        service: The service's virtual origin, such as `https://user-profile.internal`; or a `Client`, which the
            adapter then uses and does not close.
        auth: Where the caller's token comes from; only with an origin, as the arguments that follow.
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
            stream: Whether the caller reads the body bit by bit.
            timeout: Limit in seconds, or the limits for connecting and for reading.
            verify: Has no effect: the gateway's certificate is always verified.
            cert: Has no effect.
            proxies: Has no effect.

        Raises:
            MeshError: as `Client.request`; it is a `requests.RequestException`, too.
        """
        client = self._client
        try:
            call = _call(client._service, request, timeout, self._authorization_header)  # noqa: SLF001
            received = client._run(call)  # noqa: SLF001
        except MeshError as exc:
            failure = exc
        else:
            return self._response(call, request, received)
        # Out of the `except` block, so that one error does not hang on the other.
        base: type[Exception] = getattr(requests.exceptions, names_for(failure).requests)
        raise combined(failure, base, request)

    def close(self) -> None:
        """Close the connections, unless they are those of a client that was given."""
        if self._made_here:
            self._client.close()

    def _response(
        self, call: "Call", request: requests.PreparedRequest, received: "httpx.Response"
    ) -> requests.Response:
        content, headers = received.content, HTTPHeaderDict(received.headers.multi_items())
        if "content-encoding" in headers and call.method != "HEAD":
            # The body is decoded already, within the client's limit: urllib3 would have none.
            del headers["content-encoding"]
            headers["content-length"] = str(len(content))
        response = requests.Response()
        response.status_code = received.status_code
        response.reason = received.reason_phrase
        response.url = request.url or ""
        response.headers = CaseInsensitiveDict(headers)
        response.encoding = get_encoding_from_headers(response.headers)
        response.request = request
        # What `auth` hooks send a request again with; the library's types name its own adapter alone.
        response.connection = self  # type: ignore[assignment]
        response.raw = HTTPResponse(
            io.BytesIO(content),
            headers,
            received.status_code,
            reason=received.reason_phrase,
            preload_content=False,
            original_response=_head(headers),  # type: ignore[arg-type]
            request_method=call.method,
        )
        requests.cookies.extract_cookies_to_jar(response.cookies, request, response.raw)
        return response


requests_adapter = RequestsAdapter
"""`RequestsAdapter` under the name of a function."""


def _call(
    service: "Service",
    request: requests.PreparedRequest,
    timeout: "float | tuple[float | None, float | None] | None",
    authorization_header: str | None,
) -> "Call":
    try:
        url = urlsplit(request.url or "")
        origin = url.scheme, url.hostname or "", url.port
    except ValueError:
        origin = None
    if origin is None:
        raise InvalidRequest("The URL has no valid host and port.")
    read_timeout_s = timeout[1] if isinstance(timeout, tuple) else timeout
    return make_call(
        service,
        request.method or "",
        origin,
        request.path_url,
        [(_text(name).lower(), _text(value)) for name, value in request.headers.items()],
        _content(request.body),
        read_timeout_s,
        authorization_header,
    )


def _content(body: object) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    if hasattr(body, "read"):
        return bytes(body.read())
    try:
        parts = [part.encode() if isinstance(part, str) else bytes(part) for part in body]  # type: ignore[attr-defined]
    except TypeError:
        parts = None
    if parts is None:
        raise InvalidRequest(f"The body is of type {type(body).__name__}, which cannot be sent.")
    return b"".join(parts)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _head(headers: HTTPHeaderDict) -> SimpleNamespace:
    """Return what `requests` reads cookies from: the standard library's response, whose `msg` has the headers."""
    message = Message()
    for value in headers.getlist("set-cookie"):
        message["set-cookie"] = value
    return SimpleNamespace(msg=message, isclosed=lambda: True, close=lambda: None)
