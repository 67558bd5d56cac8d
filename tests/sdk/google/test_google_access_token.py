"""Access tokens for Google's own APIs, by each kind of identity."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import meshpass
import pytest
from meshpass._tokens.google.access_token import AccessToken, GoogleAccessToken

from .conftest import Google

Adc = Callable[[dict[str, Any]], Path]


def token() -> AccessToken:
    return asyncio.run(GoogleAccessToken().atoken())


def test_the_metadata_servers_token_lasts_as_long_as_it_says(on_google: Google) -> None:
    found = token()
    assert found.value == "metadata-access"
    assert found.expires_at == pytest.approx(time.time() + 3600, abs=60)
    assert found.further == {}
    assert on_google.asked == ["GET /computeMetadata/v1/instance/service-accounts/default/token"]


def test_a_keys_token_lasts_as_long_as_it_says(google: Google, adc: Adc, key_file: dict[str, Any]) -> None:
    adc(key_file)
    found = token()
    assert found.value == "key-access"
    assert found.expires_at == pytest.approx(time.time() + 3600, abs=60)


def test_a_users_token_comes_with_the_project_that_pays(
    google: Google, adc: Adc, user_file: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "payer")
    adc(user_file)
    found = token()
    assert found.value == "user-access"
    assert found.further == {"x-goog-user-project": "payer"}


def test_an_impersonated_accounts_token_lasts_as_long_as_it_says(
    google: Google, adc: Adc, federation_file: dict[str, Any]
) -> None:
    url = f"{google.url}/v1/projects/-/serviceAccounts/target@project.iam.gserviceaccount.com:generateAccessToken"
    adc({**federation_file, "service_account_impersonation_url": url})
    found = token()
    assert found.value == "chained-access"
    assert found.expires_at == 4070908800.0  # 2099-01-01


@pytest.mark.parametrize("expiry", ["soon", None])
def test_an_impersonated_token_without_a_time_of_expiry_is_refused(
    google: Google, adc: Adc, federation_file: dict[str, Any], expiry: str | None
) -> None:
    url = f"{google.url}/v1/projects/-/serviceAccounts/target@project.iam.gserviceaccount.com:generateAccessToken"
    adc({**federation_file, "service_account_impersonation_url": url})
    body = json.dumps({"accessToken": "chained-access", "expireTime": expiry}).encode()
    google.broken[":generateAccessToken"] = [(200, {}, body)]
    with pytest.raises(meshpass.IdentityError, match="without a time of expiry"):
        token()


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"no", b'{"access_token": "t"}', b'{"access_token": 1, "expires_in": 9}']
)
def test_an_answer_without_a_token_is_no_token(on_google: Google, body: bytes) -> None:
    on_google.broken["/token"] = [(200, {"Metadata-Flavor": "Google"}, body)]
    with pytest.raises(meshpass.IdentityError, match="without an access token"):
        token()


def test_a_token_is_asked_for_once_and_again_when_it_was_refused(on_google: Google) -> None:
    async def ask() -> None:
        source = GoogleAccessToken()
        first = await source.atoken()
        assert await source.atoken() is first
        source.invalidate(first)
        assert await source.atoken() is not first

    asyncio.run(ask())
    assert len(on_google.asked) == 2


def test_a_token_shows_in_no_repr(on_google: Google) -> None:
    assert "metadata-access" not in repr(token()) + repr(GoogleAccessToken())


def test_on_google_cloud_no_http_client_is_loaded_for_it(on_google: Google) -> None:
    code = (
        "import asyncio, sys\n"
        "from meshpass._tokens.google.access_token import GoogleAccessToken\n"
        "asyncio.run(GoogleAccessToken().atoken())\n"
        "print(*{'httpx', 'httpcore', 'h11', 'requests', 'google.auth'} & set(sys.modules))"
    )
    env = {"GCE_METADATA_HOST": on_google.server.address}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
