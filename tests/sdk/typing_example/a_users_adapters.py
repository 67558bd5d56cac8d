"""Other libraries over the mesh, checked with mypy's and pyright's strictest settings; it is never run."""

from typing import assert_type

import httpx
import meshpass

ORIGIN = "https://user-profile.internal"


def plain(source: meshpass.TokenSource) -> httpx.Response:
    transport = meshpass.httpx_transport(
        ORIGIN, auth=source, address="10.0.0.5:443", authorization_header="X-User-Authorization", timeout_s=5
    )
    assert_type(transport, meshpass.Transport)
    with httpx.Client(transport=transport, base_url=ORIGIN, timeout=None) as client:
        client.get("/")
    with meshpass.Client.from_env() as client, httpx.Client(transport=meshpass.Transport(client)) as other:
        other.get(ORIGIN)
    with httpx.Client(transport=meshpass.Transport.from_env(timeout_s=5), base_url=ORIGIN) as third:
        return third.get("/")


async def plain_async(source: meshpass.TokenSource) -> httpx.Response:
    transport = meshpass.async_httpx_transport(ORIGIN, auth=source, address="10.0.0.5:443")
    assert_type(transport, meshpass.AsyncTransport)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        await client.get("/")
    async with meshpass.AsyncClient.from_env() as client:
        async with httpx.AsyncClient(transport=meshpass.AsyncTransport(client), base_url=ORIGIN) as other:
            return await other.get("/")
