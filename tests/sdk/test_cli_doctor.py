"""`meshpass doctor` names the first broken step, shows the other side's words and says what to do."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from meshpass.cli._app import app
from meshpass.cli._doctor_steps import STEPS
from meshpass.cli._exit import Exit
from typer.testing import CliRunner

from .conftest import Answer, Authority, Seen, Server

HOST = "user-profile.internal"
GOOD: Answer = (200, {"server": "istio-envoy", "x-envoy-upstream-service-time": "1"}, b"{}")


@dataclass
class Report:
    """What the command found."""

    exit_code: int
    document: dict[str, Any]
    text: str

    @property
    def broken(self) -> dict[str, Any]:
        (found,) = [step for step in self.document["steps"] if step["state"] == "broken"]
        assert self.document["broken"] == found["step"]
        assert self.document["exit_code"] == self.exit_code
        return dict(found)

    def state(self, step: str) -> str:
        return str(next(each["state"] for each in self.document["steps"] if each["step"] == step))


@pytest.fixture
def environ(tmp_path: Path, pem: bytes, monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Settings that are good but for the gateway's address."""
    key = tmp_path / "signing.pem"
    key.write_bytes(pem)
    monkeypatch.delenv("SIGNING_KEY_SECRET_ID", raising=False)
    return {
        "GKE_GATEWAY_HOST": HOST,
        "JWT_ISSUER": "https://issuer.test",
        "JWT_AUDIENCE": "user-profile",
        "JWT_SCOPE": "profile.read",
        "SIGNING_KEY_FILE": str(key),
    }


Doctor = Callable[..., Report]


@pytest.fixture
def doctor(environ: dict[str, str | None]) -> Doctor:
    def run(url: str, *arguments: str, **changed: str | None) -> Report:
        settings = {**environ, "GKE_GATEWAY_URL": url, **changed}
        path = () if "--no-path" in arguments else ("/profile/{user_id}", "--value", "user_id=u-1001")
        given = [each for each in arguments if each != "--no-path"]
        command = ["doctor", *path, "--timeout", "2", *given]
        reported = CliRunner().invoke(app, [*command, "--json"], env=settings)
        shown = CliRunner().invoke(app, command, env=settings)
        assert shown.exit_code == reported.exit_code
        return Report(reported.exit_code, json.loads(reported.stdout), shown.stdout)

    return run


@pytest.fixture
def gateway(serve: Callable[..., Server], ca: Authority) -> Server:
    """A TLS gateway that answers well."""
    server = serve(ca.context(HOST))
    server.answer = lambda _: GOOD
    return server


def test_a_way_without_a_fault_is_good_at_every_step(doctor: Doctor, gateway: Server, ca: Authority) -> None:
    report = doctor(f"https://{gateway.address}", GKE_GATEWAY_CA_FILE=str(ca.file))

    assert report.exit_code == Exit.OK
    assert report.document["ok"] is True
    assert [step["state"] for step in report.document["steps"]] == ["good"] * len(STEPS)
    assert report.document["claims"]["iss"] == "https://issuer.test"
    assert "Nothing is broken." in report.text
    assert "SIGNING_KEY_FILE names it" in report.text


def test_no_token_goes_to_a_port_before_it_has_answered_http(
    doctor: Doctor, gateway: Server, ca: Authority
) -> None:
    doctor(f"https://{gateway.address}", GKE_GATEWAY_CA_FILE=str(ca.file))

    assert "authorization" not in gateway.seen[0].headers
    assert gateway.seen[0].headers["host"] == HOST
    assert gateway.seen[1].headers["authorization"].startswith("Bearer ")
    assert gateway.seen[1].target == "/profile/u-1001"


def test_plain_http_to_a_private_address_has_no_tls_steps(doctor: Doctor, server: Server) -> None:
    server.answer = lambda _: GOOD
    report = doctor(f"http://{server.address}")

    assert report.exit_code == Exit.OK
    assert [report.state(step) for step in ("tls", "certificate")] == ["skipped", "skipped"]


def test_missing_settings_are_all_named(doctor: Doctor) -> None:
    report = doctor("https://10.0.0.1", JWT_SCOPE=None, GKE_GATEWAY_HOST="")

    assert report.exit_code == Exit.SETTINGS
    assert report.broken["step"] == "settings"
    assert "GKE_GATEWAY_HOST is missing" in report.broken["says"]
    assert "JWT_SCOPE is missing" in report.broken["says"]
    assert report.state("connection") == "not tried"


def test_a_key_file_that_is_no_key_is_named(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "wrong.pem").write_text("-----BEGIN PUBLIC KEY-----\n")
    report = doctor("https://127.0.0.1", SIGNING_KEY_FILE=str(tmp_path / "wrong.pem"))

    assert report.exit_code == Exit.TOKEN_SOURCE
    assert report.broken["step"] == "token"
    assert "it is a public key" in report.broken["says"]
    assert "openssl genpkey" in report.broken["fix"]


