"""The official client of BigQuery against the fake."""

from __future__ import annotations

from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client


def connect(host: str | None, project: str = "p") -> Client:
    """Return a client of the fake, to be closed by the caller.

    Args:
        host: The fake's address with its scheme; None for the one that BIGQUERY_EMULATOR_HOST names.
        project: The project of names without one.
    """
    return Client(project=project, credentials=AnonymousCredentials(), client_options={"api_endpoint": host})
