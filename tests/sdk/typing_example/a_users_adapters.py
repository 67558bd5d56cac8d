"""Other libraries over the mesh, checked with mypy's and pyright's strictest settings; it is never run."""

from typing import assert_type

import httpx
import meshpass
import requests

ORIGIN = "https://user-profile.internal"


def plain(source: meshpass.TokenSource) -> httpx.Response:
    transport = meshpass.httpx_transport(
        ORIGIN, auth=source, address="10.0.0.5:443", authorization_header="X-User-Authorization", timeout_s=5
    )
    assert_type(transport, meshpass.Transport)
    with httpx.Client(transport=transport, base_url=ORIGIN, timeout=None) as client:
        client.get("/")
    mesh = meshpass.Client.from_env()
    with httpx.Client(transport=meshpass.Transport(mesh)) as other:
        other.get(ORIGIN)
    with httpx.Client(transport=meshpass.Transport.from_env(timeout_s=5), base_url=ORIGIN) as third:
        return third.get("/")


async def plain_async(source: meshpass.TokenSource) -> httpx.Response:
    transport = meshpass.async_httpx_transport(ORIGIN, auth=source, address="10.0.0.5:443")
    assert_type(transport, meshpass.AsyncTransport)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        await client.get("/")
    mesh = meshpass.AsyncClient.from_env()
    async with httpx.AsyncClient(transport=meshpass.AsyncTransport(mesh), base_url=ORIGIN) as other:
        return await other.get("/")


def plain_requests(source: meshpass.TokenSource) -> requests.Response:
    adapter = meshpass.requests_adapter(ORIGIN, auth=source, address="10.0.0.5:443")
    assert_type(adapter, meshpass.RequestsAdapter)
    with requests.Session() as session:
        session.mount(f"{ORIGIN}/", adapter)
        return session.get(f"{ORIGIN}/")


def channels(source: meshpass.TokenSource) -> None:
    meshpass.grpc_channel(
        ORIGIN, auth=source, address="10.0.0.5:443", grpc_options=[("grpc.keepalive_time_ms", 1)]
    )
    meshpass.grpc_channel(meshpass.Client.from_env())
    meshpass.grpc_aio_channel(ORIGIN, auth=source, address="10.0.0.5:443")
    meshpass.grpc_call_credentials(source, base_url=ORIGIN)
