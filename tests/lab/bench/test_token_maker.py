"""Tokens of cases, checked by PyJWT, and by real Envoy as far as it is asked to."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from meshlab.bench.case import FromOutside, HttpRequest, TokenSpec
from meshlab.bench.issuers import Issuers
from meshlab.bench.planning.http_request import wire_request
from meshlab.bench.token_maker import FLAWS, make_token

from tests.lab.bench.mesh import DOOR, ISSUER

if TYPE_CHECKING:
    from tests.lab.bench.conftest import Ask

ONE = "https://one.example"


@pytest.fixture
def issuers() -> Issuers:
    return Issuers({ONE: ["first", "second"]})


def verified(
    token: str, issuers: Issuers, issuer: str = ONE, audience: str | None = "first"
) -> dict[str, Any]:
    (key,) = jwt.PyJWKSet.from_json(issuers.jwks[issuer]).keys
    options: Any = {"verify_aud": audience is not None}
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=["ES256"], audience=audience, options=options)
    return claims


def test_a_good_token_carries_defaults_and_the_claims_as_written(issuers: Issuers) -> None:
    now = int(time.time())
    claims = verified(
        make_token(TokenSpec(claims={"sub": "alice", "roles": ["a", "b"], "n": {"x": True}}), issuers),
        issuers,
    )
    assert (claims["iss"], claims["aud"], claims["sub"]) == (ONE, "first", "alice")
    assert (claims["roles"], claims["n"]) == (["a", "b"], {"x": True})
    assert now <= claims["iat"] == claims["nbf"] <= now + 5
    assert claims["exp"] == claims["iat"] + 300
    assert claims["jti"]


def test_a_written_claim_replaces_a_default_and_null_leaves_it_out(issuers: Issuers) -> None:
    token = make_token(TokenSpec(claims={"aud": ["second", "x"], "exp": 4_000_000_000, "jti": None}), issuers)
    claims = verified(token, issuers, audience="second")
    assert claims["exp"] == 4_000_000_000
    assert "jti" not in claims


def test_issuers_sign_with_keys_of_their_own(issuers: Issuers) -> None:
    two = Issuers({ONE: [], "https://two.example": []})
    token = make_token(TokenSpec("https://two.example"), two)
    assert verified(token, two, "https://two.example", None)["iss"] == "https://two.example"
    with pytest.raises(jwt.InvalidSignatureError):
        verified(token, two, ONE, None)
    foreign = make_token(TokenSpec("https://foreign.example"), issuers)
    with pytest.raises(jwt.InvalidSignatureError):
        verified(foreign, issuers, audience=None)


def test_a_token_without_an_issuer_needs_exactly_one(issuers: Issuers) -> None:
    assert make_token(TokenSpec(), issuers)
    for unclear in (Issuers({}), Issuers({ONE: [], "https://two.example": []})):
        with pytest.raises(LookupError, match="needs its issuer written down"):
            make_token(TokenSpec(), unclear)


def test_keys_stay_when_the_manifests_change(issuers: Issuers) -> None:
    before = issuers.jwks[ONE]
    issuers.update({ONE: [], "https://two.example": []})
    assert issuers.jwks[ONE] == before
    assert set(issuers.jwks) == {ONE, "https://two.example"}


def test_an_unknown_flaw_is_refused_by_name(issuers: Issuers) -> None:
    with pytest.raises(LookupError, match="no flaw 'bent'; known are HS256 with the public key, alg none"):
        make_token(TokenSpec(flaw="bent"), issuers)


@pytest.mark.parametrize(
    ("flaw", "error"),
    [
        ("expired", jwt.ExpiredSignatureError),
        ("expired a moment ago", jwt.ExpiredSignatureError),
        ("not yet valid", jwt.ImmatureSignatureError),
        ("wrong audience", jwt.InvalidAudienceError),
        ("no audience", jwt.MissingRequiredClaimError),
        ("unknown key", jwt.InvalidSignatureError),
        ("other key under the known kid", jwt.InvalidSignatureError),
        ("tampered", jwt.InvalidSignatureError),
        ("alg none", jwt.InvalidAlgorithmError),
        ("HS256 with the public key", jwt.InvalidAlgorithmError),
        ("garbage", jwt.DecodeError),
    ],
)
def test_a_flaw_is_what_its_name_says(issuers: Issuers, flaw: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        verified(make_token(TokenSpec(flaw=flaw), issuers), issuers)


@pytest.mark.parametrize(("flaw", "claim"), [("no exp", "exp"), ("no sub", "sub"), ("no issuer", "iss")])
def test_a_flaw_can_be_a_claim_left_out(issuers: Issuers, flaw: str, claim: str) -> None:
    assert claim not in verified(make_token(TokenSpec(claims={"sub": "a"}, flaw=flaw), issuers), issuers)


def test_a_wrong_issuer_signs_with_the_right_key(issuers: Issuers) -> None:
    assert verified(make_token(TokenSpec(flaw="wrong issuer"), issuers), issuers)["iss"] != ONE


FORGIVEN = {"expired a moment ago", "no exp", "no sub"}


@pytest.mark.parametrize("flaw", ["", *sorted(FLAWS)])
def test_real_envoy_refuses_what_is_not_to_be_forgiven(ask: Ask, flaw: str) -> None:
    token = TokenSpec(ISSUER, {"sub": "alice"}, flaw)
    verdict = ask(FromOutside(DOOR), "http://cart.example/", token).verdict
    assert verdict is not None
    expected = (200, None) if flaw in FORGIVEN | {""} else (401, DOOR)
    if flaw in ("wrong audience", "no audience"):
        expected = (403, DOOR)  # what Envoy says to a good token for another audience
    assert (verdict.reply.status, verdict.proxy) == expected


def test_tokens_are_placed_where_the_case_says(issuers: Issuers) -> None:
    tokens = [
        TokenSpec(literal="a"),
        TokenSpec(literal="b"),
        TokenSpec(literal="c", name="x-token", prefix=""),
        TokenSpec(literal="d", placement="query"),
        TokenSpec(literal="e", placement="query", name="t"),
        TokenSpec(literal="f", placement="cookie", name="one"),
        TokenSpec(literal="g", placement="cookie"),
    ]
    request = wire_request(HttpRequest("http://a.example/p?q=1"), tokens, issuers, "m")
    assert request.target == "/p?q=1&access_token=d&t=e"
    assert request.headers == (
        ("authorization", "Bearer a"),
        ("authorization", "Bearer b"),
        ("x-token", "c"),
        ("cookie", "one=f; access_token=g"),
        ("x-meshlab-case", "m"),
    )


@pytest.mark.parametrize(
    ("request_", "authority", "target", "headers"),
    [
        (HttpRequest("http://a.example"), "a.example", "/", []),
        (HttpRequest("https://a.example:8443/x?"), "a.example:8443", "/x", []),
        (HttpRequest("http://a.example/%2e/../b#c"), "a.example", "/%2e/../b", []),
        (HttpRequest("http://a.example/", target="*"), "a.example", "*", []),
        (HttpRequest("http://a.example/", headers=(("Host", "b"), ("host", "c"))), "b", "/", [("host", "c")]),
    ],
)
def test_a_request_goes_out_as_written(
    issuers: Issuers, request_: HttpRequest, authority: str, target: str, headers: list[tuple[str, str]]
) -> None:
    sent = wire_request(request_, [], issuers, "m")
    assert (sent.authority, sent.target, list(sent.headers[:-1])) == (authority, target, headers)


def test_jwks_hold_public_keys_alone(issuers: Issuers) -> None:
    (key,) = json.loads(issuers.jwks[ONE])["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "alg", "use", "kid"}