def test_a_name_that_does_not_resolve(doctor: Doctor) -> None:
    report = doctor("https://gateway.invalid")

    assert report.exit_code == Exit.ADDRESS
    assert report.broken["step"] == "address"
    assert "gateway.invalid does not resolve" in report.broken["says"]
    assert "private DNS zone" in report.broken["fix"]


def test_a_closed_port(doctor: Doctor) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        report = doctor(f"https://127.0.0.1:{taken.getsockname()[1]}")

    assert report.exit_code == Exit.CONNECT
    assert report.broken["words"] == "Connection refused"
    assert "the port is closed" in report.broken["fix"]


def test_an_address_where_nothing_answers(doctor: Doctor) -> None:
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # Linux queues one connection more than asked for, and leaves the next one without an answer.
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        report = doctor(f"https://127.0.0.1:{full.getsockname()[1]}", "--timeout", "0.2")

    assert report.exit_code == Exit.CONNECT
    assert report.broken["words"] == "timed out"
    assert "firewall" in report.broken["fix"]


def test_a_plain_http_port_where_tls_is_expected(doctor: Doctor, server: Server) -> None:
    report = doctor(f"https://{server.address}")

    assert report.exit_code == Exit.TLS
    assert "does not speak TLS" in report.broken["says"]
    assert "write http://" in report.broken["fix"]


def test_a_tls_port_where_plain_http_is_expected(doctor: Doctor, gateway: Server) -> None:
    report = doctor(f"http://{gateway.address}")

    assert report.exit_code == Exit.HTTP
    assert report.broken["step"] == "http"
    assert "https:// in GKE_GATEWAY_URL" in report.broken["fix"]
    assert gateway.seen == [], "and no token was sent"


def test_a_gateway_without_a_server_for_this_name(doctor: Doctor, hanging_up: str) -> None:
    report = doctor(f"https://{hanging_up}")

    assert report.exit_code == Exit.TLS
    assert "broke off the TLS handshake" in report.broken["says"]
    assert f"{HOST} among its hosts" in report.broken["fix"]


