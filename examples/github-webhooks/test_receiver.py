"""Tests of the receiver: what is signed is published as it came, and nothing else is."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
import receiver

SECRET = b"It's a Secret to Everybody"
"""The secret and the signature of GitHub's own example, in its page on validating webhook deliveries."""
EXAMPLE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

Sent = list[tuple[bytes, dict[str, str]]]


def sign(body: bytes, secret: bytes = SECRET) -> str:
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def post(body: bytes, **headers: str) -> tuple[int, Sent]:
    """Send a webhook; return the status and what was published."""
    sent: Sent = []
    app = receiver.create_app(SECRET, lambda body, attributes: sent.append((body, attributes)))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().post("/webhook", data=body, headers=named).status_code, sent


def test_the_signature_of_githubs_example_is_right() -> None:
    assert receiver.is_signed(SECRET, b"Hello, World!", EXAMPLE)


def test_a_signed_webhook_is_published_with_its_headers() -> None:
    body = json.dumps({"action": "opened"}).encode()
    headers = {
        "x_github_event": "pull_request",
        "x_github_delivery": "d-1",
        "x_other": "not for the pipeline",
    }
    attributes = {"x-github-event": "pull_request", "x-github-delivery": "d-1"}
    assert post(body, x_hub_signature_256=sign(body), **headers) == (204, [(body, attributes)])


@pytest.mark.parametrize("signature", ["", "sha256=", sign(b"{}", b"another"), sign(b"[]"), "sha256=\u00e9"])
def test_a_webhook_with_a_wrong_signature_is_refused(signature: str) -> None:
    assert post(b"{}", x_hub_signature_256=signature) == (401, [])


def test_a_webhook_without_a_signature_is_refused() -> None:
    assert post(b"{}") == (401, [])


def test_a_body_that_pubsub_would_not_take_is_refused() -> None:
    body = b"x" * (receiver.MAX_BYTES + 1)
    assert post(body, x_hub_signature_256=sign(body)) == (413, [])


def test_an_empty_secret_ends_the_start() -> None:
    with pytest.raises(ValueError, match="secret is empty"):
        receiver.create_app(b"", lambda body, attributes: None)
