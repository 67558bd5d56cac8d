"""ID tokens of the metadata server: asked rightly, patiently, and only where there is one."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import meshpass
import pytest
from meshpass._tokens.google.metadata import find_metadata_server

from ..conftest import Server  # noqa: TID252 - this folder's parent
from .conftest import ACCOUNT, AUDIENCE, LIFE_S, Google, claims_of

_PATH = "GET /computeMetadata/v1/instance/service-accounts/default/identity"


def test_one_request_with_the_encoded_audience_and_the_header_gets_a_token(on_google: Google) -> None:
    token = meshpass.GoogleIDToken(AUDIENCE).token()

    (seen,) = on_google.server.seen
    assert on_google.asked == [_PATH]
    assert seen.target.endswith(
        "?audience=https%3A%2F%2Fuser-profile.internal%2F%3Fa%3Db%26c%3D%C3%A4&format=full"
    )
    assert seen.headers["metadata-flavor"] == "Google"
    assert token.value == on_google.made[0]


def test_expiry_and_claims_are_read_from_the_token(on_google: Google) -> None:
    token = meshpass.GoogleIDToken(AUDIENCE).token()

    assert token.expires_at == claims_of(token.value)["exp"] <= time.time() + LIFE_S
    assert token.source == "GoogleIDToken"
    assert token.claims == {
        "iss": "https://accounts.google.com",
        "sub": "1",
        "aud": AUDIENCE,
        "email": ACCOUNT,
        "kid": "k1",
        "exp": token.expires_at,
    }


def test_the_email_is_left_out_on_request(on_google: Google) -> None:
    token = meshpass.GoogleIDToken(AUDIENCE, include_email=False).token()

    assert "format=standard" in on_google.server.seen[0].target
    assert "email" not in token.claims


def test_the_async_way_gets_the_same_token(on_google: Google) -> None:
    source = meshpass.GoogleIDToken(AUDIENCE)

    assert asyncio.run(source.atoken()) is source.token()
    assert len(on_google.server.seen) == 1


def test_32_threads_with_sources_of_their_own_fetch_once(on_google: Google) -> None:
    start, got = threading.Barrier(32), []

    def ask() -> None:
        source = meshpass.GoogleIDToken("32-threads")
        start.wait()
        got.append(source.token())

    threads = [threading.Thread(target=ask) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({id(token) for token in got}) == 1
    assert len(on_google.server.seen) == 1


def test_another_audience_or_address_gets_a_token_of_its_own(on_google: Google) -> None:
    assert meshpass.GoogleIDToken("a").token().claims["aud"] == "a"
    assert meshpass.GoogleIDToken("b").token().claims["aud"] == "b"


def test_it_is_an_httpx_auth(on_google: Google, serve: Callable[..., Server]) -> None:
    service = serve()

    httpx.get(f"http://{service.address}/", auth=meshpass.GoogleIDToken(AUDIENCE), trust_env=False)

    assert service.seen[0].headers["authorization"] == f"Bearer {on_google.made[0]}"


def test_the_address_is_read_when_a_token_is_needed(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    source = meshpass.GoogleIDToken(AUDIENCE)
    monkeypatch.setenv("GCE_METADATA_HOST", google.server.address)

    assert source.token().value == google.made[0]


def test_the_same_token_again_is_a_success(on_google: Google) -> None:
    source = meshpass.GoogleIDToken(AUDIENCE)
    first = source.token()
    same = (200, {"Metadata-Flavor": "Google"}, first.value.encode())
    on_google.broken["identity"] = [same]

    source.invalidate(first)

    assert source.token().value == first.value
    assert len(on_google.server.seen) == 2


def test_a_server_that_is_not_ready_yet_is_asked_again(on_google: Google, pauses: list[float]) -> None:
    on_google.broken["identity"] = [(503, {}, b""), (500, {}, b""), (429, {"Retry-After": "7"}, b"")]

    assert meshpass.GoogleIDToken(AUDIENCE).token().value
    assert pauses == [0.1, 0.2, 7.0]


def test_a_refused_connection_is_tried_again(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:9")

    with pytest.raises(
        meshpass.IdentityError, match=r"127\.0\.0\.1:9 cannot be reached: Connection refused"
    ) as caught:
        meshpass.GoogleIDToken(AUDIENCE).token()

    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert caught.value.retryable
    assert caught.value.code == "identity"


def test_a_wait_beyond_the_deadline_is_not_begun(on_google: Google, pauses: list[float]) -> None:
    on_google.broken["identity"] = [(429, {"Retry-After": "3600"}, b"")]

    with pytest.raises(meshpass.IdentityError, match="answered 429") as caught:
        meshpass.GoogleIDToken(AUDIENCE).token()

    assert pauses == []
    assert caught.value.retryable


def test_a_failure_is_not_remembered(on_google: Google) -> None:
    on_google.broken["identity"] = [(404, {"Metadata-Flavor": "Google"}, b"")]
    source = meshpass.GoogleIDToken(AUDIENCE)

    with pytest.raises(meshpass.IdentityError):
        source.token()

    assert source.token().value


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (404, "No service account is attached"),
        (403, "roles/iam.workloadIdentityUser"),
        (400, "Check the audience"),
    ],
)
def test_a_refusal_says_what_to_do(on_google: Google, status: int, hint: str) -> None:
    on_google.broken["identity"] = [(status, {"Metadata-Flavor": "Google"}, b"s3cret")]

    with pytest.raises(meshpass.IdentityError, match=f"gives no token: it answered {status}") as caught:
        meshpass.GoogleIDToken(AUDIENCE).token()

    assert hint in caught.value.hint
    assert not caught.value.retryable


def test_an_answer_without_the_header_is_not_believed(on_google: Google) -> None:
    on_google.broken["identity"] = [(200, {}, on_google.id_token(AUDIENCE, ACCOUNT).encode())]

    with pytest.raises(meshpass.IdentityError, match="is not Google's metadata server"):
        meshpass.GoogleIDToken(AUDIENCE).token()


@pytest.mark.parametrize(
    "answer", [b"", b"a.b.c", b"e30.e30.e30", b"e30.W10.e30", b"\xff\xfe", b"e30.eyJleHAiOiJ4In0.e30"]
)
def test_an_answer_that_is_no_token_is_refused(on_google: Google, answer: bytes) -> None:
    on_google.broken["identity"] = [(200, {"Metadata-Flavor": "Google"}, answer)]

    with pytest.raises(meshpass.IdentityError, match="is not a valid JWT"):
        meshpass.GoogleIDToken(AUDIENCE).token()


def test_a_token_for_another_audience_is_refused(on_google: Google) -> None:
    other = on_google.id_token("another", ACCOUNT).encode()
    on_google.broken["identity"] = [(200, {"Metadata-Flavor": "Google"}, other)]

    with pytest.raises(meshpass.IdentityError, match="has another audience"):
        meshpass.GoogleIDToken(AUDIENCE).token()


def test_origin_says_what_was_found_and_why_and_sends_no_request(on_google: Google) -> None:
    origin = meshpass.GoogleIDToken(AUDIENCE).origin()

    assert origin.kind == "metadata_server"
    assert on_google.server.address in origin.detail
    assert origin.why == "there is no credentials file, and GCE_METADATA_HOST is set"
    assert on_google.server.seen == []


@pytest.mark.parametrize(
    "name", ["K_SERVICE", "FUNCTION_TARGET", "CLOUD_RUN_JOB", "GAE_ENV", "GCE_METADATA_HOST"]
)
def test_the_platforms_own_variables_say_that_there_is_a_server(name: str, tmp_path: Path) -> None:
    server, why = find_metadata_server({name: "x"}, tmp_path / "none")

    assert server.certain
    assert why == f"{name} is set"


def test_so_does_the_machines_maker(tmp_path: Path) -> None:
    product = tmp_path / "product_name"

    product.write_text("Google Compute Engine\n")
    assert find_metadata_server({}, product)[0].certain
    product.write_text("ThinkPad\n")
    assert not find_metadata_server({}, product)[0].certain


def test_elsewhere_the_server_is_tried_once_by_its_address_and_not_by_its_name(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_metadata_server({}, Path("/nowhere"))[0].host == "169.254.169.254"
    monkeypatch.setenv("GCE_METADATA_IP", google.server.address)

    assert meshpass.GoogleIDToken(AUDIENCE).token().value
    assert google.asked == [_PATH]


def test_elsewhere_a_silent_address_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("GCE_METADATA_IP", f"127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(meshpass.IdentityError, match="No Google identity was found") as caught:
            meshpass.GoogleIDToken(AUDIENCE).token()

    # It is given one second; a call to a real server may take twenty.
    assert time.monotonic() - began < 5
    assert "no response in time" in str(caught.value)
    assert "--impersonate-service-account" in caught.value.hint


def test_elsewhere_another_clouds_server_is_not_taken_for_googles(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCE_METADATA_IP", server.address)

    with pytest.raises(meshpass.IdentityError, match="no metadata server: the server at"):
        meshpass.GoogleIDToken(AUDIENCE).token()

    assert len(server.seen) == 1


_PROBE = """
import json, os, sys
connects = []
sys.addaudithook(lambda event, args: connects.append(str(args[1])) if event == "socket.connect" else None)
import meshpass
try:
    said = meshpass.GoogleIDToken("a").token().claims["aud"]
