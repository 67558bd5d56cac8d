# ruff: noqa: PT017
"""Whatever a server, a file or the environment says, only a `MeshError` leaves a source."""

import asyncio
import base64
import json
from typing import Any

import meshpass
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from meshpass._tokens.google.access_token import GoogleAccessToken
from meshpass._tokens.google.claims import read_token
from meshpass._tokens.untrusted_json import json_object, seconds
from meshpass.testing import forget_tokens

from .conftest import AUDIENCE, TARGET, Google

_FUZZ = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_DEEP = "[" * 100_000 + "]" * 100_000
_NUMBERS = st.sampled_from(
    [
        "1" * 400,
        "-" + "9" * 400,
        "9" * 5000,
        "NaN",
        "Infinity",
        "1e400",
        "-1",
        "0",
        "null",
        "true",
        '"x"',
        "[]",
        "1e300",
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_NAMES = (
    "access_token",
    "expires_in",
    "id_token",
    "token",
    "accessToken",
    "expireTime",
    "error",
    "exp",
    "aud",
)
_DOCUMENTS = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [_DEEP.encode(), b"", b"\xff", b"a.b.c", b"..", b'{"a": "\\ud800"}', b'{"token": "a\\r\\nb"}']
    ),
    st.dictionaries(st.sampled_from(_NAMES), _VALUES).map(lambda found: json.dumps(found).encode()),
    st.builds(
        lambda name, number: (
            f'{{"access_token": "a", "token": "t", "accessToken": "a", "{name}": {number}}}'.encode()
        ),
        st.sampled_from(_NAMES),
        _NUMBERS,
    ),
)


def encoded(payload: str, header: str = "{}") -> str:
    return ".".join(
        base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in (header, payload, "s")
    )


@given(
    payload=st.one_of(
        st.builds(lambda number: f'{{"aud": "a", "exp": {number}}}', _NUMBERS),
        st.just(_DEEP),
        st.just('{"aud": "a", "exp": 1, "iss": ' + "[" * 900 + "]" * 900 + "}"),
        st.text(max_size=40),
        _VALUES.map(json.dumps),
    ),
    text=st.text(max_size=60) | st.just(""),
)
def test_any_text_is_an_id_token_or_an_identity_error(payload: str, text: str) -> None:
    for candidate in (
        encoded(payload),
        encoded('{"exp": 1, "aud": "a"}', payload),
        text,
        f"{text}.{text}.{text}",
    ):
        try:
            token = read_token(candidate, "a", "the test")
        except meshpass.IdentityError:
            continue
        assert token.value.isascii()
        assert token.value.isprintable()
        assert -(2**53) < token.expires_at < 2**53
        json.dumps(dict(token.claims), allow_nan=False)


@pytest.mark.parametrize(
    "exp", ["1" * 400, "9" * 5000, "NaN", "Infinity", "1e400", "null", '"x"', "true", "[1]"]
)
def test_an_id_token_with_an_odd_expiry_is_none(exp: str) -> None:
    with pytest.raises(meshpass.IdentityError, match="is not a valid JWT"):
        read_token(encoded(f'{{"aud": "a", "exp": {exp}}}'), "a", "the test")


@pytest.mark.parametrize("between", ["\n", " ", "\r\nx: y", "é", "\x00"])
def test_an_id_token_that_would_break_a_header_is_none(between: str) -> None:
    header, payload, signature = encoded('{"aud": "a", "exp": 4000000000}').split(".")

    with pytest.raises(meshpass.IdentityError, match="is not a valid JWT"):
        read_token(f"{header}.{payload}.{signature}{between}", "a", "the test")


@given(st.binary(max_size=80) | st.text(max_size=80) | st.just(_DEEP))
def test_json_of_any_kind_is_an_object(data: bytes | str) -> None:
    assert isinstance(json_object(data), dict)


@given(_VALUES)
@example(10**400)
@example("9" * 400)
@example("nan")
def test_seconds_are_finite(value: object) -> None:
    found = seconds(value)

    assert found is None or abs(found) < 2**53


