"""Demo of a backfill at scale: the same messages through the function and through Beam, and their rows compared.

`make demo-scale` runs it (EVENTS=1000 for fewer). The lab has the real Envoys, user-profile behind them, and fakes of
Google's services. Messages are pushed to the function and, from files, taken by Dask worker processes. Each writes to a
table and a dead-letter topic of its own. Then every row and every dead letter of one side must be on the other.
"""

import argparse
import asyncio
import base64
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.pubsub_v1 import PublisherClient, SubscriberClient
from meshlab.lab.project import Project
from meshlab.lab.stack import Lab
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
BEAM_PYTHON = ROOT / "beam/.venv/bin/python"
FILES = 8
IN_FLIGHT = 64
UNKNOWN_EVERY, BROKEN_EVERY, REDRIVEN_EVERY = 97, 101, 89
OF_THE_RUN = ("enriched_at", "trace_id")
"""Columns that say when and in which trace a row was made."""

_FIRST = datetime(2026, 11, 1, tzinfo=UTC)
console = Console()


@dataclass(frozen=True)
class Side:
    """What one way left.

    Attributes:
        rows: By event id: the row as JSON, without what differs from run to run.
        repeats: Rows whose event has one already.
        dead: By message id: the reason of the dead letter.
        seconds: How long it took.
    """

    rows: Mapping[str, str]
    repeats: int
    dead: Mapping[str, str]
    seconds: float


