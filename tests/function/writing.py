"""Sinks over any writer, and rows for them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import meshpass
from enrichment.errors import Disposition, EnrichmentError
from enrichment.row import Row
from enrichment.row.conversions import Json
from enrichment.settings.model import BatchLimits, TableField
from enrichment.sink import BigQuerySink
from enrichment.sink.base import RowWriter
from enrichment.sink.google_client import GoogleClient
from enrichment.sink.insert_all import InsertAllClient
from enrichment.sink.table_watch import TableWatch
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from meshpass._tokens.google.access_token import AccessToken

from .conftest import PROJECT, TABLE

WRITTEN = (Disposition.WRITTEN, "")


def row(insert_id: str, **columns: Json) -> Row:
    given: dict[str, Json] = {
        "event_id": insert_id,
        "user_id": "u-1",
        "type": "t",
        "occurred_at": "2026-03-01T11:00:00Z",
        "event": "{}",
        "profile": "{}",
        "message_id": "m-1",
        "publish_time": "2026-03-01T12:00:00Z",
        "enriched_at": "2026-03-01T12:00:01Z",
        "trace_id": "t",
        **columns,
    }
    return Row(insert_id, given, 1_000)


class Tokens:
    """Access tokens, made here: each is good until it is refused."""

    def __init__(self) -> None:
        self.asked = 0
        self.refused = 0
        self.failure: meshpass.IdentityError | None = None

    async def atoken(self) -> AccessToken:
        self.asked += 1
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return AccessToken(f"token-{self.refused}", 4e9, "a test", further={"x-goog-user-project": "payer"})

    def invalidate(self, token: AccessToken) -> None:
        if token.value == f"token-{self.refused}":
            self.refused += 1


def ours() -> RowWriter:
    return InsertAllClient(tokens=Tokens())


def anonymous() -> bigquery.Client:
    return bigquery.Client(project=PROJECT, credentials=AnonymousCredentials())


def official(make_client: Callable[[], bigquery.Client] = anonymous) -> RowWriter:
    """The reference."""
    return GoogleClient(PROJECT, make_client)


@dataclass
class Writing:
    """A sink in an event loop of its own, and what it counts."""

    client: RowWriter
    table: str = TABLE
    limits: BatchLimits = field(default_factory=BatchLimits)
    counted: dict[str, int] = field(default_factory=dict)
    watch: TableWatch | None = None
    columns: Sequence[TableField] = ()
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)

    def __post_init__(self) -> None:
        self.sink = BigQuerySink(self.table, self.limits, self.client, self._count, self.watch, self.columns)

    def _count(self, name: str, amount: int = 1, /, **_: str) -> None:
        self.counted[name] = self.counted.get(name, 0) + amount

    def write(self, *rows: Row, within_s: float = 20.0) -> list[EnrichmentError | None]:
        """How the rows of concurrent events fail, or None for each that is written."""

        async def write_one(row: Row) -> EnrichmentError | None:
            try:
                await self.sink.write(row, meshpass.Deadline.after(within_s))
            except EnrichmentError as error:
                return error
            return None

        async def write_all() -> list[EnrichmentError | None]:
            return await asyncio.gather(*map(write_one, rows))

        return self.runner.run(write_all())

    def ends(self, *rows: Row, within_s: float = 20.0) -> list[tuple[Disposition, str]]:
        """The same as dispositions and reasons."""
        errors = self.write(*rows, within_s=within_s)
        return [(error.disposition, error.reason) if error else (Disposition.WRITTEN, "") for error in errors]

    def warm_up(self) -> None:
        async def warm_up() -> None:
            self.sink.warm_up()

        self.runner.run(warm_up())

    def go_on(self, seconds: float) -> None:
        """Let what is under way go on."""
        self.runner.run(asyncio.sleep(seconds))

    def close(self) -> None:
        self.runner.run(self.client.aclose())
        self.runner.close()
