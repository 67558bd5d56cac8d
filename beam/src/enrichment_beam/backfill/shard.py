"""Shards of a backfill: what each reads, how far it is, and what became of it."""

import enum
from collections import Counter
from typing import Any

import msgspec


class Kind(enum.StrEnum):
    """How the records of a shard are read."""

    LINES = "lines"
    """Lines of a plain file, from one byte to another."""
    GZIP_LINES = "gzip-lines"
    """Lines of a compressed file, which can only be read from its beginning."""
    AVRO = "avro"
    """Records of an Avro file."""
    BIGQUERY = "bigquery"
    """Rows of a query's result, from one number to another."""
    SUBSCRIPTION = "subscription"
    """Dead letters of a subscription."""


class Records(enum.StrEnum):
    """What a record is."""

    AUTO = "auto"
    EVENTS = "events"
    """The event itself."""
    MESSAGES = "messages"
    """A message of Pub/Sub: data, attributes, id and publish time."""


class Shard(msgspec.Struct, frozen=True):
    """A part of the input, read by one worker.

    Args:
        number: Its number.
        name: The file, table or subscription, as people write it.
        kind: How it is read.
        begin: Where it begins: a byte of a plain file, a record of the other kinds.
        end: Where it ends; -1 for the end of the input.
        size: How much it is, in the unit of `begin`, or in bytes for a file that is read whole; 0 if unknown.
        source: What the reader needs beside the name: the table of a query's result.
    """

    number: int
    name: str
    kind: Kind
    begin: int = 0
    end: int = -1
    size: int = 0
    source: str = ""


UNITS = {Kind.LINES: "byte", Kind.GZIP_LINES: "line", Kind.AVRO: "record", Kind.BIGQUERY: "row"}
"""What a position of a shard counts."""


class ShardState(msgspec.Struct):
    """How far a shard is. All counts are of records before `position`, each of which has come to its end.

    Args:
        number: The shard's number.
        position: Where to go on.
        progress: How much of the shard's size that is.
        records: Records read.
        rows: Rows written.
        outcomes: Events by disposition.
        reasons: Dead-lettered events by reason.
        examples: The first of each reason: where its record is, and what is wrong with it, in a sentence.
        lookups: Lookups by how they were answered.
        retries: Tries beyond the first.
        unreadable: Records that are neither event nor dead letter: longer than any message.
        undated: Events without the field that `--publish-time` names.
        left: Dead letters that are bad again, and stay in their subscription.
        done: Whether nothing is left of the shard.
        failed: Why it stopped; empty where it did not.
        at: When this was written, in seconds since the epoch.
    """

    number: int
    position: int
    progress: int = 0
    records: int = 0
    rows: int = 0
    outcomes: dict[str, int] = {}
    reasons: dict[str, int] = {}
    examples: dict[str, str] = {}
    lookups: dict[str, int] = {}
    retries: int = 0
    unreadable: int = 0
    undated: int = 0
    left: int = 0
    done: bool = False
    failed: str = ""
    at: float = 0.0


def add(into: dict[str, int], more: dict[str, int]) -> None:
    """Add counts to counts."""
    for name, count in more.items():
        into[name] = into.get(name, 0) + count


def counts(values: Any) -> dict[str, int]:  # noqa: ANN401 - any iterable of names
    """Count names."""
    return dict(Counter(values))
