"""The environment: everything that is missing or wrong is said at once, by name."""

from pathlib import Path

import meshpass
import pytest

_SECRET = "projects/p/secrets/signing-key/versions/latest"
_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBCgKCAQEA\n-----END CERTIFICATE-----\n"


@pytest.fixture
def environ() -> dict[str, str]:
    return {
        "GKE_GATEWAY_URL": "https://10.128.0.5",
        "GKE_GATEWAY_HOST": "user-profile.internal",
        "JWT_ISSUER": "https://issuer.test",
        "JWT_AUDIENCE": "user-profile",
        "JWT_SCOPE": "profile.read",
        "SIGNING_KEY_SECRET_ID": _SECRET,
    }


def problems(environ: dict[str, str]) -> list[str]:
    found = meshpass.settings_problems(environ)
    if found:
        with pytest.raises(meshpass.ConfigurationError) as caught:
            meshpass.Settings.from_env(environ)
        assert caught.value.problems == found
        assert all(problem in str(caught.value) for problem in found)
    else:
        meshpass.Settings.from_env(environ)
    return found


def test_complete_settings_have_no_problems(environ: dict[str, str]) -> None:
    settings = meshpass.Settings.from_env(environ)

    assert problems(environ) == []
    assert (settings.base_url, settings.address) == ("https://user-profile.internal", "10.128.0.5:443")
    assert settings.key == meshpass.SecretManagerKey(_SECRET)
    assert (settings.ca_file, settings.subject) == (None, None)


def test_the_address_keeps_its_port_and_the_virtual_host_has_none(environ: dict[str, str]) -> None:
    environ["GKE_GATEWAY_URL"] = "http://127.0.0.1:21001/"

    settings = meshpass.Settings.from_env(environ)

    assert (settings.base_url, settings.address) == ("http://user-profile.internal", "127.0.0.1:21001")


def test_files_and_subject_are_taken_when_given(environ: dict[str, str], tmp_path: Path) -> None:
    ca, key = tmp_path / "ca.crt", tmp_path / "signing.pem"
    ca.write_text(_CERTIFICATE)
    key.touch()
    del environ["SIGNING_KEY_SECRET_ID"]
    environ |= {"GKE_GATEWAY_CA_FILE": str(ca), "SIGNING_KEY_FILE": str(key), "JWT_SUBJECT": "lambda-bridge"}

    settings = meshpass.Settings.from_env(environ)

    assert (settings.ca_file, settings.key, settings.subject) == (ca, meshpass.KeyFile(key), "lambda-bridge")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no certificate",
        b"\x30\x82\x01\x0a\x00\xff",
        _CERTIFICATE.replace("CERTIFICATE", "PRIVATE KEY").encode(),
        _CERTIFICATE.partition("-----END")[0].encode(),
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    ],
    ids=["empty", "text", "der", "key", "cut", "nothing-inside"],
)
def test_a_ca_file_without_a_certificate_is_named_before_the_first_call(
    environ: dict[str, str], tmp_path: Path, content: bytes
) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_bytes(content)

    assert problems(environ | {"GKE_GATEWAY_CA_FILE": str(ca)}) == [
        f"GKE_GATEWAY_CA_FILE names {ca}, which holds no PEM certificate."
    ]


@pytest.mark.parametrize(
    ("bundle", "text"),
    [
        ("one", _CERTIFICATE),
        ("comments", f"Issuer: the lab\r\n{_CERTIFICATE}"),
        ("trusted", _CERTIFICATE.replace("CERTIFICATE", "TRUSTED CERTIFICATE")),
    ],
)
def test_a_ca_file_is_taken_as_openssl_takes_it(
    environ: dict[str, str], tmp_path: Path, bundle: str, text: str
) -> None:
    ca = tmp_path / f"{bundle}.crt"
    ca.write_text(text)

    assert meshpass.Settings.from_env(environ | {"GKE_GATEWAY_CA_FILE": str(ca)}).ca_file == ca


def test_a_file_behind_a_name_that_is_too_long_or_not_to_be_read_is_named(environ: dict[str, str]) -> None:
    found = problems(environ | {"GKE_GATEWAY_CA_FILE": "/" + "a" * 5000})
    assert [problem.split()[0] for problem in found] == ["GKE_GATEWAY_CA_FILE"]


def test_every_missing_variable_is_named_at_once() -> None:
    found = problems({"GKE_GATEWAY_CA_FILE": "", "JWT_ISSUER": ""})

    assert [problem.split()[0] for problem in found] == [
        "GKE_GATEWAY_URL",
        "GKE_GATEWAY_HOST",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        "JWT_SCOPE",
        "SIGNING_KEY_SECRET_ID",
    ]


