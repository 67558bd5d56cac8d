"""Where Beam's pipeline looks profiles up and where it writes rows.

Beam pickles what stands in the main module, and each worker would have globals of its own: so this is another module.
"""

import os
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam  # type: ignore[import-not-found] # it has an environment of its own
import httpx
import jwt
from apache_beam.transforms.enrichment import EnrichmentSourceHandler  # type: ignore[import-not-found]
from google.cloud import bigquery

TOKEN_KEPT_S = 240

cpu_s_at_lookups: list[float] = []
"""Processor time that this process had taken at the beginning of each lookup."""

_lock = threading.Lock()
_token, _token_until = "", 0.0


def token() -> str:
    global _token, _token_until
    with _lock:
        now = int(time.time())
        if now >= _token_until:
            issuer = os.environ["JWT_ISSUER"]
            claims = {
                "iss": issuer, "sub": issuer, "aud": os.environ["JWT_AUDIENCE"], "scope": os.environ["JWT_SCOPE"],
                "iat": now, "exp": now + 300,
            }  # fmt: skip
            key = Path(os.environ["SIGNING_KEY_FILE"]).read_text()
            _token, _token_until = jwt.encode(claims, key, algorithm="ES256"), now + TOKEN_KEPT_S
        return _token


class Profiles(EnrichmentSourceHandler):  # type: ignore[misc] # mypy does not see Beam
    """Profiles from the service, by a client that one of Beam's workers keeps."""

    def __enter__(self) -> None:
        ca_file = os.environ.get("GKE_GATEWAY_CA_FILE")
        self._http = httpx.Client(
            base_url=os.environ["GKE_GATEWAY_URL"],
            headers={"host": os.environ["GKE_GATEWAY_HOST"]},
            timeout=10,
            verify=ssl.create_default_context(cafile=ca_file) if ca_file else True,
        )

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def __call__(self, request: beam.Row, *_: object, **__: object) -> tuple[beam.Row, beam.Row]:
        cpu_s_at_lookups.append(time.process_time())
        return request, beam.Row(profile=self._get(f"/profile/{request.user_id}"))

    def _get(self, path: str) -> str:
        answer = self._http.get(
            path,
            headers={"authorization": f"Bearer {token()}"},
            extensions={"sni_hostname": os.environ["GKE_GATEWAY_HOST"]},  # the URL has the gateway's address
        )
        answer.raise_for_status()
        return answer.text


class Accounts(Profiles):
    """Accounts from the same service."""

    def __call__(self, request: beam.Row, *_: object, **__: object) -> tuple[beam.Row, beam.Row]:
        return request, beam.Row(account=self._get(f"/account/{request.account_id}"))


class Insert(beam.DoFn):  # type: ignore[misc]
    """A batch of rows by one insertAll, each under its own insertId."""

    def setup(self) -> None:
        self._client = bigquery.Client()

    def process(self, rows: list[dict[str, Any]]) -> Iterator[int]:
        errors = self._client.insert_rows_json(
            os.environ["BIGQUERY_TABLE"], rows, row_ids=[row["event_id"] for row in rows]
        )
        if errors:
            raise RuntimeError(f"BigQuery refused rows: {errors}")
        yield len(rows)
