"""Several services behind one address: each with its own name, certificate check, connections and cookies."""

import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import meshpass
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .conftest import Authority, Caller, Connect, Seen, Server

Serve = Callable[..., Server]
_HOSTS = ("a.internal", "b.internal")


def cookies_of(seen: Seen) -> tuple[int, dict[str, str], bytes]:
    host = seen.headers["host"]
    return 200, {"set-cookie": f"affinity={host}; Path=/; HttpOnly"}, seen.headers.get("cookie", "").encode()


def test_two_virtual_hosts_at_one_address_have_two_names_two_checked_certificates_and_two_jars(
    connect: Connect, serve: Serve, ca: Authority
) -> None:
    server = serve(ca.context(*_HOSTS))
    server.answer = cookies_of
    clients = {host: connect(f"https://{host}", address=server.address, ca_file=ca.file) for host in _HOSTS}

    for _ in range(2):
        for client in clients.values():
            client.get("/")

    assert [(seen.sni, seen.headers["host"], seen.headers.get("cookie")) for seen in server.seen] == [
        ("a.internal", "a.internal", None),
        ("b.internal", "b.internal", None),
        ("a.internal", "a.internal", "affinity=a.internal"),
        ("b.internal", "b.internal", "affinity=b.internal"),
    ]
    assert server.connections == 2
    other = connect("https://c.internal", address=server.address, ca_file=ca.file)
    with pytest.raises(meshpass.GatewayTLSError, match=r"c\.internal"):
        other.get("/")


def test_a_client_makes_another_for_a_service_behind_the_same_gateway(
    auth: meshpass.SignedJWT, serve: Serve, ca: Authority
) -> None:
    server = serve(ca.context(*_HOSTS))
    server.answer = cookies_of
    with meshpass.Client(
        "https://a.internal", auth=auth, address=server.address, ca_file=ca.file, timeout_s=7
    ) as first:
        first.get("/")
        with first.for_service("https://b.internal", deadline_header="x-left") as second:
            assert second.get("/").content == b""
        assert first.get("/").content == b"affinity=a.internal"

    assert [seen.sni for seen in server.seen] == ["a.internal", "b.internal", "a.internal"]
    assert 6000 < int(server.seen[1].headers["x-left"]) <= 7000


def test_a_callers_own_cookie_header_goes_before_the_jar(connect: Connect, server: Server) -> None:
    server.answer = cookies_of
    client = connect(address=server.address)

    client.get("/")

    assert client.get("/", headers={"Cookie": "mine=1"}).content == b"mine=1"


def test_no_cookie_shows_in_the_request_that_an_answer_keeps(connect: Connect, server: Server) -> None:
    server.answer = cookies_of
    client = connect(address=server.address)
    client.get("/")

    assert "cookie" not in client.get("/").request.headers


def test_a_jar_can_be_looked_at_and_emptied(auth: meshpass.SignedJWT, server: Server) -> None:
    server.answer = cookies_of
    with meshpass.Client("http://a.internal", auth=auth, address=server.address) as client:
        client.get("/")
        assert dict(client.cookies) == {"affinity": "a.internal"}
        client.cookies.clear()
        assert client.get("/").content == b""


@pytest.fixture
def demanding(serve: Serve, ca: Authority) -> Server:
    """A gateway that demands a client certificate of its CA."""
    context = ca.context("a.internal")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca.file)
    return serve(context)


@pytest.mark.parametrize("password", [None, "s3cret"])
def test_a_client_certificate_is_shown_to_a_gateway_that_demands_one(
    connect: Connect, demanding: Server, ca: Authority, tmp_path: Path, password: str | None
) -> None:
    ca.context("caller.internal")
    chain = tmp_path / "caller.internal.chain"
    if password is not None:
        lock_key(chain, password)
    given = (chain, chain) if password is None else (chain, chain, password)

    client = connect("https://a.internal", address=demanding.address, ca_file=ca.file, client_cert=given)

    assert client.get("/").status_code == 200


def lock_key(chain: Path, password: str) -> None:
    pem = chain.read_bytes()
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()),
    )
    chain.write_bytes(locked + pem[pem.index(b"-----BEGIN CERTIFICATE") :])


def test_without_a_client_certificate_a_gateway_that_demands_one_is_an_error(
    connect: Connect, demanding: Server, ca: Authority
) -> None:
    # With TLS 1.3 the refusal comes after the handshake, and its words may be lost with the connection.
    with pytest.raises((meshpass.GatewayTLSError, meshpass.UpstreamUnavailable)):
        connect("https://a.internal", address=demanding.address, ca_file=ca.file).request("POST", "/")

    assert not demanding.seen


@pytest.mark.parametrize("password", [(), ("wrong",)])
def test_a_locked_key_without_its_password_is_a_configuration_error_and_no_prompt(
    connect: Connect, demanding: Server, ca: Authority, tmp_path: Path, password: tuple[str, ...]
) -> None:
    ca.context("caller.internal")
    chain = tmp_path / "caller.internal.chain"
    lock_key(chain, "s3cret")
    client = connect(
        "https://a.internal",
        address=demanding.address,
        ca_file=ca.file,
        client_cert=(chain, chain, *password),
    )

    with pytest.raises(meshpass.ConfigurationError, match="the password is not right"):
        client.get("/")


def test_a_client_certificate_that_is_not_there_or_of_no_use_is_a_configuration_error(
    connect: Connect, tmp_path: Path
) -> None:
    missing = (tmp_path / "no.crt", tmp_path / "no.key")

    with pytest.raises(meshpass.ConfigurationError) as caught:
        connect("http://a.internal", address="127.0.0.1:9", client_cert=missing)

    assert len(caught.value.problems) == 3
    assert str(missing[0]) in str(caught.value)


def test_connections_from_before_a_suspension_are_not_used_after_it(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Caller = connect(address=server.address)
    client.get("/")
    now = time.time
    # A machine that was suspended: the wall clock has moved on, the monotonic one has not.
    monkeypatch.setattr(time, "time", lambda: now() + 120)

    assert client.get("/").status_code == 200
    assert client.get("/").status_code == 200
    assert server.connections == 2


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_begins_with_an_empty_jar(auth: meshpass.SignedJWT, server: Server) -> None:
    server.answer = cookies_of
    with meshpass.Client("http://a.internal", auth=auth, address=server.address) as client:
        client.get("/")
        child = os.fork()
        if child == 0:
            os._exit(0 if client.get("/").content == b"" else 1)

        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.get("/").content == b"affinity=a.internal"
