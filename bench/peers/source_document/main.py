"""The function that meshpass began with, ported from TypeScript line by line, with an event as its trigger.

The original answered an HTTP request with what the private service said. Here the same steps, in the same order and
with the same comments where they still hold, enrich an event: the key from Secret Manager, kept in a global; a token
signed for each call; a call on a new connection, as axios makes it with Node's agent of that time; a limit of 3 s. What
it left out, the row, is one insert per event, by a client at module level like the other one. Two things differ because
the original does not work: it reads the private key as if it were a public one, and every event would look up user 123.
"""

import base64
import json
import os
import time
from datetime import UTC, datetime
from typing import cast

import functions_framework
import grpc
import jwt
import requests
from cloudevents.http import CloudEvent
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.cloud import bigquery
from google.cloud.secretmanager import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)

# Configuration from environment variables
GKE_GATEWAY_URL = os.environ.get("GKE_GATEWAY_URL")
JWT_ISSUER = os.environ.get("JWT_ISSUER")
SIGNING_KEY_SECRET_ID = os.environ.get("SIGNING_KEY_SECRET_ID")

# Cache for the signing key to avoid repeated fetches on warm starts
signing_key: EllipticCurvePrivateKey | None = None
secret_manager = SecretManagerServiceClient(
    transport=SecretManagerServiceGrpcTransport(
        channel=grpc.insecure_channel(os.environ["SECRET_MANAGER_EMULATOR_HOST"])
    )
)
table = bigquery.Client()


def get_signing_key() -> EllipticCurvePrivateKey:
    global signing_key
    if signing_key:
        return signing_key
    version = secret_manager.access_secret_version(name=SIGNING_KEY_SECRET_ID)
    # This logic assumes the key is stored in PEM format.
    signing_key = cast("EllipticCurvePrivateKey", load_pem_private_key(version.payload.data, password=None))
    return signing_key


@functions_framework.cloud_event
def enrich(delivery: CloudEvent) -> None:
    if not GKE_GATEWAY_URL or not JWT_ISSUER or not SIGNING_KEY_SECRET_ID:
        raise RuntimeError("Missing required environment variables.")
    message = delivery.data["message"]
    text = base64.b64decode(message["data"]).decode()
    event = json.loads(text)

    key = get_signing_key()

    # Generate the JWT for this request
    now = int(time.time())
    token = jwt.encode(
        {
            "scope": "profile.read",
            "iat": now,
            "iss": JWT_ISSUER,
            "aud": "user-profile",
            "exp": now + 5 * 60,
        },
        key,
        algorithm="ES256",
    )

    # Make the authenticated call to the internal gateway
    response = requests.get(
        f"{GKE_GATEWAY_URL}/profile/{event['user_id']}",
        headers={
            "Authorization": f"Bearer {token}",
            # Pass the Host header required by the Istio VirtualService
            "Host": "user-profile.internal",
        },
        timeout=3,  # Important to set a timeout
    )
    response.raise_for_status()

    row = {
        "event_id": event["event_id"],
        "user_id": event["user_id"],
        "type": event["type"],
        "occurred_at": event["occurred_at"],
        "event": text,
        "profile": response.text,
        "message_id": message["messageId"],
        "publish_time": message["publishTime"],
        "enriched_at": datetime.now(UTC).isoformat(),
        "trace_id": os.urandom(16).hex(),
    }
    errors = table.insert_rows_json(os.environ["BIGQUERY_TABLE"], [row])
    if errors:
        raise RuntimeError(f"BigQuery refused the row: {errors}")
