"""Whatever is done and whatever goes wrong, no byte of a token or key shows: a search by hypothesis."""

import asyncio
import json
import logging
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import google.auth._helpers
import httpx
import meshpass
import meshpass.keys
import meshpass.testing
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meshpass.testing import FakeGateway, FakeMetadataServer, InMemorySource, Reply, ThrowawayKey
from meshpass.testing._fake_server import LocalServer, Request

from .conftest import pem_of
from .traces import Secrets, shown_by, shown_by_error, shown_by_records

_FUZZ = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)


@dataclass
class Kit:
    """The makings of one example: a key, a source with a token from it, and what must not show."""

    issuer: str = "https://issuer.test"
    audience: str = "user-profile"
    claims: Mapping[str, object] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=Secrets)

    def __post_init__(self) -> None:
        self.key = ThrowawayKey()
        self.secrets.add_key(self.key())

    @cached_property
    def signed(self) -> meshpass.SignedJWT:
        return meshpass.SignedJWT(self.issuer, self.audience, self.key, claims=self.claims)

    @cached_property
    def token(self) -> meshpass.Token:
        token = self.signed.token()
        self.secrets.add_token(token.value)
        return token

    def error(self, kind: type[meshpass.MeshError]) -> meshpass.MeshError:
        if issubclass(kind, meshpass.ConfigurationError):
            return kind(["one", "two"])
        return kind(
            "It failed.",
            service="s.internal",
            status=401,
            detail="words",
            claims=self.token.claims,
            hint="Look.",
        )


@contextmanager
def everything_logged() -> Iterator[list[logging.LogRecord]]:
    """Every record of every logger at DEBUG; google-auth's own only when its environment variable asks."""
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    root, handler = logging.getLogger(), Keep(0)
    loggers = [root, *(logging.getLogger(name) for name in list(root.manager.loggerDict))]
    loggers += [
        logging.getLogger(name) for name in ("meshpass", "httpx", "httpcore", "aiohttp", "google", "urllib3")
    ]
    before = [(logger, logger.level) for logger in loggers]
    root.addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield records
    finally:
        root.removeHandler(handler)
        for logger, level in before:
            logger.setLevel(level)


_OBJECTS: Mapping[str, Callable[[Kit], object]] = {
    "AsyncClient": lambda kit: meshpass.AsyncClient("https://a.internal", auth=kit.signed),
    "AsyncTransport": lambda kit: meshpass.AsyncTransport("https://a.internal", auth=kit.signed),
    "Client": lambda kit: meshpass.Client("https://a.internal", auth=kit.signed),
    "Deadline": lambda kit: meshpass.Deadline.after(1),
    "GoogleIDToken": lambda kit: meshpass.GoogleIDToken(kit.audience, credentials=service_account(kit.key())),
    "IdentityOrigin": lambda kit: meshpass.GoogleIDToken(kit.audience, credentials="metadata").origin(),
    "KMSKey": lambda kit: meshpass.KMSKey(
        "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
    ),
    "KeyFile": lambda kit: meshpass.KeyFile("signing.pem"),
    "RequestsAdapter": lambda kit: meshpass.RequestsAdapter("https://a.internal", auth=kit.signed),
    "RequestsAuth": lambda kit: meshpass.RequestsAuth(kit.signed),
    "RetryPolicy": lambda kit: meshpass.RetryPolicy(),
    "SecretManagerKey": lambda kit: meshpass.SecretManagerKey("projects/p/secrets/s/versions/1"),
    "SignedJWT": lambda kit: kit.signed,
    "Token": lambda kit: kit.token,
    "Transport": lambda kit: meshpass.Transport("https://a.internal", auth=kit.signed),
    "grpc_call_credentials": lambda kit: meshpass.grpc_call_credentials(kit.signed),
}
_NO_OBJECTS = {
    *("TokenSource", "settings_problems", "Settings"),
    *("httpx_transport", "async_httpx_transport", "requests_adapter"),  # other names of classes above
    *("grpc_channel", "grpc_aio_channel"),  # objects of grpcio; test_sdk_adapters_leaks.py calls through one
}
_ERRORS = sorted(
    name
    for name in meshpass.__all__
    if isinstance(getattr(meshpass, name), type) and issubclass(getattr(meshpass, name), meshpass.MeshError)
)


