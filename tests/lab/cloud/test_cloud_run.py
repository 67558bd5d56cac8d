"""The front door of Cloud Run's fake as real Envoy: accepted callers, what the container sees, every way around it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from meshlab.cloud import serving
from meshlab.cloud.cloud_run.front_door import (
    SIGNATURE_REMOVED,
    FrontDoor,
    Places,
    front_door_config,
)
from meshlab.cloud.cloud_run.invokers import invoker_emails
from meshlab.cloud.cloud_run.running import RunningFrontDoor
from meshlab.cloud.identity import ISSUER, IdentityKey, unique_id
from meshlab.errors import LabError
from meshlab.istio import Address
from meshlab.processes.ports import free_ports
from meshlab.processes.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

ORDERS, BILLING = "orders@p-2.meshlab.invalid", "billing@p-2.meshlab.invalid"
CUSTOM = "https://lookup.meshlab.invalid"
PATH = "/lookup/u%2F1?fields=name"
Headers = list[tuple[str, str]]


class Container:
    """An ASGI application that keeps what it was sent."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Headers]] = []

    async def __call__(self, scope: dict[str, Any], receive: object, send: Callable[..., Any]) -> None:
        headers = [(name.decode(), value.decode()) for name, value in scope["headers"]]
        target = scope["raw_path"].decode() + "?" + scope["query_string"].decode()
        self.requests.append((target, headers))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"in"})


@dataclass(frozen=True)
class Reply:
    """What a caller got, and the headers that the container got, if the request came so far."""

    status: int
    headers: http.client.HTTPMessage
    body: str
    seen: Headers | None

    def passed_on(self, name: str) -> list[str]:
        assert self.seen is not None
        return [value for found, value in self.seen if found == name]


