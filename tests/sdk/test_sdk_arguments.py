# ruff: noqa: ANN401
"""Arguments of clients and calls: what is sent for each, and what a wrong one says."""

import array
import asyncio
import datetime
import inspect
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import httpx
import meshpass
import pytest
from meshpass._call.service import ClientOptions

from .conftest import Connect, Server


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"q": True, "r": False}, "q=true&r=false"),
        ({"q": None}, "q="),
        ({"q": 1.5, "r": 10**20}, "q=1.5&r=100000000000000000000"),
        ({"q": [1, "a", None, True]}, "q=1&q=a&q=&q=true"),
        ({"q": ("a", "b")}, "q=a&q=b"),
        ({"q": []}, ""),
        ([("q", 1), ("r", "x"), ("q", 2)], "q=1&r=x&q=2"),
        ({"q": "a b&c=ü"}, "q=a%20b%26c%3D%C3%BC"),
        ({"q": uuid.UUID(int=1)}, "q=00000000-0000-0000-0000-000000000001"),
        ({"q": datetime.date(2026, 1, 2), "d": Decimal("1.10")}, "q=2026-01-02&d=1.10"),
        ({}, ""),
    ],
)
def test_params_are_written_as_httpx_writes_them(
    connect: Connect, server: Server, params: Any, query: str
) -> None:
    connect(address=server.address).get("/x", params=params)

    assert server.seen[-1].target == (f"/x?{query}" if query else "/x")
    assert str(httpx.QueryParams(query)) == str(
        httpx.QueryParams([(name, item) for name, value in _pairs(params) for item in _items(value)])
    )


def _pairs(params: Any) -> Any:
    return params.items() if isinstance(params, Mapping) else params


def _items(value: Any) -> Any:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else [value]


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC), "2026-01-02T03%3A04%3A00%2B00%3A00"),
        (-7, "-7"),
    ],
)
def test_a_path_value_may_be_a_number_a_date_or_a_uuid(
    connect: Connect, server: Server, value: Any, segment: str
) -> None:
    connect(address=server.address).get("/{x}", x=value)

    assert server.seen[-1].target == f"/{segment}"


@pytest.mark.parametrize("value", [True, 1.5, None, b"x", ["x"], pytest.param(10**5000, id="long")])
def test_a_path_value_of_another_type_is_refused(connect: Connect, server: Server, value: Any) -> None:
    with pytest.raises(meshpass.InvalidPathValue):
        connect(address=server.address).get("/{x}", x=value)

    assert server.seen == []


def test_a_placeholder_may_have_the_name_of_a_keyword(connect: Connect, server: Server) -> None:
    client = connect(address=server.address)
    client.get(
        "/{params}/{json}/{headers}/{x}/{self}",
        path_values={"params": "p", "json": 1, "headers": "h"},
        x="x",
        self="s",
        params={"q": 1},
    )

    assert server.seen[-1].target == "/p/1/h/x/s?q=1"
    with pytest.raises(meshpass.InvalidRequest, match="two values"):
        client.get("/{x}", path_values={"x": 1}, x=1)
    with pytest.raises(meshpass.InvalidRequest, match=r"path_values=\{'json': \.\.\.\}"):
        client.request("POST", "/{json}", json={})


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"idempotency": True}, "has no placeholder idempotency. Did you mean the keyword idempotent?"),
        ({"timeout": 1}, "has no placeholder timeout. Did you mean the keyword timeout_s?"),
        ({"header": {}}, "has no placeholder header. Did you mean the keyword headers?"),
        ({"zzz": 1}, "The path '/' has no placeholder zzz."),
        ({"follow_redirects": True}, "follow_redirects. Redirects are returned and never followed."),
        ({"auth": None}, "has no placeholder auth. The token comes from the client's own auth."),
    ],
)
def test_a_keyword_with_a_typo_names_the_closest_one(
    connect: Connect, server: Server, arguments: dict[str, Any], hint: str
) -> None:
    with pytest.raises(meshpass.InvalidRequest) as caught:
        connect(address=server.address).request("POST", "/", **arguments)

    assert str(caught.value).endswith(hint)


def test_a_keyword_that_a_verb_does_not_have_is_named(connect: Connect, server: Server) -> None:
    with pytest.raises(meshpass.InvalidRequest, match="has no keyword json: use `request`"):
        connect(address=server.address).get("/", json={})