def service_account(pem: bytes, token_uri: str = "https://oauth2.googleapis.com/token") -> dict[str, object]:
    return {
        "type": "service_account",
        "client_email": "caller@test-project.invalid",
        "private_key": pem.decode(),
        "private_key_id": "1",
        "token_uri": token_uri,
    }


def test_every_public_class_is_searched() -> None:
    assert {*_OBJECTS, *_ERRORS, *_NO_OBJECTS} == set(meshpass.__all__)


@_FUZZ
@given(name=st.sampled_from(sorted({*_OBJECTS, *_ERRORS})), issuer=_WORDS, audience=_WORDS, extra=_WORDS)
def test_no_object_shows_a_secret(name: str, issuer: str, audience: str, extra: str) -> None:
    kit = Kit(issuer, audience, {"x": extra})
    assert kit.token
    value = kit.error(getattr(meshpass, name)) if name in _ERRORS else _OBJECTS[name](kit)

    assert kit.secrets.in_text(shown_by(value)) is None


def test_settings_show_no_secret(tmp_path: Path) -> None:
    with FakeGateway() as gateway:
        found = meshpass.Settings.from_env(gateway.environ(tmp_path))

    assert Secrets().add_key(gateway.key()).in_text(shown_by(found) + shown_by(found.token_source())) is None


# What a server may do with a request: the beginning of its answer's body is its own, then it repeats what it got.
_REPEATED = st.sampled_from(["nothing", "header", "token", "payload", "signature"])
_BEFORE = st.sampled_from(
    ["Jwt is expired ", "RBAC: access denied", "upstream connect error ", "", "x" * 190, "Jwt " + "y" * 150]
)
_STATUS = st.sampled_from([200, 302, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504])
_SERVER = st.sampled_from(["istio-envoy", "other"])
_ENCODING = st.sampled_from(["", "", "", "gzip", "br"])


def repeating(before: str, repeated: str, request: Request) -> bytes:
    header = request.headers.get("authorization", "")
    value = header.removeprefix("Bearer ")
    pieces = {
        "header": header,
        "token": value,
        "nothing": "",
        **dict(zip(("payload", "signature"), value.split(".")[1:], strict=False)),
    }
    return (before + pieces[repeated]).encode()


Call = Callable[[str, meshpass.SignedJWT], str]
"""Makes a call; returns what its client and its answer show."""


def by_client(address: str, source: meshpass.SignedJWT) -> str:
    with meshpass.Client("http://a.internal", address=address, auth=source) as client:
        answer = client.get("/{user_id}", user_id="u")
        return shown_by(client) + shown_by_answer(answer)


def by_async_client(address: str, source: meshpass.SignedJWT) -> str:
    async def call() -> str:
        async with meshpass.AsyncClient("http://a.internal", address=address, auth=source) as client:
            answer = await client.get("/{user_id}", user_id="u")
            return shown_by(client) + shown_by_answer(answer)

    return asyncio.run(call())


def by_httpx(address: str, source: meshpass.SignedJWT) -> str:
    # Without a context httpx reads every certificate of a public CA, for each call.
    return str(httpx.get(f"http://{address}/", auth=source, verify=_NO_AUTHORITIES).raise_for_status())


def by_requests(address: str, source: meshpass.SignedJWT) -> str:
    answer = requests.get(f"http://{address}/", auth=meshpass.RequestsAuth(source), timeout=5)
    answer.raise_for_status()
    return str(answer)


def shown_by_answer(answer: httpx.Response) -> str:
    return f"{shown_by(answer)} {vars(answer)} {vars(answer.request)} {answer.request.headers.raw}"


