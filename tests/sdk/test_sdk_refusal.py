"""Which answers are the mesh's own, and what each of them means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meshpass import MeshError, NoRoute, NotAllowed, RequestRefused, TokenRefused, UpstreamUnavailable
from meshpass._call.refusal import MAX_DETAIL_CHARS, classify, one_line

_GATEWAY = {"server": "istio-envoy", "content-type": "text/plain"}
_WORKLOAD = {**_GATEWAY, "x-envoy-upstream-service-time": "2"}
_SILENT = {"content-type": "text/plain"}  # a mesh set to tell nothing of itself
_JSON = {**_GATEWAY, "content-type": "application/json"}
_UPSTREAM_RESET = (
    b"upstream connect error or disconnect/reset before headers. reset reason: connection timeout"
)


@pytest.mark.parametrize("headers", [_GATEWAY, _WORKLOAD, _SILENT], ids=["gateway", "workload", "silent"])
@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b"Jwt is missing", TokenRefused),
        (401, b"Jwt is expired", TokenRefused),
        (401, b"Jwt issuer is not configured", TokenRefused),
        (401, b"Jwt verification fails", TokenRefused),
        (401, b"Jwks doesn't have key to match kid or alg from Jwt", TokenRefused),
        (401, b"Jwt header [alg] is not supported", TokenRefused),
        (403, b"Audiences in Jwt are not allowed", TokenRefused),
        (403, b"RBAC: access denied", NotAllowed),
        (503, b"no healthy upstream", UpstreamUnavailable),
        (503, _UPSTREAM_RESET, UpstreamUnavailable),
        (504, b"upstream request timeout", UpstreamUnavailable),
    ],
)
def test_envoys_words_mean_the_same_from_either_proxy(
    headers: dict[str, str], status: int, body: bytes, error: type[MeshError]
) -> None:
    found = classify(status, headers, body)

    assert found is not None
    assert (found.error, found.detail) == (error, body.decode())
    assert found.answered_by == ("workload" if headers is _WORKLOAD else "gateway")
    assert found.hint


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (301, b"", RequestRefused),
        (400, b"", RequestRefused),
        (401, b"", TokenRefused),
        (403, b"", NotAllowed),
        (404, b"", NoRoute),
        (413, b"Payload Too Large", RequestRefused),
        (429, b"local_rate_limited", RequestRefused),
        (500, b"", RequestRefused),
        (502, b"", UpstreamUnavailable),
        (503, b"", UpstreamUnavailable),
    ],
)
def test_what_the_gateway_answers_without_upstream_is_its_own(
    status: int, body: bytes, error: type[MeshError]
) -> None:
    found = classify(status, _GATEWAY, body)

    assert found is not None
    assert (found.error, found.answered_by) == (error, "gateway")


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 429, 500, 502, 503, 504])
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (_WORKLOAD, b"the service's own words"),
        (_WORKLOAD, b""),
        ({**_JSON, "x-envoy-upstream-service-time": "2"}, b'{"error": "x"}'),
        (_JSON, b'{"error": "x"}'),
        ({}, b""),
        ({"server": "uvicorn"}, b"Jwt-like, but not Envoy's"),
    ],
    ids=["text", "empty", "json", "json without a service time", "no headers", "another server"],
)
def test_what_the_service_answers_is_its_own(status: int, headers: dict[str, str], body: bytes) -> None:
    assert classify(status, headers, body) is None


@pytest.mark.parametrize("headers", [_GATEWAY, _WORKLOAD, {}])
@pytest.mark.parametrize("body", [b"", b"RBAC: access denied", b"Jwt is expired"])
def test_a_success_is_never_a_refusal(headers: dict[str, str], body: bytes) -> None:
    assert classify(200, headers, body) is None


def test_only_what_may_change_by_itself_is_retryable() -> None:
    def retryable(status: int, body: bytes) -> bool:
        found = classify(status, _GATEWAY, body)
        assert found is not None
        return found.retryable

    assert [retryable(status, b"") for status in (429, 502, 503, 504)] == [True] * 4
    assert retryable(401, b"Jwks remote fetch is failed")
    assert not any(retryable(status, b"") for status in (301, 400, 401, 403, 404, 500))
    assert not retryable(401, b"Jwt is expired")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("Jwt is expired", "clock"),
        ("Jwt issuer is not configured", "iss"),
        ("Audiences in Jwt are not allowed", "aud"),
        ("Jwks doesn't have key to match kid or alg from Jwt", "20 minutes"),
        ("Jwt verification fails: Jwks doesn't have key to match kid or alg from Jwt", "20 minutes"),
        ("Jwt verification fails", "kid"),
        ("Jwt payload is an invalid JSON", "claims"),
    ],
)
def test_the_hint_answers_what_envoy_complained_of(words: str, hint: str) -> None:
    found = classify(401, _GATEWAY, words.encode())

    assert found is not None
    assert hint in found.hint


@given(st.integers(100, 599), st.sampled_from([_GATEWAY, _WORKLOAD, _SILENT, _JSON, {}]), st.binary())
def test_any_answer_is_classified_and_its_detail_is_one_short_line(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    found = classify(status, headers, body)

    if found is not None:
        assert found.detail == one_line(body)
        assert len(found.detail) <= MAX_DETAIL_CHARS
        assert found.detail.isprintable()


def test_a_long_answer_is_cut() -> None:
    assert one_line(b"a\r\n b\t" * 1000) == "a b " * 49 + "a b…"
