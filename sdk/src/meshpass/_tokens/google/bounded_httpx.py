"""One deadline for all waits of httpx, whose own time limits start again with each part of a response."""

from collections.abc import Iterable
from ssl import SSLContext
from typing import Any

import httpcore
import httpx

from meshpass._tokens.google.bounded import Left, each_address, wait_s


def bound(transport: httpx.HTTPTransport, left: Left) -> httpx.HTTPTransport:
    """Make all waits of a transport end at one deadline, and return the transport.

    httpcore accepts a network backend, but httpx has no argument for it. So the private attribute of httpcore is set.
    """
    pool = transport._pool  # noqa: SLF001
    pool._network_backend = _Backend(pool._network_backend, left)  # noqa: SLF001
    return transport


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend, left: Left) -> None:
        self._inner = inner
        self._left = left

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        for address, last in _in_time(each_address(host, port, self._left)):
            try:
                stream = self._inner.connect_tcp(
                    address, port, _in_time_s(timeout, self._left), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if last or self._left() <= 0:
                    raise
            else:
                return _Stream(stream, self._left)
        raise httpcore.ConnectError("The name has no address.")


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, left: Left) -> None:
        self._inner = inner
        self._left = left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _in_time_s(timeout, self._left))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _in_time_s(timeout, self._left))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, _in_time_s(timeout, self._left))
        return _Stream(inner, self._left)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - of httpcore
        return self._inner.get_extra_info(info)


def _in_time(found: Iterable[tuple[str, bool]]) -> Iterable[tuple[str, bool]]:
    try:
        yield from found
    except TimeoutError:
        raise httpcore.ConnectTimeout from None
    except OSError as exc:
        raise httpcore.ConnectError(str(exc)) from exc


def _in_time_s(longest_s: float | None, left: Left) -> float:
    try:
        return wait_s(longest_s, left)
    except TimeoutError:
        raise httpcore.ReadTimeout from None