class Repeater(LocalServer):
    """A server that gives the answer of the moment."""

    def __init__(self) -> None:
        self.answer: Callable[[Request], Reply] = lambda _: Reply()
        super().__init__(lambda request: self.answer(request))


@pytest.fixture(scope="module")
def repeater() -> Iterator[Repeater]:
    server = Repeater()
    server.start()
    yield server
    server.close()


@pytest.mark.parametrize("call", [by_client, by_async_client, by_httpx, by_requests])
@_FUZZ
@given(status=_STATUS, server_name=_SERVER, encoding=_ENCODING, before=_BEFORE, repeated=_REPEATED)
def test_no_call_shows_a_secret(
    call: Call,
    status: int,
    server_name: str,
    encoding: str,
    before: str,
    repeated: str,
    repeater: Repeater,
) -> None:
    headers = {"server": server_name, **({"content-encoding": encoding} if encoding else {})}
    repeater.answer = lambda request: Reply(status, repeating(before, repeated, request), headers)
    kit = Kit()
    assert kit.token
    shown = ""
    with everything_logged() as records:
        try:
            found = call(repeater.address, kit.signed)
            # What the service itself repeats is its answer, and the caller's to keep.
            shown = found if repeated == "nothing" else ""
        except meshpass.MeshError as error:
            # An answer that repeats the token is still the answer that a frame at work on it holds.
            shown = shown_by_error(error, with_locals=repeated == "nothing")
        except (httpx.HTTPError, requests.RequestException) as error:
            # Their errors carry the request, token and all; what they print is all that can be asked of them.
            shown = f"{error} {error!r}"

    assert kit.secrets.in_text(shown) is None
    assert kit.secrets.in_text(shown_by_records(records)) is None


@pytest.mark.parametrize("call", [by_client, by_async_client])
@pytest.mark.parametrize("source", ["refuses", "unreachable"])
def test_no_failed_call_shows_a_secret(call: Call, source: str) -> None:
    kit = Kit()
    assert kit.token
    address = "127.0.0.1:9"  # the discard port, where nothing listens
    with everything_logged() as records, FakeGateway() as gateway:
        if source == "refuses":
            gateway.fail(10)
            address = gateway.address
        with pytest.raises(meshpass.MeshError) as caught:
            call(address, kit.signed)

    assert kit.secrets.in_text(shown_by_error(caught.value)) is None
    assert kit.secrets.in_text(shown_by_records(records)) is None


@_FUZZ
@given(
    content=st.binary(max_size=40),
    cut=st.integers(0, 260),
    shape=st.sampled_from(["cut", "joined", "wrapped"]),
)
def test_no_damaged_key_shows_itself(content: bytes, cut: int, shape: str) -> None:
    kit = Kit()
    pem = kit.key()
    damaged = {
        "cut": pem[:cut] + content,
        "joined": pem.replace(b"\n", content),
        "wrapped": content + pem[:cut],
    }[shape]
    source = meshpass.SignedJWT("i", "a", lambda: damaged)
    shown = ""
    with everything_logged() as records:
        for use in (source.token, source.jwks):
            try:
                use()
            except meshpass.SigningKeyError as error:
                shown += shown_by_error(error)

    assert kit.secrets.in_text(shown) is None
    assert kit.secrets.in_text(shown_by_records(records)) is None


