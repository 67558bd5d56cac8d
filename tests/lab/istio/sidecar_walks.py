"""Requests through real sidecars, from a client's DNS to the application and back."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from meshlab.bench.relay import Relay
from meshlab.certificates import CertificateAuthority
from meshlab.istio import Placement, ProxyCompiler, SecretFiles, WorkloadRef, load_mesh
from meshlab.istio.model.resolve import resolve
from meshlab.istio.read.mesh_config import MeshSettings
from meshlab.manifest import parse_manifests
from meshlab.processes.ports import free_ports

from tests.lab.istio.walks import envoy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from meshlab.istio import Address, Mesh
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.client_credentials import ClientResource
    from meshlab.istio.model.credentials import TlsResource

CLIENT = WorkloadRef("shop", "client")

_NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {{name: {name}, labels: {{istio-injection: enabled}}}}
"""
_WORKLOAD = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  template:
    metadata: {{labels: {labels}, annotations: {annotations}}}
    spec: {{serviceAccountName: {name}, containers: [{{name: app}}]}}
"""


def namespace(name: str) -> str:
    """A namespace whose pods get sidecars."""
    return _NAMESPACE.format(name=name)


def workload(ref: str, labels: Mapping[str, str] | None = None, *, sidecar: bool = True) -> str:
    """A Deployment; its label `app` is its name unless others are given."""
    own, _, name = ref.partition("/")
    found = {"app": name, **(labels or {}), **({} if sidecar else {"sidecar.istio.io/inject": "false"})}
    return _WORKLOAD.format(name=name, namespace=own, labels=json.dumps(found), annotations="{}")


def service(ref: str, *ports: str, app: str = "", export_to: str = "", **spec: object) -> str:
    """A Service of the pods with the label `app`, by default of its name; ports are `NAME:NUMBER[:TARGET]`."""
    own, _, name = ref.partition("/")
    listed = []
    for text in ports:
        port_name, number, *target = text.split(":")
        listed.append({"name": port_name, "port": int(number), "targetPort": int((target or [number])[0])})
    notes = {"networking.istio.io/exportTo": export_to} if export_to else {}
    document = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": own, "annotations": notes},
        "spec": {"selector": {"app": app or name}, "ports": listed, **spec},
    }
    return json.dumps(document)


@dataclass(frozen=True)
class Reply:
    """What came back: the status, who answered, and what it saw."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def app(self) -> str:
        return str(self.body.get("app", ""))

    @property
    def peer(self) -> str:
        """The identity of the client, as the server's sidecar says it."""
        return str(self.body.get("peer", ""))


