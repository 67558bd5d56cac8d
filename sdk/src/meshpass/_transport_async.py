"""The asyncio transport: aiohttp's connections, dialling the gateway's address under the service's name.

httpx's own asyncio pool costs several times the processor time of aiohttp's under concurrency.
"""

import socket
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from meshpass._address import is_ip
from meshpass._answer import Answer
from meshpass._failures import from_connect, from_exchange, too_large, unreachable
from meshpass._service import KEEPALIVE_S, MAX_CONNECTIONS, Service

if TYPE_CHECKING:
    from meshpass._address import Address
    from meshpass._errors import MeshError
    from meshpass._request import Attempt

# What the connector is asked for by the attempt, and tells it; aiohttp hands nothing of ours through.
_attempt: "ContextVar[Attempt]" = ContextVar("_attempt")


class AsyncTransport:
    """Sends attempts to a service's address and reads whole answers.

    Belongs to the event loop it is created in.

    Args:
        service: Whom to call and where to dial.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        context = service.ssl_context()
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=service.connect_timeout_s)
        self._session = aiohttp.ClientSession(
            connector=_Connector(
                resolver=_PinnedResolver(service.address) if service.pinned else None,
                use_dns_cache=not service.pinned,
                ssl=context if context is not None else True,
                limit=MAX_CONNECTIONS,
                keepalive_timeout=KEEPALIVE_S,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            timeout=self._timeout,
            trust_env=False,
        )
        # aiohttp would repeat an idempotent request by itself, on whatever connection: that decision is the plan's.
        self._session._retry_connection = False  # noqa: SLF001

    async def send(self, attempt: "Attempt") -> "Answer | MeshError":
        """Send one attempt and read its answer to the end; whoever calls bounds its time.

        Returns:
            The answer, or why there is none; see `_failures`.
        """
        started = time.monotonic()
        _attempt.set(attempt)
        try:
            answer = await self._exchange(attempt)
        except aiohttp.ConnectionTimeoutError:
            return unreachable(self._service, f"no connection within {self._service.connect_timeout_s:g} s")
        except aiohttp.ClientConnectorError as exc:
            return from_connect(self._service, exc)
        except (aiohttp.ClientError, OSError) as exc:
            return from_exchange(self._service, exc)
        if isinstance(answer, Answer):
            answer.elapsed_s = time.monotonic() - started
        return answer

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _exchange(self, attempt: "Attempt") -> "Answer | MeshError":
        async with self._session.request(
            attempt.method,
            URL(self._service.origin.url + attempt.target, encoded=True),
            headers={**attempt.headers, **attempt.secrets},
            data=attempt.content or None,
            allow_redirects=False,
        ) as response:
            attempt.phase = "body"
            limit = self._service.max_response_bytes
            parts: list[bytes] = []
            size = 0
            async for part in response.content.iter_any():
                size += len(part)
                if size > limit:
                    response.close()
                    return too_large(self._service)
                parts.append(part)
            return Answer(response.status, response.raw_headers, b"".join(parts), 0.0)


class _Connector(aiohttp.TCPConnector):
    """A pool that can be asked for a new connection, tells when it gave a used one, and sees a freeze."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self._thawed_at = 0.0
        self._opened: WeakKeyDictionary[object, float] = WeakKeyDictionary()
        self._last = (time.monotonic(), time.time())

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[aiohttp.tracing.Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own method
    ) -> aiohttp.connector.Connection:
        attempt = _attempt.get()
        self._look_at_the_clocks()
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            opened_at = self._opened.get(protocol)
            if opened_at is None:
                self._opened[protocol] = time.monotonic()
            elif attempt.fresh or opened_at < self._thawed_at:
                connection.close()
                continue
            attempt.reused = opened_at is not None
            attempt.phase = "read"
            return connection

    def _look_at_the_clocks(self) -> None:
        """Give up all connections when the machine was suspended: the monotonic clock, and aiohttp's, stood still."""
        monotonic, wall = time.monotonic(), time.time()
        slept_s = (wall - self._last[1]) - (monotonic - self._last[0])
        if slept_s > KEEPALIVE_S:
            self._thawed_at = monotonic
        self._last = (monotonic, wall)


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
