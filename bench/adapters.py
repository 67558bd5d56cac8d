"""What a transport of httpx or an adapter of requests costs beside the SDK's own client."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack

import httpx
import meshpass
import requests

from bench import async_calls, caller, calls, server
from bench.harness import Comparison, Contender, Effort, compare

_ORIGIN = f"http://{server.HOST}"
_URL = f"{_ORIGIN}{server.PATH}"
_SETUP = (
    "one warm connection, HTTP without TLS, a service that answers at once; `handle_request` is given a request "
    "that is built already; plain httpx and requests send the same path, Host and token, signed beforehand"
)
_ASYNC_SETUP = (
    "one event loop, one shared client each, HTTP without TLS, connections kept, a service that takes 20 ms; "
    "`handle_async_request` is given a request that is built already"
)


def run(effort: Effort) -> Iterator[Comparison]:
    """Compare the adapters with the SDK's clients, and with the libraries without them."""
    yield from _blocking(effort)
    yield from _asyncio(effort)


def _blocking(effort: Effort) -> Iterator[Comparison]:
    count = effort.calls(400)
    auth = caller.token_source(caller.new_key())
    with server.running() as address, ExitStack() as stack:
        ours = stack.enter_context(meshpass.Client(_ORIGIN, address=address, auth=auth))
        transport = meshpass.Transport(ours)
        over = stack.enter_context(httpx.Client(transport=transport, timeout=None))
        headers = {"host": server.HOST, "authorization": f"Bearer {auth.token().value}"}
        plain = stack.enter_context(httpx.Client(base_url=f"http://{address}", trust_env=False))
        session, mounted = stack.enter_context(requests.Session()), stack.enter_context(requests.Session())
        session.trust_env = mounted.trust_env = False
        mounted.mount(f"{_ORIGIN}/", meshpass.RequestsAdapter(ours))
        request = over.build_request("GET", _URL)

        def client() -> tuple[int, bytes]:
            found = ours.get("/profile/{user_id}", user_id="u-1001")
            return found.status_code, found.content

        def handle() -> tuple[int, bytes]:
            found = transport.handle_request(request)
            return found.status_code, found.read()

        def httpx_over() -> tuple[int, bytes]:
            found = over.get(_URL)
            return found.status_code, found.content

        def httpx_plain() -> tuple[int, bytes]:
            found = plain.get(server.PATH, headers=headers)
            return found.status_code, found.content

        def requests_over() -> tuple[int, bytes]:
            found = mounted.get(_URL)
            return found.status_code, found.content

        def requests_plain() -> tuple[int, bytes]:
            found = session.get(f"http://{address}{server.PATH}", headers=headers, timeout=10)
            return found.status_code, found.content

        contenders = {
            "meshpass.Client.get": client,
            "Transport.handle_request + read": handle,
            "httpx.Client(transport=Transport)": httpx_over,
            "httpx.Client": httpx_plain,
            "requests.Session + RequestsAdapter": requests_over,
            "requests.Session": requests_plain,
        }
        yield compare(
            f"adapters: {count} blocking calls a round, one after the other, per call",
            [Contender(name, calls.measuring(get, count)) for name, get in contenders.items()],
            rounds=effort.rounds(11),
            setup=_SETUP,
            peer="meshpass.Client.get",
        )


def _asyncio(effort: Effort) -> Iterator[Comparison]:
    count = max(effort.calls(640), async_calls.IN_FLIGHT)
    with (
        async_calls.no_search_for_sniffio(),
        server.running(20) as address,
        asyncio.Runner() as runner,
    ):
        stack = AsyncExitStack()
        try:
            contenders = runner.run(_async_contenders(stack, address))
            yield compare(
                f"adapters: {count} asyncio calls a round, {async_calls.IN_FLIGHT} in flight, per call",
                [
                    Contender(name, async_calls.measuring(runner, get, count))
                    for name, get in contenders.items()
                ],
                rounds=effort.rounds(9),
                setup=_ASYNC_SETUP,
                peer="meshpass.AsyncClient.get",
            )
        finally:
            runner.run(stack.aclose())


async def _async_contenders(stack: AsyncExitStack, address: str) -> dict[str, async_calls.Get]:
    auth = caller.token_source(caller.new_key())
    ours = await stack.enter_async_context(
        meshpass.AsyncClient(_ORIGIN, address=address, auth=auth, timeout_s=30)
    )
    transport = meshpass.AsyncTransport(ours)
    over = await stack.enter_async_context(httpx.AsyncClient(transport=transport, timeout=None))
    headers = {"host": server.HOST, "authorization": f"Bearer {auth.token().value}"}
    plain = await stack.enter_async_context(
        httpx.AsyncClient(base_url=f"http://{address}", timeout=30, trust_env=False)
    )
    request = over.build_request("GET", _URL)

    async def client() -> tuple[int, bytes]:
        found = await ours.get("/profile/{user_id}", user_id="u-1001")
        return found.status_code, found.content

    async def handle() -> tuple[int, bytes]:
        found = await transport.handle_async_request(request)
        return found.status_code, await found.aread()

    async def httpx_over() -> tuple[int, bytes]:
        found = await over.get(_URL)
        return found.status_code, found.content

    async def httpx_plain() -> tuple[int, bytes]:
        found = await plain.get(server.PATH, headers=headers)
        return found.status_code, found.content

    return {
        "meshpass.AsyncClient.get": client,
        "AsyncTransport.handle_async_request + aread": handle,
        "httpx.AsyncClient(transport=AsyncTransport)": httpx_over,
        "httpx.AsyncClient": httpx_plain,
    }