@pytest.mark.parametrize("name", ["meshpass.Client", "meshpass.AsyncClient"])
def test_an_option_with_a_typo_names_the_closest_one(name: str, auth: meshpass.SignedJWT) -> None:
    client_type: Any = getattr(meshpass, name.partition(".")[2])
    client = client_type("https://h.internal", auth=auth)

    with pytest.raises(meshpass.ConfigurationError, match=r"timeout is not .* Did you mean timeout_s\?"):
        client.for_service("https://i.internal", timeout=1)


@pytest.mark.parametrize("auth", ["x", None, meshpass.SignedJWT, 3])
@pytest.mark.parametrize("client", [meshpass.Client, meshpass.AsyncClient])
def test_an_auth_that_is_no_source_of_tokens_is_a_configuration_error(auth: Any, client: Any) -> None:
    with pytest.raises(meshpass.ConfigurationError, match="auth is "):
        client("https://h.internal", auth=auth)


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        ("ü", b"\xc3\xbc"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcdefgh").cast("I"), b"abcdefgh"),
        (memoryview(b"abcdef")[::2], b"ace"),
        (array.array("I", [1, 2]), array.array("I", [1, 2]).tobytes()),
        ([b"a", bytearray(b"b"), memoryview(b"c")], b"abc"),
        (b"", b""),
    ],
)
def test_content_is_sent_whole_with_its_length_in_bytes(
    connect: Connect, server: Server, content: Any, sent: bytes
) -> None:
    client = connect(address=server.address)
    client.request("POST", "/", content=content)
    client.request(
        "POST", "/", content=b"next"
    )  # would be read as a part of the first, if the length were wrong

    assert [seen.body for seen in server.seen] == [sent, b"next"]
    assert server.seen[0].headers["content-length"] == str(len(sent))


@pytest.mark.parametrize(
    "arguments",
    [
        {"json": float("nan")},
        {"json": {"a": {1, 2}}},
        {"json": {(1,): 2}},
        {"json": "\ud800", "content": "x"},
        {"content": "\ud800"},
        {"content": 3},
        {"content": {"a": 1}},
        {"content": ["text"]},
        {"data": "a=b"},
        {"data": {"a": "b"}, "json": {}},
        {"files": {"f": 3}},
        {"files": {"f": ("n", b"x", "text/plain\r\nx: y")}},
        {"files": ["f"]},
        {"headers": {"x": 3}},
        {"headers": {3: "x"}},
        {"headers": "x: y"},
        {"headers": {"x": "a\r\nb: c"}},
        {"params": "q=1"},
        {"params": {"q": object()}},
        {"params": {"q": "\ud800"}},
        {"timeout_s": "1"},
        {"timeout_s": True},
        {"timeout_s": float("nan")},
        {"timeout_s": 10**5000},
        {"timeout_s": meshpass.Deadline(float("inf"))},
        {"idempotent": "no"},
        {"retry": 3},
        {"path_values": "x"},
        {"path_values": {3: "x"}},
    ],
)
def test_an_argument_that_cannot_be_sent_is_an_invalid_request(
    connect: Connect, server: Server, arguments: dict[str, Any]
) -> None:
    with pytest.raises(meshpass.InvalidRequest) as caught:
        connect(address=server.address).request("POST", "/", **arguments)

    assert server.seen == []
    # What Python's own error says may hold the payload.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_nested_json_without_end_is_an_invalid_request(connect: Connect, server: Server) -> None:
    endless: list[Any] = []
    endless.append(endless)
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]

    for value in (endless, deep):
        with pytest.raises(meshpass.InvalidRequest, match="cannot be written as JSON"):
            connect(address=server.address).request("POST", "/", json=value)


@pytest.mark.parametrize("seconds", [float("inf"), float("-inf"), float("nan"), "1", None, True, 10**400])
def test_a_deadline_without_an_end_is_a_configuration_error(seconds: Any) -> None:
    with pytest.raises(meshpass.ConfigurationError):
        meshpass.Deadline.after(seconds)


@pytest.mark.parametrize("timeout_s", [1e9, 1e300, meshpass.Deadline(1e300)])
def test_a_deadline_of_any_length_can_be_kept(connect: Connect, server: Server, timeout_s: Any) -> None:
    assert connect(address=server.address).get("/", timeout_s=timeout_s).status_code == 200


@pytest.mark.parametrize("name", ["x\r\ny", "host", "Authorization", "", "ü", 3])
def test_a_deadline_header_must_be_the_name_of_a_header(name: Any, auth: meshpass.SignedJWT) -> None:
    with pytest.raises(meshpass.ConfigurationError, match="deadline_header"):
        meshpass.Client("https://h.internal", auth=auth, deadline_header=name)


