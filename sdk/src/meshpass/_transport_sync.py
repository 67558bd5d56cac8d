"""The blocking transport: httpcore's pool, dialling the gateway's address under the service's name."""

import time
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING

import httpcore
import httpx

from meshpass._failures import from_connect, from_exchange, timed_out, unreachable
from meshpass._service import KEEPALIVE_S, MAX_CONNECTIONS, Service

if TYPE_CHECKING:
    import ssl

    from meshpass._errors import MeshError

# httpcore bounds each read and write by itself, so that a slow drip could go on for ever. The stream below
# shortens every wait to what is left of the call. A call stays on one thread: a context variable carries it.
_deadline: ContextVar[float] = ContextVar("_deadline", default=float("inf"))


class PinnedTransport(httpx.BaseTransport):
    """Sends requests of one service to its gateway's address and reads whole answers.

    Reads `connect` and `total` (seconds) from a request's `timeout` extension.

    Args:
        service: Whom to call and where to dial.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._pool = httpcore.ConnectionPool(
            ssl_context=service.ssl_context(),
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEEPALIVE_S,
            network_backend=_PinnedBackend(service),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read its answer to the end.

        Raises:
            MeshError: no answer came; see `_failures`.
        """
        limits: dict[str, float] = request.extensions["timeout"]
        total_s = limits["total"]
        failure: MeshError
        started = time.monotonic()
        reset = _deadline.set(started + total_s)
        try:
            response = self._exchange(
                request, {**dict.fromkeys(("read", "write", "pool"), total_s), **limits}
            )
            response.elapsed = timedelta(seconds=time.monotonic() - started)
            return response  # noqa: TRY300
        except httpcore.ConnectTimeout:
            failure = unreachable(self._service, f"no connection within {limits['connect']:g} s")
        except httpcore.TimeoutException:
            failure = timed_out(self._service, total_s)
        except httpcore.ConnectError as exc:
            failure = from_connect(self._service, exc)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpx.DecodingError) as exc:
            failure = from_exchange(self._service, exc)
        finally:
            _deadline.reset(reset)
        # Raised out of the `except` blocks, so that no engine's exception hangs on it, request and all.
        raise failure

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _exchange(self, request: httpx.Request, timeouts: dict[str, float]) -> httpx.Response:
        url = request.url
        response = self._pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.read(),
                extensions={"timeout": timeouts},
            )
        )
        try:
            body = response.read()
        finally:
            response.close()
        return httpx.Response(response.status, headers=response.headers, content=body, request=request)


class _PinnedBackend(httpcore.NetworkBackend):
    def __init__(self, service: Service) -> None:
        self._address = service.address
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._backend.connect_tcp(
            self._address.host, self._address.port, _left(timeout), local_address, socket_options
        )
        return _DeadlineStream(stream)


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: "ssl.SSLContext", server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _left(timeout: float | None) -> float:
    left = _deadline.get() - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left if timeout is None else min(timeout, left)
