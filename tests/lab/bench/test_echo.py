"""The echo server: real sockets, and clients that are not its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

import h2.config
import h2.connection
import h2.events
import pytest
from meshlab.bench.case import AuthorizerRule
from meshlab.bench.echo.protobuf import (
    MalformedMessageError,
    bytes_field,
    message_fields,
    text_field,
    varint_field,
)
from meshlab.bench.echo.table import EchoPort, EchoTable, StaticResponse
from meshlab.certificates import CertificateAuthority
from meshlab.processes.ports import free_ports
from meshlab.processes.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHECK = "/envoy.service.auth.v3.Authorization/Check"


class Echo:
    """A running echo server with four ports."""

    def __init__(self, ports: list[int], directory: Path, client: Path) -> None:
        self.app, self.static, self.external, self.authorizer = ports
        self.directory, self.client = directory, client

    @property
    def record(self) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in (self.directory / "record").read_text().splitlines()]
        assert all(isinstance(record.pop("at"), float) for record in found)
        return found

    def tls(self, *alpn: str, certificate: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.directory / "outside/ca.pem")
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if certificate:
            context.load_cert_chain(self.client / "chain.pem", self.client / "key.pem")
        return context


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Echo]:
    directory = tmp_path_factory.mktemp("echo")
    CertificateAuthority.create("outside").write(directory / "outside")
    mesh = CertificateAuthority.create("mesh")
    mesh.write(directory / "mesh")
    client = mesh.issue(uris=["spiffe://cluster.local/ns/a/sa/b"]).write(
        directory / "client", chain="chain.pem", key="key.pem"
    )
    free = free_ports()
    ports = [next(free) for _ in range(4)]
    rules = (
        AuthorizerRule(allow=False, path="/admin", status=401, body="no", add_headers={"x-why": "admin"}),
        AuthorizerRule(allow=True, method="GET", add_headers={"x-user": "alice"}),
    )
    table = EchoTable(
        (
            EchoPort(ports[0], "shop/cart", "v1"),
            EchoPort(ports[1], "shop/fixed", "v1", StaticResponse(418, {"x-fixed": "yes"}, "a teapot")),
            EchoPort(ports[2], ""),
            EchoPort(ports[3], "authorizer", rules=rules),
        ),
        str(directory / "record"),
        str(directory / "outside"),
        str(directory / "mesh/ca.pem"),
    )
    table.write(directory / "table.json")
    with Supervisor() as supervisor:
        child = supervisor.spawn(
            "echo", [sys.executable, "-m", "meshlab.bench.echo", directory / "table.json"]
        )
        child.listening_port()
        yield Echo(ports, directory, client)


def raw(port: int, *sent: bytes, until: bytes = b"\n") -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for data in sent:
            connection.sendall(data)
        got = b""
        while until not in got and (data := connection.recv(65_536)):
            got += data
        return got


def over_http2(
    connection: socket.socket, headers: list[tuple[str, str]], body: bytes = b""
) -> tuple[dict[str, str], bytes]:
    """Send one request with the h2 library; return the headers (trailers included) and the body."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    client.initiate_connection()
    client.send_headers(1, headers, end_stream=not body)
    if body:
        client.send_data(1, body, end_stream=True)
    got_headers: dict[str, str] = {}
    got = b""
    while True:
        connection.sendall(client.data_to_send())
        for event in client.receive_data(connection.recv(65_536)):
            if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                got_headers |= {str(name): str(value) for name, value in event.headers}
            elif isinstance(event, h2.events.DataReceived):
                got += event.data
                client.acknowledge_received_data(event.flow_controlled_length, 1)
            elif isinstance(event, h2.events.StreamEnded):
                return got_headers, got


def request_headers(path: str = "/", method: str = "GET", **more: str) -> list[tuple[str, str]]:
    fixed = [(":method", method), (":scheme", "http"), (":authority", "cart.example"), (":path", path)]
    return [*fixed, *((name.replace("_", "-"), value) for name, value in more.items())]