def test_default_headers_are_sent_and_a_calls_own_take_their_place(connect: Connect, server: Server) -> None:
    client = connect(address=server.address, headers={"X-Team": "data", "user-agent": "ours"})
    client.get("/")
    client.get("/", headers={"x-team": "search"})

    first, second = (seen.headers for seen in server.seen)
    assert (first["x-team"], first["user-agent"]) == ("data", "ours")
    assert (second["x-team"], second["user-agent"]) == ("search", "ours")


@pytest.mark.parametrize(
    "headers", [{"host": "x"}, {"Authorization": "x"}, {"a b": "x"}, {"a": "\n"}, {"a": 1}, 3]
)
def test_default_headers_are_checked_at_once(headers: Any, auth: meshpass.SignedJWT) -> None:
    with pytest.raises(meshpass.ConfigurationError, match="headers"):
        meshpass.Client("https://h.internal", auth=auth, headers=headers)


@pytest.mark.parametrize("base", ["/v2", "/v2/", "/a/b%2Fc"])
def test_a_base_path_stands_before_every_path(connect: Connect, server: Server, base: str) -> None:
    client = connect(f"http://orders.internal{base}", address=server.address)
    client.get("/orders/{order}", order="../..", params={"q": 1})
    client.get("/")

    assert [seen.target for seen in server.seen] == [
        f"{base.removesuffix('/')}/orders/..%2F..?q=1",
        f"{base.removesuffix('/')}/",
    ]
    for template, values in (("/../x", {}), ("/{x}", {"x": ".."}), ("//elsewhere", {}), ("/%2e%2e/x", {})):
        with pytest.raises(meshpass.InvalidRequest):
            client.get(template, **values)


@pytest.mark.parametrize(
    "base", ["/a/../b", "/a//b", "/%2e%2E/b", "/.", "/a b", "/{x}", "/a?q", "/a#f", "//", "/\\"]
)
def test_a_base_path_that_may_lead_elsewhere_is_refused(base: str, auth: meshpass.SignedJWT) -> None:
    with pytest.raises(meshpass.ConfigurationError, match="base_url"):
        meshpass.Client(f"https://h.internal{base}", auth=auth)


class _Ours(meshpass.Client):
    def __init__(self, team: str, auth: meshpass.TokenSource, address: str) -> None:
        super().__init__("http://a.internal", auth=auth, address=address, headers={"x-team": team})
        self.team = team


def test_a_subclass_with_an_init_of_its_own_has_clients_for_other_services(
    server: Server, auth: meshpass.SignedJWT
) -> None:
    with _Ours("data", auth, server.address) as first, first.for_service("http://b.internal/v2") as other:
        assert isinstance(other, _Ours)
        other.get("/x")
        first.get("/y")
        assert other.team == "data"
        assert other.cookies is not first.cookies

    assert [(seen.headers["host"], seen.target) for seen in server.seen] == [
        ("b.internal", "/v2/x"),
        ("a.internal", "/y"),
    ]
    assert server.seen[0].headers["x-team"] == "data"
    assert server.connections == 2


_VERBS = ("request", "get", "head", "options", "delete", "post", "put", "patch", "stream")


@pytest.mark.parametrize("verb", _VERBS)
def test_both_clients_have_the_same_verbs_in_their_own_classes(verb: str) -> None:
    ours, theirs = (vars(client)[verb] for client in (meshpass.Client, meshpass.AsyncClient))
    blocking, asynchronous = inspect.signature(ours), inspect.signature(theirs)

    assert list(blocking.parameters.values()) == list(asynchronous.parameters.values())
    assert inspect.unwrap(ours).__module__ == "meshpass._client"
    assert "options" not in blocking.parameters
    if verb != "stream":
        assert inspect.iscoroutinefunction(theirs)
        assert blocking.return_annotation == asynchronous.return_annotation == "httpx.Response"


def test_both_clients_are_built_from_the_same_arguments() -> None:
    ours, theirs = (inspect.signature(client.__init__) for client in (meshpass.Client, meshpass.AsyncClient))

    assert list(ours.parameters.values()) == list(theirs.parameters.values())
    options = set(ours.parameters) - {"self", "base_url", "auth", "address", "ca_file"}
    assert options == set(ClientOptions.__annotations__)


