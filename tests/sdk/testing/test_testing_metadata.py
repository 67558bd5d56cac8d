"""The metadata server for users' tests is one to Google's own client."""

import os
import subprocess
import sys
import urllib.error
import urllib.request

import jwt
from meshpass.testing import FakeClock, FakeMetadataServer, JWKSVerifier

_IDENTITY = "/computeMetadata/v1/instance/service-accounts/default/identity"


def fetch(server: FakeMetadataServer, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
    request = urllib.request.Request(f"http://{server.address}{path}", headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as answer:
            return answer.status, dict(answer.headers.items()), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers.items()), error.read().decode()


def identity(server: FakeMetadataServer, query: str = "audience=me") -> str:
    status, _, body = fetch(server, f"{_IDENTITY}?{query}", **{"Metadata-Flavor": "Google"})
    assert status == 200
    return body


def ask_googles_client(server: FakeMetadataServer) -> subprocess.CompletedProcess[str]:
    code = (
        "from google.auth import compute_engine; from google.auth.transport.requests import Request\n"
        "credentials = compute_engine.Credentials(); credentials.refresh(Request())\n"
        "print(credentials.token, credentials.service_account_email)"
    )
    # google-auth reads where the metadata server is when it is imported.
    environ = {**os.environ, **server.environ}
    return subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False
    )


def test_googles_client_finds_credentials_there(meshpass_metadata: FakeMetadataServer) -> None:
    ran = ask_googles_client(meshpass_metadata)

    assert ran.stdout.startswith("test-access-token"), ran.stderr
    assert ran.stdout.endswith("caller@test-project.invalid\n")


def test_googles_client_gets_over_one_that_is_late(meshpass_metadata: FakeMetadataServer) -> None:
    meshpass_metadata.fail(1)

    assert ask_googles_client(meshpass_metadata).stdout.startswith("test-access-token")


def test_googles_client_gives_up_on_one_that_refuses(meshpass_metadata: FakeMetadataServer) -> None:
    meshpass_metadata.fail(100, status=404)

    assert "RefreshError" in ask_googles_client(meshpass_metadata).stderr


def test_an_identity_token_names_the_audience_asked_for_and_can_be_verified(
    meshpass_metadata: FakeMetadataServer,
) -> None:
    token = identity(meshpass_metadata, "audience=https%3A%2F%2Fa.example%2F%3Fb&format=full")

    claims = (
        JWKSVerifier(meshpass_metadata.issuer, ["https://a.example/?b"], meshpass_metadata.key.jwks)
        .verify(token)
        .claims
    )
    assert claims is not None
    assert (claims["aud"], claims["email"]) == (
        "https://a.example/?b",
        "caller@test-project.invalid",
    )


def test_without_format_full_a_token_has_no_email(meshpass_metadata: FakeMetadataServer) -> None:
    assert "email" not in jwt.decode(identity(meshpass_metadata), options={"verify_signature": False})


def test_the_same_token_comes_back_until_little_of_its_life_is_left(meshpass_clock: FakeClock) -> None:
    with FakeMetadataServer(clock=meshpass_clock) as server:
        first = identity(server)
        meshpass_clock.advance(3000)
        assert identity(server) == first
        meshpass_clock.advance(400)
        assert identity(server) != first


def test_a_request_without_the_header_is_refused(meshpass_metadata: FakeMetadataServer) -> None:
    status, headers, body = fetch(meshpass_metadata, f"{_IDENTITY}?audience=me")

    assert (status, headers["metadata-flavor"]) == (403, "Google")
    assert "." not in body.partition("Metadata-Flavor")[0]


def test_a_request_that_came_through_a_proxy_is_refused(meshpass_metadata: FakeMetadataServer) -> None:
    forwarded = {"Metadata-Flavor": "Google", "X-Forwarded-For": "10.0.0.1"}

    assert fetch(meshpass_metadata, f"{_IDENTITY}?audience=me", **forwarded)[0] == 403


def test_an_impostor_lacks_the_header_in_its_replies(meshpass_metadata: FakeMetadataServer) -> None:
    meshpass_metadata.impostor = True

    assert "metadata-flavor" not in fetch(meshpass_metadata, "/")[1]


def test_it_can_be_late_and_then_ready(meshpass_metadata: FakeMetadataServer) -> None:
    meshpass_metadata.fail(2, status=429, retry_after_s=1)

    answers = [fetch(meshpass_metadata, "/") for _ in range(3)]

    assert [status for status, _, _ in answers] == [429, 429, 200]
    assert answers[0][1]["retry-after"] == "1"
