"""Clients of the bench against servers that answer, refuse, say nothing or something else."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.authorities import INTERNET, Authorities
from meshlab.bench.client.connect import ClientTls, Connector, ProxyHeader
from meshlab.bench.client.send import send_bytes, send_http
from meshlab.bench.client.wire_request import WireRequest
from meshlab.istio import Address
from meshlab.processes.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Serve = Callable[[socket.socket], None]
    Server = Callable[[Serve], Address]

REQUEST = WireRequest("GET", "/", "a.example")


@pytest.fixture
def server() -> Iterator[Server]:
    """Start a server whose connections are served by a function, one at a time."""
    with contextlib.ExitStack() as stack:

        def start(serve: Serve) -> Address:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            listener.settimeout(10)

            def accept() -> None:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(10)
                    serve(connection)

            thread = threading.Thread(target=accept)
            thread.start()
            stack.callback(thread.join)
            return Address(*listener.getsockname())

        yield start


def saying(answer: bytes, heard: list[bytes] | None = None) -> Serve:
    def serve(connection: socket.socket) -> None:
        data = connection.recv(65_536)
        if heard is not None:
            heard.append(data)
        connection.sendall(answer)

    return serve


def resetting(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def silent(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


def test_a_request_is_written_byte_by_byte_as_it_is(server: Server) -> None:
    heard: list[bytes] = []
    address = server(saying(b"HTTP/1.1 204 No Content\r\n\r\n", heard))
    headers = (("X-a", " b "), ("x-A", "é"))
    request = WireRequest("get", "//x/../%zz?", "HOST:80", headers, b"body")
    reply = send_http(Connector(address), request, 10)
    assert reply.status == 204
    assert heard == [
        "get //x/../%zz? HTTP/1.1\r\nHost: HOST:80\r\nX-a:  b \r\nx-A: é\r\nContent-Length: 4\r\n\r\nbody".encode()
    ]


def test_a_proxy_header_comes_first(server: Server) -> None:
    heard: list[bytes] = []
    address = server(saying(b"ok\n", heard))
    reply = send_bytes(Connector(address, ProxyHeader("10.1.0.3", "10.0.0.9", 80)), b"hello\n", 10)
    assert reply.body == b"ok\n"
    port = reply.client_address.rpartition(":")[2]
    assert b"".join(heard).startswith(f"PROXY TCP4 10.1.0.3 10.0.0.9 {port} 80\r\n".encode())


@pytest.mark.parametrize(("source", "destination"), [("10.1.0.3", "::1"), ("nobody", "10.0.0.1")])
def test_addresses_that_no_proxy_header_can_hold_are_refused(source: str, destination: str) -> None:
    with pytest.raises(ValueError, match="address"):
        ProxyHeader(source, destination, 80).encode(1)


@pytest.mark.parametrize("part", ["a\r\nb", "a\0"])
def test_a_line_break_in_a_request_is_refused(part: str) -> None:
    for broken in (
        {"method": part, "target": "/", "authority": None},
        {"method": "GET", "target": part, "authority": None},
        {"method": "GET", "target": "/", "authority": part},
        {"method": "GET", "target": "/", "authority": None, "headers": (("x", part),)},
    ):
        with pytest.raises(ValueError, match="line break"):
            WireRequest(**broken)


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil closed", 200, b"until closed"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200, b"hi"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", 404, b""),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n\x81\x00", 101, b""),
    ],
)
def test_every_form_of_response_is_read(server: Server, answer: bytes, status: int, body: bytes) -> None:
    reply = send_http(Connector(server(saying(answer))), REQUEST, 10)
    assert (reply.status, reply.body, reply.failure) == (status, body, "")


@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize(
    ("serve", "words"),
    [
        (saying(b""), "the connection was closed without an answer"),
        (resetting, "the connection was reset"),
        (saying(b"+OK redis here\r\n\r\n"), "the other end does not speak HTTP"),
    ],
)
def test_a_connection_that_brings_no_response_says_how_it_ended(
    server: Server, version: str, serve: Serve, words: str
) -> None:
    request = WireRequest("GET", "/", "a.example", version=version)  # type: ignore[arg-type]
    reply = send_http(Connector(server(serve)), request, 10)
    assert reply.status is None
    assert not reply.answered
    assert words in reply.failure
    assert reply.client_address.startswith("127.0.0.1:")


def test_nothing_takes_longer_than_the_limit(server: Server) -> None:
    assert send_http(Connector(server(silent)), REQUEST, 0.05).failure == "no answer in time"
    assert send_bytes(Connector(server(silent)), b"hello\n", 0.05).failure == "no answer in time"


def test_an_address_that_nothing_listens_on_is_said_so() -> None:
    ports = free_ports()
    reply = send_http(Connector(Address("127.0.0.1", next(ports))), REQUEST, 10)
    assert reply.failure == "the connection was refused: nothing listens there"


def test_bare_tcp_reads_a_line_or_until_it_is_closed(server: Server) -> None:
    assert send_bytes(Connector(server(saying(b"one\n"))), b"x", 10).body == b"one\n"
    assert send_bytes(Connector(server(saying(b"no line"))), b"x", 10).body == b"no line"
    assert not send_bytes(Connector(server(saying(b""))), b"x", 10).answered


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    return Authorities(tmp_path_factory.mktemp("pki"), ["partner", "other"])


def tls_server(authorities: Authorities, heard: list[str], *, demands: str | None = None) -> Serve:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = authorities.issue(INTERNET, uris=("spiffe://a",), dns=("a.example",))
    context.load_cert_chain(files.chain, files.key)
    context.set_alpn_protocols(["two"])
    context.sni_callback = lambda *arguments: heard.append(str(arguments[1]))
    if demands:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authorities.certificate(demands))

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            heard.append(str(tls.selected_alpn_protocol()))
            tls.recv(100)
            tls.sendall(b"hi\n")

    return serve


def test_tls_sends_the_name_and_shows_the_servers_certificate(
    server: Server, authorities: Authorities
) -> None:
    heard: list[str] = []
    tls = ClientTls("b.example", ("one", "two"), authorities.certificate(INTERNET))
    reply = send_bytes(Connector(server(tls_server(authorities, heard)), tls=tls), b"x", 10)
    assert reply.body == b"hi\n"
    assert reply.certificate == ("spiffe://a", "a.example")
    assert heard == ["b.example", "two"]


def test_a_client_without_a_server_name_sends_none(server: Server, authorities: Authorities) -> None:
    heard: list[str] = []
    reply = send_bytes(Connector(server(tls_server(authorities, heard)), tls=ClientTls(None)), b"x", 10)
    assert (reply.body, heard[0]) == (b"hi\n", "None")


def test_a_server_of_an_unknown_authority_is_not_trusted(server: Server, authorities: Authorities) -> None:
    tls = ClientTls("a.example", trusted=authorities.certificate("other"))
    reply = send_bytes(Connector(server(tls_server(authorities, [])), tls=tls), b"x", 10)
    assert reply.failure.startswith("the client did not trust the server's certificate")


@pytest.mark.parametrize(
    ("shown", "words"),
    [("partner", ""), ("other", "TLS alert of the other end: unknown ca"), (None, "certificate required")],
)
def test_a_client_certificate_is_judged_by_the_server(
    server: Server, authorities: Authorities, shown: str | None, words: str
) -> None:
    certificate = authorities.issue(shown, uris=("spiffe://client",)) if shown else None
    tls = ClientTls("a.example", certificate=certificate)
    address = server(tls_server(authorities, [], demands="partner"))
    reply = send_bytes(Connector(address, tls=tls), b"x", 10)
    assert reply.answered == (not words)
    assert words in reply.failure


def test_a_server_without_tls_is_said_so(server: Server) -> None:
    reply = send_bytes(Connector(server(saying(b"HTTP/1.1 400 Bad\r\n\r\n")), tls=ClientTls("a")), b"x", 10)
    assert reply.failure == "the other end does not speak TLS"


def test_certificates_are_made_once_and_kept_private(authorities: Authorities, tmp_path: Path) -> None:
    one = authorities.issue("mesh", uris=("spiffe://x",))
    assert authorities.issue("mesh", uris=("spiffe://x",)) == one
    assert authorities.issue("partner", uris=("spiffe://x",)) != one
    assert one.key.stat().st_mode & 0o077 == 0
    assert (authorities.directory("mesh") / "ca-key.pem").stat().st_mode & 0o077 == 0
    assert one.root.read_bytes() == authorities.certificate("mesh").read_bytes()
    with pytest.raises(
        LookupError, match="no certificate authority 'x'; this run has gateways, internet, mesh"
    ):
        authorities.issue("x")
    odd = Authorities(tmp_path, ["../../etc"])
    assert odd.certificate("../../etc").resolve().is_relative_to(tmp_path)
