"""The caller's own token: what is in it, how long it is kept, how it is signed."""

import asyncio
import base64
import hashlib
import json
import threading

import jwt
import meshpass
import pytest

from tests.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture
def source(pem: bytes, clock: Clock) -> meshpass.SignedJWT:
    return meshpass.SignedJWT("https://i.test", "aud", lambda: pem, scope="a b", clock=clock)


def claims_of(token: meshpass.Token) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(token.value, options={"verify_signature": False})
    return claims


def test_the_mesh_verifies_the_token_with_the_published_jwks(source: meshpass.SignedJWT) -> None:
    key = jwt.PyJWKSet.from_dict(source.jwks())[jwt.get_unverified_header(source.token().value)["kid"]]

    claims = jwt.decode(
        source.token().value,
        key,
        ["ES256"],
        audience="aud",
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )

    assert claims["iss"] == "https://i.test"


def test_the_token_has_the_agreed_header_and_claims(source: meshpass.SignedJWT, clock: Clock) -> None:
    token = source.token()
    claims = claims_of(token)
    kid = source.jwks()["keys"][0]["kid"]

    assert jwt.get_unverified_header(token.value) == {"alg": "ES256", "typ": "JWT", "kid": kid}
    assert claims.keys() == {"iss", "sub", "aud", "scope", "iat", "nbf", "exp", "jti"}
    assert (claims["sub"], claims["aud"], claims["scope"]) == ("https://i.test", "aud", "a b")
    assert claims["iat"] == claims["nbf"] == clock.now_s - 5
    assert claims["exp"] == clock.now_s + 295 == token.expires_at
    assert token.claims == {"iss": "https://i.test", "aud": "aud", "kid": kid, "exp": claims["exp"]}


def test_the_kid_is_the_rfc_7638_thumbprint_of_the_public_key(source: meshpass.SignedJWT) -> None:
    key = source.jwks()["keys"][0]
    canonical = '{{"crv":"{crv}","kty":"{kty}","x":"{x}","y":"{y}"}}'.format(**key)
    digest = hashlib.sha256(canonical.encode()).digest()

    assert key["kid"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_the_jwks_holds_the_public_key_only(source: meshpass.SignedJWT) -> None:
    assert source.jwks()["keys"][0].keys() == {"kty", "crv", "x", "y", "alg", "use", "kid"}
    assert json.dumps(source.jwks())


def test_a_subject_of_its_own_is_kept_and_a_missing_scope_is_left_out(pem: bytes) -> None:
    claims = claims_of(meshpass.SignedJWT("i", "a", lambda: pem, subject="me").token())

    assert claims["sub"] == "me"
    assert "scope" not in claims


def test_a_token_is_kept_until_the_last_quarter_of_its_life(source: meshpass.SignedJWT, clock: Clock) -> None:
    first = source.token()

    clock.now_s = first.expires_at - 75
    assert source.token() is first
    clock.now_s = first.expires_at - 58
    second = source.token()

    assert claims_of(second)["jti"] != claims_of(first)["jti"]


def test_a_clock_set_back_makes_a_new_token(source: meshpass.SignedJWT, clock: Clock) -> None:
    first = source.token()

    clock.now_s -= 3600

    assert claims_of(source.token())["iat"] == clock.now_s - 5
    assert source.token() is not first


def test_a_refused_token_is_forgotten_and_a_newer_one_is_not(source: meshpass.SignedJWT) -> None:
    first = source.token()
    source.invalidate(first)
    second = source.token()

    source.invalidate(first)

    assert second is not first
    assert source.token() is second


def test_the_key_is_read_once_however_many_ask(pem: bytes) -> None:
    reads: list[int] = []
    together = threading.Barrier(8)

    def key() -> bytes:
        reads.append(1)
        return pem

    source = meshpass.SignedJWT("i", "a", key)
    tokens: list[meshpass.Token] = []

    def ask() -> None:
        together.wait()
        tokens.append(source.token())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(reads) == 1
    assert len({token.value for token in tokens}) == 1


def test_asyncio_reads_the_key_off_the_event_loop_and_shares_the_token(pem: bytes) -> None:
    where: list[threading.Thread] = []

    def key() -> bytes:
        where.append(threading.current_thread())
        return pem

    source = meshpass.SignedJWT("i", "a", key)

    async def ask() -> list[meshpass.Token]:
        return await asyncio.gather(*(source.atoken() for _ in range(20)))

    tokens = asyncio.run(ask())

    assert len({token.value for token in tokens}) == len(where) == 1
    assert where[0] is not threading.current_thread()


def test_a_key_that_could_not_be_read_is_asked_for_again(pem: bytes) -> None:
    answers = [b"", pem]
    source = meshpass.SignedJWT("i", "a", lambda: answers.pop(0))

    with pytest.raises(meshpass.SigningKeyError):
        source.token()

    assert source.token().value


def test_claims_of_ones_own_are_signed_too(pem: bytes) -> None:
    source = meshpass.SignedJWT("i", "a", lambda: pem, claims={"tenant": "blue", "roles": ["reader"]})

    claims = claims_of(source.token())

    assert (claims["tenant"], claims["roles"], claims["sub"]) == ("blue", ["reader"], "i")


def test_no_claim_of_the_source_can_be_overridden(pem: bytes) -> None:
    own = ("iss", "sub", "aud", "scope", "iat", "nbf", "exp", "jti")

    with pytest.raises(meshpass.ConfigurationError) as caught:
        meshpass.SignedJWT("i", "a", lambda: pem, claims=dict.fromkeys(own, 1))

    assert caught.value.problems == [f"claims has {name!r}, which SignedJWT sets itself." for name in own]


@pytest.mark.parametrize("value", [float("nan"), b"bytes", object()])
def test_a_claim_that_json_cannot_express_is_a_configuration_error(pem: bytes, value: object) -> None:
    with pytest.raises(meshpass.ConfigurationError, match="JSON cannot express"):
        meshpass.SignedJWT("i", "a", lambda: pem, claims={"x": value})


@pytest.mark.parametrize("lifetime_s", [29, 301, -1])
def test_a_lifetime_outside_five_minutes_is_a_configuration_error(pem: bytes, lifetime_s: int) -> None:
    with pytest.raises(meshpass.ConfigurationError, match="from 30 to 300"):
        meshpass.SignedJWT("i", "a", lambda: pem, lifetime_s=lifetime_s)


def test_an_empty_issuer_and_audience_are_both_reported(pem: bytes) -> None:
    with pytest.raises(meshpass.ConfigurationError) as caught:
        meshpass.SignedJWT("", "", lambda: pem)

    assert caught.value.problems == ["issuer is empty.", "audience is empty."]
