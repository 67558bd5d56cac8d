# ruff: noqa: ANN401
"""Channels of gRPC over the mesh, against a real server of grpcio with TLS and the virtual name."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import meshpass
import pytest
from meshpass._adapters.grpc_credentials import CallTokens

from .conftest import Authority

HOST = "user-profile.internal"
ORIGIN = f"https://{HOST}"
GET = "/profile.v1.Profiles/Get"
LIST = "/profile.v1.Profiles/List"


class Tokens:
    """A source that makes one numbered token after another, as slowly as a test wants."""

    def __init__(self, wait: Callable[[], object] = lambda: None) -> None:
        self.made = 0
        self.refused: list[str] = []
        self._wait = wait
        self._token: meshpass.Token | None = None

    def token(self) -> meshpass.Token:
        if self._token is None:
            self._wait()
            self.made += 1
            self._token = meshpass.Token(f"secret-token-{self.made}", 9e9, "test")
        return self._token

    async def atoken(self) -> meshpass.Token:
        return self.token()

    def invalidate(self, token: meshpass.Token) -> None:
        self.refused.append(token.value)
        if self._token is token:
            self._token = None


@dataclass
class GrpcServer:
    """A server that verifies nothing but whether there is a token, and keeps what it saw."""

    port: int = 0
    seen: list[tuple[str, str]] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def check(self, context: grpc.ServicerContext) -> None:
        tokens = [value for name, value in context.invocation_metadata() if name == "authorization"]
        self.seen.append((",".join(str(token) for token in tokens), context.peer()))
        if len(tokens) != 1 or tokens[0] in self.refuse:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "Jwt is missing")

    def get(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.check(context)
        return b"profile of " + request

    def list(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        self.check(context)
        for request in requests:
            yield b"profile of " + request


Serve = Callable[..., GrpcServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(credentials: grpc.ServerCredentials | None = None) -> GrpcServer:
            found = GrpcServer()
            handlers = grpc.method_handlers_generic_handler(
                "profile.v1.Profiles",
                {
                    "Get": grpc.unary_unary_rpc_method_handler(found.get),
                    "List": grpc.stream_stream_rpc_method_handler(found.list),
                },
            )
            server = grpc.server(ThreadPoolExecutor(8), handlers=[handlers])
            if credentials is None:
                found.port = server.add_insecure_port("127.0.0.1:0")
            else:
                found.port = server.add_secure_port("127.0.0.1:0", credentials)
            server.start()
            stack.callback(lambda: server.stop(None).wait())
            return found

        yield start


def credentials_of(ca: Authority, *, mutual: bool = False) -> grpc.ServerCredentials:
    ca.context(HOST)
    chain = (ca.folder / f"{HOST}.chain").read_bytes()
    return grpc.ssl_server_credentials([(chain, chain)], ca.file.read_bytes() if mutual else None, mutual)


@pytest.fixture
def secure(serve: Serve, ca: Authority) -> GrpcServer:
    return serve(credentials_of(ca))


@dataclass
class Kind:
    """Either kind of channel, called in the same way."""

    get: Callable[..., bytes]
    list: Callable[..., list[bytes]]


Open = Callable[..., Kind]


@pytest.fixture(params=["sync", "aio"])
def channel(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Open a channel; a test that uses this runs once with each kind."""
    with ExitStack() as stack:
        if request.param == "sync":

            def build(service: Any, **options: Any) -> Kind:
                opened = stack.enter_context(meshpass.grpc_channel(service, **options))
                one, many = opened.unary_unary(GET), opened.stream_stream(LIST)
                return Kind(
                    lambda body=b"u-1", **more: one(body, timeout=20, **more),
                    lambda *bodies, **more: list(many(iter(bodies), timeout=20, **more)),
                )

            yield build
        else:
            runner = stack.enter_context(asyncio.Runner())

            def build_aio(service: Any, **options: Any) -> Kind:
                async def opened() -> grpc.aio.Channel:
                    return meshpass.grpc_aio_channel(service, **options)

                found = runner.run(opened())
                stack.callback(lambda: runner.run(found.close()))
                one, many = found.unary_unary(GET), found.stream_stream(LIST)

                async def get(body: bytes = b"u-1", **more: Any) -> bytes:
                    response: bytes = await one(body, timeout=20, **more)
                    return response

                async def every(*bodies: bytes, **more: Any) -> list[bytes]:
                    return [response async for response in many(iter(bodies), timeout=20, **more)]

                return Kind(
                    lambda *args, **more: runner.run(get(*args, **more)),
                    lambda *args, **more: runner.run(every(*args, **more)),
                )

            yield build_aio