except meshpass.IdentityError as error:
    said = str(error)
print(json.dumps({"connects": connects, "said": said, "loaded": sorted(sys.modules)}))
"""


def _in_a_process(tmp_path: Path, **environ: str) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-c", _PROBE],
        check=True,
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path), **environ},
    )
    return dict(json.loads(ran.stdout))


def test_on_google_cloud_the_only_connection_is_the_one_for_the_token(google: Google, tmp_path: Path) -> None:
    process = _in_a_process(tmp_path, K_SERVICE="s", GCE_METADATA_HOST=google.server.address)

    assert process["said"] == "a"
    assert process["connects"] == [str(("127.0.0.1", google.server.server_port))]


def test_the_metadata_server_needs_neither_google_auth_nor_cryptography(
    google: Google, tmp_path: Path
) -> None:
    process = _in_a_process(tmp_path, GCE_METADATA_HOST=google.server.address)

    assert not {"google.auth", "requests", "cryptography", "jwt"} & set(process["loaded"])


def test_until_a_token_is_needed_no_http_stack_and_no_google_client_is_loaded(tmp_path: Path) -> None:
    code = "import meshpass, sys; meshpass.GoogleIDToken('a').origin(); print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={"HOME": str(tmp_path)}
    )

    assert not {"httpx", "ssl", "google.auth", "requests", "cryptography", "jwt"} & set(ran.stdout.split())


def test_no_gce_check_is_honoured_without_any_connection(tmp_path: Path) -> None:
    process = _in_a_process(tmp_path, NO_GCE_CHECK="true", K_SERVICE="s")

    assert process["connects"] == []
    assert "NO_GCE_CHECK excludes" in process["said"]


def test_users_are_refused_without_any_connection(tmp_path: Path, user_file: dict[str, Any]) -> None:
    path = tmp_path / "user.json"
    path.write_text(json.dumps(user_file))

    process = _in_a_process(tmp_path, GOOGLE_APPLICATION_CREDENTIALS=str(path))

    assert process["connects"] == []
    assert "a user's own credentials" in process["said"]
