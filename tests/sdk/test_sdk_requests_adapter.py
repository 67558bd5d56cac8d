"""A plain session of requests over the mesh."""

import gzip
import itertools
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import meshpass
import pytest
import requests
from meshpass._adapters.library_errors import NAMES
from meshpass.testing import FakeGateway, Reply

from .conftest import Authority, RawServer, Seen, Server

ORIGIN = "http://user-profile.internal"

Over = Callable[..., requests.Session]


def silent(connection: socket.socket) -> None:
    """Read until the peer closes, and send nothing."""
    while connection.recv(1000):
        pass


@pytest.fixture
def over(auth: meshpass.SignedJWT) -> Iterator[Over]:
    with ExitStack() as stack:

        def build(address: str, origin: str = ORIGIN, **kwargs: Any) -> requests.Session:  # noqa: ANN401
            kwargs.setdefault("auth", auth)
            session = stack.enter_context(requests.Session())
            session.mount(f"{origin}/", meshpass.requests_adapter(origin, address=address, **kwargs))
            return session

        yield build


def test_a_request_carries_the_name_the_token_and_what_the_caller_of_requests_wrote(
    over: Over, server: Server, auth: meshpass.SignedJWT
) -> None:
    response = over(server.address).post(f"{ORIGIN}/a%2Fb?q=x+y", params={"p": "ü"}, data={"k": "v"})

    (seen,) = server.seen
    assert (seen.method, seen.target, seen.body) == ("POST", "/a%2Fb?q=x+y&p=%C3%BC", b"k=v")
    assert seen.headers["host"] == "user-profile.internal"
    assert seen.headers["authorization"] == f"Bearer {auth.token().value}"
    assert seen.headers["user-agent"].startswith("python-requests/")
    assert (response.status_code, response.reason, response.json()) == (200, "OK", {})
    assert response.url == f"{ORIGIN}/a%2Fb?q=x+y&p=%C3%BC"
    assert "authorization" not in response.request.headers


def test_tls_checks_the_virtual_name_whatever_verify_says(
    over: Over, serve: Callable[..., Server], ca: Authority
) -> None:
    server = serve(ca.context("user-profile.internal"))
    good = over(server.address, "https://user-profile.internal", ca_file=ca.file)
    assert good.get("https://user-profile.internal/").status_code == 200

    other = over(server.address, "https://other.internal", ca_file=ca.file)
    with pytest.raises(requests.exceptions.SSLError) as failed:
        other.get("https://other.internal/", verify=False)
    assert isinstance(failed.value, meshpass.GatewayTLSError)


def test_a_redirect_to_another_host_goes_without_the_token(over: Over, serve: Callable[..., Server]) -> None:
    server, foreign = serve(), serve()
    server.answer = lambda _: (302, {"location": f"http://{foreign.address}/"}, b"")

    over(server.address).get(f"{ORIGIN}/")

    (seen,) = foreign.seen
    assert "authorization" not in seen.headers


@pytest.mark.parametrize(
    "url",
    [
        "http://user-profile.internal.evil.test/",
        "http://user-profile.internal:81/",
        "https://user-profile.internal/",
    ],
)
def test_another_origin_is_refused_even_where_the_adapter_is_mounted_for_it(
    auth: meshpass.SignedJWT, server: Server, url: str
) -> None:
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, meshpass.RequestsAdapter(ORIGIN, auth=auth, address=server.address))
        with pytest.raises(meshpass.InvalidRequest, match="never sent to another origin") as refused:
            session.get(url)

    assert isinstance(refused.value, requests.RequestException)
    assert isinstance(refused.value.request, requests.PreparedRequest)
    assert refused.value.request.url == url
    assert server.seen == []


def test_a_dot_segment_is_refused(over: Over, server: Server) -> None:
    with pytest.raises(meshpass.InvalidRequest, match="segment"):
        over(server.address).get(f"{ORIGIN}/%2e%2e/admin")

    assert server.seen == []


