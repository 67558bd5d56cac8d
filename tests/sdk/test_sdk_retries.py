"""Retries: what is sent again, how often, after which wait, and what an outage costs."""

import math
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import meshpass
import pytest
from hypothesis import given
from hypothesis import strategies as st
from meshpass._call.budget import RetryBudget
from meshpass._call.retry import retry_after_s, wait_s

from .conftest import Answer, Connect, Seen, Server

_ENVOY = {"server": "istio-envoy", "content-type": "text/plain"}
_DOWN: Answer = (503, _ENVOY, b"no healthy upstream")
_SERVICE = {"x-envoy-upstream-service-time": "1", "content-type": "application/json"}
_FINE: Answer = (200, _SERVICE, b"{}")
_EAGER = meshpass.RetryPolicy(backoff_s=0)


def answers(*given_: Answer) -> Callable[[Seen], Answer]:
    """Answer with these in turn; the last one stays."""
    left = list(given_)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_idempotent_call_is_sent_again_when_the_mesh_has_no_service(
    connect: Connect, server: Server, method: str, status: int
) -> None:
    server.answer = answers((status, _ENVOY, b""), _FINE)

    assert connect(address=server.address, retry=_EAGER).request(method, "/").status_code == 200
    assert len(server.seen) == 2


def test_a_call_that_is_not_idempotent_is_sent_once(connect: Connect, server: Server) -> None:
    server.answer = answers(_DOWN, _FINE)

    with pytest.raises(meshpass.UpstreamUnavailable) as caught:
        connect(address=server.address, retry=_EAGER).request("POST", "/", json=1)

    assert (len(server.seen), caught.value.attempts) == (1, 1)


def test_a_caller_may_say_that_a_call_is_idempotent_or_is_not(connect: Connect, server: Server) -> None:
    client = connect(address=server.address, retry=_EAGER)

    server.answer = answers(_DOWN, _FINE)
    assert client.request("POST", "/", json=1, idempotent=True).status_code == 200
    assert [seen.body for seen in server.seen] == [b"1", b"1"]
    server.answer = answers(_DOWN, _FINE)
    with pytest.raises(meshpass.UpstreamUnavailable):
        client.request("GET", "/", idempotent=False)


def test_three_attempts_are_made_and_the_error_tells_how_many(connect: Connect, server: Server) -> None:
    server.answer = answers(_DOWN)

    with pytest.raises(meshpass.UpstreamUnavailable, match="It was tried 3 times") as caught:
        connect(address=server.address, retry=_EAGER).get("/")

    assert (len(server.seen), caught.value.attempts) == (3, 3)


@pytest.mark.parametrize(
    ("first", "says"),
    [
        ((503, _ENVOY, b"no healthy upstream"), "An earlier attempt was answered 503 by the "),
        (
            (429, _SERVICE | {"retry-after": "0"}, b"{}"),
            "An earlier attempt was answered 429 by the service.",
        ),
    ],
    ids=["mesh", "service"],
)
def test_a_call_whose_time_runs_out_in_a_retry_says_what_the_attempt_before_was_answered(
    connect: Connect, server: Server, first: Answer, says: str
) -> None:
    may_go_on = threading.Event()
    seen: list[Seen] = []

    def answer(one: Seen) -> Answer:
        seen.append(one)
        if len(seen) > 1:
            may_go_on.wait(20)
        return first

    server.answer = answer
    try:
        with pytest.raises(meshpass.MeshTimeout) as caught:
            connect(address=server.address, retry=_EAGER, timeout_s=3.0).get("/")
    finally:
        may_go_on.set()
    assert says in str(caught.value)
    assert "the time ran out" in str(caught.value)


def test_a_policy_of_one_attempt_never_retries(connect: Connect, server: Server) -> None:
    server.answer = answers(_DOWN)
    client = connect(address=server.address, retry=_EAGER)

    with pytest.raises(meshpass.UpstreamUnavailable):
        client.get("/", retry=meshpass.RetryPolicy(attempts=1))

    assert len(server.seen) == 1


