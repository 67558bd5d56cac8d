"""The asyncio transport: aiohttp's connections behind httpx's types, dialling the gateway's address.

httpx's own asyncio pool costs several times the processor time of aiohttp's under concurrency.
"""

import asyncio
import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from meshpass._address import is_ip
from meshpass._failures import from_connect, from_exchange, timed_out, unreachable
from meshpass._service import KEEPALIVE_S, MAX_CONNECTIONS, Service

if TYPE_CHECKING:
    from meshpass._address import Address
    from meshpass._errors import MeshError


class PinnedAsyncTransport(httpx.AsyncBaseTransport):
    """Sends requests of one service to its gateway's address and reads whole answers.

    Belongs to the event loop it is created in.
    Reads `connect` and `total` (seconds) from a request's `timeout` extension.

    Args:
        service: Whom to call and where to dial.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        context = service.ssl_context()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_PinnedResolver(service.address) if service.pinned else None,
                use_dns_cache=not service.pinned,
                ssl=context if context is not None else True,
                limit=MAX_CONNECTIONS,
                keepalive_timeout=KEEPALIVE_S,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # httpx.Response does that
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read its answer to the end.

        Raises:
            MeshError: no answer came; see `_failures`.
        """
        limits: dict[str, float] = request.extensions["timeout"]
        failure: MeshError
        started = time.monotonic()
        try:
            async with asyncio.timeout(limits["total"]):
                response = await self._exchange(request, limits["connect"])
            response.elapsed = timedelta(seconds=time.monotonic() - started)
            return response  # noqa: TRY300
        except aiohttp.ConnectionTimeoutError:
            failure = unreachable(self._service, f"no connection within {limits['connect']:g} s")
        except TimeoutError:
            failure = timed_out(self._service, limits["total"])
        except aiohttp.ClientConnectorError as exc:
            failure = from_connect(self._service, exc)
        except (aiohttp.ClientError, OSError, httpx.DecodingError) as exc:
            failure = from_exchange(self._service, exc)
        # Raised out of the `except` blocks: some of aiohttp's exceptions hold the request and its token.
        raise failure

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _exchange(self, request: httpx.Request, connect_s: float) -> httpx.Response:
        async with self._session.request(
            request.method,
            URL(str(request.url), encoded=True),
            headers=[(name.decode("ascii"), value.decode("ascii")) for name, value in request.headers.raw],
            data=request.read() or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s),
        ) as response:
            body = await response.read()
        return httpx.Response(response.status, headers=response.raw_headers, content=body, request=request)


class _PinnedResolver(AbstractResolver):
    def __init__(self, address: "Address") -> None:
        self._address = address
        self._names = None if is_ip(address.host) else aiohttp.ThreadedResolver()

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        address = self._address
        if self._names is not None:
            return [
                {**found, "hostname": host}
                for found in await self._names.resolve(address.host, address.port, family)
            ]
        kind = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return [
            {
                "hostname": host,
                "host": address.host,
                "port": address.port,
                "family": kind,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
        ]

    async def close(self) -> None:
        if self._names is not None:
            await self._names.close()
