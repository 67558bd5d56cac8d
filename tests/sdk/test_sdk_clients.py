"""Both clients against real servers: what is sent, what comes back, what is raised."""

import asyncio
import gzip
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import jwt
import meshpass
import pytest

from .conftest import Connect, Server

_ENVOY = {"server": "istio-envoy", "content-type": "text/plain"}


def test_the_request_goes_to_the_address_under_the_virtual_name(connect: Connect, server: Server) -> None:
    client = connect("http://user-profile.internal", address=server.address)

    response = client.get("/profile/{user_id}", user_id="ü/1 ?", params={"q": ["a b", "&"], "n": 1})

    seen = server.seen[0]
    assert response.status_code == 200
    assert seen.target == "/profile/%C3%BC%2F1%20%3F?q=a%20b&q=%26&n=1"
    assert seen.headers["host"] == "user-profile.internal"
    assert str(response.request.url) == f"http://user-profile.internal{seen.target}"
    assert response.elapsed.total_seconds() >= 0


def test_the_request_carries_the_callers_token(
    connect: Connect, server: Server, auth: meshpass.SignedJWT
) -> None:
    connect(address=server.address).get("/")

    assert server.seen[0].headers["authorization"] == f"Bearer {auth.token().value}"


def test_method_headers_and_body_arrive_as_given(connect: Connect, server: Server) -> None:
    client = connect(address=server.address)

    client.request("POST", "/a", json={"ä": 1}, headers={"X-Request-Id": "r1"})
    client.request("DELETE", "/b", content=b"\x00raw")

    first, second = server.seen
    assert (first.method, first.body) == ("POST", b'{"\\u00e4":1}')
    assert first.headers["content-type"] == "application/json"
    assert first.headers["x-request-id"] == "r1"
    assert (second.method, second.body) == ("DELETE", b"\x00raw")
    assert "content-type" not in second.headers


@pytest.mark.parametrize("status", [200, 201, 302, 400, 401, 403, 404, 409, 429, 500, 502, 503, 504])
def test_every_answer_of_the_service_itself_is_returned(
    connect: Connect, server: Server, status: int
) -> None:
    headers = {
        "server": "istio-envoy",
        "x-envoy-upstream-service-time": "3",
        "content-type": "application/json",
    }
    server.answer = lambda _: (status, headers, b'{"error": "profile_not_found"}')

    response = connect(address=server.address).get("/profile/{user_id}", user_id="u1")

    assert response.status_code == status
    assert response.json() == {"error": "profile_not_found"}


@pytest.mark.parametrize(
    ("status", "body", "error", "code"),
    [
        (401, b"Jwt is expired", meshpass.TokenRefused, "token_refused"),
        (403, b"Audiences in Jwt are not allowed", meshpass.TokenRefused, "token_refused"),
        (403, b"RBAC: access denied", meshpass.NotAllowed, "not_allowed"),
        (404, b"", meshpass.NoRoute, "no_route"),
        (503, b"no healthy upstream", meshpass.UpstreamUnavailable, "upstream_unavailable"),
        (504, b"upstream request timeout", meshpass.UpstreamUnavailable, "upstream_timeout"),
        (307, b"", meshpass.RequestRefused, "request_refused"),
    ],
)
def test_an_answer_of_the_mesh_is_raised_as_what_it_means(
    connect: Connect, server: Server, status: int, body: bytes, error: type[meshpass.MeshError], code: str
) -> None:
    server.answer = lambda _: (status, _ENVOY, body)

    with pytest.raises(error) as caught:
        connect(address=server.address).get("/profile/{user_id}", user_id="secret-user")

    raised = caught.value
    assert type(raised) is error
    assert (raised.code, raised.status, raised.service) == (code, status, "user-profile.internal")
    assert (raised.detail, raised.answered_by) == (body.decode(), "gateway")
    assert "GET /profile/{user_id} on user-profile.internal" in str(raised)
    assert "secret-user" not in str(raised)
    assert raised.hint


def test_a_refused_token_is_reported_with_its_claims_and_not_used_again(
    connect: Connect, server: Server, auth: meshpass.SignedJWT
) -> None:
    server.answer = lambda _: (401, _ENVOY, b"Jwt issuer is not configured")
    client = connect(address=server.address)
    kid = auth.jwks()["keys"][0]["kid"]

    for _ in range(2):
        with pytest.raises(
            meshpass.TokenRefused, match=f"iss=https://issuer.test aud=user-profile kid={kid} exp="
        ):
            client.get("/")

    assert len({seen.headers["authorization"] for seen in server.seen}) == 2


