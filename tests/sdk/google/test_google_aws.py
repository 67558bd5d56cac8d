"""Workload identity federation of AWS: keys in the environment, EC2, ECS and EKS Pod Identity."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import meshpass
import pytest
from meshpass._tokens.google.aws import container_endpoint

from .conftest import AUDIENCE, TARGET, Google

Adc = Callable[[dict[str, Any]], Path]


@pytest.fixture(autouse=True)
def on_aws(adc: Adc, aws_file: dict[str, Any]) -> None:
    adc(aws_file)


def _signed_with(google: Google) -> dict[str, str]:
    """The headers of the signed request that Google's STS got, by which AWS knows the caller."""
    request = json.loads(unquote(google.body("/v1/token")["subject_token"]))
    return {header["key"].lower(): header["value"] for header in request["headers"]}


def test_keys_in_the_environment_are_used(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{google.url}/v2/credentials")

    assert meshpass.GoogleIDToken(AUDIENCE).token().claims["email"] == TARGET
    assert "Credential=AKIDENV/" in _signed_with(google)["authorization"]
    assert google.asked == ["POST /v1/token", f"POST /v1/projects/-/serviceAccounts/{TARGET}:generateIdToken"]


def test_an_ec2_instance_is_asked_with_a_session_token(google: Google) -> None:
    source = meshpass.GoogleIDToken(AUDIENCE)

    assert source.token().claims["email"] == TARGET
    assert "Credential=AKIDEC2/" in _signed_with(google)["authorization"]
    assert "/eu-west-1/" in _signed_with(google)["authorization"]
    assert _signed_with(google)["x-amz-security-token"] == "s3cret-session"
    assert "GET /role/my-role" in google.asked
    assert source.origin().kind == "workload_identity"
    assert "AWS" in source.origin().detail


@pytest.mark.parametrize("token_in", ["variable", "file"])
def test_a_container_reads_its_own_credentials(
    google: Google, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token_in: str
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{google.url}/v2/credentials")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    if token_in == "variable":
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod-s3cret")
    else:
        (tmp_path / "token").write_text("pod-s3cret\n")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "stale")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))

    assert meshpass.GoogleIDToken(AUDIENCE).token().claims["email"] == TARGET
    assert "Credential=AKIDPOD/" in _signed_with(google)["authorization"]
    assert _signed_with(google)["x-goog-cloud-target-resource"].startswith("//iam.googleapis.com/")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"AWS_REGION": "r"}, r"cannot be read: .* answered 401"),
        ({"AWS_CONTAINER_AUTHORIZATION_TOKEN": "pod-s3cret"}, "region of this container is not known"),
        (
            {"AWS_REGION": "r", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/nowhere"},
            "_TOKEN_FILE names cannot be",
        ),
        ({"AWS_REGION": "r", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "a\r\nb"}, "holds line breaks"),
    ],
)
def test_a_container_without_credentials_says_what_is_missing(
    google: Google, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], said: str
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{google.url}/v2/credentials")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(meshpass.IdentityError, match=said) as caught:
        meshpass.GoogleIDToken(AUDIENCE).token()

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"AccessKeyId": "s3cret"}'])
def test_a_container_answer_that_is_something_else_is_an_error(
    google: Google, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{google.url}/v2/credentials")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    google.broken["/v2/credentials"] = [(200, {}, body)]

    with pytest.raises(meshpass.IdentityError, match="did not send such credentials") as caught:
        meshpass.GoogleIDToken(AUDIENCE).token()

    assert "s3cret" not in str(caught.value)


def test_ecs_has_an_address_of_its_own_which_comes_first() -> None:
    endpoint = container_endpoint(
        {
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/1",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/x",
        }
    )

    assert endpoint is not None
    assert endpoint.url == "http://169.254.170.2/v2/credentials/1"
    assert "credentials/1" not in repr(endpoint)


@pytest.mark.parametrize(
    "url",
    [
        "https://creds.test/",
        "http://localhost:1/",
        "http://127.9.9.9/",
        "http://[::1]/",
        "http://169.254.170.23/v1",
    ],
)
def test_credentials_are_asked_for_over_tls_or_on_this_machine(url: str) -> None:
    endpoint = container_endpoint({"AWS_CONTAINER_CREDENTIALS_FULL_URI": url})

    assert endpoint is not None
    assert endpoint.url == url


@pytest.mark.parametrize(
    "url", ["http://creds.test/", "http://10.0.0.1/", "ftp://127.0.0.1/", "http://[::1/", "x"]
)
def test_and_nowhere_else(url: str) -> None:
    with pytest.raises(meshpass.IdentityError, match="AWS_CONTAINER_CREDENTIALS_FULL_URI is neither"):
        container_endpoint({"AWS_CONTAINER_CREDENTIALS_FULL_URI": url})
