# ruff: noqa: PT017
"""No frame of an exception holds a secret of Google's or of the platform, whenever a fetch is interrupted or fails."""

from typing import Any

import meshpass
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from meshpass._tokens.google.access_token import GoogleAccessToken

from ..conftest import pem_of  # noqa: TID252 - this folder's parent
from ..test_sdk_frames import at_every_line  # noqa: TID252 - this folder's parent
from ..traces import Secrets, held_by_error, reachable  # noqa: TID252
from .conftest import AUDIENCE, TARGET, Google

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("garbage_freed"),
]

_ACCESS = ("metadata-access", "key-access", "user-access", "federated-access", "chained-access")
_PLATFORM = ("platform-s3cret", "s3cret-session", "s3cret-refresh", "s3cret-client")


@pytest.fixture(scope="module")
def secrets(rsa_key: rsa.RSAPrivateKey) -> Secrets:
    """What no frame may hold. No test adds to it: to find all pieces of an RSA key takes longer than most tests."""
    return Secrets().add(*_ACCESS, *_PLATFORM).add_key(pem_of(rsa_key))


@pytest.mark.parametrize("name", ["metadata", "key_file", "user_file", "federation_file", "aws_file"])
def test_ctrl_c_at_any_line_of_a_fetch_leaves_nothing(
    name: str, on_google: Google, secrets: Secrets, request: pytest.FixtureRequest
) -> None:
    credentials: Any = name if name == "metadata" else request.getfixturevalue(name)

    def use() -> None:
        meshpass.GoogleIDToken(
            AUDIENCE, credentials=credentials, service_account=TARGET, iam_endpoint=on_google.url
        ).token()

    assert at_every_line(use, secrets, "/meshpass/_tokens/", at_most=80) > 40


def test_ctrl_c_at_any_line_of_an_access_token_leaves_nothing(on_google: Google, secrets: Secrets) -> None:
    assert at_every_line(lambda: GoogleAccessToken().token(), secrets, "/meshpass/_tokens/") > 60


def test_arguments_that_are_refused_are_in_no_frame(key_file: dict[str, Any], secrets: Secrets) -> None:
    with pytest.raises(meshpass.ConfigurationError) as caught:
        meshpass.GoogleIDToken("", credentials=key_file)

    assert held_by_error(caught.value, secrets) is None


@pytest.mark.parametrize("name", ["key_file", "federation_file", "aws_file"])
@pytest.mark.parametrize("path", ["/token", ":generateIdToken", "/role/my-role", "/latest/api/token"])
@pytest.mark.parametrize("status", [200, 400, 403, 503])
def test_a_failure_holds_nothing_in_any_frame(
    name: str, path: str, status: int, on_google: Google, secrets: Secrets, request: pytest.FixtureRequest
) -> None:
    on_google.broken[path] = [(status, {}, b'{"error": "s3cret", "token": "platform-s3cret"}')] * 9
    source = meshpass.GoogleIDToken(
        AUDIENCE,
        credentials=request.getfixturevalue(name),
        service_account=TARGET,
        iam_endpoint=on_google.url,
    )
    try:
        source.token()
    except meshpass.IdentityError as error:
        assert held_by_error(error, secrets) is None
        assert reachable(error) == [error]