def test_an_http_request_is_reported_with_everything_that_was_received(echo: Echo) -> None:
    answer = raw(
        echo.app,
        b"PATCH /a//b?c=%2F HTTP/1.1\r\nHost: cart.example:80\r\nX-Two: 1\r\nx-two: 2\r\n"
        b"x-meshlab-case: m-1\r\nContent-Length: 4\r\n\r\nbody",
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    facts = json.loads(body)
    assert (facts["app"], facts["version"], facts["method"]) == ("shop/cart", "v1", "PATCH")
    assert (facts["target"], facts["host"], facts["body"]) == ("/a//b?c=%2F", "cart.example:80", "body")
    assert [value for name, value in facts["headers"] if name.lower() == "x-two"] == ["1", "2"]
    assert facts in echo.record


def test_chunked_bodies_and_several_requests_on_one_connection_are_read(echo: Echo) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", echo.app, timeout=10)
    for body in (iter([b"one ", b"two"]), b"three"):
        connection.request("POST", "/", body=body, encode_chunked=not isinstance(body, bytes))
        response = connection.getresponse()
        facts = json.loads(response.read())
        assert facts["body"] in ("one two", "three")
    connection.close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_static_response_is_given_as_written(echo: Echo, method: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", echo.static, timeout=10)
    connection.request(method, "/")
    response = connection.getresponse()
    assert (response.status, response.headers["x-fixed"]) == (418, "yes")
    assert response.read() == (b"a teapot" if method == "GET" else b"")
    connection.close()


def test_http2_is_spoken_with_prior_knowledge(echo: Echo) -> None:
    with socket.create_connection(("127.0.0.1", echo.app), timeout=10) as connection:
        headers, body = over_http2(connection, request_headers("/x?y", "POST", x_a="b"), b"z" * 10_000)
    facts = json.loads(body)
    assert headers[":status"] == "200"
    assert (facts["protocol"], facts["target"], facts["host"]) == ("HTTP/2", "/x?y", "cart.example")
    assert ["x-a", "b"] in facts["headers"]
    assert len(facts["body"]) == 10_000


def test_a_grpc_call_ends_with_status_0(echo: Echo) -> None:
    call = request_headers("/shop.Cart/Get", "POST", content_type="application/grpc", te="trailers")
    with socket.create_connection(("127.0.0.1", echo.app), timeout=10) as connection:
        headers, body = over_http2(connection, call, b"\0\0\0\0\0")
    assert (headers[":status"], headers["grpc-status"], body) == ("200", "0", b"\0\0\0\0\0")


def test_bare_tcp_gets_one_line(echo: Echo) -> None:
    facts = json.loads(raw(echo.app, b"hello\n"))
    assert (facts["app"], facts["protocol"], facts["body"]) == ("shop/cart", "TCP", "hello\n")


@pytest.mark.parametrize(
    "sent",
    [
        b"*1\r\n$4\r\nPING\r\n",
        b"PING\r\n",
        b"GET /\r\n",
        b"\x00\x01",
        b"PR",
        b"",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    ],
)
def test_what_only_resembles_http_is_bare_tcp(echo: Echo, sent: bytes) -> None:
    facts = json.loads(raw(echo.app, sent))
    assert (facts["protocol"], facts["body"]) == ("TCP", sent.decode())


def test_tls_is_terminated_with_a_certificate_of_the_name_asked_for(echo: Echo) -> None:
    connection = http.client.HTTPSConnection(
        "127.0.0.1", echo.external, context=echo.tls("http/1.1", certificate=True), timeout=10
    )
    raw_connection = socket.create_connection(("127.0.0.1", echo.external), timeout=10)
    context = echo.tls("http/1.1", certificate=True)
    connection.sock = context.wrap_socket(raw_connection, server_hostname="api.partner.example")
    connection.request("GET", "/v1", headers={"host": "api.partner.example"})
    facts = json.loads(connection.getresponse().read())
    connection.close()
    assert facts["app"] == "api.partner.example"
    assert facts["tls"]["sni"] == "api.partner.example"
    assert facts["tls"]["alpn"] == "http/1.1"
    assert facts["tls"]["client"] == ["spiffe://cluster.local/ns/a/sa/b"]


def test_http2_and_bare_tcp_are_found_inside_tls(echo: Echo) -> None:
    plain = socket.create_connection(("127.0.0.1", echo.app), timeout=10)
    with echo.tls("h2").wrap_socket(plain, server_hostname="cart") as tls:
        _, body = over_http2(tls, request_headers())
    facts = json.loads(body)
    assert (facts["protocol"], facts["tls"]["alpn"], facts["tls"]["client"]) == ("HTTP/2", "h2", [])
    plain = socket.create_connection(("127.0.0.1", echo.app), timeout=10)
    with echo.tls().wrap_socket(plain, server_hostname="cart") as tls:
        tls.sendall(b"hello\n")
        assert json.loads(tls.recv(65_536))["protocol"] == "TCP"


def test_a_client_certificate_of_an_unknown_authority_is_refused(echo: Echo, tmp_path: Path) -> None:
    files = CertificateAuthority.create("other").issue(uris=["spiffe://other/ns/a/sa/b"])
    files.write(tmp_path, chain="chain.pem", key="key.pem")
    context = echo.tls()
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    plain = socket.create_connection(("127.0.0.1", echo.app), timeout=10)
    with context.wrap_socket(plain, server_hostname="cart") as tls, pytest.raises(ssl.SSLError):
        tls.recv(1)  # TLS 1.3: the server sees the client's certificate after the client is done


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x16\x03\x01\x00\x05hello",
        b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n-5\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"a" * 300_000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x01\0\0\0\0\0\x01a",
    ],
)
def test_hostile_bytes_end_their_own_connection_alone(echo: Echo, hostile: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # it may close while bytes are still on their way
        raw(echo.app, hostile, until=b"never")
    assert b"200 OK" in raw(echo.app, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")


@pytest.mark.parametrize(
    ("method", "path", "status", "header"),
    [("GET", "/x", 200, "x-user"), ("GET", "/admin/x", 401, "x-why"), ("POST", "/x", 403, None)],
)
def test_the_first_rule_of_an_authorizer_that_matches_decides(
    echo: Echo, method: str, path: str, status: int, header: str | None
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", echo.authorizer, timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    assert response.status == status
    assert header is None or header in response.headers
    connection.close()
    check = text_field(2, method) + text_field(4, path)
    message = bytes_field(1, bytes_field(4, bytes_field(2, check)))
    call = request_headers(CHECK, "POST", content_type="application/grpc", te="trailers")
    with socket.create_connection(("127.0.0.1", echo.authorizer), timeout=10) as plain:
        headers, body = over_http2(plain, call, b"\0" + len(message).to_bytes(4, "big") + message)
    assert headers["grpc-status"] == "0"
    decision = message_fields(body[5:])
    assert (3 in decision) == (status == 200)
    assert (2 in decision) == (status != 200)


def test_a_message_that_is_no_check_request_is_an_error_of_grpc(echo: Echo) -> None:
    call = request_headers(CHECK, "POST", content_type="application/grpc", te="trailers")
    with socket.create_connection(("127.0.0.1", echo.authorizer), timeout=10) as plain:
        headers, _ = over_http2(plain, call, b"\0\0\0\0\x02\x0a\xff")
    assert headers["grpc-status"] == "13"


def test_protobuf_fields_are_read_as_they_are_written() -> None:
    message = text_field(1, "a") + varint_field(2, 300) + bytes_field(3, b"") + bytes_field(1, b"x" * 200)
    assert message_fields(message) == {1: [b"a", b"x" * 200], 3: [b""]}
    for broken in (b"\x0a\x05a", b"\xff", b"\x0b"):
        with pytest.raises(MalformedMessageError):
            message_fields(broken)


@pytest.mark.parametrize(
    ("host", "body"),
    [
        ("a.shop.example", "of the name"),
        ("A.shop.example:8443", "of the name"),
        ("b.shop.example", "of the longer wildcard"),
        ("b.example", "of the wildcard"),
        ("shop.test", None),
        ("", None),
    ],
)
def test_a_port_for_many_hosts_answers_each_as_its_name_or_its_longest_wildcard_says(
    host: str, body: str | None
) -> None:
    port = EchoPort(
        1,
        "",
        hosts={
            "*.example": StaticResponse(body="of the wildcard"),
            "*.shop.example": StaticResponse(body="of the longer wildcard"),
            "a.shop.example": StaticResponse(body="of the name"),
        },
    )
    found = port.response_for(host)
    assert (found and found.body) == body