@pytest.fixture
def hanging_up() -> Iterator[str]:
    """Closes every connection without a word, as Envoy does where no filter chain matches the SNI."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    listener.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        host, port = listener.getsockname()
        yield f"{host}:{port}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_certificate_of_an_unknown_authority(doctor: Doctor, gateway: Server) -> None:
    report = doctor(f"https://{gateway.address}")

    assert report.exit_code == Exit.CERTIFICATE
    assert report.broken["step"] == "certificate"
    assert report.state("tls") == "good"
    assert "not trusted" in report.broken["says"]
    assert "unable to get local issuer certificate" in report.broken["words"]
    assert "the system's CAs" in report.broken["fix"]
    assert gateway.seen == []


def test_a_certificate_for_another_name(doctor: Doctor, serve: Callable[..., Server], ca: Authority) -> None:
    server = serve(ca.context("other.internal"))
    report = doctor(f"https://{server.address}", GKE_GATEWAY_CA_FILE=str(ca.file))

    assert report.exit_code == Exit.CERTIFICATE
    assert report.broken["says"] == f"The certificate is not for {HOST}. It is for other.internal."
    assert "Hostname mismatch" in report.broken["words"]


def test_a_ca_file_without_a_certificate(doctor: Doctor, gateway: Server, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    report = doctor(f"https://{gateway.address}", GKE_GATEWAY_CA_FILE=str(tmp_path / "empty.pem"))

    assert report.exit_code == Exit.SETTINGS
    assert "empty.pem, which holds no PEM certificate" in report.text


def test_a_ca_file_with_a_broken_certificate(doctor: Doctor, gateway: Server, tmp_path: Path) -> None:
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    report = doctor(f"https://{gateway.address}", GKE_GATEWAY_CA_FILE=str(tmp_path / "broken.pem"))

    assert report.exit_code == Exit.CERTIFICATE
    assert "broken.pem cannot be loaded" in report.broken["says"]


def test_a_port_that_takes_connections_and_says_nothing(doctor: Doctor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        report = doctor(f"http://127.0.0.1:{silent.getsockname()[1]}", "--timeout", "0.2")

    assert report.exit_code == Exit.HTTP
    assert "gave no HTTP response" in report.broken["says"]


ENVOY = {"server": "istio-envoy"}
SIDECAR = {"server": "istio-envoy", "x-envoy-upstream-service-time": "1"}
MESH: list[tuple[Answer, Exit, str, str, str]] = [
    (
        (401, ENVOY, b"Jwt is missing"),
        Exit.TOKEN_REFUSED,
        "jwt",
        "Jwt is missing",
        "took the Authorization header",
    ),
    ((401, ENVOY, b"Jwt is expired"), Exit.TOKEN_REFUSED, "jwt", "Jwt is expired", "clock"),
    (
        (401, ENVOY, b"Jwt issuer is not configured"),
        Exit.TOKEN_REFUSED,
        "jwt",
        "Jwt issuer is not configured",
        "iss",
    ),
    (
        (401, ENVOY, b"Jwks doesn't have key to match kid or alg from Jwt"),
        Exit.TOKEN_REFUSED,
        "jwt",
        "Jwks doesn't have key to match kid or alg from Jwt",
        "Publish this key",
    ),
    (
        (401, ENVOY, b"Jwt verification fails"),
        Exit.TOKEN_REFUSED,
        "jwt",
        "Jwt verification fails",
        "another key under this kid",
    ),
    (
        (403, ENVOY, b"Audiences in Jwt are not allowed"),
        Exit.TOKEN_REFUSED,
        "jwt",
        "Audiences in Jwt are not allowed",
        "aud",
    ),
    ((403, ENVOY, b"RBAC: access denied"), Exit.POLICY, "policy", "RBAC: access denied", HOST),
    ((403, SIDECAR, b"RBAC: access denied"), Exit.POLICY, "policy", "RBAC: access denied", "principal"),
    ((404, ENVOY, b""), Exit.ROUTE, "route", "", "VirtualService"),
    ((503, ENVOY, b"no healthy upstream"), Exit.UPSTREAM, "service", "no healthy upstream", "pods"),
    ((504, ENVOY, b"upstream request timeout"), Exit.UPSTREAM, "service", "upstream request timeout", "pods"),
    ((426, ENVOY, b"Upgrade Required"), Exit.HTTP, "call", "Upgrade Required", "access log"),
]


@pytest.mark.parametrize(("answer", "code", "step", "words", "fix"), MESH)
def test_what_the_mesh_refuses_is_reported_in_its_own_words(
    doctor: Doctor, server: Server, answer: Answer, code: Exit, step: str, words: str, fix: str
) -> None:
    server.answer = lambda _: answer
    report = doctor(f"http://{server.address}")

    assert report.exit_code == code
    assert report.broken["step"] == step
    assert report.broken["words"] == words
    assert fix in report.broken["fix"]
    assert f"First broken step: {step}." in report.text
    if words:
        assert f"words:  {words}" in report.text
    names = [name for name, _, _ in STEPS]
    assert {report.state(name) for name in names[names.index(step) + 1 :]} <= {"not tried"}


def test_a_connection_that_breaks_under_the_call(doctor: Doctor, server: Server) -> None:
    def answer(seen: Seen) -> Answer:
        if "authorization" in seen.headers:
            raise ConnectionError
        return GOOD

    server.answer = answer
    report = doctor(f"http://{server.address}")

    assert report.exit_code == Exit.HTTP
    assert report.broken["step"] == "call"
    assert "broke" in report.broken["says"]


def test_who_refused_is_reported(doctor: Doctor, server: Server) -> None:
    server.answer = lambda _: (401, SIDECAR, b"Jwt verification fails")

    assert "The workload does not accept the token" in doctor(f"http://{server.address}").broken["says"]


def test_a_clock_that_is_off_is_reported_with_the_refusal(doctor: Doctor, server: Server) -> None:
    date = formatdate(time.time() - 3600, usegmt=True)
    server.answer = lambda _: (401, {**ENVOY, "date": date}, b"Jwt is not yet valid")
    report = doctor(f"http://{server.address}")

    assert "This machine's clock is +36" in report.broken["fix"]


@pytest.mark.parametrize("answer", [(403, ENVOY, b"RBAC: access denied"), (404, ENVOY, b"")])
def test_without_a_path_a_policy_and_a_route_are_not_judged(
    doctor: Doctor, server: Server, answer: Answer
) -> None:
    server.answer = lambda _: answer
    report = doctor(f"http://{server.address}", "--no-path")

    assert report.exit_code == Exit.OK
    assert report.state("jwt") == "good"
    assert report.state("service") == "skipped"
    assert "give PATH" in report.text


@pytest.mark.parametrize("status", [200, 404, 500])
def test_any_answer_of_the_service_itself_is_a_good_end(doctor: Doctor, server: Server, status: int) -> None:
    server.answer = lambda _: (status, {**SIDECAR, "content-type": "application/json"}, b"{}")
    report = doctor(f"http://{server.address}")

    assert report.exit_code == Exit.OK
    assert f"answered {status}" in report.text


def test_neither_the_token_nor_the_key_is_shown(
    doctor: Doctor, server: Server, environ: dict[str, str | None], pem: bytes
) -> None:
    # A gateway that sends back what it was sent.
    server.answer = lambda seen: (401, ENVOY, b"Jwt " + seen.headers.get("authorization", "").encode())
    report = doctor(f"http://{server.address}")
    (sent,) = {
        seen.headers["authorization"].removeprefix("Bearer ")
        for seen in server.seen[:2]
        if "authorization" in seen.headers
    }

    shown = report.text + json.dumps(report.document)
    assert sent.rpartition(".")[2] not in shown
    assert sent not in shown
    assert pem.splitlines()[1].decode() not in shown
