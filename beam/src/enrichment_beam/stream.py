"""The enrichment as a stream: a subscription in, rows and dead letters out."""

import json
import logging
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.io.gcp.pubsub import ReadFromPubSub, WriteToPubSub
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from enrichment_beam.engine import EngineOptions
from enrichment_beam.enrich import DEAD_LETTERS, ROWS, Enrich, EnrichAndWrite, OnRetry
from enrichment_beam.settings import WorkerSettings
from enrichment_beam.tally import TableRow

__all__ = ["Stream", "add_to", "run"]


@dataclass(frozen=True)
class Stream:
    """What a stream does.

    Args:
        settings: The enrichment's.
        subscription: `projects/P/subscriptions/S`.
        options: How many events may be under way, and how fast.
        reshuffles: Whether to break the fusion of reading and enriching. More keys then share the work, and the runner
            acknowledges a message when it has stored it, before its row is written.
        writes_by_beam: Whether rows go through Beam's Storage Write API sink, which needs Java where the pipeline is
            started.
    """

    settings: WorkerSettings
    subscription: str
    options: EngineOptions
    reshuffles: bool = False
    writes_by_beam: bool = False


def add_to(pipeline: beam.Pipeline, stream: Stream) -> None:
    """Add the steps of a stream to a pipeline."""
    messages = pipeline | "Read" >> ReadFromPubSub(subscription=stream.subscription, with_attributes=True)
    if stream.reshuffles:
        messages = messages | "Spread" >> beam.Reshuffle()
    if not stream.writes_by_beam:
        _ = messages | "Enrich" >> EnrichAndWrite(stream.settings, stream.options, OnRetry.FAIL)
        return
    enriched = messages | "Enrich" >> Enrich(stream.settings, stream.options, OnRetry.FAIL)
    _write_rows(enriched[ROWS], stream.settings)
    topic = stream.settings.environment["DEAD_LETTER_TOPIC"]
    _ = enriched[DEAD_LETTERS] | "Dead letters" >> WriteToPubSub(topic, with_attributes=True)


def _write_rows(rows: pvalue.PCollection, settings: WorkerSettings) -> None:
    from apache_beam.io.gcp.bigquery import BigQueryDisposition, WriteToBigQuery

    fields = json.loads(settings.files["TABLE_FILE"])
    fields = fields["schema"]["fields"] if isinstance(fields, dict) else fields
    _ = (
        rows
        | "Columns" >> beam.Map(_columns)
        | "Write"
        >> WriteToBigQuery(
            settings.environment["BIGQUERY_TABLE"].replace(".", ":", 1),
            schema={"fields": fields},
            method=WriteToBigQuery.Method.STORAGE_WRITE_API,
            create_disposition=BigQueryDisposition.CREATE_NEVER,
            write_disposition=BigQueryDisposition.WRITE_APPEND,
            use_at_least_once=True,
        )
    )


def _columns(row: TableRow) -> dict[str, Any]:
    return dict(row.columns)


def run(stream: Stream, beam_options: list[str]) -> str:
    """Run a stream until it is drained, cancelled or fails.

    Args:
        stream: What it does.
        beam_options: Options of Beam's own; without a runner, the direct runner of this machine.

    Returns:
        The state in which it ended.
    """
    options = PipelineOptions(beam_options)
    options.view_as(StandardOptions).streaming = True
    if not options.view_as(StandardOptions).runner:
        logging.getLogger(__name__).warning(
            "The direct runner acknowledges messages before they are processed and delivers none again: events that "
            "fail are lost. It is for trying things out."
        )
    pipeline = beam.Pipeline(options=options)
    add_to(pipeline, stream)
    result = pipeline.run()
    return str(result.wait_until_finish() or result.state)