def test_an_authorization_of_the_callers_own_is_refused_or_goes_in_another_header(
    over: Over, server: Server, auth: meshpass.SignedJWT
) -> None:
    with pytest.raises(meshpass.InvalidRequest, match="Authorization header"):
        over(server.address).get(f"{ORIGIN}/", auth=("user", "password"))
    assert server.seen == []

    over(server.address, authorization_header="X-User-Authorization").get(
        f"{ORIGIN}/", auth=("user", "password")
    )
    (seen,) = server.seen
    assert seen.headers["x-user-authorization"].startswith("Basic ")
    assert seen.headers["authorization"] == f"Bearer {auth.token().value}"


def test_cookies_are_kept_by_the_session_alone(over: Over, server: Server) -> None:
    numbers = itertools.count()

    def answer(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        return 200, {"set-cookie": f"n={next(numbers)}"}, seen.headers.get("cookie", "").encode()

    server.answer = answer
    session = over(server.address)

    assert [session.get(f"{ORIGIN}/").text for _ in range(3)] == ["", "n=0", "n=1"]
    assert session.get(f"{ORIGIN}/").cookies["n"] == "3"
    session.cookies.clear()
    assert session.get(f"{ORIGIN}/").text == ""


def test_a_body_is_decoded_within_the_limit_and_can_be_iterated(over: Over, server: Server) -> None:
    packed = gzip.compress(b"x" * 5000)
    server.answer = lambda _: (200, {"content-encoding": "gzip", "content-length": str(len(packed))}, packed)

    with over(server.address).get(f"{ORIGIN}/", stream=True) as response:
        assert b"".join(response.iter_content(100)) == b"x" * 5000
        assert "content-encoding" not in response.headers
    with pytest.raises(requests.exceptions.ContentDecodingError, match="larger than 4000"):
        over(server.address, max_response_bytes=4000).get(f"{ORIGIN}/")


def test_a_response_can_be_streamed(raw_server: RawServer, over: Over) -> None:
    arrived = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab")
        assert arrived.wait(20)
        connection.sendall(b"cd")
        silent(connection)

    with over(raw_server(serve), timeout_s=30).get(f"{ORIGIN}/", stream=True) as response:
        parts = response.iter_content(2)
        # The rest is sent only after this part was read.
        assert next(parts) == b"ab"
        arrived.set()
        assert list(parts) == [b"cd"]


def test_a_body_that_fails_while_it_is_streamed_is_an_error_of_both(
    over: Over, raw_server: RawServer
) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab")
        silent(connection)

    with over(raw_server(serve), timeout_s=0.3).get(f"{ORIGIN}/", stream=True) as response:
        with pytest.raises(requests.ReadTimeout) as failed:
            _ = response.content
        assert isinstance(failed.value, meshpass.MeshTimeout)


def test_bodies_of_every_kind_are_sent(over: Over, server: Server, tmp_path: Path) -> None:
    session = over(server.address)
    file = tmp_path / "f"
    file.write_bytes(b"of a file")

    session.put(f"{ORIGIN}/", data=b"bytes")
    session.put(f"{ORIGIN}/", data="tëxt")
    session.put(f"{ORIGIN}/", data=iter([b"a", b"b"]))
    with file.open("rb") as opened:
        session.put(f"{ORIGIN}/", data=opened)

    assert [seen.body for seen in server.seen] == [b"bytes", "tëxt".encode(), b"ab", b"of a file"]


def test_only_idempotent_methods_are_retried(over: Over) -> None:
    with FakeGateway() as gateway:
        session = over(
            gateway.address, gateway.base_url, auth=gateway.auth(), retry=meshpass.RetryPolicy(backoff_s=0)
        )
        gateway.fail(2)
        assert session.get(f"{gateway.base_url}/").status_code == 200
        assert len(gateway.requests) == 3

        gateway.fail(1)
        with pytest.raises(requests.ConnectionError) as failed:
            session.post(f"{gateway.base_url}/", data=b"x")
        assert isinstance(failed.value, meshpass.UpstreamUnavailable)
        assert len(gateway.requests) == 4


def test_what_the_mesh_refuses_is_an_error_and_what_the_service_says_is_a_response(over: Over) -> None:
    with FakeGateway() as gateway:
        session = over(gateway.address, gateway.base_url, auth=gateway.auth())
        gateway.service = lambda _: Reply.json({"error": "mine"}, 403)
        assert session.get(f"{gateway.base_url}/").status_code == 403

        gateway.allow = lambda _: False
        with pytest.raises(requests.exceptions.ProxyError) as refused:
            session.get(f"{gateway.base_url}/")
        error = refused.value
        assert isinstance(error, meshpass.NotAllowed)
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), again.status, type(again)) == (str(error), 403, type(error))


