# ruff: noqa: ANN401
"""Real parts for the SDK's tests: keys, a private CA, HTTP and TLS servers, both clients behind one face."""

import asyncio
import datetime
import gc
import http.server
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import meshpass
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.preloaded import served


def pem_of(key: Any) -> bytes:
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem


@pytest.fixture(scope="session")
def pem() -> bytes:
    return pem_of(ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture(scope="session")
def forked_meshpass() -> Iterator[Path]:
    """The command `meshpass` with its imports behind it, which take most of the time of a short run.

    Tests of how the command starts, or of the streams that Python opens at its start, start it as a user does.
    """
    package = Path(meshpass.__file__).parent / "cli"
    modules = [f"meshpass.cli.{file.stem}" for file in sorted(package.glob("_[!_]*.py"))]
    late = (
        *("cryptography.hazmat.primitives.asymmetric.ec", "cryptography.hazmat.primitives.serialization"),
        *("encodings.idna", "importlib.metadata", "meshpass._tokens.signed_jwt", "meshpass.keys"),
        *("pydantic.plugin._loader", "rich.progress", "typer._adapters"),
    )
    script = Path(sys.executable).parent / "meshpass"
    with served({"meshpass": script}, [sys.executable], [*late, *modules]) as folder:
        yield folder / "meshpass"


@pytest.fixture
def garbage_freed() -> Iterator[None]:
    """Free what interrupts left open at the end of the test, so that no later test meets the warnings about it."""
    yield
    gc.collect()


@pytest.fixture
def auth(pem: bytes) -> meshpass.SignedJWT:
    return meshpass.SignedJWT("https://issuer.test", "user-profile", lambda: pem, scope="profile.read")


@dataclass
class Seen:
    """One request as the server got it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    sni: str | None


Answer = tuple[int, dict[str, str], bytes]
RawServer = Callable[[Callable[[socket.socket], None]], str]


class Server(http.server.ThreadingHTTPServer):
    """An HTTP server on 127.0.0.1 that keeps what it saw and answers as the test says."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[Seen] = []
        self.connections = 0
        self.answer: Callable[[Seen], Answer] = lambda _: (200, {}, b"{}")
        self._context = context

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def get_request(self) -> tuple[Any, Any]:
        connection, peer = super().get_request()
        self.connections += 1
        if self._context is not None:
            connection = self._context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, peer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet about peers that break off: that is what some tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def handle(self) -> None:
        try:
            super().handle()
        finally:
            self.connection.close()

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        while self.headers.get("transfer-encoding") == "chunked" and (size := int(self.rfile.readline(), 16)):
            body += self.rfile.read(size)
            self.rfile.readline()
        if "transfer-encoding" in self.headers:
            self.rfile.readline()
        headers = {name.lower(): value for name, value in self.headers.items()}
        sni = getattr(self.connection, "sni", None)
        seen = Seen(self.command, self.path, headers, body, sni)
        self.server.seen.append(seen)
        status, extra, answer = self.server.answer(seen)
        self.send_response_only(status)
        for name, value in {"content-length": str(len(answer)), **extra}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        """Stay quiet about requests that make no sense."""

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = _do  # noqa: N815


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    with ExitStack() as stack:

        def start(context: ssl.SSLContext | None = None) -> Server:
            server = stack.enter_context(Server(context))
            thread = threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
            )
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return server

        yield start


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve()


@pytest.fixture
def raw_server() -> Iterator[RawServer]:
    """Serve connections with a function of its own, which reads nothing unless it wants to."""
    with ExitStack() as stack:

        def start(serve: Callable[[socket.socket], None]) -> str:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def run() -> None:
                with suppress(OSError):
                    while True:
                        connection, _ = listener.accept()
                        with closing(connection), suppress(OSError):
                            serve(connection)

            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            return f"127.0.0.1:{listener.getsockname()[1]}"

        yield start


@pytest.fixture
def full_address() -> Iterator[str]:
    """Return an address where further connections hang: nothing takes them, and the queue is full."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield f"127.0.0.1:{full.getsockname()[1]}"


@dataclass
class Authority:
    """A private CA that issues server certificates; SNI picks among them."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    lasts: datetime.timedelta = datetime.timedelta(hours=1)

    def __post_init__(self) -> None:
        self.file = self.folder / "ca.crt"
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
        certificate = (
            self._builder(self._name, self.key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def context(self, *hosts: str) -> ssl.SSLContext:
        contexts = {host: self._context_for(host) for host in hosts}

        def pick(connection: Any, name: str | None, _: ssl.SSLContext) -> None:
            connection.sni = name
            connection.context = contexts.get(name or "", contexts[hosts[0]])

        contexts[hosts[0]].sni_callback = pick
        return contexts[hosts[0]]

    def _context_for(self, host: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(x509.Name([]), key)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        chain = self.folder / f"{host}.chain"
        chain.write_bytes(pem_of(key) + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + self.lasts)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )


def _usage(*, key_cert_sign: bool) -> x509.KeyUsage:
    unset = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
    )
    rest = ("crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(key_cert_sign=key_cert_sign, **dict.fromkeys((*unset, *rest), False))


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@dataclass
class Caller:
    """Either client, called in the same way."""

    _client: Any
    _run: Callable[[Any], Any]

    def __getattr__(self, verb: str) -> Callable[..., httpx.Response]:
        return lambda *args, **values: self._run(getattr(self._client, verb)(*args, **values))


Connect = Callable[..., Caller]


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest, auth: meshpass.SignedJWT) -> Iterator[Connect]:
    """Build a client of either kind; a test that uses this runs once with each."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())

        def build(base_url: str = "http://user-profile.internal", **kwargs: Any) -> Caller:
            kwargs.setdefault("auth", auth)
            if request.param == "sync":
                blocking = stack.enter_context(meshpass.Client(base_url, **kwargs))
                return Caller(blocking, lambda response: response)
            client = meshpass.AsyncClient(base_url, **kwargs)
            stack.callback(lambda: runner.run(client.aclose()))
            return Caller(client, runner.run)

        yield build
