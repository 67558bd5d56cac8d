"""HTTP service that takes GitHub's webhooks, checks their signature and publishes them.

The body is published as it came. What it holds is for pipeline.toml to judge, so a webhook that the pipeline does not
understand becomes a dead letter and is not lost.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask, Request, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.typing import ResponseReturnValue

    Publish = Callable[[bytes, dict[str, str]], None]

MAX_BYTES = 9_000_000
"""Pub/Sub takes 10 MB with attributes. GitHub sends at most 25 MB, and cuts nothing: larger ones are refused here."""
HEADERS = ("x-github-event", "x-github-delivery")


def is_signed(secret: bytes, body: bytes, signature: str) -> bool:
    """Check GitHub's signature of a body.

    Args:
        secret: The webhook's secret, as it was entered at GitHub.
        body: The body as it came.
        signature: The header `X-Hub-Signature-256`: `sha256=` and the HMAC in hexadecimal.
    """
    expected = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())


def create_app(secret: bytes, publish: Publish) -> Flask:
    """Make the application.

    Args:
        secret: The webhook's secret.
        publish: Publishes a body with attributes, and returns when Pub/Sub has it.

    Raises:
        ValueError: The secret is empty, so anyone could sign.
    """
    if not secret:
        raise ValueError("The webhook's secret is empty. Set the same text here and at GitHub.")
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES

    def webhook() -> ResponseReturnValue:
        body = request.get_data()
        if not is_signed(secret, body, request.headers.get("x-hub-signature-256", "")):
            return "The signature is missing or wrong.\n", 401
        publish(body, attributes_of(request))
        return "", 204

    app.add_url_rule("/webhook", view_func=webhook, methods=["POST"])
    return app


def attributes_of(received: Request) -> dict[str, str]:
    """Return the headers that the pipeline reads, as attributes of the message."""
    return {name: received.headers[name] for name in HEADERS if name in received.headers}


def from_env() -> Flask:
    """Make the application for `flask --app receiver:from_env run`, or for another server of WSGI applications."""
    from google.cloud.pubsub_v1 import PublisherClient

    client, topic = PublisherClient(), os.environ["TRIGGER_TOPIC"]
    path = topic if "/" in topic else f"projects/{os.environ['GOOGLE_CLOUD_PROJECT']}/topics/{topic}"

    def publish(body: bytes, attributes: dict[str, str]) -> None:
        client.publish(path, body, **attributes).result(timeout=10)

    return create_app(Path(os.environ["WEBHOOK_SECRET_FILE"]).read_bytes().strip(), publish)