def test_no_connection_is_an_error_of_requests(over: Over) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

    with pytest.raises(requests.ConnectionError) as failed:
        over(address, retry=meshpass.RetryPolicy(attempts=1)).get(f"{ORIGIN}/")

    assert isinstance(failed.value, meshpass.GatewayUnreachable)


@pytest.mark.parametrize(
    ("timeout_s", "timeout"), [(10.0, 0.2), (0.2, 10), (0.2, None), (10.0, (5, 0.2)), (0.2, (5, None))]
)
def test_the_smaller_of_both_limits_counts_for_the_whole_call(
    raw_server: RawServer,
    over: Over,
    timeout_s: float,
    timeout: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(requests.ReadTimeout, match=r"within 0\.2 s") as failed:
        over(raw_server(silent), timeout_s=timeout_s).get(f"{ORIGIN}/", timeout=timeout)

    assert isinstance(failed.value, meshpass.MeshTimeout)


@pytest.mark.parametrize(
    ("connect_timeout_s", "timeout"), [(20.0, (0.2, 30)), (0.2, (20, 30)), (0.2, (None, 30)), (0.2, None)]
)
def test_the_smaller_of_both_limits_counts_for_connecting(
    over: Over,
    full_address: str,
    connect_timeout_s: float,
    timeout: Any,  # noqa: ANN401
) -> None:
    session = over(
        full_address,
        timeout_s=30,
        connect_timeout_s=connect_timeout_s,
        retry=meshpass.RetryPolicy(attempts=1),
    )

    with pytest.raises(requests.ConnectionError, match=r"no connection within 0\.2 s"):
        session.get(f"{ORIGIN}/", timeout=timeout)


@pytest.mark.parametrize("timeout", ["5", ("1", 5), (5, "1"), (1, 2, 3), (), -1, float("nan")])
def test_a_limit_that_is_no_number_of_seconds_is_refused(
    over: Over,
    server: Server,
    timeout: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(requests.exceptions.InvalidURL, match="The time limit is "):
        over(server.address).get(f"{ORIGIN}/", timeout=timeout)
    assert not server.seen


def test_a_session_closes_what_the_adapter_made_and_nothing_else(
    auth: meshpass.SignedJWT, server: Server, tmp_path: Path
) -> None:
    made = meshpass.RequestsAdapter(ORIGIN, auth=auth, address=server.address)
    with requests.Session() as session:
        session.mount(f"{ORIGIN}/", made)
        session.get(f"{ORIGIN}/")
        request = session.prepare_request(requests.Request("GET", f"{ORIGIN}/"))
    with pytest.raises(RuntimeError, match="closed"):
        made.send(request)

    with meshpass.Client(ORIGIN, auth=auth, address=server.address) as client:
        with requests.Session() as session:
            session.mount(f"{ORIGIN}/", meshpass.RequestsAdapter(client))
            session.get(f"{ORIGIN}/")
        assert client.get("/").status_code == 200

    with FakeGateway() as gateway, requests.Session() as session:
        session.mount("http://", meshpass.RequestsAdapter.from_env(gateway.environ(tmp_path)))
        assert session.get(f"{gateway.base_url}/").status_code == 200


def test_every_code_has_an_error_of_requests() -> None:
    named = [getattr(requests.exceptions, names.requests) for names in NAMES.values()]

    assert all(issubclass(error, requests.RequestException) for error in named)
