"""The package alone, installed by plain pip, turns an event into a row."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from meshpass.testing import ThrowawayKey

from tests.deploy.alone import environment, served
from tests.shipped_table import shipped_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROJECT = "example-project"


@contextlib.contextmanager
def stand_in(name: str) -> Iterator[str]:
    """Runs one of the lab's fakes; its HOST:PORT."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"meshlab.cloud.{name}"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening "), f"{name} did not start"
        yield line.split()[1]
    finally:
        process.terminate()
        process.communicate(timeout=10)


class Gateway(BaseHTTPRequestHandler):
    """A gateway that knows one user and lets in who asks for the right host with a token."""

    public_key: jwt.PyJWK

    def do_GET(self) -> None:
        scheme, _, token = self.headers["authorization"].partition(" ")
        settings = environment()
        jwt.decode(
            token,
            self.public_key,
            ["ES256"],
            audience=settings["JWT_AUDIENCE"],
            issuer=settings["JWT_ISSUER"],
        )
        known = (scheme, self.headers["host"], self.path) == (
            "Bearer",
            settings["GKE_GATEWAY_HOST"],
            "/profile/u-1",
        )
        body = json.dumps(
            {"user_id": "u-1", "plan": "gold"} if known else {"error": "profile_not_found"}
        ).encode()
        self.send_response(200 if known else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("x-envoy-upstream-service-time", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keeps quiet."""


@contextlib.contextmanager
def gateway(key: ThrowawayKey) -> Iterator[str]:
    handler = type("KnowingGateway", (Gateway,), {"public_key": jwt.PyJWK(key.jwks["keys"][0])})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Cloud:
    """The function's environment: where it is, and what it left in the table and the topic."""

    def __init__(self, address: str, tables: bigquery.Client) -> None:
        self.address = address
        self._tables = tables

    def deliver(self, data: bytes, message_id: str) -> httpx.Response:
        """One push of Eventarc, as a CloudEvent in binary mode."""
        message = {
            "data": base64.b64encode(data).decode(),
            "messageId": message_id,
            "publishTime": "2026-01-01T00:00:00Z",
        }
        return httpx.post(
            self.address,
            json={"message": message, "subscription": f"projects/{PROJECT}/subscriptions/eventarc"},
            headers={
                "ce-id": message_id,
                "ce-source": f"//pubsub.googleapis.com/projects/{PROJECT}/topics/user-events",
                "ce-specversion": "1.0",
                "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
                "ce-time": "2026-01-01T00:00:00Z",
            },
            timeout=30,
        )

    def rows(self) -> list[dict[str, Any]]:
        query = f"SELECT event_id, user_id, profile FROM `{environment()['BIGQUERY_TABLE']}`"
        return [dict(row) for row in self._tables.query_and_wait(query)]


@pytest.fixture(scope="module")
def cloud(app: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    key = ThrowawayKey()
    key_file = key.write(tmp_path_factory.mktemp("key") / "signing-key.pem")
    settings = environment()
    with (
        stand_in("bigquery") as tables_host,
        stand_in("metadata") as metadata_host,
        gateway(key) as gateway_url,
    ):
        credentials = AnonymousCredentials()
        tables = bigquery.Client(
            PROJECT, credentials, client_options={"api_endpoint": f"http://{tables_host}"}
        )
        tables.create_dataset(settings["BIGQUERY_TABLE"].rpartition(".")[0])
        tables.create_table(shipped_table(settings["BIGQUERY_TABLE"]))

        local = {
            name: value
            for name, value in settings.items()
            if name not in {"GKE_GATEWAY_CA_FILE", "SIGNING_KEY_SECRET_ID"}
        }
        local |= {
            "GKE_GATEWAY_URL": gateway_url,
            "SIGNING_KEY_FILE": str(key_file),
            "BIGQUERY_EMULATOR_HOST": f"http://{tables_host}",
            "GCE_METADATA_HOST": metadata_host,
            "GCE_METADATA_IP": metadata_host,
        }
        with served(app, local) as address:
            yield Cloud(address, tables)
        tables.close()


def test_a_delivered_event_becomes_a_row_with_its_profile(cloud: Cloud) -> None:
    event = {"event_id": "e-1", "user_id": "u-1", "type": "signup", "occurred_at": "2026-01-01T00:00:00Z"}
    answer = cloud.deliver(json.dumps(event).encode(), message_id="m-1")
    assert answer.is_success, answer.text
    (row,) = cloud.rows()
    assert (row["event_id"], row["user_id"]) == ("e-1", "u-1")
    assert "gold" in str(row["profile"])
