"""Publisher of the demo's events, and reader of where they ended, through the official clients."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.cloud.pubsub_v1.subscriber.message import Message

from meshlab.demo.ledger import DeadLetter, Published, Row, event_id_of
from meshlab.errors import LabError
from meshlab.lab.provision import Resources

_PUBLISH_TIMEOUT_S = 30.0
_SHOWN_COLUMNS = "event_id, user_id, type, occurred_at, JSON_VALUE(profile, '$.name') AS name, trace_id"


def read_events(path: Path) -> list[bytes]:
    """Read a file of events, one a line, exactly as they will be published: nothing is parsed or changed.

    Raises:
        LabError: The file cannot be read or holds no event.
    """
    try:
        lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    except OSError as error:
        raise LabError(f"cannot read the events in {path}: {error.strerror}") from error
    if not lines:
        raise LabError(f"{path} holds no event: expected one JSON object a line")
    return lines


class EventClients:
    """The official clients, led to the lab by the environment of `meshlab run`."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._publisher = PublisherClient()
        self._subscriber = SubscriberClient()
        self._bigquery = bigquery.Client(
            project=resources.project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": os.environ["BIGQUERY_EMULATOR_HOST"]},
        )
        self._dead_letters: list[DeadLetter] = []
        self._pull = self._subscriber.subscribe(resources.dead_letter_subscription, self._keep)

    def publish(self, events: Sequence[bytes]) -> list[Published]:
        """Publish each event as one message and wait until the service has them all."""
        futures = [self._publisher.publish(self._resources.topic, event) for event in events]
        return [
            Published(future.result(_PUBLISH_TIMEOUT_S), event_id_of(event))
            for future, event in zip(futures, events, strict=True)
        ]

    def count_rows(self) -> int:
        """How many rows the table has."""
        (row,) = self._select("COUNT(*) AS n")
        return int(row["n"])

    def rows(self) -> list[Row]:
        """The origin of every row."""
        found = self._select("message_id, event_id")
        return [Row(row["message_id"], row["event_id"]) for row in found]

    def first_rows(self, limit: int) -> list[dict[str, object]]:
        """The first rows by their event's time, with the columns that people look at."""
        return [
            dict(row.items()) for row in self._select(_SHOWN_COLUMNS, f"ORDER BY occurred_at LIMIT {limit:d}")
        ]

    def row(self, event_id: str) -> list[dict[str, Any]]:
        """The rows of one event, whole: one, if all is well."""
        parameter = bigquery.ScalarQueryParameter("event_id", "STRING", event_id)
        found = self._select("*", "WHERE event_id = @event_id", [parameter])
        return [dict(row.items()) for row in found]

    def dead_letters(self) -> list[DeadLetter]:
        """Every dead letter that has arrived so far."""
        return list(self._dead_letters)

    def close(self) -> None:
        """Close the connections."""
        self._pull.cancel()
        self._pull.result()
        self._publisher.stop()
        self._publisher.transport.close()
        self._subscriber.close()
        self._bigquery.close()

    def _keep(self, message: Message) -> None:
        attributes = message.attributes
        self._dead_letters.append(
            DeadLetter(
                message_id=attributes["dead_letter_message_id"],
                reason=attributes["dead_letter_reason"],
                stage=attributes["dead_letter_stage"],
                detail=attributes["dead_letter_detail"],
            )
        )
        message.ack()

    def _select(
        self, columns: str, rest: str = "", parameters: Sequence[bigquery.ScalarQueryParameter] = ()
    ) -> Iterator[bigquery.Row]:
        """Select from the table, whose name comes from the contract; nothing of an event goes into the text."""
        query = f"SELECT {columns} FROM `{self._resources.table}` {rest}"  # noqa: S608
        config = bigquery.QueryJobConfig(query_parameters=list(parameters))
        return iter(self._bigquery.query_and_wait(query, job_config=config))