@pytest.mark.parametrize("verb", ["get", "head", "options", "delete", "post", "put", "patch"])
def test_each_verb_sends_its_method(connect: Connect, server: Server, verb: str) -> None:
    response = getattr(connect(address=server.address), verb)(
        "/{x}", x="y", params={"q": 1}, headers={"h": "i"}
    )

    seen = server.seen[-1]
    assert (seen.method, seen.target, seen.headers["h"]) == (verb.upper(), "/y?q=1", "i")
    assert response.content == (b"" if verb == "head" else b"{}")


def test_a_form_is_sent_urlencoded(connect: Connect, server: Server) -> None:
    connect(address=server.address).post("/", data={"a": "b c", "d": ["1", "2"]})

    assert server.seen[-1].body == b"a=b+c&d=1&d=2"
    assert server.seen[-1].headers["content-type"] == "application/x-www-form-urlencoded"


def test_files_in_memory_are_sent_as_multipart(connect: Connect, server: Server) -> None:
    connect(address=server.address).post(
        "/",
        data={"a": "b"},
        files={"f": ("n.txt", b"content", "text/plain")},
        headers={"content-type": "multipart/form-data; boundary=XX"},
    )

    body = server.seen[-1].body
    assert server.seen[-1].headers["content-type"] == "multipart/form-data; boundary=XX"
    assert b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--XX\r\n' in body
    assert b'name="f"; filename="n.txt"\r\nContent-Type: text/plain\r\n\r\ncontent\r\n--XX--\r\n' in body


def test_event_hooks_see_every_request_and_response_and_no_secret(connect: Connect, server: Server) -> None:
    server.answer = lambda _: (200, {"set-cookie": "s=cookie-secret"}, b"{}")
    requests: list[httpx.Request] = []
    responses: list[httpx.Response] = []
    client = connect(
        address=server.address, event_hooks={"request": [requests.append], "response": [responses.append]}
    )
    client.post("/{x}", x=1, json={"a": 1})
    found = client.get("/")

    assert [(request.method, request.url.path) for request in requests] == [("POST", "/1"), ("GET", "/")]
    assert requests[0].content == b'{"a":1}'
    assert responses[-1] is found
    assert server.seen[-1].headers["cookie"] == "s=cookie-secret"
    shown = repr([request.headers.raw for request in [*requests, *(found.request for found in responses)]])
    assert "authorization" not in shown.lower()
    assert "cookie-secret" not in shown


def test_event_hooks_run_for_every_attempt(connect: Connect, server: Server) -> None:
    statuses = iter([503, 503, 200])
    server.answer = lambda _: (next(statuses), {"retry-after": "0"}, b"")
    seen: list[str] = []
    client = connect(
        address=server.address,
        event_hooks={
            "request": [lambda request: seen.append(request.method)],
            "response": [lambda response: seen.append(response.status_code)],
        },
    )

    assert client.get("/").status_code == 200
    assert seen == ["GET", 503, "GET", 503, "GET", 200]


@pytest.mark.parametrize("event", ["request", "response"])
@pytest.mark.parametrize(
    "error", [KeyError("x"), TimeoutError("x"), meshpass.MeshTimeout("x"), httpx.ReadError("x")]
)
def test_what_a_hook_raises_leaves_the_call_as_it_is(
    connect: Connect, server: Server, event: str, error: Exception
) -> None:
    def fail(_: object) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        connect(address=server.address, event_hooks={event: [fail]}).get("/")

    assert caught.value is error


def test_hooks_of_the_asyncio_client_may_be_asynchronous(server: Server, auth: meshpass.SignedJWT) -> None:
    seen: list[int] = []

    async def hook(response: httpx.Response) -> None:
        seen.append(response.status_code)

    async def main() -> None:
        async with meshpass.AsyncClient(
            "http://a.internal", address=server.address, auth=auth, event_hooks={"response": [hook]}
        ) as client:
            await client.get("/")

    asyncio.run(main())
    assert seen == [200]


def test_a_hook_of_the_blocking_client_may_not_be_asynchronous(auth: meshpass.SignedJWT) -> None:
    async def hook(_: object) -> None:
        pass

    with pytest.raises(meshpass.ConfigurationError, match="asynchronous"):
        meshpass.Client("https://h.internal", auth=auth, event_hooks={"request": [hook]})


@pytest.mark.parametrize("hooks", [{"reply": []}, {"request": print}, {"request": [3]}, [print], 3])
def test_event_hooks_are_checked_at_once(hooks: Any, auth: meshpass.SignedJWT) -> None:
    with pytest.raises(meshpass.ConfigurationError, match="event_hooks"):
        meshpass.Client("https://h.internal", auth=auth, event_hooks=hooks)


