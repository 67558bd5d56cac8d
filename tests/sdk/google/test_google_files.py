# ruff: noqa: ANN401
"""ID tokens by credentials files: which file counts, what each kind does, and what is said of the others."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import meshpass
import pytest

from .conftest import ACCOUNT, AUDIENCE, TARGET, Google

Adc = Callable[[dict[str, Any]], Path]
_LAST = "last@project.iam.gserviceaccount.com"


def _refused(**kwargs: Any) -> meshpass.IdentityError:
    with pytest.raises(meshpass.IdentityError) as caught:
        meshpass.GoogleIDToken(AUDIENCE, **kwargs).token()
    return caught.value


def _gcloud_file(folder: Path, content: dict[str, Any]) -> None:
    path = folder / ".config/gcloud/application_default_credentials.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))


# Which one counts.


def test_first_counts_the_argument(
    on_google: Google, adc: Adc, key_file: dict[str, Any], tmp_path: Path
) -> None:
    adc({"type": "broken"})
    path = tmp_path / "key.json"
    path.write_text(json.dumps(key_file))

    for credentials in (path, str(path), key_file):
        source = meshpass.GoogleIDToken(AUDIENCE, credentials=credentials)
        assert source.origin().kind == "service_account_key"
        assert source.origin().why == "it was given as credentials="
    assert meshpass.GoogleIDToken(AUDIENCE, credentials="metadata").origin().kind == "metadata_server"


def test_second_the_environments_file(
    on_google: Google, adc: Adc, key_file: dict[str, Any], tmp_path: Path, user_file: dict[str, Any]
) -> None:
    _gcloud_file(tmp_path, user_file)
    path = adc(key_file)

    origin = meshpass.GoogleIDToken(AUDIENCE).origin()

    assert origin == meshpass.IdentityOrigin(
        "service_account_key",
        f"{ACCOUNT}, by the key in the file {path}",
        "GOOGLE_APPLICATION_CREDENTIALS names it",
    )


def test_third_gclouds_file(
    on_google: Google, tmp_path: Path, key_file: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _gcloud_file(tmp_path, key_file)

    origin = meshpass.GoogleIDToken(AUDIENCE).origin()

    assert origin.kind == "service_account_key"
    assert "application_default_credentials.json" in origin.detail
    assert "gcloud left its application default credentials" in origin.why
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "elsewhere"))
    assert meshpass.GoogleIDToken(AUDIENCE).origin().kind == "metadata_server"


def test_a_named_file_that_is_missing_fails_loudly_even_on_google_cloud(
    on_google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")

    assert "The file /nowhere/key.json cannot be read: No such file" in str(_refused())
    assert "cannot be read" in str(_refused(credentials="/elsewhere/key.json"))
    assert on_google.server.seen == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("s3cret", "holds no JSON"),
        ('["s3cret"]', "holds no JSON object"),
        ('{"type": "s3cret"}', "has a type for which there is no Google ID token"),
        ('{"type": "gdch_service_account"}', "has a type for which"),
        (
            '{"type": "service_account", "universe_domain": "s3cret"}',
            "another universe domain than googleapis.com",
        ),
        ('{"type": "service_account", "private_key": "s3cret"}', "google-auth raised MalformedError"),
        ('{"type": "impersonated_service_account"}', "names no service account"),
        (
            '{"type": "external_account", "service_account_impersonation_url": "s3cret"}',
            "names no service account",
        ),
    ],
)
def test_a_file_that_is_no_use_is_described_and_not_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, said: str
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))

    error = _refused()

    assert f"file {path}" in str(error)
    assert said in str(error)
    assert "s3cret" not in str(error)
    assert not error.retryable


# A service account's key.


def test_a_key_gets_a_token_at_its_own_token_uri(google: Google, adc: Adc, key_file: dict[str, Any]) -> None:
    adc(key_file)

    token = meshpass.GoogleIDToken(AUDIENCE).token()

    assert google.asked == ["POST /token"]
    assert (token.claims["aud"], token.claims["email"]) == (AUDIENCE, ACCOUNT)


def test_a_key_that_is_not_accepted_is_said_so_with_the_servers_word_for_it(
    google: Google, adc: Adc, key_file: dict[str, Any]
) -> None:
    path = adc(key_file)
    google.broken["/token"] = [(400, {}, b'{"error": "invalid_grant", "error_description": "s3cret"}')]

    error = _refused()

    assert str(error).startswith(
        f"The file {path} is not accepted: {google.server.address} answered 400 (invalid_grant)."
    )
    assert "clock" in error.hint
    assert "s3cret" not in str(error)
    assert not error.retryable


def test_a_replaced_file_counts_for_the_next_token(
    google: Google, adc: Adc, key_file: dict[str, Any]
) -> None:
    path = adc({"type": "service_account"})
    source = meshpass.GoogleIDToken(AUDIENCE)
    with pytest.raises(meshpass.IdentityError):
        source.token()

    path.write_text(json.dumps(key_file))

    assert source.token().claims["email"] == ACCOUNT


# Users.


def test_a_users_credentials_are_refused_with_what_to_do(
    google: Google, adc: Adc, user_file: dict[str, Any]
) -> None:
    path = adc(user_file)

    error = _refused()

    assert f"The file {path} holds a user's own credentials" in str(error)
    assert AUDIENCE in str(error)
    assert "set service_account=ACCOUNT" in error.hint
    assert "gcloud auth application-default login --impersonate-service-account=ACCOUNT" in error.hint
    assert google.server.seen == []
    assert meshpass.GoogleIDToken(AUDIENCE).origin().kind == "user_credentials"


def test_a_user_may_act_as_a_service_account(
    google: Google, tmp_path: Path, user_file: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _gcloud_file(tmp_path, user_file)
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "quota")

    token = meshpass.GoogleIDToken(AUDIENCE, service_account=TARGET, iam_endpoint=google.url).token()

    assert google.asked == ["POST /token", f"POST /v1/projects/-/serviceAccounts/{TARGET}:generateIdToken"]
    assert google.server.seen[1].headers["x-goog-user-project"] == "quota"
    assert token.claims["email"] == TARGET


def test_so_may_a_workforce_user(google: Google, user_file: dict[str, Any]) -> None:
    pool = "//iam.googleapis.com/locations/global/workforcePools/p/providers/q"
    workforce = {**user_file, "type": "external_account_authorized_user", "audience": pool}
    workforce |= {"token_url": f"{google.url}/token", "token_info_url": f"{google.url}/info"}
    source = meshpass.GoogleIDToken(
        AUDIENCE, credentials=workforce, service_account=TARGET, iam_endpoint=google.url
    )

    assert source.token().claims["email"] == TARGET
    assert "a user's own credentials" in str(_refused(credentials=workforce))


def test_a_login_that_has_ended_says_to_log_in_again(google: Google, user_file: dict[str, Any]) -> None:
    google.broken["/token"] = [(400, {}, b'{"error": "invalid_grant", "error_subtype": "invalid_rapt"}')]

    error = _refused(credentials=user_file, service_account=TARGET, iam_endpoint=google.url)

    assert "answered 400 (invalid_grant)" in str(error)
    assert "Log in again" in error.hint


# Impersonation.


def test_the_attached_account_acts_as_another_with_delegates_in_order(on_google: Google) -> None:
    source = meshpass.GoogleIDToken(
        AUDIENCE, service_account=TARGET, delegates=["a@p.test", "b@p.test"], iam_endpoint=on_google.url
    )

    assert source.token().claims["email"] == TARGET
    assert on_google.body(":generateIdToken") == {
        "audience": AUDIENCE,
        "includeEmail": True,
        "delegates": ["projects/-/serviceAccounts/a@p.test", "projects/-/serviceAccounts/b@p.test"],
    }
    assert source.origin().kind == "impersonation"
    assert source.origin().detail.startswith(
        f"{TARGET}, impersonated through a@p.test, b@p.test by the service acc"
    )


def test_a_key_acts_as_another_account(google: Google, key_file: dict[str, Any]) -> None:
    source = meshpass.GoogleIDToken(
        AUDIENCE, credentials=key_file, service_account=TARGET, include_email=False, iam_endpoint=google.url
    )

    assert "email" not in source.token().claims
    assert google.body(":generateIdToken")["includeEmail"] is False


@pytest.mark.parametrize("source_file", ["key_file", "user_file", "federation_file"])
def test_an_impersonated_service_accounts_file_is_followed(
    google: Google, adc: Adc, source_file: str, request: pytest.FixtureRequest
) -> None:
    source = dict(request.getfixturevalue(source_file))
    source.pop("service_account_impersonation_url", None)
    account = f"{google.url}/v1/projects/-/serviceAccounts/{TARGET}"
    adc(
        {
            "type": "impersonated_service_account",
            "service_account_impersonation_url": f"{account}:generateAccessToken",
            "delegates": ["projects/-/serviceAccounts/a@p.test"],
            "source_credentials": source,
        }
    )

    assert meshpass.GoogleIDToken(AUDIENCE).token().claims["email"] == TARGET
    assert google.body(":generateIdToken")["delegates"] == ["projects/-/serviceAccounts/a@p.test"]


def test_a_files_delegates_must_be_names(user_file: dict[str, Any]) -> None:
    url = f"https://iam.test/v1/projects/-/serviceAccounts/{TARGET}:generateAccessToken"
    chain = {"type": "impersonated_service_account", "source_credentials": user_file, "delegates": 5}

    error = _refused(credentials={**chain, "service_account_impersonation_url": url})

    assert "has delegates that are not a list of names" in str(error)


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (403, "roles/iam.serviceAccountOpenIdTokenCreator"),
        (404, "no such service account"),
        (401, "access token"),
    ],
)
def test_a_refused_impersonation_says_who_may_not_act_as_whom(
    on_google: Google, status: int, hint: str
) -> None:
    on_google.broken[":generateIdToken"] = [(status, {}, b"s3cret metadata-access")]

    error = _refused(service_account=TARGET, iam_endpoint=on_google.url)

    assert str(error).startswith(
        f"Impersonation of {TARGET} failed: generateIdToken answered {status} to the service account attached to this"
        f" machine, from {on_google.server.address}. "
    )
    assert hint in error.hint
    assert "s3cret" not in str(error)
    assert "metadata-access" not in str(error)


def test_a_busy_iam_is_asked_again(on_google: Google, pauses: list[float]) -> None:
    on_google.broken[":generateIdToken"] = [(503, {}, b""), (429, {"Retry-After": "2"}, b"")]

    source = meshpass.GoogleIDToken(AUDIENCE, service_account=TARGET, iam_endpoint=on_google.url)

    assert source.token().value
    assert pauses == [0.1, 2.0]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"token": 5}'])
def test_an_iam_answer_without_a_token_is_an_error(on_google: Google, body: bytes) -> None:
    on_google.broken[":generateIdToken"] = [(200, {}, body)]

    error = _refused(service_account=TARGET, iam_endpoint=on_google.url)

    assert "answered without a token" in str(error)


# Workload identity federation.


def test_a_federated_workload_gets_its_service_accounts_token(
    google: Google, adc: Adc, federation_file: dict[str, Any]
) -> None:
    adc(federation_file)
    source = meshpass.GoogleIDToken(AUDIENCE)

    assert source.token().claims["email"] == TARGET
    assert google.asked == ["POST /v1/token", f"POST /v1/projects/-/serviceAccounts/{TARGET}:generateIdToken"]
    assert source.origin().kind == "workload_identity"


def test_a_subject_token_may_come_from_a_url(
    google: Google, adc: Adc, federation_file: dict[str, Any]
) -> None:
    source = {
        "url": f"{google.url}/subject",
        "format": {"type": "json", "subject_token_field_name": "id_token"},
    }
    adc({**federation_file, "credential_source": source})

    assert meshpass.GoogleIDToken(AUDIENCE).token().claims["email"] == TARGET


def test_federation_without_a_service_account_is_refused_with_what_to_do(
    google: Google, adc: Adc, federation_file: dict[str, Any]
) -> None:
    del federation_file["service_account_impersonation_url"]
    adc(federation_file)

    error = _refused()

    assert "federates this workload without a service account" in str(error)
    assert "service_account=" in error.hint
    source = meshpass.GoogleIDToken(AUDIENCE, service_account=TARGET, iam_endpoint=google.url)
    assert source.token().claims["email"] == TARGET


def test_a_federated_service_account_may_act_as_another(
    google: Google, adc: Adc, federation_file: dict[str, Any]
) -> None:
    adc(federation_file)

    token = meshpass.GoogleIDToken(AUDIENCE, service_account=_LAST, iam_endpoint=google.url).token()

    assert token.claims["email"] == _LAST
    assert google.asked[1].endswith(f"{TARGET}:generateAccessToken")


def test_naming_the_federated_account_again_changes_nothing(
    google: Google, adc: Adc, federation_file: dict[str, Any]
) -> None:
    adc(federation_file)

    assert meshpass.GoogleIDToken(AUDIENCE, service_account=TARGET).token().claims["email"] == TARGET
    assert len(google.asked) == 2


def test_a_missing_subject_token_is_named(google: Google, adc: Adc, federation_file: dict[str, Any]) -> None:
    adc({**federation_file, "credential_source": {"file": "/nowhere/token"}})

    assert "takes this workload's token from /nowhere/token, which is not a file" in str(_refused())


def test_a_program_may_give_the_subject_token_once_that_is_allowed(
    google: Google, adc: Adc, federation_file: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"version": 1, "success": True, "id_token": "platform-s3cret", "expiration_time": 4_000_000_000}
    program = tmp_path / "program"
    kind = federation_file["subject_token_type"]
    program.write_text(f"#!/bin/sh\necho '{json.dumps({**answer, 'token_type': kind})}'\n")
    program.chmod(0o700)
    adc({**federation_file, "credential_source": {"executable": {"command": str(program)}}})

    assert "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1" in _refused().hint
    monkeypatch.setenv("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")
    assert meshpass.GoogleIDToken(AUDIENCE).token().claims["email"] == TARGET


def test_a_pool_that_does_not_accept_the_workload_is_said_so(
    google: Google, adc: Adc, federation_file: dict[str, Any]
) -> None:
    Path(federation_file["credential_source"]["file"]).write_text("other-s3cret")
    adc(federation_file)

    error = _refused()

    assert f"{google.server.address} answered 400 (invalid_grant)" in str(error)
    assert "attribute condition" in error.hint
    assert "s3cret" not in str(error)


# Objects of google-auth's.


def test_a_google_auth_object_may_act_as_a_service_account(google: Google, key_file: dict[str, Any]) -> None:
    from google.oauth2 import service_account

    credentials = service_account.Credentials.from_service_account_info(key_file)
    source = meshpass.GoogleIDToken(
        AUDIENCE, credentials=credentials, service_account=TARGET, iam_endpoint=google.url
    )

    assert source.token().claims["email"] == TARGET
    assert source.origin().why == "it was given as credentials="


def test_a_google_auth_object_alone_is_refused_with_what_to_do(key_file: dict[str, Any]) -> None:
    from google.oauth2 import service_account

    error = _refused(credentials=service_account.Credentials.from_service_account_info(key_file))

    assert "The Credentials object that was given as credentials= gives access tokens" in str(error)
    assert "service_account=" in error.hint


def test_without_google_auth_a_file_says_what_to_install(
    adc: Adc, key_file: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    adc(key_file)
    for name in ("google.auth", "google.oauth2", "google.oauth2.service_account"):
        monkeypatch.setitem(sys.modules, name, None)

    error = _refused()

    assert "needs google-auth, which is not installed" in str(error)
    assert 'pip install "./sdk[google]"' in error.hint


# Arguments.


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"audience": ""}, "audience is empty"),
        ({"audience": "a\n"}, "audience is empty, has spaces"),
        ({"audience": "a", "service_account": "me"}, "'me' is not a service account's e-mail address"),
        ({"audience": "a", "service_account": "a@b/../c"}, "is not a service account's"),
        ({"audience": "a", "service_account": ""}, "'' is not a service account's"),
        ({"audience": "a", "delegates": ["a@p.test"]}, "delegates have an effect only with service_account"),
        ({"audience": "a", "credentials": 5}, "credentials is of type int"),
        ({"audience": "a", "iam_endpoint": "http://iam.test"}, "it must be https://"),
        ({"audience": "a", "iam_endpoint": "https://iam.test/path"}, "it must be https://"),
    ],
)
def test_arguments_that_cannot_be_right_are_refused_at_once(kwargs: dict[str, Any], said: str) -> None:
    with pytest.raises(meshpass.ConfigurationError, match=said):
        meshpass.GoogleIDToken(**kwargs)
