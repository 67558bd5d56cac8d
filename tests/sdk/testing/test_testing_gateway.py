"""The gateway for users' tests answers as the mesh does, and meshpass's clients take it for the mesh."""

import asyncio
import json
import socket
from pathlib import Path

import meshpass
import pytest
from meshpass.testing import FakeClock, FakeGateway, InMemorySource, MeshRequest, Reply, ThrowawayKey


def test_the_service_answers_a_caller_with_a_good_token(meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.service = lambda request: Reply.json(
        {"path": request.path, "sub": (request.claims or {})["sub"]}
    )

    with meshpass_gateway.client() as client:
        answer = client.get("/profile/{user_id}", user_id="u 1")

    assert answer.json() == {"path": "/profile/u%201", "sub": "https://issuer.test"}
    assert answer.headers["server"] == "istio-envoy"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_response_is_sent_in_one_write(
    meshpass_gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    # A body in a second segment waits for the acknowledgement of the first: 40 ms on each kept connection.
    writes: list[bytes] = []
    write, sendall = socket.SocketIO.write, socket.socket.sendall

    def counted_write(stream: socket.SocketIO, data: bytes) -> int | None:
        writes.append(bytes(data))
        return write(stream, data)

    def counted_sendall(sock: socket.socket, data: bytes) -> None:
        writes.append(bytes(data))
        sendall(sock, data)

    monkeypatch.setattr(socket.SocketIO, "write", counted_write)
    monkeypatch.setattr(socket.socket, "sendall", counted_sendall)
    with meshpass_gateway.client() as client:
        for _ in range(2):
            client.request(method, "/")

    responses = [data for data in writes if not data.startswith(method.encode())]
    assert len(responses) == 2
    assert all(data.startswith(b"HTTP/1.1 200") for data in responses)


def test_an_async_client_gets_the_same_answer(meshpass_gateway: FakeGateway) -> None:
    async def call() -> object:
        async with meshpass_gateway.async_client() as client:
            return (await client.get("/")).json()

    assert asyncio.run(call()) == {}


def test_a_client_made_from_the_environment_calls_through_it(
    meshpass_gateway: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in meshpass_gateway.environ(tmp_path).items():
        monkeypatch.setenv(name, value)

    with meshpass.Client.from_env() as client:
        assert client.get("/").status_code == 200

    assert (tmp_path / "signing.pem").stat().st_mode & 0o077 == 0


def test_a_token_that_is_none_is_refused_in_the_words_of_envoy(meshpass_gateway: FakeGateway) -> None:
    with (
        meshpass_gateway.client(auth=InMemorySource()) as client,
        pytest.raises(meshpass.TokenRefused, match=r"Header\.Payload\.Signature") as caught,
    ):
        client.get("/")

    assert (caught.value.status, caught.value.answered_by) == (401, "gateway")


def test_a_token_for_another_audience_is_refused_with_403(meshpass_gateway: FakeGateway) -> None:
    auth = meshpass.SignedJWT("https://issuer.test", "another", meshpass_gateway.key)

    with (
        meshpass_gateway.client(auth=auth) as client,
        pytest.raises(meshpass.TokenRefused, match="Audiences in Jwt") as caught,
    ):
        client.get("/")

    assert caught.value.status == 403


def test_a_policy_decides_on_the_request_and_its_claims(meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.allow = lambda request: request.method == "GET" and bool(request.claims)

    with meshpass_gateway.client() as client:
        assert client.get("/").status_code == 200
        with pytest.raises(meshpass.NotAllowed, match="RBAC: access denied"):
            client.request("POST", "/")


def test_another_host_has_no_route(meshpass_gateway: FakeGateway) -> None:
    with (
        meshpass.Client(
            "http://other.internal", address=meshpass_gateway.address, auth=meshpass_gateway.auth()
        ) as client,
        pytest.raises(meshpass.NoRoute),
    ):
        client.get("/")


def test_a_service_without_pods_is_unavailable(meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.service = None

    with meshpass_gateway.client() as client, pytest.raises(meshpass.UpstreamUnavailable, match="no healthy"):
        client.get("/")


def test_the_services_own_errors_are_returned(meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.service = lambda _: Reply.json({"error": "profile_not_found"}, 404)

    with meshpass_gateway.client() as client:
        assert client.get("/").status_code == 404


def test_after_a_change_of_keys_the_old_key_is_refused(meshpass_gateway: FakeGateway) -> None:
    new = ThrowawayKey()
    old = meshpass_gateway.auth()
    meshpass_gateway.trust([*meshpass_gateway.key.jwks["keys"], *new.jwks["keys"]])
    with meshpass_gateway.client(auth=old) as client:
        assert client.get("/").status_code == 200

    meshpass_gateway.trust(new.jwks["keys"])

    with (
        meshpass_gateway.client(auth=old) as client,
        pytest.raises(meshpass.TokenRefused, match="doesn't have key"),
    ):
        client.get("/")


def test_a_token_expires_when_the_clock_says_so(meshpass_clock: FakeClock) -> None:
    with FakeGateway(clock=meshpass_clock) as gateway:
        stale = gateway.auth().token().value
        with gateway.client(auth=InMemorySource(stale)) as client:
            assert client.get("/").status_code == 200
            meshpass_clock.advance(300 + 60 + 1)
            with pytest.raises(meshpass.TokenRefused, match="Jwt is expired"):
                client.get("/")


def test_every_request_is_kept_for_the_test_to_look_at(meshpass_gateway: FakeGateway) -> None:
    with meshpass_gateway.client() as client:
        client.request("POST", "/a", content=b"body")

    (seen,) = meshpass_gateway.requests
    assert (seen.method, seen.path, seen.body) == ("POST", "/a", b"body")
    assert seen.headers["host"] == "user-profile.internal"


def test_an_answer_of_json_is_json() -> None:
    assert json.loads(Reply.json({"a": 1}).body) == {"a": 1}


def test_a_fake_that_does_not_run_says_how_to_run_it() -> None:
    with pytest.raises(RuntimeError, match="`with` block"):
        _ = FakeGateway().address


def test_a_mesh_that_fails_twice_is_called_a_third_time_without_a_wait(meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.fail(2, status=503)

    with meshpass_gateway.client() as client:
        assert client.get("/").status_code == 200

    assert len(meshpass_gateway.requests) == 3


def test_a_gateway_that_restarts_breaks_its_connections(meshpass_gateway: FakeGateway) -> None:
    with meshpass_gateway.client() as client:
        for _ in range(5):
            assert client.get("/").status_code == 200
            meshpass_gateway.break_connections()


def test_a_status_that_envoy_never_makes_up_is_refused(meshpass_gateway: FakeGateway) -> None:
    with pytest.raises(ValueError, match="does not answer 418"):
        meshpass_gateway.fail(status=418)


class UnexpectedError(Exception):
    """What a function of a test raises."""


@pytest.mark.parametrize("function", ["service", "allow", "has_route"])
@pytest.mark.parametrize(
    "error", [UnexpectedError("of the test"), AssertionError("no"), SystemExit(3)], ids=repr
)
def test_what_a_function_of_the_test_raises_is_raised_in_the_test(
    function: str, error: BaseException
) -> None:
    def fails(_: MeshRequest) -> Reply:
        raise error

    with pytest.raises(type(error)) as caught, FakeGateway() as gateway:  # noqa: PT012
        setattr(gateway, function, fails)
        with gateway.client() as client:
            answer = client.get("/")
            assert (answer.status_code, len(gateway.requests)) == (500, 1)

    assert caught.value is error
    assert caught.traceback[-1].name == "fails"


def test_an_error_of_the_test_itself_does_not_hide_it() -> None:
    def fails(_: MeshRequest) -> Reply:
        raise UnexpectedError

    with pytest.raises(UnexpectedError) as caught, FakeGateway() as gateway, gateway.client() as client:  # noqa: PT012
        gateway.service = fails
        assert client.get("/").status_code == 200

    assert isinstance(caught.value.__context__, AssertionError)


def test_of_several_errors_the_first_is_raised_and_the_others_are_counted(
    meshpass_gateway: FakeGateway,
) -> None:
    errors = [UnexpectedError(1), UnexpectedError(2)]

    def fails(_: MeshRequest) -> Reply:
        raise errors[len(meshpass_gateway.requests) - 1]

    meshpass_gateway.service = fails
    with meshpass_gateway.client() as client:
        client.get("/")
        client.get("/")

    assert meshpass_gateway.errors == errors
    with pytest.raises(UnexpectedError) as caught:
        meshpass_gateway.raise_error()
    assert caught.value is errors[0]
    assert "raised 2 times" in caught.value.__notes__[0]
    meshpass_gateway.raise_error()  # once is enough


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (None, "must return a meshpass.testing.Reply; it returned NoneType"),
        ({"a": 1}, "it returned dict"),
        (Reply(headers={"x": "a\r\nb"}), "cannot be sent"),
        (Reply(headers={"x": "Müller"}), "cannot be sent"),
    ],
)
def test_a_reply_that_is_none_is_an_error_of_the_test(reply: Reply, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words), FakeGateway() as gateway:  # noqa: PT012
        gateway.service = lambda _: reply
        with gateway.client() as client:
            client.get("/")


def test_an_asynchronous_service_is_an_error_of_the_test() -> None:
    async def service(_: MeshRequest) -> Reply:
        return Reply()

    with pytest.raises(TypeError, match="plain function"), FakeGateway() as gateway:  # noqa: PT012
        gateway.service = service  # type: ignore[assignment]
        with gateway.client() as client:
            client.get("/")


def test_each_host_has_a_service_rules_and_requests_of_its_own(meshpass_gateway: FakeGateway) -> None:
    orders = meshpass_gateway.host("Orders.internal", audience="orders")
    meshpass_gateway.service = lambda _: Reply.json({"from": "profiles"})
    orders.service = lambda request: Reply.json({"from": request.host, "aud": (request.claims or {})["aud"]})

    with (
        meshpass_gateway.client() as profiles,
        orders.client() as client,
        profiles.for_service("http://orders.internal") as with_the_other_token,
    ):
        assert profiles.get("/p").json() == {"from": "profiles"}
        assert client.get("/o").json() == {"from": "orders.internal", "aud": "orders"}
        with pytest.raises(meshpass.TokenRefused, match="Audiences"):
            with_the_other_token.get("/refused")

    assert [request.path for request in orders.requests] == ["/o", "/refused"]
    assert [request.path for request in meshpass_gateway.requests] == ["/p", "/o", "/refused"]


def test_a_host_shares_the_gateways_token_rules_unless_it_has_its_own(meshpass_gateway: FakeGateway) -> None:
    orders = meshpass_gateway.host("orders.internal")

    with meshpass_gateway.client() as profiles, profiles.for_service(orders.base_url) as client:
        assert client.get("/").status_code == 200
        orders.trust(ThrowawayKey().jwks["keys"])
        with pytest.raises(meshpass.TokenRefused, match="doesn't have key"):
            client.get("/")
        assert profiles.get("/").status_code == 200


def test_a_failure_is_that_of_one_host_or_of_the_whole_gateway(meshpass_gateway: FakeGateway) -> None:
    orders = meshpass_gateway.host("orders.internal")
    once = meshpass.RetryPolicy(attempts=1)
    with meshpass_gateway.client(retry=once) as profiles, orders.client(retry=once) as client:
        orders.fail()
        assert profiles.get("/").status_code == 200
        with pytest.raises(meshpass.UpstreamUnavailable):
            client.get("/")
        meshpass_gateway.fail()
        with pytest.raises(meshpass.UpstreamUnavailable):
            client.get("/")
        assert client.get("/").status_code == 200


def test_a_host_that_is_there_already_is_refused(meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.host("orders.internal")
    for name in ("Orders.internal", "user-profile.internal"):
        with pytest.raises(ValueError, match="has the host"):
            meshpass_gateway.host(name)


def test_a_host_can_be_called_from_the_environment(
    meshpass_gateway: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = meshpass_gateway.host("orders.internal", issuer="https://other.test", audience="orders")
    for name, value in orders.environ(tmp_path).items():
        monkeypatch.setenv(name, value)

    with meshpass.Client.from_env() as client:
        assert client.get("/").status_code == 200

    assert len(orders.requests) == 1


def test_a_gateway_that_is_reset_is_as_new(meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.host("orders.internal")
    meshpass_gateway.service = None
    meshpass_gateway.fail()
    meshpass_gateway.trust(ThrowawayKey().jwks["keys"])
    meshpass_gateway.reset()

    with meshpass_gateway.client() as client:
        assert client.get("/").status_code == 200
    assert len(meshpass_gateway.requests) == 1
    meshpass_gateway.host("orders.internal")
