"""Run a pipeline of one's own in a running lab, and print what became of each message.

    meshlab run -- python ../run_pipeline.py pipeline.toml table.json messages.jsonl

Each line of the messages is an object with `data`, and optionally `attributes` and a `name` for people. `data` is a
JSON value, or a text that is sent as it is. `meshlab demo` takes plain events, which all have the same attributes; here
each message has its own, as webhooks and notifications do.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx
from google.api_core.exceptions import AlreadyExists
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_START_S = 60
_CALL_S = 60
_DEAD_LETTERED = "dead-lettered"


@dataclass(frozen=True)
class Names:
    """The table, the topic and the subscription of one run, named by the folder of the pipeline."""

    project: str
    dataset: str
    name: str

    @property
    def table(self) -> str:
        """Return the name of the table in BigQuery's API."""
        return self.name.replace("-", "_")

    @property
    def topic(self) -> str:
        """Return the topic of the dead letters."""
        return f"projects/{self.project}/topics/{self.name}-dead-letter"

    @property
    def subscription(self) -> str:
        """Return the subscription that keeps the dead letters."""
        return f"projects/{self.project}/subscriptions/{self.name}-dead-letter"


class BigQuery:
    """BigQuery of the lab, over its REST API."""

    def __init__(self, names: Names, address: str) -> None:
        self._names = names
        self._http = httpx.Client(
            base_url=f"{address}/bigquery/v2/projects/{names.project}",
            timeout=_CALL_S,
            trust_env=False,
        )

    def make_table(self, definition: dict[str, Any]) -> None:
        """Make the table anew."""
        tables = f"/datasets/{self._names.dataset}/tables"
        self._http.delete(f"{tables}/{self._names.table}")
        reference = {
            "projectId": self._names.project,
            "datasetId": self._names.dataset,
            "tableId": self._names.table,
        }
        self._http.post(tables, json={**definition, "tableReference": reference}).raise_for_status()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def rows(self) -> list[dict[str, Any]]:
        """Return all rows, by the names of their columns; without columns that are empty."""
        query = {
            "query": f"SELECT * FROM `{self._names.dataset}.{self._names.table}`",  # noqa: S608 - names of this file
            "useLegacySql": False,
        }
        found = self._http.post("/queries", json=query).raise_for_status().json()
        columns = [(field["name"], field["type"]) for field in found["schema"]["fields"]]
        rows = [
            {name: _plain(cell["v"], kind) for (name, kind), cell in zip(columns, row["f"], strict=True)}
            for row in found.get("rows", [])
        ]
        return [{name: value for name, value in row.items() if value not in (None, [])} for row in rows]


class DeadLetters:
    """The topic of dead letters in the lab, with a subscription that keeps them."""

    def __init__(self, names: Names, channel: grpc.Channel) -> None:
        self._subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        self._subscription = names.subscription
        with suppress(AlreadyExists):
            PublisherClient(transport=PublisherGrpcTransport(channel=channel)).create_topic(name=names.topic)
        with suppress(AlreadyExists):
            self._subscriber.create_subscription(name=names.subscription, topic=names.topic)

    def pull(self, count: int) -> dict[str, str]:
        """Wait for this many dead letters; return the reason and the stage of each by the id of its message."""
        found: dict[str, str] = {}
        while len(found) < count:
            request = {"subscription": self._subscription, "max_messages": count}
            for received in self._subscriber.pull(request=request, timeout=_CALL_S).received_messages:
                attributes = received.message.attributes
                found[attributes["dead_letter_message_id"]] = (
                    f"{attributes['dead_letter_reason']} ({attributes['dead_letter_stage']})"
                )
        return found


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the pipeline; return 1 where a message was not acknowledged.

    Args:
        arguments: The pipeline, its table and the messages.
        environ: The environment of `meshlab run`.
    """
    parser = argparse.ArgumentParser(description="Run a pipeline in a running lab.")
    for name in ("pipeline", "table", "messages"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args(arguments)
    project, dataset, _ = environ["BIGQUERY_TABLE"].split(".")
    names = Names(project, dataset, given.pipeline.resolve().parent.name)
    messages = [json.loads(line) for line in given.messages.read_text().splitlines() if line.strip()]
    with (
        closing(BigQuery(names, environ["BIGQUERY_EMULATOR_HOST"])) as bigquery,
        grpc.insecure_channel(environ["PUBSUB_EMULATOR_HOST"]) as channel,
    ):
        bigquery.make_table(json.loads(given.table.read_text()))
        dead_letters = DeadLetters(names, channel)
        with serving(names, given.pipeline, given.table, environ) as (url, log):
            statuses = [push(url, number, message) for number, message in enumerate(messages, 1)]
            outcomes = _outcomes(log)
        reasons = dead_letters.pull(list(outcomes.values()).count(_DEAD_LETTERED))
        rows = bigquery.rows()
    for number, message in enumerate(messages, 1):
        outcome, reason = outcomes[f"m-{number}"], reasons.get(f"m-{number}")
        print(f"{message.get('name', number)}: {f'{outcome}, {reason}' if reason else outcome}")
    print(f"\n{len(rows)} rows")
    for row in rows:
        print(json.dumps(row, ensure_ascii=False))
    return 0 if set(statuses) == {200} else 1


def push(url: str, number: int, message: dict[str, Any]) -> int:
    """Deliver one message as a push subscription does; return the status of the answer."""
    data = message["data"] if isinstance(message["data"], str) else json.dumps(message["data"])
    envelope = {
        "message": {
            "data": base64.b64encode(data.encode()).decode(),
            "attributes": message.get("attributes", {}),
            "messageId": f"m-{number}",
            "publishTime": "2026-11-20T08:10:00Z",
        },
        "subscription": "projects/lab/subscriptions/example",
    }
    return httpx.post(url, json=envelope, timeout=_CALL_S, trust_env=False).status_code


@contextmanager
def serving(
    names: Names, pipeline: Path, table: Path, environ: Mapping[str, str]
) -> Iterator[tuple[str, Path]]:
    """Serve the pipeline on loopback; give its URL, and the file of its log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "PIPELINE_FILE": str(pipeline.resolve()),
        "TABLE_FILE": str(table.resolve()),
        "BIGQUERY_TABLE": f"{names.project}.{names.dataset}.{names.table}",
        "DEAD_LETTER_TOPIC": names.topic,
        "LOG_SEVERITY": "DEBUG",  # which has a line for a dropped event, too
    }
    command = [sys.executable, "-m", "enrichment", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        with log.open("w") as out:
            process = subprocess.Popen(command, env={**environ, **settings}, stdout=out, stderr=out)  # noqa: S603
        try:
            _wait_for(port, process, log)
            yield f"http://127.0.0.1:{port}/", log
        finally:
            process.terminate()
            process.wait(_START_S)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit(f"The pipeline does not serve. Its log says why:\n{log.read_text()}")


def _outcomes(log: Path) -> dict[str, str]:
    """Return how each message ended, by its id. The log has one line of JSON for each."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    labels = "logging.googleapis.com/labels"
    return {
        line["message_id"]: line[labels]["outcome"] for line in lines if "outcome" in line.get(labels, {})
    }


def _plain(value: Any, kind: str) -> Any:  # noqa: ANN401 - a cell of BigQuery's API
    if isinstance(value, list):
        return [_plain(item["v"], kind) for item in value]
    if kind == "TIMESTAMP" and value is not None:
        return datetime.fromtimestamp(float(value), UTC).isoformat()
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