def profiles(events: int) -> dict[str, dict[str, str]]:
    """Return what user-profile knows."""
    return {
        user_id(number): {"plan": "pro", "name": f"Name {number}"} for number in range(max(events // 20, 10))
    }


def user_id(number: int) -> str:
    """Return a key, one that has to be quoted in a path now and then."""
    return f"u-{number}" if number % 10 else f"u {number}/ü"


def messages(events: int) -> Iterator[dict[str, Any]]:
    """Give the messages, as a push and a file have them: good ones, bad ones and ones that were redriven."""
    known = len(profiles(events))
    for number in range(events):
        event = {
            "event_id": f"scale-{number:07}",
            "user_id": "unknown" if number % UNKNOWN_EVERY == 0 else user_id(number % known),
            "type": "page_view",
            "occurred_at": "2026-11-20T08:00:00Z",
            "note": "é" * (number % 40),
        }
        data = json.dumps(event, ensure_ascii=False).encode()
        if number % BROKEN_EVERY == 0:
            data = data[:-7]
        attributes = {"source": "demo"}
        if number % REDRIVEN_EVERY == 0:
            attributes |= {
                "redrive_message_id": f"first-{number}",
                "redrive_publish_time": "2026-10-31T00:00:00Z",
                "redrive_count": "1",
            }
        published = (_FIRST + timedelta(milliseconds=number)).isoformat().replace("+00:00", "Z")
        yield {
            "data": base64.b64encode(data).decode(),
            "attributes": attributes,
            "messageId": str(10**15 + number),
            "publishTime": published,
        }


def write_files(events: int, folder: Path) -> None:
    """Write the messages into files, every other one compressed."""
    found = list(messages(events))
    for number in range(FILES):
        lines = b"".join(json.dumps(one).encode() + b"\n" for one in found[number::FILES])
        if number % 2:
            (folder / f"part-{number}.jsonl.gz").write_bytes(gzip.compress(lines, 3))
        else:
            (folder / f"part-{number}.jsonl").write_bytes(lines)


async def push_all(events: int, url: str, subscription: str) -> None:
    """Push the messages to the function, and any again that it does not acknowledge."""
    left = messages(events)
    done = 0
    shown_at = time.monotonic()

    async def deliver(session: aiohttp.ClientSession) -> None:
        nonlocal done, shown_at
        for message in left:
            while True:
                async with session.post(
                    url, json={"message": message, "subscription": subscription}
                ) as answer:
                    if answer.status == 200:
                        break
                await asyncio.sleep(0.5)
            done += 1
            if time.monotonic() - shown_at > 10:
                shown_at = time.monotonic()
                console.print(f"function: {done:,} of {events:,} messages")

    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(
        timeout=timeout, connector=aiohttp.TCPConnector(limit=IN_FLIGHT)
    ) as session:
        await asyncio.gather(*(deliver(session) for _ in range(IN_FLIGHT)))


def backfill(environment: Mapping[str, str], folder: Path, workers: int) -> None:
    """Take the files through Beam on Dask workers, by the command that a user has."""
    command = [
        *(str(BEAM_PYTHON), "-m", "enrichment_beam", "backfill", f"--files={folder}/part-*"),
        *("--records=messages", "--engine=dask", f"--workers={workers}"),
        *(f"--journal={folder}/journal", "--shard-bytes=2000000"),
    ]
    done = subprocess.run(command, env={**os.environ, **environment}, check=False)
    if done.returncode != 0:
        sys.exit(f"The backfill ended with {done.returncode}.")


def read_side(client: bigquery.Client, table: str, subscription: str, dead: int, seconds: float) -> Side:
    """Read what one way left."""
    rows: dict[str, str] = {}
    repeats = 0
    for row in client.list_rows(client.get_table(table)):
        kept = {name: value for name, value in row.items() if name not in OF_THE_RUN}
        repeats += str(row["event_id"]) in rows
        rows[str(row["event_id"])] = json.dumps(kept, default=str, sort_keys=True)
    return Side(rows, repeats, dict(_dead_letters(subscription, dead)), seconds)


def _dead_letters(subscription: str, expected: int) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    end = time.monotonic() + 60
    with SubscriberClient() as subscriber:
        while len(seen) < expected and time.monotonic() < end:
            pulled = subscriber.pull(subscription=subscription, max_messages=1000).received_messages
            if pulled:
                subscriber.acknowledge(subscription=subscription, ack_ids=[one.ack_id for one in pulled])
            for one in pulled:
                attributes = one.message.attributes
                seen.add(attributes["dead_letter_message_id"])
                yield attributes["dead_letter_message_id"], attributes["dead_letter_reason"]


def is_bad(number: int) -> bool:
    """Return whether a message ends as a dead letter."""
    return number % UNKNOWN_EVERY == 0 or number % BROKEN_EVERY == 0


def compare(function: Side, beam: Side, events: int) -> bool:
    """Show both sides; return whether they are equal, and what they must be."""
    table = Table(title=f"{events:,} messages, the same for both")
    for name in ("", "rows", "repeats", "dead letters", "seconds", "messages/s"):
        table.add_column(name, justify="left" if not name else "right")
    for name, side in (("function, pushed", function), ("Beam, Dask workers", beam)):
        counts = (len(side.rows), side.repeats, len(side.dead))
        table.add_row(
            name, *(f"{n:,}" for n in counts), f"{side.seconds:.1f}", f"{events / side.seconds:,.0f}"
        )
    console.print(table)
    bad = sum(is_bad(number) for number in range(events))
    checks = {
        "every good message is a row": len(function.rows) == events - bad,
        "rows are equal, by id, in all columns but the time and the trace": function.rows == beam.rows,
        "every bad message is a dead letter": len(function.dead) == bad,
        "dead letters are equal, by id and reason": function.dead == beam.dead,
    }
    for sentence, holds in checks.items():
        console.print(f"{'yes' if holds else 'NO '}  {sentence}")
    return all(checks.values())


def run(events: int, workers: int) -> bool:
    """Run the demo; return whether both sides are equal."""
    project = Project.find(root=ROOT)
    with tempfile.TemporaryDirectory(prefix="demo-scale-") as name:
        folder = Path(name)
        known = folder / "profiles.json"
        known.write_text(json.dumps(profiles(events)))
        write_files(events, folder)
        console.print(f"{events:,} messages in {FILES} files; starting the lab")
        with Lab(project, profiles=known) as lab:
            return _both(lab, folder, events, workers)


def _both(lab: Lab, folder: Path, events: int, workers: int) -> bool:
    os.environ.update(lab.environment)
    address = next(part.address for part in lab.parts if part.name == "function")
    began_at = time.monotonic()
    asyncio.run(push_all(events, f"http://{address}/", lab.resources.subscription))
    function_s = time.monotonic() - began_at
    with bigquery.Client(project=lab.resources.project, credentials=AnonymousCredentials()) as client:
        table, topic, subscription = _own_places(client, lab)
        began_at = time.monotonic()
        backfill({**lab.environment, "BIGQUERY_TABLE": table, "DEAD_LETTER_TOPIC": topic}, folder, workers)
        beam_s = time.monotonic() - began_at
        bad = sum(is_bad(number) for number in range(events))
        function = read_side(
            client, lab.resources.table, lab.resources.dead_letter_subscription, bad, function_s
        )
        return compare(function, read_side(client, table, subscription, bad, beam_s), events)


def _own_places(client: bigquery.Client, lab: Lab) -> tuple[str, str, str]:
    """Make the table, the dead-letter topic and its subscription for Beam's side."""
    table = f"{lab.resources.table}_backfill"
    client.create_table(bigquery.Table(table, client.get_table(lab.resources.table).schema))
    topic = f"{lab.resources.dead_letter_topic}-backfill"
    subscription = f"projects/{lab.resources.project}/subscriptions/dead-letters-backfill"
    with PublisherClient() as publisher, SubscriberClient() as subscriber:
        publisher.create_topic(name=topic)
        subscriber.create_subscription(name=subscription, topic=topic)
    return table, topic, subscription


def main(arguments: Sequence[str]) -> int:
    """Run the demo by its command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=100_000, metavar="N", help="messages (default: 100000)")
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="Dask worker processes (default: 2)"
    )
    options = parser.parse_args(arguments)
    return 0 if run(options.events, options.workers) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