@pytest.mark.parametrize("async_", [False, True])
@pytest.mark.parametrize("failures", [(0, 503), (1, 503), (10, 404), (10, 503)])
def test_no_metadata_token_shows(
    failures: tuple[int, int],
    async_: bool,
    meshpass_metadata: FakeMetadataServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times, status = failures
    meshpass_metadata.fail(times, status=status)
    source = meshpass.GoogleIDToken("someone", credentials="metadata")
    secrets = Secrets().add_key(meshpass_metadata.key())
    shown = shown_by(source)
    with everything_logged() as records:
        try:
            token = asyncio.run(source.atoken()) if async_ else source.token()
        except meshpass.IdentityError as error:
            shown += shown_by_error(error)
        else:
            secrets.add_token(token.value)
            shown += shown_by(token) + shown_by(source)

    assert secrets.in_text(shown + shown_by_records(records)) is None


@pytest.fixture(scope="module")
def rsa_pem() -> bytes:
    """Return a small key: to read it, and to search for all its pieces, takes most of the time of its test."""
    return pem_of(rsa.generate_private_key(public_exponent=65537, key_size=1024))


@settings(_FUZZ, max_examples=25)
@given(
    status=st.sampled_from([200, 400, 401, 403, 500]),
    body=st.sampled_from(["token", "repeat", "error", "text", "list"]),
)
def test_no_exchange_of_a_service_accounts_key_shows_a_secret(
    status: int,
    body: str,
    rsa_pem: bytes,
    repeater: Repeater,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    identity = ThrowawayKey().sign(
        {"aud": "someone", "exp": 4_000_000_000, "iss": "https://accounts.google.com"}
    )
    secrets = Secrets().add_key(rsa_pem).add_token(identity)

    def answer(request: Request) -> Reply:
        sent = request.body.decode()
        secrets.add_token(sent.partition("assertion=")[2].partition("&")[0])
        bodies: dict[str, object] = {
            "token": {"id_token": identity},
            "repeat": {"error": "invalid_grant", "error_description": sent},
            "error": {"error": {"message": sent}},
            "list": [sent],
        }
        return Reply.text(sent, status) if body == "text" else Reply.json(bodies[body], status)

    repeater.answer = answer
    meshpass.testing.forget_tokens()
    monkeypatch.setattr(google.auth._helpers, "is_logging_enabled", lambda logger: True)
    source = meshpass.GoogleIDToken(
        "someone", credentials=service_account(rsa_pem, f"http://{repeater.address}/token")
    )
    shown = shown_by(source)
    with everything_logged() as records:
        try:
            shown += shown_by(source.token())
        except meshpass.MeshError as error:
            shown += shown_by_error(error)

    assert secrets.in_text(shown + shown_by_records(records)) is None


def test_no_step_of_a_keys_life_shows_it(tmp_path: Path) -> None:
    secrets, shown = Secrets(), ""
    store = meshpass.keys.FileKeyStore(tmp_path / "keys")
    ring = meshpass.keys.KeyRing(store)
    with everything_logged() as records:
        for step in (ring.create, ring.next):
            shown += shown_by(step())
            for file in (tmp_path / "keys").glob("[0-9].pem"):
                secrets.add_key(file.read_bytes())
        with suppress(meshpass.MeshError):
            shown += shown_by(ring.revoke("active", force=True))
        with pytest.raises(meshpass.MeshError) as caught:
            ring.retire(wait=False)
        shown += shown_by(ring) + shown_by(store) + shown_by(store.load()) + shown_by_error(caught.value)

    assert secrets.in_text(shown + shown_by_records(records)) is None
    assert secrets.in_text((tmp_path / "keys" / "index.json").read_text()) is None


def test_no_part_of_the_testing_kit_shows_a_secret() -> None:
    key = ThrowawayKey()
    source = InMemorySource(key.sign({"iss": "me"}))
    secrets = Secrets().add_key(key()).add_token(source.token().value)
    with FakeGateway() as gateway, FakeMetadataServer() as metadata:
        secrets.add_key(gateway.key()).add_key(metadata.key())
        shown = "".join(map(shown_by, (key, source, gateway, metadata, gateway.key, gateway.auth())))

    assert secrets.in_text(shown) is None


def test_the_search_finds_what_is_there() -> None:
    kit = Kit()
    pem, value = kit.key().decode(), kit.token.value
    number = json.dumps(kit.key._private.private_numbers().private_value)

    for shown in (
        pem,
        value,
        value[40:],
        number,
        value.rpartition(".")[2][5:20],
        repr(pem),
        f"x{number[9:40]}",
    ):
        assert kit.secrets.in_text(f"... {shown} ...") is not None
    assert kit.secrets.in_text(json.dumps(kit.key.jwks) + value.partition(".")[0]) is None