def test_a_call_goes_to_the_pinned_address_under_the_virtual_name_with_the_token(
    channel: Open, secure: GrpcServer, ca: Authority, auth: meshpass.SignedJWT
) -> None:
    opened = channel(ORIGIN, auth=auth, address=secure.address, ca_file=ca.file)

    assert opened.get(b"u-1") == b"profile of u-1"
    assert opened.list(b"u-1", b"u-2") == [b"profile of u-1", b"profile of u-2"]

    assert {seen for seen, _ in secure.seen} == {f"Bearer {auth.token().value}"}


def test_a_channel_takes_the_settings_of_a_client(
    secure: GrpcServer, ca: Authority, auth: meshpass.SignedJWT
) -> None:
    with (
        meshpass.Client(ORIGIN, auth=auth, address=secure.address, ca_file=ca.file) as client,
        meshpass.grpc_channel(client) as opened,
    ):
        assert opened.unary_unary(GET)(b"u-1", timeout=20) == b"profile of u-1"


def test_a_certificate_of_another_name_is_refused_and_gets_no_token(
    channel: Open, secure: GrpcServer, ca: Authority, auth: meshpass.SignedJWT
) -> None:
    opened = channel("https://other.internal", auth=auth, address=secure.address, ca_file=ca.file)

    with pytest.raises(grpc.RpcError) as refused:
        opened.get()

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert secure.seen == []


