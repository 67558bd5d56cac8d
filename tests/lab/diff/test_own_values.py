"""What belongs to one run alone is no part of an effect, and all else is."""

from __future__ import annotations

import base64
import json
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meshlab.bench.case import TokenSpec
from meshlab.bench.issuers import Issuers
from meshlab.bench.token_maker import make_token
from meshlab.diff.own_values import of_every_run, without_own_values

ISSUER = "https://idp.example"


def payload(**claims: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "name",
    [
        "x-request-id",
        "X-Request-Id",
        "traceparent",
        "tracestate",
        "x-b3-traceid",
        "x-envoy-attempt-count",
        "x-envoy-upstream-service-time",
        "x-meshlab-case",
        "date",
        "content-length",
    ],
)
def test_headers_of_one_request_are_left_out(name: str) -> None:
    assert of_every_run([(name, "1"), ("x-kept", "a")]) == (("x-kept", "a"),)


def test_names_are_in_lower_case_and_sorted_and_the_values_of_one_name_keep_their_order() -> None:
    headers = [("X-B", "2"), ("x-a", "z"), ("X-A", "a")]
    assert of_every_run(headers) == (("x-a", "z"), ("x-a", "a"), ("x-b", "2"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (str(uuid.uuid4()), str(uuid.uuid4())),
        ("127.0.0.1:40001", "127.0.0.1:52222"),
        ("10.1.2.3, 127.0.0.1", "10.1.2.3, 127.0.0.5"),
        (str(int(time.time())), str(int(time.time()) + 100)),
        (payload(iss=ISSUER, iat=1, exp=2, jti="a"), payload(iss=ISSUER, iat=3, exp=4, jti="b")),
    ],
    ids=["request id", "port", "address", "time", "claims"],
)
def test_values_of_one_run_become_the_same_word(one: str, other: str) -> None:
    assert without_own_values(one) == without_own_values(other)


def test_two_tokens_with_the_same_claims_are_the_same() -> None:
    issuers = Issuers({ISSUER: ()})
    one, other = (make_token(TokenSpec(ISSUER), issuers) for _ in range(2))
    assert one != other
    assert without_own_values(f"Bearer {one}") == without_own_values(f"Bearer {other}") == "Bearer <token>"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10.1.2.3", "10.1.2.4"),
        ("10.1.2.3, 127.0.0.1", "127.0.0.1"),
        ("Bearer eyJhbGciOiJub25lIn0.e30.", ""),
        (payload(iss=ISSUER, sub="alice"), payload(iss=ISSUER, sub="bob")),
        (payload(iss=ISSUER, exp=1), payload(iss=ISSUER)),
        ("/v1/items", "/v2/items"),
        ("15", "30"),
    ],
)
def test_what_a_mesh_decides_stays_different(one: str, other: str) -> None:
    assert without_own_values(one) != without_own_values(other)


def test_a_certificate_of_the_run_is_left_out_and_the_identity_is_not() -> None:
    def forwarded(hash_: str, identity: str) -> object:
        return of_every_run(
            [("x-forwarded-client-cert", f'By=spiffe://a;Hash={hash_};Subject="";URI={identity}')]
        )

    assert forwarded("aa11", "spiffe://x") == forwarded("bb22", "spiffe://x")
    assert forwarded("aa11", "spiffe://x") != forwarded("aa11", "spiffe://y")
    assert of_every_run([("x-note", "Hash=aa11")]) == (("x-note", "Hash=aa11"),)


@given(st.text(max_size=200))
def test_any_text_can_be_looked_at_twice(text: str) -> None:
    once = without_own_values(text)
    assert without_own_values(once) == once
