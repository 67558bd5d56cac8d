"""HTTP/2 against HTTP/1.1 to a gateway: the SDK's connections, a prototype over `h2`, and httpx with both."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack

import httpx
from meshpass._call.request import Attempt, Call, begin_attempt, prepare
from meshpass._call.response import RawResponse
from meshpass._call.service import Service, make_service
from meshpass._http.async_pool import AsyncConnectionPool
from meshpass._http.tls import TLSContext

from bench import caller, http2_prototype, server, tls_gateway
from bench.async_calls import IN_FLIGHT, no_search_for_sniffio
from bench.calls import check
from bench.harness import BenchError, Comparison, Contender, Effort, Sample, compare, percentile

_SERVICE_MS = 20
_SETUP = (
    f"one event loop, real Envoy with TLS 1.3 and ALPN, a service that takes {_SERVICE_MS} ms behind it; the SDK's "
    "connections and the prototype send the same attempts, without the plan around them; httpx sends the same path, "
    "Host and token"
)

Get = Callable[[], Awaitable[tuple[int, bytes]]]
"""Makes one call; returns its status and whole body."""


def run(effort: Effort) -> Iterator[Comparison]:
    """Compare calls on warm connections, and a burst of calls on none."""
    calls = max(effort.calls(640), IN_FLIGHT)
    with (
        no_search_for_sniffio(),
        server.running(_SERVICE_MS) as upstream,
        tls_gateway.running(server.HOST, upstream) as gateway,
        asyncio.Runner() as runner,
    ):
        bench = _Bench(gateway)
        stack = AsyncExitStack()
        try:
            contenders: dict[str, Get] = {
                name: runner.run(opened(stack)) for name, opened in bench.contenders.items()
            }
            yield compare(
                f"http2: {calls} calls a round on warm connections, {IN_FLIGHT} in flight, per call",
                [
                    Contender(name, _measuring(runner, get, calls, bench, name))
                    for name, get in contenders.items()
                ],
                rounds=effort.rounds(9),
                setup=_SETUP,
                peer="meshpass, HTTP/1.1",
            )
        finally:
            runner.run(stack.aclose())
        yield compare(
            f"http2: {IN_FLIGHT} calls at once without a connection, per call",
            [Contender(name, _measuring_cold(runner, bench, name)) for name in bench.contenders],
            rounds=effort.rounds(9),
            setup=_SETUP,
            peer="meshpass, HTTP/1.1",
        )


class _Bench:
    """What the contenders share: the gateway, its service and a token."""

    def __init__(self, gateway: tls_gateway.Gateway) -> None:
        self._gateway = gateway
        self._service: Service = make_service(
            f"https://{server.HOST}", gateway.address, gateway.ca_file, {"timeout_s": 30}
        )
        self._authorization = f"Bearer {caller.token_source(caller.new_key()).token().value}"
        self.contenders: dict[str, Callable[[AsyncExitStack], Coroutine[None, None, Get]]] = {
            "meshpass, HTTP/1.1": self._http1,
            "prototype, HTTP/2": self._http2,
            "httpx.AsyncClient, HTTP/1.1": lambda stack: self._httpx(stack, http2=False),
            "httpx.AsyncClient, HTTP/2": lambda stack: self._httpx(stack, http2=True),
        }

    def connections(self) -> float:
        """Return how many connections the gateway has from clients now."""
        url = f"http://{self._gateway.admin}/stats?filter=http.gateway.downstream_cx_active"
        return float(httpx.get(url, trust_env=False).text.rpartition(": ")[2])

    async def _http1(self, stack: AsyncExitStack) -> Get:
        pool = AsyncConnectionPool(self._service, TLSContext(self._service, self._context()))
        stack.push_async_callback(pool.aclose)

        async def get() -> tuple[int, bytes]:
            return _result(await pool.send(self._attempt()))

        return get

    async def _http2(self, stack: AsyncExitStack) -> Get:
        context = self._context()
        context.set_alpn_protocols(["h2"])
        connection = await http2_prototype.connect(self._service, context)
        stack.callback(connection.close)

        async def get() -> tuple[int, bytes]:
            return _result(await connection.send(self._attempt()))

        return get

    async def _httpx(self, stack: AsyncExitStack, *, http2: bool) -> Get:
        client = await stack.enter_async_context(
            httpx.AsyncClient(http2=http2, verify=self._context(), timeout=30, trust_env=False)
        )
        headers = {"host": server.HOST, "authorization": self._authorization}
        extensions = {"sni_hostname": server.HOST}
        url = f"https://{self._gateway.address}{server.PATH}"

        async def get() -> tuple[int, bytes]:
            found = await client.get(url, headers=headers, extensions=extensions)
            return found.status_code, found.content

        return get

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._gateway.ca_file)

    def _attempt(self) -> Attempt:
        request = prepare(self._service, Call("GET", "/profile/{user_id}", {"user_id": "u-1001"}))
        return begin_attempt(self._service, request, self._authorization, None, fresh=False)


def _result(found: object) -> tuple[int, bytes]:
    if not isinstance(found, RawResponse):
        raise BenchError(f"a call failed: {found}")
    return found.status, found.content


async def _all(get: Get, calls: int) -> list[float]:
    taken_ms: list[float] = []
    share = iter([None] * calls)

    async def some() -> None:
        for _ in share:
            began = time.perf_counter()
            check(await get())
            taken_ms.append((time.perf_counter() - began) * 1e3)

    await asyncio.gather(*(some() for _ in range(IN_FLIGHT)))
    return taken_ms


def _measuring(
    runner: asyncio.Runner, get: Get, calls: int, bench: _Bench, name: str
) -> Callable[[], Sample]:
    runner.run(_all(get, IN_FLIGHT))
    mine = _connections_of(runner, bench, name)

    def measure() -> Sample:
        cpu_s = time.process_time()
        taken_ms = runner.run(_all(get, calls))
        return {**_sample(cpu_s, taken_ms), "connections": mine}

    return measure


def _measuring_cold(runner: asyncio.Runner, bench: _Bench, name: str) -> Callable[[], Sample]:
    async def burst() -> tuple[float, list[float]]:
        async with AsyncExitStack() as stack:
            began, cpu_s = time.perf_counter(), time.process_time()
            get = await bench.contenders[name](stack)
            opened_ms = (time.perf_counter() - began) * 1e3
            taken_ms = [opened_ms + taken for taken in await _all(get, IN_FLIGHT)]
            return cpu_s, taken_ms

    return lambda: _sample(*runner.run(burst()))


def _connections_of(runner: asyncio.Runner, bench: _Bench, name: str) -> float:
    async def count() -> float:
        async with AsyncExitStack() as stack:
            before = await asyncio.to_thread(bench.connections)
            await _all(await bench.contenders[name](stack), IN_FLIGHT)
            return await asyncio.to_thread(bench.connections) - before

    return runner.run(count())


def _sample(cpu_s: float, taken_ms: list[float]) -> dict[str, float]:
    cpu_us = (time.process_time() - cpu_s) / len(taken_ms) * 1e6
    return {
        "cpu_us": cpu_us,
        "p50_ms": percentile(taken_ms, 50),
        "p99_ms": percentile(taken_ms, 99),
    }
