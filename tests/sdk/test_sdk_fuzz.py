# ruff: noqa: ANN401, PT017, UP042
"""Whatever is passed to a call, and whatever comes back: a response, or an error of this package."""

import array
import asyncio
import datetime
import decimal
import enum
import io
import uuid
import warnings
from typing import Any

import httpx
import meshpass
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from meshpass._call.request import Attempt
from meshpass._call.response import RawResponse

_HOST = "http://user-profile.internal"
_OK = RawResponse(200, [], b"", 0.0)


class _Auth:
    def token(self) -> meshpass.Token:
        return meshpass.Token("a.b.c", 9e9, "test")

    async def atoken(self) -> meshpass.Token:
        return self.token()

    def invalidate(self, token: meshpass.Token) -> None:
        pass


class _Pool:
    """A pool that gives one response, after it has taken what the call sends."""

    def __init__(self, response: RawResponse) -> None:
        self.response = response
        self.sent: list[Attempt] = []

    def send(self, attempt: Attempt) -> RawResponse:
        self.sent.append(attempt)
        "".join(
            [attempt.target, *attempt.headers, *attempt.headers.values(), *attempt.secrets.values()]
        ).encode("ascii")
        if attempt.content is not None and not isinstance(attempt.content, bytes):
            attempt.content.started = True
            assert isinstance(b"".join(attempt.content), bytes)
        attempt.phase = "body"
        return self.response


def client_of(response: RawResponse = _OK, **options: Any) -> meshpass.Client:
    given: dict[str, Any] = {"auth": _Auth(), "retry": meshpass.RetryPolicy(attempts=1)} | options
    client = meshpass.Client(_HOST, address="127.0.0.1:1", **given)
    client._open = lambda: (client._client_state(), _Pool(response))  # type: ignore[assignment, return-value]
    return client


def async_client_of(response: RawResponse) -> meshpass.AsyncClient:
    client = meshpass.AsyncClient(
        _HOST, address="127.0.0.1:1", auth=_Auth(), retry=meshpass.RetryPolicy(attempts=1)
    )

    class Pool(_Pool):
        async def send(self, attempt: Attempt) -> RawResponse:  # type: ignore[override]
            return super().send(attempt)

    async def opened() -> Pool:
        return Pool(response)

    client._open = opened  # type: ignore[assignment, method-assign]
    return client


class _Hostile:
    """An object whose every use fails."""

    def __bool__(self) -> bool:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError

    def __str__(self) -> str:
        raise RuntimeError

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class _Color(str, enum.Enum):
    RED = "red"


_loop: list[Any] = []
_loop.append(_loop)
_scalars = st.one_of(
    st.none(),
    st.builds(lambda: memoryview(b"abcd").cast("I")),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.text("\ud800\r\n\0/.ü{}", max_size=5),
    st.binary(max_size=20),
    st.sampled_from(
        [
            10**4000,
            -(10**400),
            decimal.Decimal("NaN"),
            uuid.UUID(int=7),
            datetime.date(2026, 1, 2),
            datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
            _Color.RED,
            _Hostile(),
            _loop,
            object(),
            int,
            array.array("I", [1, 2]),
            bytearray(b"x"),
            io.BytesIO(b"x"),
            io.StringIO("x"),
            meshpass.Deadline(float("inf")),
            meshpass.Deadline(float("nan")),
            meshpass.Deadline("x"),  # type: ignore[arg-type]
            meshpass.Deadline(1e300),
            meshpass.Deadline(0),
            meshpass.RetryPolicy(attempts=2),
            "GET",
            "POST",
            "/",
            "/{x}",
            "/{json}",
            "x" * 70_000,
        ]
    ),
)
_anything = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(
            st.one_of(st.text(max_size=5), st.integers(), st.binary(max_size=3)), inner, max_size=3
        ),
        st.dictionaries(st.text(max_size=5), st.tuples(st.text(max_size=5), inner), max_size=2),
    ),
    max_leaves=5,
)
_KEYWORDS = (
    "params",
    "headers",
    "json",
    "content",
    "data",
    "files",
    "timeout_s",
    "idempotent",
    "retry",
    "path_values",
    "x",
    "idempotency",
)
_many = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@given(
    st.one_of(st.just("GET"), st.just("POST"), _anything),
    st.one_of(st.just("/"), st.just("/{x}"), _anything),
    st.dictionaries(st.sampled_from(_KEYWORDS), _anything, max_size=3),
)
@_many
def test_any_arguments_of_a_call_give_a_response_or_an_error_of_this_package(
    method: Any, path: Any, arguments: dict[str, Any]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            response = client_of().request(method, path, **arguments)
        except meshpass.MeshError as error:
            str(error)
            assert error.__cause__ is None
        else:
            assert isinstance(response, httpx.Response)
            assert isinstance(response.request, httpx.Request)


_OPTIONS = (
    "base_url",
    "auth",
    "address",
    "ca_file",
    "client_cert",
    "timeout_s",
    "connect_timeout_s",
    "attempt_timeout_s",
    "retry",
    "max_response_bytes",
    "deadline_header",
    "headers",
    "event_hooks",
)


@given(
    st.dictionaries(st.sampled_from(_OPTIONS), st.one_of(_anything, st.builds(_Auth)), min_size=1, max_size=3)
)
@example({"base_url": "https://h.internal/a/../b"})
@example({"base_url": "https://h.internal/%2e%2e/"})
@example({"base_url": "https://h.internal/v2?x"})
@example({"headers": {"host": "x"}})
@example({"deadline_header": "x\r\ny: z"})
@_many
def test_any_arguments_of_a_client_make_one_or_a_configuration_error(arguments: dict[str, Any]) -> None:
    given: dict[str, Any] = {"base_url": _HOST, "auth": _Auth(), "address": "127.0.0.1"} | arguments
    try:
        client = meshpass.Client(**given)
    except meshpass.ConfigurationError as error:
        str(error)
    else:
        client._open = lambda: (client._client_state(), _Pool(_OK))  # type: ignore[assignment, return-value]
        assert client.get("/").status_code == 200


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "attempts",
                "backoff_s",
                "max_backoff_s",
                "statuses",
                "budget_ratio",
                "budget_floor_per_s",
                "budget_burst",
            ]
        ),
        _anything,
    )
)
@example({"statuses": ""})
@example({"statuses": b"\x01"})
@example({"statuses": bytearray()})
@_many
def test_any_retry_policy_is_one_or_a_configuration_error(arguments: dict[str, Any]) -> None:
    try:
        policy = meshpass.RetryPolicy(**arguments)
    except meshpass.ConfigurationError:
        return
    busy = RawResponse(503, [(b"retry-after", b"0")], b"", 0.0)
    assert client_of(busy, retry=policy, timeout_s=60).request("POST", "/").status_code == 503