def test_a_value_that_is_missing_is_named(connect: Connect, server: Server) -> None:
    with pytest.raises(meshpass.InvalidRequest, match=r"'/\{a\}/\{b\}' has no value for a, b\."):
        connect(address=server.address).get("/{a}/{b}")
    with pytest.raises(meshpass.InvalidRequest, match=r"has no placeholder c and has no value for a\."):
        connect(address=server.address).get("/{a}", c=1)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"issuer": 5}, "issuer is of type int; it must be a str."),
        ({"audience": ["a"]}, "audience is of type list; it must be a str."),
        ({"subject": 5}, "subject is of type int; it must be a str."),
        ({"scope": ["read"]}, "scope is of type list; it must be a str."),
        ({"lifetime_s": "60"}, "lifetime_s is '60'; it must be from 30 to 300."),
        ({"lifetime_s": float("nan")}, "lifetime_s is nan; it must be from 30 to 300."),
        ({"key_ttl_s": "5"}, "key_ttl_s is '5'; it must be a number of seconds above 0."),
        ({"claims": 5}, "claims is of type int; it must be a mapping of names to values."),
        ({"claims": []}, "claims is of type list; it must be a mapping of names to values."),
        (
            {"algorithm": ["ES256"]},
            "algorithm is of type list; it must be one of ES256, ES384, RS256, EdDSA.",
        ),
    ],
)
def test_an_argument_of_the_wrong_type_is_a_configuration_error(arguments: Any, problem: str) -> None:
    given = {"issuer": "i", "audience": "a", "key": bytes, **arguments}

    with pytest.raises(meshpass.ConfigurationError) as caught:
        meshpass.SignedJWT(**given)
    assert caught.value.problems == [problem]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"audience": 5}, "audience is of type int; it must be a str."),
        ({"service_account": 5}, "5 is not a service account's e-mail address."),
        ({"credentials": 5}, "credentials is of type int, which is not a kind of credentials."),
        ({"iam_endpoint": 5}, "iam_endpoint is 5; it must be https:// and a host."),
    ],
)
def test_an_argument_of_googles_source_is_checked_in_the_same_way(arguments: Any, problem: str) -> None:
    with pytest.raises(meshpass.ConfigurationError) as caught:
        meshpass.GoogleIDToken(**{"audience": "a", **arguments})
    assert caught.value.problems == [problem]


@pytest.mark.parametrize("delegates", [5, [5]])
def test_delegates_that_are_no_addresses_are_refused(delegates: Any) -> None:
    account = "a@p.iam.gserviceaccount.com"
    with pytest.raises(meshpass.ConfigurationError, match="5 is not a service account's e-mail address"):
        meshpass.GoogleIDToken("a", service_account=account, delegates=delegates)


@pytest.mark.parametrize(
    ("source", "problem"),
    [(meshpass.KeyFile, "KeyFile"), (meshpass.SecretManagerKey, "^5 does not name a secret's version")],
)
def test_a_key_source_without_a_name_is_a_signing_key_error(source: Any, problem: str) -> None:
    with pytest.raises(meshpass.SigningKeyError, match=problem):
        source(5)()


@pytest.mark.parametrize("build", [meshpass.Settings.from_env, meshpass.Client.from_env])
@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        (5, "The environment is of type int; it must be a mapping of names to values."),
        ("x", "The environment is of type str; it must be a mapping of names to values."),
        ({"GKE_GATEWAY_URL": 5}, "GKE_GATEWAY_URL is of type int; it must be a str."),
        ({"SIGNING_KEY_FILE": b"x"}, "SIGNING_KEY_FILE is of type bytes; it must be a str."),
    ],
)
def test_an_environment_of_the_wrong_type_is_a_configuration_error(
    build: Any, environ: Any, problem: str
) -> None:
    with pytest.raises(meshpass.ConfigurationError) as caught:
        build(environ)
    assert caught.value.problems == [problem]


@pytest.mark.parametrize(
    "build", [meshpass.Transport, meshpass.AsyncTransport, meshpass.RequestsAdapter, meshpass.grpc_channel]
)
def test_an_adapters_option_with_a_typo_names_the_closest_one(build: Any, auth: meshpass.SignedJWT) -> None:
    with pytest.raises(meshpass.ConfigurationError, match=r"timeout is not .* Did you mean timeout_s\?"):
        build("https://h.internal", auth=auth, timeout=1)
