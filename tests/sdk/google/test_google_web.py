"""The way to Google: bounded, patient, encrypted, through no proxy unless asked."""

import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import meshpass
import pytest
from meshpass._tokens.google.web import Web, delay_s

from tests.clock import Clock

from ..conftest import Authority, RawServer, Server  # noqa: TID252 - this folder's parent


def test_pauses_double_up_to_two_seconds_and_are_spread_over_their_upper_half() -> None:
    assert [delay_s(n, 1.0) for n in range(1, 8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert delay_s(1, 0.0) == 0.05


def test_attempts_end_with_the_time_that_is_left(server: Server) -> None:
    clock = Clock(0.0)
    server.answer = lambda _: (503, {}, b"")

    with (
        Web(0.5, monotonic=clock, sleep=clock.sleep, chance=lambda: 1.0) as web,
        pytest.raises(meshpass.IdentityError, match=r"answered 503 \(3 attempts\)") as caught,
    ):
        web.send(f"http://{server.address}/", attempts=9)

    assert clock.now_s == pytest.approx(0.3)
    assert caught.value.retryable


def test_nothing_is_sent_when_no_time_is_left(server: Server) -> None:
    with Web(0) as web, pytest.raises(meshpass.IdentityError, match="no ID token within 0 s"):
        web.send(f"http://{server.address}/")

    assert server.seen == []


def test_an_endless_answer_is_cut(server: Server) -> None:
    server.answer = lambda _: (200, {}, b"x" * (1 << 21))

    with Web(9) as web, pytest.raises(meshpass.IdentityError, match="cannot be reached"):
        web.send(f"http://{server.address}/", attempts=1)


def test_a_slow_drip_is_cut_when_time_is_up(server: Server) -> None:
    # Each look at this clock takes a second.
    clock = itertools.count()
    server.answer = lambda _: (200, {}, b"x" * (1 << 19))

    with (
        Web(5, monotonic=clock.__next__) as web,
        pytest.raises(meshpass.IdentityError, match="no response in time"),
    ):
        web.send(f"http://{server.address}/", attempts=1)


def _dripping(head: bool, ended: threading.Event) -> Callable[[socket.socket], None]:
    """Sends a byte every 50 ms; the response ends after 8 s, and not before."""

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 200\r\n" + (b"x-drip: " if head else b"\r\n"))
        for _ in range(160):
            connection.sendall(b"x")
            time.sleep(0.05)
        ended.set()
        connection.sendall(b"\r\n\r\n" + b"x" * 200 if head else b"x" * 40)

    return serve


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("way", ["http", "https", "proxy"])
def test_a_server_that_drips_its_response_is_given_up_when_time_is_up(
    way: str, head: bool, raw_server: RawServer, ca: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    drip, context = _dripping(head, ended), ca.context("localhost")

    def over_tls(connection: socket.socket) -> None:
        if way == "proxy":
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as encrypted:
            drip(encrypted)

    address = raw_server(drip if way == "http" else over_tls)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca.file))
    if way == "proxy":
        monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
        address = "localhost:9"
    url = f"http://{address}/" if way == "http" else f"https://localhost:{address.rpartition(':')[2]}/"

    # Each wait is far shorter than its own limit; only all of them together are too long.
    with (
        Web(0.5, trust_env=way == "proxy") as web,
        pytest.raises(meshpass.IdentityError, match="no response in time"),
    ):
        web.send(url, attempts=1)
    assert not ended.is_set()


def test_a_proxy_that_drips_its_own_response_is_given_up(
    raw_server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    monkeypatch.setenv("HTTPS_PROXY", f"http://{raw_server(_dripping(True, ended))}")

    with Web(0.5, trust_env=True) as web, pytest.raises(meshpass.IdentityError, match="no response in time"):
        web.send("https://localhost:9/", attempts=1)
    assert not ended.is_set()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_resolver_that_never_responds_is_given_up(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: gate.wait(20) and [])

    with Web(0.2) as web, pytest.raises(meshpass.IdentityError, match="no response in time"):
        web.send(f"{scheme}://metadata.google.internal/", attempts=1)
    gate.set()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_all_addresses_of_a_name_are_tried(
    scheme: str, serve: Callable[..., Server], ca: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = serve(ca.context("localhost") if scheme == "https" else None).server_port
    monkeypatch.setenv("SSL_CERT_FILE", str(ca.file))
    # Nothing listens on the first one.
    found = [(2, 1, 6, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")]
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *a, **k: found if host == "localhost" else real(host, *a, **k)
    )

    with Web(9) as web:
        assert web.send(f"{scheme}://localhost:{port}/", attempts=1).status == 200


def test_redirects_are_not_followed(server: Server) -> None:
    server.answer = lambda _: (302, {"location": "/elsewhere"}, b"")

    with Web(9) as web:
        assert web.send(f"http://{server.address}/").status == 302
    assert len(server.seen) == 1


def test_no_credential_is_sent_unencrypted_beyond_private_addresses() -> None:
    with Web(9) as web:
        for url in ("http://oauth2.test/token", "http://8.8.8.8/token", "HTTP://oauth2.test/token"):
            with pytest.raises(meshpass.IdentityError, match="credentials are not sent there unencrypted"):
                web.send(url, "POST", b"s3cret")


def test_certificates_are_checked(
    serve: Callable[..., Server], ca: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    secure = serve(ca.context("localhost"))
    url = f"https://localhost:{secure.server_port}/"
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)

    with Web(9) as web, pytest.raises(meshpass.IdentityError, match="cannot be reached"):
        web.send(url, attempts=1)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca.file))
    with Web(9) as web:
        assert web.send(url).status == 200


def test_a_client_certificate_is_shown_where_federation_has_one(
    serve: Callable[..., Server], ca: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ca.context("localhost")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca.file)
    url = f"https://localhost:{serve(context).server_port}/"
    monkeypatch.setenv("SSL_CERT_FILE", str(ca.file))
    chain = str(ca.folder / "localhost.chain")

    with Web(9) as web:
        assert web(url, cert=(chain, chain)).status == 200
        with pytest.raises(meshpass.IdentityError):
            web.send(url, attempts=1)


@pytest.mark.parametrize("asked", [False, True])
def test_a_proxy_counts_only_when_asked_for(
    server: Server, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{server.address}")
    monkeypatch.setenv("HTTP_PROXY", f"http://{server.address}")
    connects: list[Any] = []
    server.answer = lambda seen: connects.append(seen) or (403, {}, b"")  # type: ignore[func-returns-value]

    with Web(9, trust_env=asked) as web, pytest.raises(meshpass.IdentityError):
        web.send("https://localhost:9/", attempts=1)
    with Web(9, trust_env=asked) as web, pytest.raises(meshpass.IdentityError):
        web.send("http://127.0.0.1:9/", attempts=1)

    assert server.connections == (1 if asked else 0)
