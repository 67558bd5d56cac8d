"""Apache Beam's own Enrichment transform, with the mesh's service as its source: `main.py EVENTS WORKERS SHAPE`.

EVENTS is a file with one event on each line, SHAPE is `plain` or `wide`. Prints what the work took as JSON.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apache_beam as beam  # type: ignore[import-not-found] # it has an environment of its own
import source  # type: ignore[import-not-found] # beside this file
from apache_beam.options.pipeline_options import PipelineOptions  # type: ignore[import-not-found]
from apache_beam.transforms.enrichment import Enrichment  # type: ignore[import-not-found]

ROWS = 500  # in a request, at most, as Beam's own sink has it


def read(line: str) -> beam.Row:
    event = json.loads(line)
    return beam.Row(
        event_id=event["event_id"],
        user_id=event["user_id"],
        type=event["type"],
        occurred_at=event["occurred_at"],
        event=line,
    )


def read_wide(line: str) -> beam.Row:
    event = json.loads(line)
    columns = {name: value for fields in event["fields"].values() for name, value in fields.items()}
    names = ("event_id", "user_id", "account_id", "type", "occurred_at")
    return beam.Row(**{name: event[name] for name in names}, columns=json.dumps(columns))


def wide_row(joined: beam.Row) -> dict[str, Any]:
    fields = joined._asdict()
    columns = json.loads(fields.pop("columns"))
    del fields["account_id"]
    return {**fields, **columns, "message_id": joined.event_id, "trace_id": os.urandom(16).hex()}


def row(joined: beam.Row) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        **joined._asdict(),
        "message_id": joined.event_id,
        "publish_time": now,
        "enriched_at": now,
        "trace_id": os.urandom(16).hex(),
    }


def main(events: str, workers: str, shape: str) -> None:
    wide = shape == "wide"
    options = PipelineOptions(
        [
            "--runner=FnApiRunner",
            "--direct_running_mode=multi_threading",
            f"--direct_num_workers={workers}",
        ]
    )
    with beam.Pipeline(options=options) as pipeline:
        joined = (
            pipeline
            | beam.Create(Path(events).read_text().splitlines())
            | beam.Reshuffle()
            | beam.Map(read_wide if wide else read)
            | "profiles" >> Enrichment(source.Profiles())
        )
        if wide:
            joined = joined | "accounts" >> Enrichment(source.Accounts())
        _ = (
            joined
            | beam.Map(wide_row if wide else row)
            | beam.BatchElements(min_batch_size=1, max_batch_size=ROWS)
            | beam.ParDo(source.Insert())
        )
    print(json.dumps({"cpu_s": time.process_time() - min(source.cpu_s_at_lookups)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
