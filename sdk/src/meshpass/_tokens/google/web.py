"""HTTP requests of one token fetch, with limits of time and size, with retries, and without logs."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshpass._address import parse_origin, plaintext_problem
from meshpass._errors import IdentityError
from meshpass._tokens.google import plain_http

if TYPE_CHECKING:
    import ssl

    import httpx

_MAX_RESPONSE_BYTES = 1 << 20
_CONNECT_TIMEOUT_S = 3.0
_TIMEOUT_S = 10.0
_ATTEMPTS = 4
_FIRST_DELAY_S = 0.1
_MAX_DELAY_S = 2.0
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_TRY_AGAIN = "Try again. If the error stays, check the network route to it."


@dataclass(frozen=True, slots=True, repr=False)
class WebResponse:
    """An HTTP response, with the fields of google-auth's `transport.Response`. Its repr omits the body."""

    status: int
    headers: Mapping[str, str]
    data: bytes

    def __repr__(self) -> str:
        return f"WebResponse(status={self.status})"


class Web:
    """HTTP client for one fetch, which is also a `google.auth.transport.Request`.

    It retries transient failures and raises when they stay. So google-auth does not retry, which it would do without a
    deadline. Nothing is logged; google-auth's transports and httpx's client would log headers and URLs.

    Args:
        deadline_s: How long all requests together may take, in seconds.
        trust_env: Whether `HTTPS_PROXY` and `NO_PROXY` are used, for https:// only.
        monotonic: Returns the seconds of a clock that is never set.
        sleep: Waits for a number of seconds.
        chance: Returns a random number from 0 to 1, to spread retries.
    """

    def __init__(
        self,
        deadline_s: float,
        *,
        trust_env: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] | None = None,
    ) -> None:
        import random

        self._ends_at = monotonic() + deadline_s
        self._deadline_s = deadline_s
        self._trust_env = trust_env
        self._monotonic = monotonic
        self._sleep = sleep
        self._chance = chance or random.random
        self._transports: dict[object, httpx.HTTPTransport] = {}
        self.last: tuple[str, WebResponse] | None = None
        """The host and the response of the last request that had one."""

    def __enter__(self) -> "Web":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for transport in self._transports.values():
            transport.close()

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        cert: tuple[str, str] | None = None,
        **_: object,
    ) -> WebResponse:
        """Send a request of google-auth.

        Raises:
            IdentityError: there was no response, or only transient failures.
        """
        content = body.encode() if isinstance(body, str) else body
        return self.send(url, method, content, headers, cert=cert)

    def send(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        cert: tuple[str, str] | None = None,
        attempts: int = _ATTEMPTS,
        timeout_s: float = _TIMEOUT_S,
        hint: str = _TRY_AGAIN,
    ) -> WebResponse:
        """Send a request, again after a transient failure, and return the whole response.

        Args:
            url: The URL.
            method: The HTTP method.
            body: The request's body.
            headers: The request's headers.
            cert: Files of a client certificate and its key.
            attempts: The largest number of attempts.
            timeout_s: How long one attempt waits for the next byte, in seconds.
            hint: What to do when all attempts failed.

        Raises:
            IdentityError: there was no response, or only transient failures (`retryable`), or the request is not valid.
        """
        host = _host_of(url)
        _refuse_plaintext(url, host, method)
        for attempt in range(1, attempts + 1):
            failure, wait_s = "", 0.0
            try:
                response = self._exchange(url, method, body, headers or {}, cert, timeout_s)
            except _failures() as exc:
                failure = f"{host} cannot be reached: {_why(exc)}"
            except ValueError:
                # From the standard library or httpx. Its message may hold the header that could not be sent.
                raise IdentityError(f"The request to {host} cannot be sent: it is not valid HTTP.") from None
            else:
                self.last = (host, response)
                if response.status not in _TRANSIENT:
                    return response
                failure = f"{host} answered {response.status}"
                wait_s = _retry_after_s(response.headers.get("retry-after", ""))
            wait_s = max(wait_s, delay_s(attempt, self._chance()))
            if attempt == attempts or wait_s >= self._left():
                break
            self._sleep(wait_s)
        times = f" ({attempt} attempts)" if attempt > 1 else ""
        raise IdentityError(f"{failure}{times}.", hint=hint, retryable=True)

    def _exchange(
        self,
        url: str,
        method: str,
        body: bytes | None,
        headers: Mapping[str, str],
        cert: tuple[str, str] | None,
        timeout_s: float,
    ) -> WebResponse:
        left = self._left()
        if left <= 0:
            raise IdentityError(
                f"There was no ID token within {self._deadline_s:g} s.", hint=_TRY_AGAIN, retryable=True
            )
        wait_s = min(timeout_s, left)
        data = bytearray()
        with self._response(url, method, body, headers, cert, wait_s) as (status, fields, chunks):
            for chunk in chunks:
                data += chunk
                if len(data) > _MAX_RESPONSE_BYTES:
                    raise ConnectionError("The response is too long.")
                if self._left() <= 0:
                    raise TimeoutError
        return WebResponse(status, fields, bytes(data))

    @contextmanager
    def _response(
        self,
        url: str,
        method: str,
        body: bytes | None,
        headers: Mapping[str, str],
        cert: tuple[str, str] | None,
        wait_s: float,
    ) -> Iterator[tuple[int, Mapping[str, str], Iterable[bytes]]]:
        if urlsplit(url).scheme == "http":
            with plain_http.response(
                url, method, body, headers, min(_CONNECT_TIMEOUT_S, wait_s), wait_s, self._left
            ) as found:
                yield found
            return
        import httpx

        timeouts = {
            "connect": min(_CONNECT_TIMEOUT_S, wait_s),
            "read": wait_s,
            "write": wait_s,
            "pool": wait_s,
        }
        request = httpx.Request(
            method, url, headers=dict(headers), content=body, extensions={"timeout": timeouts}
        )
        response = self._transport(request.url, cert).handle_request(request)
        try:
            yield response.status_code, response.headers, response.iter_bytes()
        finally:
            response.close()

    def _transport(self, url: "httpx.URL", cert: tuple[str, str] | None) -> "httpx.HTTPTransport":
        import httpx

        proxy = _proxy_for(url.host) if self._trust_env else None
        key = (proxy, cert)
        if key not in self._transports:
            from meshpass._tokens.google.bounded_httpx import bound

            transport = httpx.HTTPTransport(verify=_tls(cert), trust_env=False, proxy=proxy)
            self._transports[key] = bound(transport, self._left)
        return self._transports[key]

    def _left(self) -> float:
        return self._ends_at - self._monotonic()


