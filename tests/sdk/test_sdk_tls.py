"""TLS to the gateway: the right name is asked for, and nothing untrusted gets a token."""

import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import meshpass
import pytest

from .conftest import Authority, Connect, Server

Serve = Callable[..., Server]


def test_sni_and_host_are_the_virtual_name_and_the_certificate_is_checked_against_it(
    connect: Connect, serve: Serve, ca: Authority
) -> None:
    server = serve(ca.context("user-profile.internal"))
    client = connect("https://user-profile.internal", address=server.address, ca_file=ca.file)

    assert client.get("/").status_code == 200
    assert server.seen[0].sni == server.seen[0].headers["host"] == "user-profile.internal"


def test_two_virtual_hosts_at_one_address_share_no_connection(
    connect: Connect, serve: Serve, ca: Authority
) -> None:
    server = serve(ca.context("a.internal", "b.internal"))

    for host in ("a.internal", "b.internal", "a.internal"):
        connect(f"https://{host}", address=server.address, ca_file=str(ca.file)).get("/")

    assert [(seen.sni, seen.headers["host"]) for seen in server.seen] == [
        ("a.internal", "a.internal"),
        ("b.internal", "b.internal"),
        ("a.internal", "a.internal"),
    ]


def test_a_certificate_of_an_unknown_ca_is_refused(connect: Connect, serve: Serve, ca: Authority) -> None:
    server = serve(ca.context("user-profile.internal"))

    with pytest.raises(meshpass.GatewayTLSError, match=r"is not trusted.*the system's CAs") as caught:
        connect("https://user-profile.internal", address=server.address).get("/")

    assert not caught.value.retryable
    assert not server.seen


@pytest.mark.parametrize("whose", ["server", "ca"])
def test_a_certificate_that_is_out_of_date_is_said_to_be_and_no_ca_is_asked_for(
    connect: Connect, serve: Serve, tmp_path: Path, whose: str
) -> None:
    past = timedelta(minutes=-1)
    authority = Authority(tmp_path, lasts=past if whose == "ca" else timedelta(hours=1))
    authority.lasts = past if whose == "server" else timedelta(hours=1)
    server = serve(authority.context("user-profile.internal"))

    with pytest.raises(meshpass.GatewayTLSError, match="certificate has expired") as caught:
        connect("https://user-profile.internal", address=server.address, ca_file=authority.file).get("/")

    assert "Renew it, or the CA that signed it" in str(caught.value)
    assert "GKE_GATEWAY_CA_FILE" not in str(caught.value)
    assert not server.seen


def test_a_certificate_for_another_name_is_refused(connect: Connect, serve: Serve, ca: Authority) -> None:
    server = serve(ca.context("other.internal"))

    with pytest.raises(
        meshpass.GatewayTLSError, match=r"not for user-profile\.internal: it is valid for other\.internal"
    ) as caught:
        connect("https://user-profile.internal", address=server.address, ca_file=ca.file).get("/")

    assert "CA" not in str(caught.value)  # it was not the reason
    assert not server.seen


def test_a_port_that_speaks_no_tls_is_a_tls_error(connect: Connect, server: Server) -> None:
    with pytest.raises(meshpass.GatewayTLSError, match=r"TLS with the gateway of user-profile\.internal"):
        connect("https://user-profile.internal", address=server.address).get("/")


def test_an_error_that_the_caller_was_handling_is_not_taken_for_the_reason(connect: Connect) -> None:
    try:
        raise ssl.SSLError("an earlier one")  # noqa: TRY301
    except ssl.SSLError:
        with pytest.raises(meshpass.GatewayUnreachable):
            connect("https://user-profile.internal", address="127.0.0.1:9").get("/")


def test_a_ca_file_without_a_certificate_is_a_configuration_error(connect: Connect, tmp_path: Path) -> None:
    empty = tmp_path / "empty.crt"
    empty.write_text("nothing here")

    with pytest.raises(
        meshpass.ConfigurationError, match=r"empty\.crt cannot be used: it holds no PEM certificate"
    ):
        connect("https://user-profile.internal", address="127.0.0.1:9", ca_file=empty).get("/")


def test_a_ca_file_that_is_not_there_is_a_configuration_error_at_once(
    connect: Connect, tmp_path: Path
) -> None:
    with pytest.raises(meshpass.ConfigurationError, match="which is not a file"):
        connect("https://user-profile.internal", ca_file=tmp_path / "missing.crt")
