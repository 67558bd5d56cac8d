"""The function in AWS asks the private lookup with its role, and holds no key of Google's.

Google and AWS are one local server here. The real ones are asked by no test: that a pool takes the role, and that Cloud
Run lets the account in, is seen only in the cloud.
"""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from lambda_bridge.lookup import lookup_of

from ..conftest import Server  # noqa: TID252 - this folder's parent
from .conftest import TARGET, Google, claims_of


@pytest.fixture
def aws_role(
    monkeypatch: pytest.MonkeyPatch, adc: Callable[[dict[str, Any]], object], aws_file: dict[str, Any]
) -> None:
    """The environment of a Lambda function: its role's credentials, and the federation file in the package."""
    adc(aws_file)
    for name, value in {
        "AWS_LAMBDA_FUNCTION_NAME": "lambda-bridge",
        "AWS_ACCESS_KEY_ID": "ASIALAMBDA",
        "AWS_SECRET_ACCESS_KEY": "s3cret-role",
        "AWS_SESSION_TOKEN": "s3cret-session",
        "AWS_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def service(serve: Callable[..., Server]) -> Server:
    """The private lookup."""
    server = serve()
    server.answer = lambda _: (200, {"content-type": "application/json"}, b'{"user_id": "u-1"}')
    return server


@pytest.mark.usefixtures("aws_role")
def test_the_role_of_the_function_becomes_an_id_token_for_the_lookup(google: Google, service: Server) -> None:
    url = f"http://{service.address}"
    connect = lookup_of({**os.environ, "LOOKUP_URL": url})
    assert connect is not None

    lookup = connect()
    with lookup.client:
        assert lookup.answer("/lookup/u-1", 10).status == 200

    # Google gets a signed request of AWS in place of a key; AWS is not asked, for the role is in the environment.
    signed = google.body("/v1/token")["subject_token"]
    assert "ASIALAMBDA" in signed
    assert "s3cret-role" not in signed
    assert [asked for asked in google.asked if "/latest" in asked or "/role" in asked] == []
    token = service.seen[-1].headers["authorization"].removeprefix("Bearer ")
    assert token == google.made[-1]
    assert claims_of(token)["aud"] == url
    assert claims_of(token)["email"] == TARGET


@pytest.mark.usefixtures("aws_role")
def test_a_role_that_the_pool_refuses_is_a_fault_that_names_no_secret(
    google: Google, service: Server
) -> None:
    google.broken["/v1/token"] = [(403, {}, b'{"error": "access_denied", "error_description": "s3cret"}')] * 9
    connect = lookup_of({**os.environ, "LOOKUP_URL": f"http://{service.address}"})
    assert connect is not None
    lookup = connect()
    with lookup.client:
        found = lookup.answer("/lookup/u-1", 10)
    assert (found.status, json.loads(found.body)) == (500, {"error": "fault", "reason": "identity"})
    assert service.seen == []