class Walks:
    """A mesh of real Envoys. Every workload of the texts runs, and answers with its name.

    Args:
        directory: For keys.
        texts: The manifests.
        settings: The mesh-wide settings.
        servers: Name or address of an external server to the names in its certificate; empty for plaintext.
        proxies: The workloads whose proxies run; all of them where it is `None`.
        takes_plaintext: Whether servers with a certificate answer plaintext, too.
    """

    def __init__(
        self,
        directory: Path,
        *texts: str,
        settings: MeshSettings | None = None,
        servers: Mapping[tuple[str, int], tuple[str, ...]] | None = None,
        proxies: Iterable[WorkloadRef] | None = None,
        takes_plaintext: bool = False,
    ) -> None:
        manifests = [manifest for text in texts for manifest in parse_manifests(text, "test.yaml")]
        self.mesh: Mesh = load_mesh(manifests, settings or MeshSettings()).require_complete()
        ports = free_ports()
        self.placement = Placement.plan(self.mesh, lambda: next(ports))
        self._servers = dict(servers or {})
        self._directory = directory
        self._takes_plaintext = takes_plaintext
        self._proxies = set(proxies) if proxies is not None else None
        self._running = contextlib.ExitStack()
        self._public = CertificateAuthority.create("public")

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as running:
            self._start(running)
            self._running = running.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _start(self, running: contextlib.ExitStack) -> None:
        secrets = self._secrets()
        for (ref, _), address in self.placement.apps.items():
            running.enter_context(_app(address, str(ref)))
        for (host, port), address in self.placement.external.items():
            names = self._servers.get((host, port), ())
            context = self._server_context(names)
            running.enter_context(_app(address, host, context, takes_plaintext=self._takes_plaintext))
        any_name = self._server_context(("internet.example",))
        running.enter_context(_app(self.placement.internet, "internet", any_name, takes_plaintext=True))
        running.enter_context(Relay(self.placement.relay, self.placement.without_proxy))
        compiler = ProxyCompiler(self.mesh, self.placement, secrets)
        for each in self.mesh.workloads:
            if each.injected and (self._proxies is None or each.ref in self._proxies):
                running.enter_context(envoy(compiler.compile(each.ref), self.placement.admin[each.ref]))

    def _secrets(self) -> _Secrets:
        own = CertificateAuthority.create("mesh")
        workloads = {}
        for each in self.mesh.workloads:
            directory = self._directory / each.ref.namespace / each.ref.name
            issued = own.issue(uris=[each.identity(self.mesh.trust_domain)])
            issued.write(directory, chain="cert-chain.pem", key="key.pem", root="root-cert.pem")
            workloads[each.ref] = directory
        issued = self._public.issue(dns_names=["client.example"])
        public = issued.write(self._directory / "public", chain="tls.crt", key="tls.key", root="ca.crt")
        return _Secrets(workloads, public)

    def _server_context(self, names: tuple[str, ...]) -> ssl.SSLContext | None:
        if not names:
            return None
        directory = self._directory / "servers" / "_".join(names)
        self._public.issue(dns_names=list(names)).write(
            directory, chain="tls.crt", key="tls.key", root="ca.crt"
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
        context.load_verify_locations(directory / "ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols(["http/1.1"])
        return context

    def connect(
        self, client: WorkloadRef, host: str, port: int, *, address: str | None = None
    ) -> socket.socket:
        """Connect as an application does whose connections are redirected to its sidecar."""
        found = address or resolve(self.mesh, host, port, client.namespace, client)[0]
        return self._connected(client, found, port)

    def _connected(self, client: WorkloadRef, ip: str, port: int) -> socket.socket:
        sidecar: Address = self.placement.outbound[client]
        connection = socket.create_connection((sidecar.host, sidecar.port), timeout=10)
        source = self.mesh.registry.pod_ips[client]
        connection.sendall(f"PROXY TCP4 {source} {ip} 40000 {port}\r\n".encode())
        return connection

    def get(
        self,
        host: str,
        port: int = 80,
        *,
        client: WorkloadRef = CLIENT,
        header: str | None = None,
        address: str | None = None,
        more: str = "",
    ) -> Reply:
        """Send a GET request; status 0 stands for a connection that ended without a response."""
        with self.connect(client, host, port, address=address) as connection:
            connection.sendall(
                f"GET / HTTP/1.1\r\nhost: {header or host}\r\n{more}connection: close\r\n\r\n".encode()
            )
            return _reply(_read_all(connection))

    def say(self, host: str, port: int, *, client: WorkloadRef = CLIENT, address: str | None = None) -> str:
        """Send bytes that are no HTTP and return who answered; empty where the connection ends."""
        with self.connect(client, host, port, address=address) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(b"hello\n")
            return _read_all(connection).decode()

    def certificate_of(
        self, host: str, port: int, sni: str, *, client: WorkloadRef = CLIENT, address: str | None = None
    ) -> str:
        """Start TLS of the application's own and return who answered inside; empty where it is refused."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with self.connect(client, host, port, address=address) as connection:
            try:
                with context.wrap_socket(connection, server_hostname=sni) as secure:
                    secure.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                    return _reply(_read_all(secure)).app
            except OSError:
                return ""


@dataclass(frozen=True)
class _Secrets:
    """Whatever a client asks for is signed by the CA of the servers outside."""

    workloads: Mapping[WorkloadRef, Path]
    public: Path

    def reference(self, name: str) -> Json:
        return {"name": name}

    def resources(
        self, ref: WorkloadRef, used: Iterable[TlsResource], client: Iterable[ClientResource] = ()
    ) -> Json:
        asked = list(client)
        keys = {(ref.namespace if each.is_secret else "", each.credential) for each in asked}
        files = SecretFiles(self.workloads, dict.fromkeys(keys, self.public))
        return files.resources(ref, used, asked)


def _reply(raw: bytes) -> Reply:
    if not raw.startswith(b"HTTP/1.1 "):
        return Reply(0)
    head, _, body = raw.partition(b"\r\n\r\n")
    with contextlib.suppress(ValueError):
        return Reply(int(head.split()[1]), json.loads(body))
    return Reply(int(head.split()[1]))


def _read_all(connection: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(OSError):
        while data := connection.recv(65536):
            found += data
    return found


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        connection = self.request
        with contextlib.suppress(OSError):
            is_tls = connection.recv(1, socket.MSG_PEEK) == b"\x16"
            if self.server.context and (is_tls or not self.server.takes_plaintext):
                connection = self.server.context.wrap_socket(connection, server_side=True)
            self._answer(connection)
            connection.close()

    def _answer(self, connection: socket.socket) -> None:
        data = connection.recv(65536)
        if not data.startswith((b"GET ", b"HEAD ")):
            connection.sendall(self.server.name.encode())
            return
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        lines = data.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        peer = [
            part.removeprefix("URI=")
            for part in headers.get("x-forwarded-client-cert", "").split(";")
            if part.startswith("URI=")
        ]
        certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
        body = json.dumps(
            {
                "app": self.server.name,
                "host": headers.get("host"),
                "peer": peer[0] if peer else "",
                "tls": isinstance(connection, ssl.SSLSocket),
                "certificate": bool(certificate),
                "forwarded": headers.get("x-forwarded-client-cert", ""),
            }
        ).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        connection.sendall(head.encode() + body)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    name = ""
    context: ssl.SSLContext | None = None
    takes_plaintext = False


@contextlib.contextmanager
def _app(
    address: Address, name: str, context: ssl.SSLContext | None = None, *, takes_plaintext: bool = False
) -> Any:  # noqa: ANN401
    with _Server((address.host, address.port), _Handler) as server:
        server.name, server.context, server.takes_plaintext = name, context, takes_plaintext
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield
        server.shutdown()
        thread.join()
