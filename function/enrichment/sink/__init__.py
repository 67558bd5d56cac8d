"""Sinks for rows: a row is durable when `write` returns, and not before."""

from enrichment.sink.base import Sink
from enrichment.sink.bigquery import BigQuerySink

__all__ = ["BigQuerySink", "Sink"]