class Caller:
    """Makes tokens as Google and as an attacker, and sends requests through the front door."""

    def __init__(self, door: RunningFrontDoor, container: Container, key: IdentityKey) -> None:
        self.door = door
        self.key = key
        self.stranger: RSAPrivateKey = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._container = container
        self._port = urlsplit(door.url).port
        self._tls = ssl.create_default_context(cafile=str(door.ca_file))

    def claims(self, **changes: object) -> dict[str, object]:
        """The claims of a good token with some changed; None leaves one out."""
        now = int(time.time())
        good = {
            "iss": ISSUER, "aud": self.door.url, "azp": unique_id(ORDERS), "sub": unique_id(ORDERS),
            "iat": now, "exp": now + 3600, "email": ORDERS, "email_verified": True,
        }  # fmt: skip
        return {name: value for name, value in (good | changes).items() if value is not None}

    def token(self, **changes: object) -> str:
        return self.key.sign(self.claims(**changes))

    def send(self, headers: Headers, *, path: str = PATH, method: str = "GET") -> Reply:
        """Send exactly these headers, in this order."""
        connection = http.client.HTTPSConnection("localhost", self._port, context=self._tls, timeout=10)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            seen_before = len(self._container.requests)
            connection.endheaders()
            return self._reply(connection.getresponse(), seen_before)
        finally:
            connection.close()

    def send_raw(self, request: bytes) -> Reply:
        """Send exactly these bytes."""
        with (
            socket.create_connection(("localhost", self._port), timeout=10) as plain,
            self._tls.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            seen_before = len(self._container.requests)
            connection.sendall(request)
            response = http.client.HTTPResponse(connection)
            response.begin()
            return self._reply(response, seen_before)

    def _reply(self, response: http.client.HTTPResponse, seen_before: int) -> Reply:
        body = response.read().decode()
        seen = self._container.requests[seen_before:]
        return Reply(response.status, response.headers, body, seen[0][1] if seen else None)

    @property
    def last_target(self) -> str:
        return self._container.requests[-1][0]


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    container, key = Container(), IdentityKey()
    with Supervisor() as supervisor, serving.serving(container) as address:
        host, _, port = address.rpartition(":")
        door = RunningFrontDoor(
            supervisor,
            free_ports(),
            Address(host, int(port)),
            invoker_emails([f"serviceAccount:{ORDERS}", "user:ann@meshlab.invalid"]),
            key.jwks,
            custom_audiences=(CUSTOM,),
        )
        door.start()
        door.wait_ready()
        yield Caller(door, container, key)


def bearer(token: str) -> Headers:
    return [("Authorization", f"Bearer {token}")]


def serverless(token: str) -> Headers:
    return [("X-Serverless-Authorization", f"Bearer {token}")]


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


# Which callers are accepted, and what the container sees.


def test_an_invoker_gets_in_and_the_container_reads_who_it_is_but_cannot_use_the_token(
    caller: Caller,
) -> None:
    token = caller.token()
    reply = caller.send(bearer(token))

    assert (reply.status, reply.body, caller.last_target) == (200, "in", PATH)
    header, claims, _ = token.split(".")
    assert reply.passed_on("authorization") == [f"Bearer {header}.{claims}.{SIGNATURE_REMOVED}"]
    assert token not in str(reply.seen)
    assert SIGNATURE_REMOVED == "SIGNATURE_REMOVED_BY_GOOGLE"
    assert caller.send(bearer(f"{header}.{claims}.{SIGNATURE_REMOVED}")).status == 401


def test_another_header_is_checked_and_the_applications_own_passes_untouched(caller: Caller) -> None:
    token = caller.token()
    reply = caller.send([("Authorization", "Bearer an-application.token.signed"), *serverless(token)])

    assert reply.status == 200
    assert reply.passed_on("authorization") == ["Bearer an-application.token.signed"]
    without = f"Bearer {token.rpartition('.')[0]}.{SIGNATURE_REMOVED}"
    assert reply.passed_on("x-serverless-authorization") == [without]


@pytest.mark.parametrize("path", ["/a/../lookup/u-1?", "//lookup/u-1?", "/lookup/a%2Fb?", "/lookup/%2e%2e?"])
def test_the_container_gets_the_path_as_it_was_sent(caller: Caller, path: str) -> None:
    assert caller.send(bearer(caller.token()), path=path).status == 200
    assert caller.last_target == path


@pytest.mark.parametrize("audience", ["{url}", "{url}/", CUSTOM])
def test_the_services_own_url_and_its_custom_audiences_count(caller: Caller, audience: str) -> None:
    assert caller.send(bearer(caller.token(aud=audience.format(url=caller.door.url)))).status == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
@pytest.mark.parametrize("name", ["Authorization", "x-serverless-AUTHORIZATION"])
def test_the_case_of_the_scheme_and_of_the_headers_name_does_not_matter(
    caller: Caller, scheme: str, name: str
) -> None:
    reply = caller.send([(name, f"{scheme} {caller.token()}")])
    assert reply.status == 200
    assert reply.passed_on(name.lower())[0].endswith(SIGNATURE_REMOVED)


def test_an_invokers_token_without_an_address_names_it_by_its_unique_id(caller: Caller) -> None:
    """The metadata server's default tokens have no address."""
    assert caller.send(bearer(caller.token(email=None, email_verified=None))).status == 200
    ann = unique_id("ann@meshlab.invalid")
    assert caller.send(serverless(caller.token(email=None, email_verified=None, sub=ann))).status == 200


# Who does not: no token that can be verified.


def refused(reply: Reply, status: int) -> None:
    """Check that the container was not reached, and that the answer is Google's."""
    reason = {401: "Unauthorized", 403: "Forbidden"}[status]
    assert (reply.status, reply.seen) == (status, None)
    assert f"<title>{status} {reason}</title>" in reply.body
    assert reply.headers["content-type"] == "text/html; charset=UTF-8"
    assert reply.headers["server"] == "Google Frontend"
    challenge = 'Bearer error="invalid_token" error_description="The access token could not be verified"'
    assert reply.headers.get_all("www-authenticate") == ([challenge] if status == 401 else None)


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS"])
def test_without_a_credential_nothing_gets_in(caller: Caller, method: str) -> None:
    reply = caller.send([], method=method)
    assert (reply.status, reply.seen) == (403, None)


def test_a_preflight_of_a_browser_needs_a_token_like_all_others(caller: Caller) -> None:
    headers = [("Origin", "https://page.example"), ("Access-Control-Request-Method", "GET")]
    refused(caller.send(headers, method="OPTIONS"), 403)


WRONG_AUDIENCES = {
    "another service": "https://another.meshlab.invalid",
    "with a path": "{url}/lookup/u-1",
    "http": "http://{rest}",
    "without a scheme": "{rest}",
    "gcloud's own": "32555940559.apps.googleusercontent.com",
    "another port": "{url}0",
    "without the port": "https://localhost",
    "another case": "https://LOCALHOST{port}",
    "two slashes": "{url}//",
    "a query": "{url}?a=b",
    "a custom one with a slash": f"{CUSTOM}/",
    "a custom one without its scheme": "lookup.meshlab.invalid",
    "empty": "",
}


@pytest.mark.parametrize("name", WRONG_AUDIENCES)
def test_a_token_for_another_audience_is_not_accepted(caller: Caller, name: str) -> None:
    url = caller.door.url
    values = {"url": url, "rest": url.removeprefix("https://"), "port": f":{urlsplit(url).port}"}
    refused(caller.send(bearer(caller.token(aud=WRONG_AUDIENCES[name].format(**values)))), 401)


@pytest.mark.parametrize("others", [[], ["https://another.meshlab.invalid"]])
def test_a_list_of_audiences_is_nothing_that_google_issues(caller: Caller, others: list[str]) -> None:
    refused(caller.send(bearer(caller.token(aud=[caller.door.url, *others]))), 401)


HOUR_S = 3600
BAD_CLAIMS: dict[str, Callable[[int], dict[str, object]]] = {
    "expired": lambda now: {"iat": now - 2 * HOUR_S, "exp": now - HOUR_S},
    "without an end": lambda _: {"exp": None},
    "lives for a day": lambda now: {"exp": now + 24 * HOUR_S},
    "from the future, by nbf": lambda now: {"nbf": now + HOUR_S // 2},
    "from the future, by iat and exp": lambda now: {"iat": now + HOUR_S, "exp": now + 2 * HOUR_S},
    "another issuer": lambda _: {"iss": "https://issuer.example"},
    "an issuer that begins like Google's": lambda _: {"iss": f"{ISSUER}.example"},
    "the issuer without its scheme": lambda _: {"iss": ISSUER.removeprefix("https://")},
    "without an issuer": lambda _: {"iss": None},
    "without an audience": lambda _: {"aud": None},
    "issued by its own account": lambda _: {"iss": ORDERS, "sub": ORDERS},
}


@pytest.mark.parametrize("name", BAD_CLAIMS)
def test_a_token_with_bad_claims_is_not_accepted(caller: Caller, name: str) -> None:
    refused(caller.send(bearer(caller.token(**BAD_CLAIMS[name](int(time.time()))))), 401)


def kid(caller: Caller) -> str:
    keys: Any = caller.key.jwks["keys"]
    return str(keys[0]["kid"])


def none(caller: Caller) -> str:
    return f"{segment({'alg': 'none', 'kid': kid(caller)})}.{segment(caller.claims())}."


def none_with_a_signature(caller: Caller) -> str:
    return f"{none(caller)}{caller.token().rpartition('.')[2]}"


def hmac_with_the_public_key(caller: Caller) -> str:
    signed = f"{segment({'alg': 'HS256', 'kid': kid(caller)})}.{segment(caller.claims())}"
    digest = hmac.digest(caller.key.public_pem, signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def by_another_key(caller: Caller) -> str:
    return jwt.encode(caller.claims(), caller.stranger, algorithm="RS256", headers={"kid": kid(caller)})


def by_a_key_in_its_header(caller: Caller) -> str:
    key = jwt.algorithms.RSAAlgorithm.to_jwk(caller.stranger.public_key(), as_dict=True)
    headers = {"jwk": key, "jku": "https://issuer.example/keys", "kid": "mine"}
    return jwt.encode(caller.claims(), caller.stranger, algorithm="RS256", headers=headers)


def self_signed_by_a_service_account(caller: Caller) -> str:
    """What a key file of a service account makes without asking Google (AIP-4111)."""
    claims = caller.claims(iss=ORDERS, sub=ORDERS, email=None, email_verified=None)
    return jwt.encode(claims, caller.stranger, algorithm="RS256", headers={"kid": "key-of-the-account"})


def changed_after_signing(caller: Caller) -> str:
    header, _, signature = caller.token(email=BILLING).split(".")
    return f"{header}.{segment(caller.claims())}.{signature}"


def of_another_token(caller: Caller) -> str:
    return f"{caller.token().rpartition('.')[0]}.{caller.token(aud='another').rpartition('.')[2]}"


FORGERIES: list[Callable[[Caller], str]] = [
    none, none_with_a_signature, hmac_with_the_public_key, by_another_key, by_a_key_in_its_header,
    self_signed_by_a_service_account, changed_after_signing, of_another_token,
]  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
@pytest.mark.parametrize("header", [bearer, serverless], ids=["authorization", "serverless"])
def test_a_forged_token_is_not_accepted(
    caller: Caller, forge: Callable[[Caller], str], header: Callable[[str], Headers]
) -> None:
    refused(caller.send(header(forge(caller))), 401)


NO_TOKEN = {
    "an access token": "Bearer ya29.c.c0ASRK0GZZ-abc_123",
    "an opaque token": "Bearer lab.abcdefghijklmnopqrstuvwxyz",
    "nothing after the scheme": "Bearer ",
    "nothing": "",
    "another scheme": "Basic b3JkZXJzOnNlY3JldA==",
    "a scheme that ends in Bearer": "XBearer {token}",
    "no scheme": "{token}",
    "no space": "Bearer{token}",
    "a tab": "Bearer\t{token}",
    "something before": "Basic b3I= Bearer {token}",
    "something behind": "Bearer {token} x",
    "quotes": 'Bearer "{token}"',
    "two tokens": "Bearer {token} {token}",
    "two joined by a comma": "Bearer {token},Bearer {token}",
    "a bad one and a good one, joined": "Bearer x.y.z, Bearer {token}",
    "four parts": "Bearer {token}.x",
    "two parts": "Bearer x.y",
    "padding": "Bearer {token}=",
    "a line of another encoding": "Bearer {token}\xe9",
    "very long and no token": "Bearer " + "a" * 40_000,
    "very long and of three parts": "Bearer " + ".".join(["a" * 15_000] * 3),
}


@pytest.mark.parametrize("name", NO_TOKEN)
@pytest.mark.parametrize("header", ["Authorization", "X-Serverless-Authorization"])
def test_what_is_not_exactly_one_token_is_not_accepted(caller: Caller, name: str, header: str) -> None:
    refused(caller.send([(header, NO_TOKEN[name].format(token=caller.token()))]), 401)


def test_a_header_that_no_server_takes_does_not_reach_the_container(caller: Caller) -> None:
    reply = caller.send(bearer("a" * 70_000))
    assert (reply.status, reply.seen) == (431, None)


@pytest.mark.parametrize("header", [bearer, serverless], ids=["authorization", "serverless"])
def test_two_headers_of_one_name_are_ambiguous(caller: Caller, header: Callable[[str], Headers]) -> None:
    good, bad = caller.token(), caller.token(aud="another")
    rewritten = f"a.b.{SIGNATURE_REMOVED}"
    for first, second in ((good, good), (good, bad), (bad, good), (good, rewritten), (rewritten, good)):
        refused(caller.send([*header(first), *header(second)]), 401)


@pytest.mark.parametrize("name", NO_TOKEN)
def test_a_good_token_does_not_help_beside_a_serverless_header_that_is_none(
    caller: Caller, name: str
) -> None:
    good = caller.token()
    reply = caller.send([*bearer(good), ("X-Serverless-Authorization", NO_TOKEN[name].format(token=good))])
    refused(reply, 401)


def test_a_good_token_does_not_help_beside_two_serverless_headers(caller: Caller) -> None:
    good = caller.token()
    refused(caller.send([*bearer(good), *serverless(good), *serverless(good)]), 401)


@pytest.mark.parametrize("path", ["/lookup/u-1?access_token={token}", "/lookup/u-1?id_token={token}"])
def test_a_token_in_the_query_is_none_and_is_not_repeated_in_the_answer(caller: Caller, path: str) -> None:
    token = caller.token()
    reply = caller.send([], path=path.format(token=token))
    refused(reply, 403)
    assert token not in reply.body
    refused(caller.send(bearer("x.y.z"), path=path.format(token=token)), 401)


@pytest.mark.parametrize(
    "name", ["Cookie", "X-Goog-Authenticated-User", "Proxy-Authorization", "X-Authorization"]
)
def test_a_token_in_any_other_header_is_none(caller: Caller, name: str) -> None:
    token = caller.token()
    refused(caller.send([(name, f"access_token={token}" if name == "Cookie" else f"Bearer {token}")]), 403)


# Requests that no client library sends: a line between two bars; {token} is a good one.
BEARER = "Authorization: Bearer {token}"
ODD = {
    "a token behind the body": (403, f"POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||0|{BEARER}||"),
    "a token as a field of the connection": (403, f"GET / HTTP/1.1|Host: a|Connection: authorization|{BEARER}||"),
    "an upgrade": (403, f"GET / HTTP/1.1|Host: a|Connection: upgrade|Upgrade: websocket|{BEARER}||"),
    "a tunnel": (401, f"CONNECT a:80 HTTP/1.1|Host: a|{BEARER}||"),
    "no path": (404, f"OPTIONS * HTTP/1.1|Host: a|{BEARER}||"),
    "two lengths of a body": (
        400, f"POST / HTTP/1.1|Host: a|{BEARER}|Content-Length: 4|Transfer-Encoding: chunked||0||GET /b HTTP/1.1||",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_an_odd_request_does_not_carry_a_token_past_the_check(caller: Caller, name: str) -> None:
    status, lines = ODD[name]
    reply = caller.send_raw(lines.replace("|", "\r\n").format(token=caller.token()).encode())
    assert (reply.status, reply.seen) == (status, None)


# X-Serverless-Authorization beside Authorization.


def test_of_both_headers_only_the_serverless_one_is_checked(caller: Caller) -> None:
    good, bad = caller.token(), caller.token(aud="another")
    assert caller.send([*bearer(bad), *serverless(good)]).status == 200
    refused(caller.send([*bearer(good), *serverless(bad)]), 401)
    refused(caller.send([*bearer(good), ("X-Serverless-Authorization", "")]), 401)
    refused(caller.send([*bearer(good), *serverless(caller.token(email=BILLING))]), 403)


@pytest.mark.parametrize(
    "name", ["X_Serverless_Authorization", "x_serverless-authorization", "X-Serverless_Authorization"]
)
def test_a_name_with_underscores_is_not_the_header_and_does_not_reach_the_container(
    caller: Caller, name: str
) -> None:
    refused(caller.send([(name, f"Bearer {caller.token()}")]), 403)
    reply = caller.send([*bearer(caller.token()), (name, "Bearer smuggled.in.here")])
    assert reply.status == 200
    assert "smuggled" not in str(reply.seen)


def test_a_name_with_a_space_before_the_colon_is_no_request(caller: Caller) -> None:
    reply = caller.send([*bearer(caller.token()), ("X-Serverless-Authorization ", "Bearer x.y.z")])
    assert (reply.status, reply.seen) == (400, None)


def test_a_token_that_is_too_long_to_be_rewritten_does_not_get_in(caller: Caller) -> None:
    assert caller.send(bearer(caller.token(filler="x" * 5_000))).status == 200
    refused(caller.send(bearer(caller.token(filler="x" * 9_000))), 401)


# Who does not: an account that may not call the service.

STRANGERS: dict[str, dict[str, object]] = {
    "another account": {"email": BILLING},
    "an account of another domain": {"email": f"{ORDERS}.example"},
    "an address that ends like it": {"email": f"x{ORDERS}"},
    "another case": {"email": ORDERS.upper()},
    "a member and no address": {"email": f"serviceAccount:{ORDERS}"},
    "a list": {"email": [ORDERS]},
    "an empty address beside an invoker's id": {"email": ""},
    "no address and another id": {"email": None, "sub": unique_id(BILLING)},
    "no address and no id": {"email": None, "sub": None},
    "no address and an id that begins like it": {"email": None, "sub": f"{unique_id(ORDERS)}0"},
    "an address that is not verified": {"email_verified": False},
    "an address that nothing is said of": {"email_verified": None},
    "verified as a text": {"email_verified": "true"},
    "the address as subject": {"email": None, "sub": ORDERS},
    "the pool of a cluster": {"email": "p-2.svc.id.goog"},
}


@pytest.mark.parametrize("name", STRANGERS)
def test_an_account_that_may_not_call_is_refused(caller: Caller, name: str) -> None:
    refused(caller.send(bearer(caller.token(**STRANGERS[name]))), 403)


def test_an_address_that_is_null_is_no_missing_address(caller: Caller) -> None:
    refused(caller.send(bearer(caller.key.sign({**caller.claims(), "email": None}))), 403)


# The pages.


def test_the_pages_repeat_a_plain_path_and_nothing_that_a_browser_would_read(caller: Caller) -> None:
    assert "get URL <code>/lookup/u-1</code> from this server." in caller.send([], path="/lookup/u-1").body
    body = caller.send(bearer("x.y.z"), path="/lookup/u-1").body
    assert "permission to the requested URL <code>/lookup/u-1</code>." in body
    for path in ("/<script>alert(1)</script>", '/"onload="x', "/a?<script>"):
        reply = caller.send([], path=path)
        assert "script" not in reply.body
        assert "onload" not in reply.body


def test_the_log_says_why_and_holds_no_token(caller: Caller) -> None:
    caller.send(bearer(by_another_key(caller)))
    caller.send([], path=f"/?access_token={caller.token()}")
    log = "\n".join(caller.door.access_log())
    assert "jwt_authn_access_denied" in log
    assert "eyJ" not in log


# Members of roles/run.invoker.


def test_members_are_accounts_by_their_address() -> None:
    members = [f"serviceAccount:{ORDERS}", "user:ann@example.com", f"serviceAccount:{ORDERS}"]
    assert invoker_emails(members) == (ORDERS, "ann@example.com")
    assert invoker_emails([]) == ()


def test_members_that_cannot_be_checked_are_all_named() -> None:
    members = ["allUsers", "allAuthenticatedUsers", "group:a@example.com", "domain:example.com", "serviceAccount:",
               "principal://iam.googleapis.com/projects/1", ORDERS, f"serviceAccount:{ORDERS}"]  # fmt: skip
    with pytest.raises(LabError) as caught:
        invoker_emails(members)
    assert all(repr(member) in str(caught.value) for member in members[:-1])
    assert repr(members[-1]) not in str(caught.value)


def test_without_any_invoker_nothing_gets_in(tmp_path: Path) -> None:
    address = Address("127.0.0.1", 1)
    places = Places(address, address, address, (tmp_path, tmp_path))
    config = front_door_config(FrontDoor("https://a.example", (), ISSUER, "{}"), places)
    (listener,) = config["staticResources"]["listeners"]
    manager = listener["filterChains"][0]["filters"][0]["typedConfig"]
    last = [found for found in manager["httpFilters"] if found["name"].endswith("rbac")][-1]
    assert last["typedConfig"]["rules"] == {"action": "ALLOW", "policies": {}}