@given(_anything)
@_many
def test_any_deadline_is_one_or_a_configuration_error(seconds: Any) -> None:
    try:
        deadline = meshpass.Deadline.after(seconds)
    except meshpass.ConfigurationError:
        return
    try:
        assert client_of().get("/", timeout_s=deadline).status_code == 200
    except meshpass.MeshTimeout as error:
        assert error.code in ("deadline", "timeout_token", "timeout_connect")


_NAMES = [
    b"retry-after",
    b"set-cookie",
    b"content-type",
    b"content-encoding",
    b"server",
    b"location",
    b"x-envoy-upstream-service-time",
    b"date",
    b"x",
]
_VALUES = st.one_of(
    st.binary(max_size=60).map(lambda value: value.translate(None, b"\r\n\0")),
    st.sampled_from(
        [
            b"Mon, 01 Jan 99999999999 00:00:00 GMT",
            b"Mon, 01 Jan 9999 00:00:00 +9999",
            b"9" * 5000,
            b"-1",
            b"1e400",
            b"\xb2",
            "²".encode(),
            b"Wed, 32 Foo 2026 99:99:99 GMT",
            b"gzip",
            b"gzip, deflate, br",
            b"text/plain; charset=nonsense",
            b"text/plain; charset=\xff",
            b"istio-envoy",
            b"a=" + b"b" * 5000,
            b"a=b; expires=Mon, 01 Jan 99999999999 00:00:00 GMT",
            b"n=M\xc3\xbcller",
        ]
    ),
)


@given(
    st.sampled_from([200, 204, 301, 401, 403, 404, 429, 500, 502, 503, 504, 599, 600, 999]),
    st.lists(st.tuples(st.sampled_from(_NAMES), _VALUES), max_size=6),
    st.one_of(
        st.binary(max_size=100),
        st.sampled_from(
            [b"RBAC: access denied", b"Jwt is expired", b"no healthy upstream", b"\x1f\x8b", b"\xff" * 9]
        ),
    ),
)
@example(503, [(b"retry-after", b"Mon, 01 Jan 99999999999 00:00:00 GMT")], b"")
@example(200, [(b"set-cookie", b"n=M\xc3\xbcller")], b"")
@_many
def test_any_response_is_one_or_an_error_of_this_package(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    answer = RawResponse(status, headers, body, 0.0)
    client = client_of(answer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for is_async in (False, False, True):
            try:
                response = asyncio.run(async_client_of(answer).get("/")) if is_async else client.get("/")
            except meshpass.MeshError as error:
                str(error)
            else:
                assert response.status_code == status
                assert isinstance(response.text, str)


@pytest.mark.parametrize("token", [None, "a.b.c", meshpass.Token("ü", 9e9, "t"), meshpass.Token(3, 9e9, "t")])  # type: ignore[arg-type]
def test_a_source_that_gives_no_token_is_an_error_of_this_package(token: Any) -> None:
    auth = _Auth()
    auth.token = lambda: token  # type: ignore[method-assign]

    with pytest.raises(meshpass.MeshError):
        client_of(auth=auth).get("/")
