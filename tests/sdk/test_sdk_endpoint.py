"""Requests to an endpoint outside the mesh: by the clients' transport, and nothing else of a client."""

import asyncio
import ssl
import threading
from collections.abc import Callable

import meshpass
import pytest
from meshpass._call import failures
from meshpass._call.response import RawResponse
from meshpass._http.endpoint import Endpoint

from .conftest import Authority, Server


def no_context() -> ssl.SSLContext:
    raise AssertionError("http:// needs no CAs")


def endpoint(url: str, context: Callable[[], ssl.SSLContext] = no_context) -> Endpoint:
    return Endpoint(url, connect_timeout_s=20.0, max_response_bytes=100, context=context)


async def post(to: Endpoint, timeout_s: float = 20.0) -> "RawResponse | meshpass.MeshError":
    return await to.send("POST", "/path?a=b", {"x-shown": "1"}, {"x-hidden": "2"}, b"body", timeout_s)


def test_what_is_given_is_sent_and_the_answer_returned_whatever_its_status(server: Server) -> None:
    server.answer = lambda _: (503, {"x-said": "3"}, b"busy")

    async def send() -> "RawResponse | meshpass.MeshError":
        to = endpoint(f"http://{server.address}")
        try:
            return await post(to)
        finally:
            await to.aclose()

    answer = asyncio.run(send())
    assert isinstance(answer, RawResponse)
    assert (answer.status, answer.body, dict(answer.headers)[b"x-said"]) == (503, b"busy", b"3")
    (seen,) = server.seen
    assert (seen.method, seen.target, seen.body) == ("POST", "/path?a=b", b"body")
    sent = {name: seen.headers.get(name) for name in ("host", "x-shown", "x-hidden", "content-length")}
    assert sent == {"host": server.address, "x-shown": "1", "x-hidden": "2", "content-length": "4"}


def test_an_opened_connection_is_taken_by_the_first_request_and_kept(server: Server) -> None:
    async def send() -> None:
        to = endpoint(f"http://{server.address}")
        await to.open()
        await post(to)
        await post(to)
        await to.aclose()

    asyncio.run(send())
    assert server.connections == 1


def test_failures_are_returned_and_name_the_server(server: Server) -> None:
    server.answer = lambda _: (200, {}, b"x" * 101)

    async def send(url: str, timeout_s: float = 20.0) -> "RawResponse | meshpass.MeshError":
        to = endpoint(url)
        try:
            await to.open()
            return await post(to, timeout_s)
        finally:
            await to.aclose()

    nowhere = asyncio.run(send("http://127.0.0.1:1"))
    assert isinstance(nowhere, meshpass.GatewayUnreachable)
    assert str(nowhere).startswith("The server at 127.0.0.1:1 cannot be reached: ")
    assert isinstance(asyncio.run(send(f"http://{server.address}")), meshpass.BadResponse)
    assert isinstance(asyncio.run(send(f"http://{server.address}", 0.0)), meshpass.MeshTimeout)


def test_a_request_ends_with_its_time(server: Server) -> None:
    may_go_on = threading.Event()
    server.answer = lambda _: (200 if may_go_on.wait(20) else 504, {}, b"")

    async def send() -> "RawResponse | meshpass.MeshError":
        to = endpoint(f"http://{server.address}")
        await to.open()
        found = await post(to, 0.5)
        may_go_on.set()
        await to.aclose()
        return found

    found = asyncio.run(send())
    assert isinstance(found, meshpass.MeshTimeout)
    assert found.code == "timeout_read"


def test_a_certificate_is_checked_against_what_is_trusted_and_the_name(
    serve: Callable[..., Server], ca: Authority
) -> None:
    port = serve(ca.context("localhost")).server_port

    async def send(host: str, context: Callable[[], ssl.SSLContext]) -> "RawResponse | meshpass.MeshError":
        to = endpoint(f"https://{host}:{port}", context)
        found = await post(to)
        await to.aclose()
        return found

    def trusting() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=ca.file)

    assert isinstance(asyncio.run(send("localhost", trusting)), RawResponse)
    assert isinstance(asyncio.run(send("127.0.0.1", trusting)), meshpass.GatewayTLSError)
    assert isinstance(asyncio.run(send("localhost", ssl.create_default_context)), meshpass.GatewayTLSError)


@pytest.mark.parametrize(
    ("url", "takes"),
    [
        ("https://bigquery.googleapis.com", True),
        ("http://127.0.0.1:9050", True),
        ("http://localhost:9050", True),
        ("http://10.0.0.8", True),
        ("http://bigquery:9050", False),
        ("http://8.8.8.8", False),
    ],
)
def test_secrets_are_for_tls_and_for_private_addresses(url: str, takes: bool) -> None:
    assert endpoint(url).takes_secrets is takes


def test_advice_about_an_endpoint_names_no_gateway_and_none_of_its_settings() -> None:
    wrong_name = ssl.SSLCertVerificationError()
    wrong_name.verify_code, wrong_name.verify_message = 62, "Hostname mismatch"
    untrusted = ssl.SSLCertVerificationError()
    untrusted.verify_code, untrusted.verify_message = 20, "unable to get local issuer certificate"
    other = ssl.SSLError()
    other.reason = "WRONG_VERSION_NUMBER"
    for url in ("http://server.example", "https://server.example"):
        service = endpoint(url)._service
        for error in (
            failures.connection_lost(service, "why"),
            failures.unreachable(service, "why", reset=True),
            failures.tls_failed(service, wrong_name),
            failures.tls_failed(service, untrusted),
            failures.tls_failed(service, other),
        ):
            assert "server.example" in str(error)
            assert "gateway" not in str(error).lower()