def test_every_wrong_variable_is_named_at_once(environ: dict[str, str]) -> None:
    environ |= {
        "GKE_GATEWAY_URL": "10.128.0.5",
        "GKE_GATEWAY_HOST": "https://user-profile.internal",
        "GKE_GATEWAY_CA_FILE": "/nowhere/ca.crt",
        "JWT_AUDIENCE": "user-profile\n",
        "SIGNING_KEY_SECRET_ID": "signing-key",
    }

    assert [problem.split()[0] for problem in problems(environ)] == [
        "JWT_AUDIENCE",
        "GKE_GATEWAY_URL",
        "GKE_GATEWAY_HOST",
        "GKE_GATEWAY_CA_FILE",
        "SIGNING_KEY_SECRET_ID",
    ]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("GKE_GATEWAY_URL", "http://8.8.8.8", "would send the caller's token unencrypted"),
        ("GKE_GATEWAY_URL", "http://gateway.internal", "a name, which may lead anywhere"),
        ("GKE_GATEWAY_URL", "https://10.128.0.5/profile", "a path belongs into each call"),
        ("GKE_GATEWAY_HOST", "10.128.0.5", "not an IP address"),
        ("GKE_GATEWAY_HOST", "user-profile.internal.", "with a dot"),
        ("GKE_GATEWAY_HOST", "user-profile.internal/x", "a host name alone"),
        ("SIGNING_KEY_FILE", "/some/key.pem", "are both set"),
        ("SIGNING_KEY_SECRET_ID", "projects/p/secrets/s", "versions/VERSION"),
        ("SIGNING_KEY_SECRET_ID", "projects/p/locations/L/secrets/s/versions/1", "versions/VERSION"),
    ],
)
def test_a_wrong_value_is_explained(environ: dict[str, str], name: str, value: str, says: str) -> None:
    environ[name] = value

    (problem,) = problems(environ)

    assert name in problem
    assert says in problem


def test_a_key_file_that_is_not_there_is_a_problem(environ: dict[str, str]) -> None:
    del environ["SIGNING_KEY_SECRET_ID"]
    environ["SIGNING_KEY_FILE"] = "/nowhere/signing.pem"

    assert problems(environ) == ["SIGNING_KEY_FILE names /nowhere/signing.pem, which is not a file."]


def test_the_token_source_signs_for_the_configured_identity(
    environ: dict[str, str], tmp_path: Path, pem: bytes
) -> None:
    key = tmp_path / "signing.pem"
    key.write_bytes(pem)
    del environ["SIGNING_KEY_SECRET_ID"]
    environ["SIGNING_KEY_FILE"] = str(key)

    claims = meshpass.Settings.from_env(environ).token_source().token().claims

    assert (claims["iss"], claims["aud"]) == ("https://issuer.test", "user-profile")


def test_the_processs_own_environment_is_the_default(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SIGNING_KEY_FILE", raising=False)

    assert meshpass.Settings.from_env() == meshpass.Settings.from_env(environ)


@pytest.fixture
def keyless(environ: dict[str, str]) -> dict[str, str]:
    needed = ("GKE_GATEWAY_URL", "GKE_GATEWAY_HOST", "JWT_AUDIENCE")
    return {name: environ[name] for name in needed} | {"MESH_AUTH": "google-id-token"}


def test_googles_identity_needs_an_audience_and_neither_claims_nor_a_key(keyless: dict[str, str]) -> None:
    settings = meshpass.Settings.from_env(keyless)

    assert problems(keyless) == []
    assert (settings.mesh_auth, settings.key, settings.audience) == ("google-id-token", None, "user-profile")
    assert isinstance(settings.token_source(), meshpass.GoogleIDToken)
    del keyless["JWT_AUDIENCE"]
    assert problems(keyless) == ["JWT_AUDIENCE is missing."]


def test_googles_identity_passes_over_the_settings_of_a_signed_token(
    environ: dict[str, str],
) -> None:
    settings = meshpass.Settings.from_env(environ | {"MESH_AUTH": "google-id-token", "JWT_SUBJECT": "s"})

    assert (settings.issuer, settings.scope, settings.subject, settings.key) == ("", "", None, None)


@pytest.mark.parametrize("mesh_auth", ["", "signed-jwt"])
def test_a_signed_token_is_the_default(environ: dict[str, str], mesh_auth: str) -> None:
    settings = meshpass.Settings.from_env(environ | {"MESH_AUTH": mesh_auth})

    assert settings.mesh_auth == "signed-jwt"
    assert isinstance(settings.token_source(), meshpass.SignedJWT)


def test_the_old_name_of_the_setting_is_an_error_that_says_the_new_one(
    environ: dict[str, str], keyless: dict[str, str]
) -> None:
    del keyless["MESH_AUTH"]
    assert problems(keyless | {"IDENTITY": "google"}) == [
        "IDENTITY is named MESH_AUTH now. Set MESH_AUTH=google-id-token and remove IDENTITY."
    ]
    assert problems(environ | {"IDENTITY": "google", "MESH_AUTH": "signed-jwt"}) == []
    assert problems(environ | {"IDENTITY": "of another program"}) == []


def test_another_kind_of_token_is_a_problem_and_hides_no_other(environ: dict[str, str]) -> None:
    del environ["JWT_SCOPE"]
    assert problems(environ | {"MESH_AUTH": "google"}) == [
        "JWT_SCOPE is missing.",
        "MESH_AUTH is 'google'; it must be signed-jwt or google-id-token.",
    ]