def test_a_token_that_a_policy_did_not_allow_stays_in_use(connect: Connect, server: Server) -> None:
    server.answer = lambda _: (403, _ENVOY, b"RBAC: access denied")
    client = connect(address=server.address)

    for _ in range(2):
        with pytest.raises(meshpass.NotAllowed):
            client.get("/")

    assert len({seen.headers["authorization"] for seen in server.seen}) == 1


def test_redirects_are_not_followed(connect: Connect, server: Server) -> None:
    server.answer = lambda _: (302, {"location": "http://evil.test/"}, b"")
    client = connect(address=server.address)

    assert [client.get("/").status_code, client.get("/").status_code] == [302, 302]
    assert [seen.target for seen in server.seen] == ["/", "/"]


def test_proxy_variables_are_not_read(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert connect(address=server.address).get("/").status_code == 200


def test_one_connection_serves_calls_one_after_the_other(connect: Connect, server: Server) -> None:
    client = connect(address=server.address)

    for _ in range(3):
        client.get("/")

    assert (len(server.seen), server.connections) == (3, 1)


def test_a_compressed_answer_is_decoded(connect: Connect, server: Server) -> None:
    server.answer = lambda _: (200, {"content-encoding": "gzip"}, gzip.compress(b'{"a":1}'))

    assert connect(address=server.address).get("/").json() == {"a": 1}


def test_an_answer_that_cannot_be_decoded_is_a_bad_response(connect: Connect, server: Server) -> None:
    server.answer = lambda _: (200, {"content-encoding": "gzip"}, b"not gzip")

    with pytest.raises(meshpass.BadResponse, match="its compressed data is damaged") as caught:
        connect(address=server.address).get("/")
    assert caught.value.code == "not_decodable"


def test_a_peer_that_speaks_another_protocol_is_a_bad_response(
    connect: Connect, raw_server: Callable[[Callable[[socket.socket], None]], str]
) -> None:
    def greet(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

    with pytest.raises(meshpass.BadResponse, match=r"did not send an HTTP/1\.1 response") as caught:
        connect(address=raw_server(greet)).get("/")
    assert (caught.value.code, caught.value.attempts) == ("not_http", 1)


@pytest.mark.parametrize(
    ("path", "extra"),
    [
        ("http://evil.test/", {}),
        ("//evil.test/", {}),
        ("/a", {"headers": {"Authorization": "Bearer x"}}),
        ("/a", {"headers": {"host": "evil.test"}}),
        ("/a", {"headers": {"Content-Length": "1"}}),
        ("/a", {"headers": {"X-A": "1\r\nX-B: 2"}}),
        ("/a", {"headers": {"X-A\r\nX-B": "2"}}),
        ("/a", {"headers": {"X-A": "ü"}}),
        ("/a", {"params": {"q": "\ud800"}}),
        ("/a", {"timeout_s": 0}),
        ("/{user_id}", {"user_id": ".."}),
    ],
)
def test_what_cannot_be_sent_safely_is_refused_before_anything_is_sent(
    connect: Connect, server: Server, path: str, extra: dict[str, object]
) -> None:
    with pytest.raises(meshpass.InvalidRequest):
        connect(address=server.address).get(path, **extra)

    assert server.connections == 0


@pytest.mark.parametrize("method", ["get", "GET /x HTTP/1.1\r\nX: ", ""])
def test_a_method_that_is_none_is_refused(connect: Connect, server: Server, method: str) -> None:
    with pytest.raises(meshpass.InvalidRequest):
        connect(address=server.address).request(method, "/")


def test_a_line_break_in_the_query_stays_in_the_query(connect: Connect, server: Server) -> None:
    connect(address=server.address).get("/a", params={"q": "1\r\nX-B: 2&c=#"})

    assert server.seen[0].target == "/a?q=1%0D%0AX-B%3A%202%26c%3D%23"
    assert "x-b" not in server.seen[0].headers


def test_a_token_that_no_header_can_hold_is_refused(connect: Connect, server: Server) -> None:
    class Broken:
        def token(self) -> meshpass.Token:
            return meshpass.Token("a\r\nX-B: 2", 9e9, "broken source")

        async def atoken(self) -> meshpass.Token:
            return self.token()

        def invalidate(self, token: meshpass.Token) -> None: ...

    with pytest.raises(meshpass.MeshError, match="from broken source is not a bearer token"):
        connect(address=server.address, auth=Broken()).get("/")

    assert not server.seen


def test_a_refused_connection_is_an_unreachable_gateway(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"

    with pytest.raises(meshpass.GatewayUnreachable) as caught:
        connect(address=address).get("/")

    assert isinstance(caught.value, meshpass.UpstreamUnavailable)
    assert caught.value.retryable
    assert f"user-profile.internal at {address} cannot be reached: Connection refused." in str(caught.value)


def test_a_name_that_does_not_resolve_is_an_unreachable_gateway(connect: Connect) -> None:
    with pytest.raises(meshpass.GatewayUnreachable, match=r"gateway\.invalid:443"):
        connect("https://user-profile.internal", address="gateway.invalid").get("/")


def test_a_gateway_that_accepts_nothing_is_unreachable(connect: Connect, full_address: str) -> None:
    client = connect(address=full_address, connect_timeout_s=0.2)

    with pytest.raises(meshpass.GatewayUnreachable, match=r"no connection within 0\.2 s"):
        client.get("/")


def test_no_answer_in_time_is_a_timeout(
    connect: Connect, raw_server: Callable[[Callable[[socket.socket], None]], str]
) -> None:
    def never_answer(connection: socket.socket) -> None:
        while connection.recv(4096):
            pass

    with pytest.raises(meshpass.MeshTimeout, match=r"no complete response within 0\.8 s") as caught:
        connect(address=raw_server(never_answer)).get("/", timeout_s=0.8)

    assert caught.value.retryable


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 OK\r\nx-drip: ", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["head", "body"]
)
def test_an_answer_that_drips_for_ever_is_a_timeout(
    connect: Connect, raw_server: Callable[[Callable[[socket.socket], None]], str], start: bytes
) -> None:
    def drip(connection: socket.socket) -> None:
        connection.settimeout(0.02)
        connection.sendall(start)
        while True:
            with suppress(TimeoutError):
                if not connection.recv(4096):
                    return
            connection.sendall(b"x")

    with pytest.raises(meshpass.MeshTimeout):
        connect(address=raw_server(drip), timeout_s=0.3).get("/")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nx",
    ],
    ids=["nothing", "half a body", "half a head"],
)
def test_a_connection_that_breaks_is_an_unavailable_upstream(
    connect: Connect, raw_server: Callable[[Callable[[socket.socket], None]], str], answer: bytes
) -> None:
    def break_off(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    with pytest.raises(meshpass.UpstreamUnavailable) as caught:
        connect(address=raw_server(break_off)).request("POST", "/")

    assert (type(caught.value), caught.value.code) == (meshpass.UpstreamUnavailable, "connection_lost")
    assert caught.value.status is None


def test_without_an_address_the_name_itself_is_dialled(connect: Connect, server: Server) -> None:
    assert connect(f"http://localhost:{server.server_port}").get("/").status_code == 200
    assert server.seen[0].headers["host"] == f"localhost:{server.server_port}"


def test_a_client_from_the_environment_calls_the_gateway(
    server: Server, pem: bytes, tmp_path: os.PathLike[str]
) -> None:
    key = os.path.join(tmp_path, "signing.pem")  # noqa: PTH118
    with open(key, "wb") as file:  # noqa: PTH123
        file.write(pem)
    environ = {
        "GKE_GATEWAY_URL": f"http://{server.address}",
        "GKE_GATEWAY_HOST": "user-profile.internal",
        "JWT_ISSUER": "https://issuer.test",
        "JWT_AUDIENCE": "aud",
        "JWT_SCOPE": "profile.read",
        "SIGNING_KEY_FILE": key,
    }

    async def call() -> None:
        async with meshpass.AsyncClient.from_env(environ, timeout_s=5) as client:
            await client.get("/profile/{user_id}", user_id="u1")

    asyncio.run(call())
    with meshpass.Client.from_env(environ) as client:
        client.get("/profile/{user_id}", user_id="u1")

    for seen in server.seen:
        claims = jwt.decode(seen.headers["authorization"].split()[1], options={"verify_signature": False})
        assert (seen.headers["host"], claims["scope"]) == ("user-profile.internal", "profile.read")
    assert len(server.seen) == 2


def test_a_closed_client_refuses_to_call(auth: meshpass.SignedJWT, server: Server) -> None:
    client = meshpass.Client("http://user-profile.internal", auth=auth, address=server.address)
    client.close()

    async def call_closed() -> None:
        closed = meshpass.AsyncClient("http://user-profile.internal", auth=auth, address=server.address)
        await closed.aclose()
        await closed.get("/")

    with pytest.raises(RuntimeError, match="closed"):
        client.get("/")
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(call_closed())


def test_one_async_client_works_in_one_event_loop_after_another(
    auth: meshpass.SignedJWT, server: Server
) -> None:
    server.answer = lambda _: (200, {"connection": "close"}, b"{}")
    client = meshpass.AsyncClient("http://user-profile.internal", auth=auth, address=server.address)

    for _ in range(3):
        asyncio.run(_status(client))
    asyncio.run(client.aclose())

    assert len(server.seen) == 3


async def _status(client: meshpass.AsyncClient) -> int:
    return (await client.get("/")).status_code


def test_many_concurrent_calls_each_get_their_own_answer(auth: meshpass.SignedJWT, server: Server) -> None:
    server.answer = lambda seen: (200, {}, seen.target.encode())

    async def call() -> list[str]:
        async with meshpass.AsyncClient("http://h.internal", auth=auth, address=server.address) as client:
            return [r.text for r in await asyncio.gather(*(client.get("/{n}", n=n) for n in range(50)))]

    assert asyncio.run(call()) == [f"/{n}" for n in range(50)]


def test_threads_share_a_client_and_each_call_gets_its_own_answer(
    auth: meshpass.SignedJWT, server: Server
) -> None:
    server.answer = lambda seen: (200, {}, seen.target.encode())

    with (
        meshpass.Client("http://h.internal", auth=auth, address=server.address) as client,
        ThreadPoolExecutor(16) as threads,
    ):
        answers = list(threads.map(lambda n: client.get("/{n}", n=n).text, range(400)))

    assert answers == [f"/{n}" for n in range(400)]
    assert server.connections <= 16


def test_cancelling_a_call_cancels_it_and_nothing_else(
    auth: meshpass.SignedJWT, raw_server: Callable[[Callable[[socket.socket], None]], str]
) -> None:
    arrived = threading.Event()

    def never_answer(connection: socket.socket) -> None:
        while connection.recv(4096):
            arrived.set()

    async def call() -> None:
        address = raw_server(never_answer)
        async with meshpass.AsyncClient("http://h.internal", auth=auth, address=address) as client:
            task = asyncio.create_task(client.get("/"))
            await asyncio.to_thread(arrived.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(call())


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_opens_connections_of_its_own(auth: meshpass.SignedJWT, server: Server) -> None:
    with meshpass.Client("http://user-profile.internal", auth=auth, address=server.address) as client:
        client.get("/")
        child = os.fork()
        if child == 0:
            os._exit(0 if client.get("/").status_code == 200 else 1)

        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.get("/").status_code == 200
    assert (len(server.seen), server.connections) == (3, 2)


@pytest.mark.parametrize(
    ("start", "hint"),
    [
        (b"\0\0\0\x04\0\0\0\0\0", "takes HTTP/2 alone"),
        (b"\x15\x03\x01\0\x02\x02\x46", "must begin with https://"),
        (b"SSH-2.0-OpenSSH\r\n", "address and port"),
        (b"HTTP/1.1 200 OK\ncontent-length: 0\n\n", "bare line feed"),
    ],
    ids=["HTTP/2", "TLS", "SSH", "bare line feeds"],
)
def test_a_peer_of_another_protocol_is_reported_at_once_and_not_asked_again(
    connect: Connect, raw_server: Callable[[Callable[[socket.socket], None]], str], start: bytes, hint: str
) -> None:
    asked = []

    def begin_and_wait(connection: socket.socket) -> None:
        asked.append(connection.recv(4096))
        connection.sendall(start)
        while connection.recv(4096):
            pass

    with pytest.raises(meshpass.BadResponse, match=hint) as caught:
        connect(address=raw_server(begin_and_wait), timeout_s=60).get("/")

    assert (caught.value.retryable, caught.value.attempts, len(asked)) == (False, 1, 1)


def test_a_status_that_is_none_of_http_is_returned_and_sent_once(connect: Connect, server: Server) -> None:
    server.answer = lambda _: (999, {}, b"odd")

    response = connect(address=server.address).get("/")

    assert (response.status_code, response.content, len(server.seen)) == (999, b"odd", 1)
    with pytest.raises(httpx.HTTPStatusError):
        response.raise_for_status()
