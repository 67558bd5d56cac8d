"""Asyncio calls with many in flight, as the function makes them."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

import aiohttp
import httpx
import meshpass

from bench import caller, server
from bench.calls import check
from bench.harness import Comparison, Contender, Effort, Sample, compare, percentile

if TYPE_CHECKING:
    from types import ModuleType

IN_FLIGHT = 64
_SERVICE_MS = 20
_POOL = 100  # as meshpass has it: more than are in flight
_SETUP = (
    f"one event loop, one shared client each, HTTP without TLS, connections kept, "
    f"a service that takes {_SERVICE_MS} ms; "
    "peers send the same path, Host and token, signed beforehand; meshpass and aiohttp have pools of 100; httpx has "
    "its own limits, because a pool that keeps 100 costs it several times more, and is spared the search for sniffio"
)

Get = Callable[[], Awaitable[tuple[int, bytes]]]
"""Makes one call; returns its status and whole body."""


def run(effort: Effort) -> Iterator[Comparison]:
    """Compare the SDK's client with httpx's and with aiohttp's."""
    calls = max(effort.calls(640), IN_FLIGHT)
    with no_search_for_sniffio(), server.running(_SERVICE_MS) as address, asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            clients = runner.run(_clients(stack, address))
            yield compare(
                f"async-call: {calls} calls a round, {IN_FLIGHT} in flight, per call",
                [Contender(name, measuring(runner, get, calls)) for name, get in clients.items()],
                rounds=effort.rounds(9),
                setup=_SETUP,
                peer="httpx.AsyncClient",
            )
        finally:
            runner.run(stack.aclose())


@contextmanager
def no_search_for_sniffio() -> Iterator[None]:
    """Make a missing sniffio fail at once.

    httpcore tries to import it several times in each asyncio call, and Python searches its whole path every time. That
    is a matter of what else is installed, and no fault that a comparison of clients should hold against httpx.
    """
    modules = cast("dict[str, ModuleType | None]", sys.modules)
    missing = find_spec("sniffio") is None
    if missing:
        modules["sniffio"] = None
    try:
        yield
    finally:
        if missing:
            del modules["sniffio"]


async def _clients(stack: AsyncExitStack, address: str) -> dict[str, Get]:
    auth = caller.token_source(caller.new_key())
    headers = {"host": server.HOST, "authorization": f"Bearer {auth.token().value}"}
    ours = await stack.enter_async_context(
        meshpass.AsyncClient(f"http://{server.HOST}", address=address, auth=auth, timeout_s=30)
    )
    theirs = await stack.enter_async_context(
        httpx.AsyncClient(
            base_url=f"http://{address}",
            timeout=30,
            trust_env=False,
        )
    )
    bare = await stack.enter_async_context(
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_POOL),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=30),
        )
    )

    async def get_ours() -> tuple[int, bytes]:
        answer = await ours.get("/profile/{user_id}", user_id="u-1001")
        return answer.status_code, answer.content

    async def get_theirs() -> tuple[int, bytes]:
        answer = await theirs.get(server.PATH, headers=headers)
        return answer.status_code, answer.content

    async def get_bare() -> tuple[int, bytes]:
        async with bare.get(f"http://{address}{server.PATH}", headers=headers) as answer:
            return answer.status, await answer.read()

    return {
        "meshpass.AsyncClient": get_ours,
        "httpx.AsyncClient": get_theirs,
        "aiohttp.ClientSession": get_bare,
    }


def measuring(runner: asyncio.Runner, get: Get, calls: int) -> Callable[[], Sample]:
    """Return what makes so many calls, 64 in flight, and measures them."""

    async def caller_of(share: Iterator[None], taken_ms: list[float]) -> None:
        for _ in share:
            began = time.perf_counter()
            answer = await get()
            taken_ms.append((time.perf_counter() - began) * 1e3)
            check(answer)

    async def all_calls() -> list[float]:
        taken_ms: list[float] = []
        share = iter([None] * calls)  # a task that is free takes the next one
        await asyncio.gather(*(caller_of(share, taken_ms) for _ in range(IN_FLIGHT)))
        return taken_ms

    def measure() -> Sample:
        cpu_s = time.process_time()
        taken_ms = runner.run(all_calls())
        cpu_s = time.process_time() - cpu_s
        return {
            "cpu_us": cpu_s / calls * 1e6,
            "p50_ms": percentile(taken_ms, 50),
            "p99_ms": percentile(taken_ms, 99),
        }

    return measure