@_FUZZ
@given(
    document=_DOCUMENTS,
    status=st.sampled_from([200, 200, 200, 201, 204, 400, 404, 999]),
    fields=st.sampled_from([{}, {"content-encoding": "gzip"}, {"retry-after": "9" * 400}, {"location": "/"}]),
    path=st.sampled_from(["token", "/v1/token", ":generateIdToken", ":generateAccessToken", "identity"]),
    name=st.sampled_from(["metadata", "key_file", "federation_file"]),
    asyncio_=st.booleans(),
)
def test_whatever_a_server_responds_only_a_mesh_error_leaves(
    document: bytes,
    status: int,
    fields: dict[str, str],
    path: str,
    name: str,
    asyncio_: bool,
    on_google: Google,
    key_file: dict[str, Any],
    federation_file: dict[str, Any],
) -> None:
    forget_tokens()
    credentials: Any = {"metadata": name, "key_file": key_file, "federation_file": federation_file}[name]
    on_google.broken = {path: [(status, {"Metadata-Flavor": "Google", **fields}, document)] * 9}
    sources = [
        meshpass.GoogleIDToken(AUDIENCE, credentials=credentials),
        meshpass.GoogleIDToken(
            AUDIENCE, credentials=credentials, service_account=TARGET, iam_endpoint=on_google.url
        ),
        GoogleAccessToken(),
    ]
    for source in sources:
        try:
            token = asyncio.run(source.atoken()) if asyncio_ else source.token()
        except meshpass.IdentityError as error:
            assert str(error).isprintable()
        else:
            assert token.value.isascii()
            assert token.value.isprintable()


_URLS = st.sampled_from(
    [
        "http://[",
        "https://[bad/serviceAccounts/a@b:generateAccessToken",
        "http://a:99999/",
        "x",
        "",
        "http:///",
        "\n",
    ]
) | st.text(max_size=30)


@_FUZZ
@given(
    info=st.dictionaries(
        st.sampled_from(
            [
                "type",
                "private_key",
                "client_email",
                "token_uri",
                "token_url",
                "universe_domain",
                "audience",
                "subject_token_type",
                "service_account_impersonation_url",
                "source_credentials",
                "credential_source",
                "delegates",
                "refresh_token",
                "quota_project_id",
            ]
        ),
        _VALUES | _URLS,
    ),
    kind=st.sampled_from(
        ["service_account", "external_account", "impersonated_service_account", "authorized_user", "other"]
    ),
    url=_URLS,
)
def test_whatever_a_credentials_file_holds_only_a_mesh_error_leaves(
    info: dict[str, Any], kind: str, url: str, key_file: dict[str, Any]
) -> None:
    forget_tokens()
    own = {"type": kind, **info}
    for content in (
        own,
        {**key_file, "token_uri": url},
        {
            "type": "impersonated_service_account",
            "service_account_impersonation_url": url,
            "source_credentials": own,
        },
    ):
        source = meshpass.GoogleIDToken(AUDIENCE, credentials=content)
        for use in (source.token, source.origin):
            try:
                use()
            except meshpass.IdentityError as error:
                assert error.__context__ is None


def test_credentials_nested_without_end_are_an_identity_error(adc: Any, tmp_path: Any) -> None:  # noqa: ANN401
    nested: dict[str, Any] = {"type": "service_account"}
    url = "https://iam/serviceAccounts/a@b:generateAccessToken"
    for _ in range(3000):
        nested = {
            "type": "impersonated_service_account",
            "service_account_impersonation_url": url,
            "source_credentials": nested,
        }
    deep = tmp_path / "deep.json"
    deep.write_text(_DEEP)
    for credentials in (nested, str(deep), "nul\0.json"):
        with pytest.raises(meshpass.MeshError):
            meshpass.GoogleIDToken(AUDIENCE, credentials=credentials).token()


@_FUZZ
@given(
    host=st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=30)
    | st.sampled_from(
        ["::1", "[::1]", "[::1", "a\nb", "a:99999", "a:-1", "a:x", "a:0", "h/p", "u@h", " a", "fe80::1%e"]
    ),
    name=st.sampled_from(["GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"]),
)
def test_whatever_names_the_metadata_server_only_a_mesh_error_leaves(host: str, name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, host)
        # Nothing is sent: what a name leads to is not part of this test.
        patch.setattr(
            "meshpass._tokens.google.plain_http.response", lambda *_: (_ for _ in ()).throw(ConnectionError)
        )
        forget_tokens()
        source = meshpass.GoogleIDToken(AUDIENCE)
        for use in (source.token, source.origin):
            try:
                use()
            except meshpass.IdentityError as error:
                assert str(error).isprintable()


def test_the_metadata_server_may_be_a_bare_ipv6_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCE_METADATA_HOST", "fd20:ce::254")

    assert "from [fd20:ce::254]" in meshpass.GoogleIDToken(AUDIENCE).origin().detail


@pytest.mark.parametrize("host", ["a\nb", "a:99999", "a:x", "a:", "[::1", "h/path"])
def test_what_cannot_be_a_metadata_host_is_refused_by_the_variables_name(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCE_METADATA_HOST", host)

    with pytest.raises(meshpass.IdentityError, match=r"^GCE_METADATA_HOST ") as caught:
        meshpass.GoogleIDToken(AUDIENCE).token()

    assert "host name or an IP address" in caught.value.hint