def test_a_certificate_of_another_ca_is_refused_and_gets_no_token(
    channel: Open, secure: GrpcServer, tmp_path: Path, auth: meshpass.SignedJWT
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")

    for ca_file in (other.file, None):
        with pytest.raises(grpc.RpcError) as refused:
            channel(ORIGIN, auth=auth, address=secure.address, ca_file=ca_file).get()
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE

    assert secure.seen == []


def test_a_client_certificate_is_shown(
    channel: Open, serve: Serve, ca: Authority, auth: meshpass.SignedJWT
) -> None:
    server = serve(credentials_of(ca, mutual=True))
    chain = ca.folder / f"{HOST}.chain"

    with pytest.raises(grpc.RpcError):
        channel(ORIGIN, auth=auth, address=server.address, ca_file=ca.file).get()
    opened = channel(ORIGIN, auth=auth, address=server.address, ca_file=ca.file, client_cert=(chain, chain))
    assert opened.get() == b"profile of u-1"


def test_over_plaintext_to_a_private_gateway_an_interceptor_sends_the_token(
    channel: Open, serve: Serve, auth: meshpass.SignedJWT
) -> None:
    server = serve()
    opened = channel(f"http://{HOST}", auth=auth, address=server.address)

    assert opened.get(metadata=(("x-mine", "1"),)) == b"profile of u-1"
    assert opened.list(b"u-2") == [b"profile of u-2"]

    assert {seen for seen, _ in server.seen} == {f"Bearer {auth.token().value}"}


def test_plaintext_to_a_public_address_is_refused(channel: Open, auth: meshpass.SignedJWT) -> None:
    with pytest.raises(meshpass.ConfigurationError, match="unencrypted"):
        channel(f"http://{HOST}", auth=auth, address="8.8.8.8:80")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_token_that_was_refused_is_not_sent_again(
    channel: Open, serve: Serve, ca: Authority, scheme: str
) -> None:
    server = serve(credentials_of(ca) if scheme == "https" else None)
    tokens = Tokens()
    ca_file = ca.file if scheme == "https" else None
    opened = channel(f"{scheme}://{HOST}", auth=tokens, address=server.address, ca_file=ca_file)
    server.refuse = {"Bearer secret-token-1", "Bearer secret-token-2"}

    with pytest.raises(grpc.RpcError) as first:
        opened.get()
    with pytest.raises(grpc.RpcError):
        opened.list(b"u-1")
    assert opened.get() == b"profile of u-1"

    assert first.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert tokens.refused == ["secret-token-1", "secret-token-2"]
    assert server.seen[-1][0] == "Bearer secret-token-3"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_authorization_of_the_callers_own_is_refused(
    channel: Open, serve: Serve, ca: Authority, auth: meshpass.SignedJWT, scheme: str
) -> None:
    server = serve(credentials_of(ca) if scheme == "https" else None)
    ca_file = ca.file if scheme == "https" else None
    opened = channel(f"{scheme}://{HOST}", auth=auth, address=server.address, ca_file=ca_file)

    with pytest.raises(meshpass.InvalidRequest, match="authorization metadata"):
        opened.get(metadata=(("authorization", "Bearer mine"),))

    assert server.seen == []


@pytest.mark.parametrize(
    "option", ["grpc.default_authority", "grpc.ssl_target_name_override", "grpc.enable_http_proxy"]
)
def test_the_name_and_the_way_cannot_be_changed_by_options(
    channel: Open, auth: meshpass.SignedJWT, option: str
) -> None:
    with pytest.raises(meshpass.ConfigurationError, match=option):
        channel(ORIGIN, auth=auth, address="127.0.0.1:9", grpc_options=[(option, "x")])


def test_a_proxy_of_the_environment_is_not_used(
    channel: Open,
    secure: GrpcServer,
    ca: Authority,
    auth: meshpass.SignedJWT,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)

    assert channel(ORIGIN, auth=auth, address=secure.address, ca_file=ca.file).get() == b"profile of u-1"


def test_a_source_that_fails_ends_the_call_without_a_word_of_the_secret(
    channel: Open, secure: GrpcServer, ca: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def fail() -> None:
        raise ValueError("the secret is hunter2")

    opened = channel(ORIGIN, auth=Tokens(fail), address=secure.address, ca_file=ca.file)

    with pytest.raises(grpc.RpcError) as failed:
        opened.get()

    assert "The token source failed with ValueError" in str(failed.value)
    assert "hunter2" not in str(failed.value) + caplog.text
    assert secure.seen == []


def test_a_token_that_no_header_can_hold_is_not_sent(
    channel: Open, secure: GrpcServer, ca: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(Tokens):
        def token(self) -> meshpass.Token:
            return meshpass.Token("a secret\r\nx: y", 9e9, "odd")

    with pytest.raises(grpc.RpcError, match="not a bearer token") as failed:
        channel(ORIGIN, auth=Odd(), address=secure.address, ca_file=ca.file).get()

    assert "a secret" not in str(failed.value) + caplog.text


def test_call_credentials_work_on_a_channel_of_ones_own(
    secure: GrpcServer, ca: Authority, auth: meshpass.SignedJWT
) -> None:
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(ca.file.read_bytes()), meshpass.grpc_call_credentials(auth)
    )
    options = [("grpc.default_authority", HOST)]
    with grpc.secure_channel(secure.address, credentials, options) as opened:
        assert opened.unary_unary(GET)(b"u-1", timeout=20) == b"profile of u-1"

    assert secure.seen[0][0] == f"Bearer {auth.token().value}"


def test_call_credentials_for_one_origin_give_no_token_to_another(
    secure: GrpcServer, ca: Authority, auth: meshpass.SignedJWT
) -> None:
    for base_url, works in ((ORIGIN, True), ("https://other.internal", False)):
        call_credentials = meshpass.grpc_call_credentials(auth, base_url=base_url)
        credentials = grpc.composite_channel_credentials(
            grpc.ssl_channel_credentials(ca.file.read_bytes()), call_credentials
        )
        with grpc.secure_channel(secure.address, credentials, [("grpc.default_authority", HOST)]) as opened:
            get = opened.unary_unary(GET)
            if works:
                assert get(b"u-1", timeout=20) == b"profile of u-1"
            else:
                with pytest.raises(grpc.RpcError, match="gets no token"):
                    get(b"u-1", timeout=20)

    assert len(secure.seen) == 1
    for wrong in ("http://a.internal", "a.internal", "https://a.internal/path"):
        with pytest.raises(meshpass.ConfigurationError, match="base_url"):
            meshpass.grpc_call_credentials(auth, base_url=wrong)


def test_a_slow_source_blocks_no_event_loop_and_is_asked_once(secure: GrpcServer, ca: Authority) -> None:
    started, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        assert go_on.wait(20)

    tokens = Tokens(wait)

    async def main() -> list[bytes]:
        async with meshpass.grpc_aio_channel(
            ORIGIN, auth=tokens, address=secure.address, ca_file=ca.file
        ) as opened:
            get = opened.unary_unary(GET)
            calls = [asyncio.ensure_future(get(b"%d" % n, timeout=20)) for n in range(5)]
            await asyncio.to_thread(started.wait, 20)
            # The loop runs on while the source is asked: this line would not be reached if it were blocked.
            go_on.set()
            responses: list[bytes] = await asyncio.gather(*calls)
            return responses

    assert asyncio.run(main()) == [b"profile of %d" % n for n in range(5)]
    assert tokens.made == 1


def test_the_plugin_shows_no_token(auth: meshpass.SignedJWT) -> None:
    plugin = CallTokens(auth, ORIGIN)
    plugin.metadata(auth.token())

    assert auth.token().value not in repr(vars(plugin)) + repr(plugin)


def test_the_plugin_never_waits_for_the_source_in_the_thread_that_asks() -> None:
    go_on, done = threading.Event(), threading.Event()
    tokens = Tokens(lambda: go_on.wait(20))
    delivered: list[Any] = []

    def callback(metadata: Any, error: Any) -> None:
        delivered.append((metadata, error))
        done.set()

    class Context:
        service_url = f"{ORIGIN}/profile.v1.Profiles"

    CallTokens(tokens, ORIGIN)(Context(), callback)

    assert delivered == []
    go_on.set()
    assert done.wait(20)
    assert delivered == [((("authorization", "Bearer secret-token-1"),), None)]