def delay_s(attempt: int, chance: float) -> float:
    """Return how long to wait after this many attempts, in seconds. It doubles, and its upper half is random."""
    longest: float = min(_FIRST_DELAY_S * 2 ** (attempt - 1), _MAX_DELAY_S)
    return longest * (0.5 + 0.5 * chance)


def _retry_after_s(value: str) -> float:
    # RFC 9110, section 10.2.3, in seconds; Google's servers do not send dates.
    return float(value) if value.isascii() and value.isdigit() else 0.0


def _failures() -> tuple[type[Exception], ...]:
    from http.client import HTTPException

    httpx = sys.modules.get("httpx")  # not loaded means that it raised nothing
    # A body that cannot be decoded is not a `TransportError`.
    of_httpx = (httpx.RequestError, httpx.StreamError) if httpx else ()
    return (OSError, HTTPException, *of_httpx)


def _why(exc: Exception) -> str:
    from meshpass._reasons import reason

    httpx = sys.modules.get("httpx")
    late = isinstance(exc, TimeoutError) or (httpx is not None and isinstance(exc, httpx.TimeoutException))
    return "no response in time" if late else reason(exc)


def _host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2] if parts.port is None or parts.port > 0 else ""
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https") or not url.isascii() or not url.isprintable():
        raise IdentityError("The credentials name an address that is not a URL.", hint="Check their file.")
    return host


def _refuse_plaintext(url: str, host: str, method: str) -> None:
    # A GET reads metadata or container credentials of this machine in plaintext. All other requests send a credential.
    if method == "GET" or urlsplit(url).scheme == "https":
        return
    try:
        problem = plaintext_problem(parse_origin(f"http://{host}"), None)
    except ValueError as exc:
        problem = str(exc)
    if problem:
        raise IdentityError(
            f"The credentials name http://{host}, and credentials are not sent there unencrypted.",
            hint="Use https://.",
        )


def _tls(cert: tuple[str, str] | None) -> "ssl.SSLContext":
    import httpx

    context = httpx.create_ssl_context()
    if cert is not None:
        context.load_cert_chain(*cert)
    return context


def _proxy_for(host: str) -> str | None:
    from urllib.request import getproxies, proxy_bypass

    return None if proxy_bypass(host) else getproxies().get("https")