def test_a_gateway_that_comes_back_is_found_again(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    patient = meshpass.RetryPolicy(attempts=1000, backoff_s=0.005, max_backoff_s=0.005, budget_burst=1000)
    back = threading.Event()

    def come_back() -> None:
        host, port = address.split(":")
        with socket.create_server((host, int(port))) as listener:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                back.set()

    timer = threading.Timer(0.1, come_back)
    timer.start()
    try:
        assert connect(address=address, retry=patient).get("/").status_code == 200
    finally:
        timer.join()
    assert back.is_set()


def test_the_services_own_failures_are_returned_and_not_retried(connect: Connect, server: Server) -> None:
    client = connect(address=server.address, retry=_EAGER)

    for status in (500, 502, 503, 504, 429):
        server.answer = answers((status, _SERVICE, b"{}"), _FINE)
        assert client.get("/").status_code == status
    assert len(server.seen) == 5


def test_the_services_own_failures_are_retried_when_asked_for(connect: Connect, server: Server) -> None:
    server.answer = answers((500, _SERVICE, b"{}"), _FINE)
    policy = meshpass.RetryPolicy(backoff_s=0, statuses={500})

    assert connect(address=server.address, retry=policy).get("/").status_code == 200


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("headers", [_ENVOY, _SERVICE], ids=["mesh", "service"])
def test_a_retry_after_is_honoured_from_mesh_and_service(
    connect: Connect, server: Server, status: int, headers: dict[str, str]
) -> None:
    server.answer = answers((status, {**headers, "retry-after": "0"}, b""), _FINE)

    assert connect(address=server.address).get("/").status_code == 200
    assert len(server.seen) == 2


def test_a_retry_after_beyond_the_deadline_is_given_up_at_once(connect: Connect, server: Server) -> None:
    server.answer = answers((503, {**_ENVOY, "retry-after": "60"}, b"no healthy upstream"))

    with pytest.raises(meshpass.UpstreamUnavailable) as caught:
        connect(address=server.address, timeout_s=30).get("/")

    assert (len(server.seen), caught.value.retry_after_s) == (1, 60)


@pytest.mark.parametrize(
    "cause",
    [b"Jwt is expired", b"Jwt verification fails", b"Jwks doesn't have key to match kid or alg from Jwt"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_token_is_renewed_once_and_the_call_goes_through(
    connect: Connect, server: Server, cause: bytes, method: str
) -> None:
    server.answer = answers((401, _ENVOY, cause), _FINE)

    response = connect(address=server.address, retry=meshpass.RetryPolicy(attempts=1)).request(method, "/")

    assert response.status_code == 200
    assert len({seen.headers["authorization"] for seen in server.seen}) == 2


def test_a_token_refused_twice_is_not_renewed_again(connect: Connect, server: Server) -> None:
    server.answer = answers((401, _ENVOY, b"Jwt is expired"))

    with pytest.raises(meshpass.TokenRefused) as caught:
        connect(address=server.address).get("/")

    assert (len(server.seen), caught.value.attempts, caught.value.cause) == (2, 2, "expired")


@pytest.mark.parametrize(
    ("status", "words", "cause"),
    [
        (401, b"Jwt issuer is not configured", "issuer"),
        (401, b"Jwt is missing", "missing"),
        (401, b"Jwks remote fetch is failed", "keys_unavailable"),
        (403, b"Audiences in Jwt are not allowed", "audience"),
    ],
)
def test_a_token_refused_for_what_is_configured_is_not_renewed(
    connect: Connect, server: Server, status: int, words: bytes, cause: str
) -> None:
    server.answer = answers((status, _ENVOY, words), _FINE)

    with pytest.raises(meshpass.TokenRefused) as caught:
        connect(address=server.address).get("/")

    assert (len(server.seen), caught.value.cause) == (1, cause)


def test_an_outage_is_not_multiplied(connect: Connect, server: Server) -> None:
    server.answer = answers(_DOWN)
    policy = meshpass.RetryPolicy(backoff_s=0, budget_ratio=0.2, budget_floor_per_s=0, budget_burst=10)
    client = connect(address=server.address, retry=policy)

    for _ in range(200):
        with suppress(meshpass.UpstreamUnavailable):
            client.get("/")

    # 10 that were saved up, and one for five calls.
    assert 200 < len(server.seen) <= 200 + 10 + 200 * 0.2


def test_a_budget_grants_its_share_and_its_floor() -> None:
    now = [0.0]
    budget = RetryBudget(0.25, 1.0, 2.0, clock=lambda: now[0])

    assert [budget.withdraw() for _ in range(3)] == [True, True, False]
    for _ in range(4):
        budget.deposit()
    assert [budget.withdraw() for _ in range(2)] == [True, False]
    now[0] += 1
    assert [budget.withdraw() for _ in range(2)] == [True, False]
    now[0] += 3600
    assert [budget.withdraw() for _ in range(3)] == [True, True, False]
    now[0] -= 7200  # a clock that jumps back costs nothing
    assert not budget.withdraw()


_TIMES = st.floats(0, 1e6)


@given(st.integers(1, 10_000), st.none() | _TIMES, _TIMES, st.floats(0, 1), st.integers(1, 10_000))
def test_a_wait_ends_before_the_deadline_and_not_before_the_time_that_was_asked_for(
    attempts: int, asked_s: float | None, left_s: float, chance: float, allowed: int
) -> None:
    policy = meshpass.RetryPolicy(attempts=allowed)

    wait = wait_s(policy, attempts=attempts, retry_after_s=asked_s, left_s=left_s, chance=chance)

    if wait is None:
        assert (
            attempts >= allowed
            or (asked_s or policy.max_backoff_s) >= left_s
            or left_s <= policy.max_backoff_s
        )
    else:
        assert attempts < allowed
        assert (asked_s or 0) <= wait < left_s
        assert wait <= (asked_s or 0) + policy.max_backoff_s


def test_the_bound_of_the_wait_doubles_up_to_its_greatest() -> None:
    policy = meshpass.RetryPolicy(attempts=10, backoff_s=0.1, max_backoff_s=0.5)

    waits = [
        wait_s(policy, attempts=attempts, retry_after_s=None, left_s=math.inf, chance=1.0)
        for attempts in range(1, 6)
    ]

    assert waits == [0.1, 0.2, 0.4, 0.5, 0.5]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("9" * 400, 999_999_999.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": value}, now=10.0) == seconds


@given(st.text(st.characters(max_codepoint=255)))
def test_no_retry_after_breaks_a_call(value: str) -> None:
    found = retry_after_s({"retry-after": value}, now=0.0)

    assert found is None or found >= 0


@pytest.mark.parametrize(
    "wrong", [{"attempts": 0}, {"backoff_s": -1}, {"max_backoff_s": math.nan}, {"budget_ratio": -0.1}]
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(meshpass.ConfigurationError, match=next(iter(wrong))):
        meshpass.RetryPolicy(**wrong)  # type: ignore[arg-type]


class StaleServer:
    """Answers one request on each connection, and then closes it in the way that the test says."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.closed = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            if self.way != "while idle":
                # The next request is on its way, or here, when the connection closes: no client can see it coming.
                if not connection.recv(65536 if self.way == "with FIN, request read" else 1):
                    return
                if "RST" in self.way:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.closed += 1


@pytest.fixture(params=["while idle", "with FIN, request read", "with RST, request half read"])
def stale_server(request: pytest.FixtureRequest) -> Iterator[StaleServer]:
    server = StaleServer(request.param)
    yield server
    server.stop()


def test_many_forced_closes_of_idle_connections_are_no_error(
    connect: Connect, stale_server: StaleServer
) -> None:
    client = connect(address=stale_server.address, retry=meshpass.RetryPolicy(attempts=1))

    # Only a close while idle comes before, with or after the next request, as it happens.
    closes = 1000 if stale_server.way == "while idle" else 200

    for _ in range(closes + 1):
        assert client.get("/").status_code == 200

    assert stale_server.closed >= closes


def test_a_stale_connection_is_no_attempt_and_other_methods_are_not_replayed(connect: Connect) -> None:
    server = StaleServer("with FIN, request read")
    client = connect(address=server.address, retry=meshpass.RetryPolicy(attempts=1))

    assert client.request("POST", "/", content=b"1").status_code == 200
    with pytest.raises(meshpass.UpstreamUnavailable) as caught:
        client.request("POST", "/", content=b"2")

    assert (caught.value.code, caught.value.attempts) == ("connection_lost", 1)
    server.stop()
