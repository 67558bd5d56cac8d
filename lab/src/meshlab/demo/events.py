"""Publisher of the demo's events, and reader of where they ended, through the official clients."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

from meshlab.demo.ledger import DeadLetter, Published, Row, content_of, event_id_of
from meshlab.errors import LabError
from meshlab.lab.pipeline import Pipeline, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from google.cloud.pubsub_v1.subscriber.message import Message

    from meshlab.lab.provision import Resources

_PUBLISH_TIMEOUT_S = 30.0
_ORIGIN = Target("", {"schema": {"fields": []}}, {"event_id": "event.event_id", "message_id": "message.id"})
"""Columns by which rows of the shipped table name their origin."""


def read_events(path: Path, *, holds_arrays: bool = False) -> list[bytes]:
    """Read a file of events, exactly as they will be published: nothing is changed.

    They stand in a JSON array, or one a line. A file that is one JSON object over several lines, or that is no text
    (gzip, for instance), is one message.

    Args:
        path: The file.
        holds_arrays: Whether a JSON array is itself a message.

    Raises:
        LabError: The file cannot be read or holds no event.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LabError(f"cannot read the events in {path}: {error.strerror}") from error
    events = _of_array(content)
    if events is not None and holds_arrays:
        return [content]
    lines = [line for line in content.split(b"\n") if line.strip()]
    if not lines or events == []:
        raise LabError(f"{path} holds no event: expected JSON objects in an array, or one a line")
    if events:
        return events
    return [content] if len(lines) > 1 and (_is_one_document(content) or not _is_text(content)) else lines


def _is_one_document(content: bytes) -> bool:
    try:
        return isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        return False


def _of_array(content: bytes) -> list[bytes] | None:
    """Return the text of each value in a JSON array; None if the content is something else."""
    try:
        text = content.decode()
        if not text.lstrip().startswith("[") or not isinstance(json.loads(text), list):
            return None
    except (ValueError, RecursionError):
        return None
    found, position, decoder = [], _after_separators(text, text.index("[") + 1), json.JSONDecoder()
    while text[position] != "]":
        _, end = decoder.raw_decode(text, position)
        found.append(text[position:end].encode())
        position = _after_separators(text, end)
    return found


def _after_separators(text: str, position: int) -> int:
    while text[position] in " \t\r\n,":
        position += 1
    return position


def _is_text(content: bytes) -> bool:
    """Return whether the content has lines. A line that is not UTF-8 is a bad event; a null byte or gzip is no text."""
    return b"\0" not in content and not content.startswith(b"\x1f\x8b")


class EventClients:
    """The official clients, led to the lab by the environment of `meshlab run`.

    Args:
        resources: Names of the topics, the table and the key.
        pipeline: What the function does with events; by default the shipped one.
    """

    def __init__(self, resources: Resources, pipeline: Pipeline | None = None) -> None:
        self._resources = resources
        self._pipeline = pipeline
        self._targets = pipeline.targets if pipeline else (replace(_ORIGIN, table=resources.table),)
        self._publisher = PublisherClient()
        self._subscriber = SubscriberClient()
        self._bigquery = bigquery.Client(
            project=resources.project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": os.environ["BIGQUERY_EMULATOR_HOST"]},
        )
        self._dead_letters: list[DeadLetter] = []
        self._pull = self._subscriber.subscribe(resources.dead_letter_subscription, self._keep)

    def publish(
        self, events: Sequence[bytes], attributes: Mapping[str, str] | None = None
    ) -> list[Published]:
        """Publish each event as one message and wait until the service has them all.

        Args:
            events: The messages' data.
            attributes: The attributes of every message.
        """
        futures = [
            self._publisher.publish(self._resources.topic, event, **(attributes or {})) for event in events
        ]
        message_ids = [future.result(_PUBLISH_TIMEOUT_S) for future in futures]
        return [
            Published(message_id, self._event_id(message_id, event), content_of(event))
            for message_id, event in zip(message_ids, events, strict=True)
        ]

    def count_rows(self) -> int:
        """Return how many rows the tables have."""
        counts = [next(self._select(target.table, "COUNT(*) AS n")) for target in self._targets]
        return sum(int(row["n"]) for row in counts)

    def rows(self) -> list[Row]:
        """Return the origin of every row, as far as the tables have columns for it."""
        return [row for target in self._targets for row in self._rows(target)]

    def first_rows(self, target: Target, limit: int) -> list[dict[str, object]]:
        """Return the first rows of a table by their time, with the columns that people look at."""
        columns = ", ".join(f"`{column}`" for column in target.shown_columns)
        order = f"ORDER BY `{target.time_column}` " if target.time_column else ""
        return [dict(row.items()) for row in self._select(target.table, columns, f"{order}LIMIT {limit:d}")]

    def row(self, event_id: str) -> list[dict[str, Any]]:
        """Return the rows of one event in the shipped table, whole: one, if all is well."""
        parameter = bigquery.ScalarQueryParameter("event_id", "STRING", event_id)
        found = self._select(self._resources.table, "*", "WHERE event_id = @event_id", [parameter])
        return [dict(row.items()) for row in found]

    def dead_letters(self) -> list[DeadLetter]:
        """Return every dead letter that has arrived so far."""
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

    def _event_id(self, message_id: str, event: bytes) -> str | None:
        return self._pipeline.identity(message_id, event) if self._pipeline else event_id_of(event)

    def _rows(self, target: Target) -> list[Row]:
        ids = self._pipeline.id_sources if self._pipeline else ("event.event_id",)
        message, event = target.column_of("message.id"), target.column_of(ids[0]) if len(ids) == 1 else None
        columns = [
            f"CAST(`{column}` AS STRING) AS {name}" if column else f"CAST(NULL AS STRING) AS {name}"
            for name, column in (("message_id", message), ("event_id", event))
        ]
        return [
            Row(row["message_id"], row["event_id"]) for row in self._select(target.table, ", ".join(columns))
        ]

    def _select(
        self,
        table: str,
        columns: str,
        rest: str = "",
        parameters: Sequence[bigquery.ScalarQueryParameter] = (),
    ) -> Iterator[bigquery.Row]:
        """Select from a table. Names come from the contract and the pipeline; no text of an event is in the query."""
        query = f"SELECT {columns} FROM `{table}` {rest}"  # noqa: S608
        config = bigquery.QueryJobConfig(query_parameters=list(parameters))
        return iter(self._bigquery.query_and_wait(query, job_config=config))
