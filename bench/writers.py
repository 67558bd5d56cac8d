"""What a row costs the process that writes it: each writer of the function, and Google's clients, by rows a request."""

import asyncio
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import meshpass
from enrichment.row import Row
from enrichment.settings import table_file
from enrichment.sink.base import RowWriter
from enrichment.sink.google_client import GoogleClient
from enrichment.sink.insert_all import InsertAllClient, request_body
from enrichment.sink.storage_write import client as storage_write
from enrichment.sink.storage_write.client import StorageWriteClient
from enrichment.sink.storage_write.schema import RowSchema
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, bigquery_storage_v1
from google.cloud.bigquery_storage_v1 import types, writer
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport
from meshlab.certificates import CertificateAuthority
from meshpass._tokens.google.access_token import AccessToken

from bench.harness import Comparison, Contender, Effort, Sample, compare

TABLE = "bench.events.enriched"
SIZES = (1, 20, 100, 500)
ROOT = Path(__file__).parents[1]

_ROUNDS = 7
_ROWS = 4_000
_SETUP = (
    "one request after the other on one warm connection to a server in another process that answers at once; rows of "
    "1.2 KB; processor time of this process alone, per row. google-cloud-bigquery-storage sends all requests before it "
    "waits for the last: its futures are polled once a second"
)
_NAME = f"projects/{TABLE.replace('.', '/datasets/', 1).replace('.', '/tables/', 1)}/streams/_default"


class _Tokens:
    async def atoken(self) -> AccessToken:
        return AccessToken("x" * 1_000, 4e9, "a benchmark")

    def invalidate(self, token: AccessToken) -> None:
        raise NotImplementedError


def run(effort: Effort) -> Iterator[Comparison]:
    """Compare the writers at each number of rows, without TLS and with it, and what compression costs and saves."""
    with TemporaryDirectory() as folder:
        for tls in (False, True):
            with _servers(Path(folder) if tls else None) as (http, grpc_host):
                for size in SIZES:
                    contenders = [
                        *_ours(http, grpc_host, size, effort),
                        *([] if tls else _googles(http, grpc_host, size, effort)),
                    ]
                    title = f"writers: {size} rows a request{', TLS' if tls else ''}"
                    with ExitStack() as stack:
                        yield compare(
                            title,
                            [stack.enter_context(made) for made in contenders],
                            rounds=effort.rounds(_ROUNDS),
                            setup=_SETUP,
                            peer="insert-all",
                        )
    yield from _compression(effort)


def rows(count: int) -> list[Row]:
    """Rows like those that the shipped pipeline makes of an event of 1 KB."""
    made = []
    chance = Random(13)
    for number in range(count):
        items = [{"sku": f"{chance.getrandbits(64):016x}", "count": item} for item in range(12)]
        event = {
            "event_id": f"e-{number:08}", "user_id": f"u-{number % 997}", "type": "order.placed",
            "occurred_at": "2026-03-01T11:00:00Z",
            "order": {"total": number / 100, "items": items},
        }  # fmt: skip
        profile = {"user_id": f"u-{number % 997}", "plan": "pro", "since": "2021-04-01", "tags": ["a", "b"]}
        columns: dict[str, Any] = {
            "event_id": f"e-{number:08}",
            "user_id": f"u-{number % 997}",
            "type": "order.placed",
            "occurred_at": "2026-03-01T11:00:00Z",
            "event": json.dumps(event),
            "profile": json.dumps(profile),
            "message_id": str(10_000_000_000 + number),
            "publish_time": "2026-03-01T12:00:00.123Z",
            "enriched_at": "2026-03-01T12:00:01.456789Z",
            "trace_id": f"{chance.getrandbits(128):032x}",
        }
        made.append(Row(f"e-{number:08}", columns, 1_200))
    return made


def _fields() -> Sequence[Any]:
    return list((table_file.read(ROOT / "function/enrichment/table.json", []) or {}).values())


def _batches(size: int, effort: Effort) -> list[list[Row]]:
    return [rows(size)] * max(effort.calls(_ROWS) // size, 4)


@contextmanager
def _contender(name: str, writer: RowWriter, size: int, effort: Effort) -> Iterator[Contender]:
    with asyncio.Runner() as runner:
        deadline = meshpass.Deadline.after(600)
        many = _batches(size, effort)

        async def write() -> None:
            for batch in many:
                assert not await writer.insert(TABLE, batch, deadline)

        def measure() -> Sample:
            cpu_s = time.process_time()
            runner.run(write())
            return {"cpu_us": (time.process_time() - cpu_s) / (size * len(many)) * 1e6}

        yield Contender(name, measure)
        runner.run(writer.aclose())


def _ours(http: str, grpc_host: str, size: int, effort: Effort) -> list[Any]:
    return [
        _contender("insert-all", InsertAllClient(http, _Tokens()), size, effort),
        _contender(
            "storage-write",
            StorageWriteClient({TABLE: _fields()}, host=grpc_host, tokens=_Tokens()),
            size,
            effort,
        ),
    ]


def _googles(http: str, grpc_host: str, size: int, effort: Effort) -> list[Any]:
    os.environ["BIGQUERY_EMULATOR_HOST"] = http
    client = bigquery.Client("bench", AnonymousCredentials())
    return [
        _contender("google-cloud-bigquery", GoogleClient("bench", lambda: client), size, effort),
        _google_storage(grpc_host, size, effort),
    ]


@contextmanager
def _google_storage(host: str, size: int, effort: Effort) -> Iterator[Contender]:
    """Google's way: a hand-made message for each row, a request of proto-plus, a stream with threads and futures."""
    transport = BigQueryWriteGrpcTransport(channel=grpc.insecure_channel(host))
    schema = RowSchema(_fields())
    template = types.AppendRowsRequest(write_stream=_NAME)
    template.proto_rows = types.AppendRowsRequest.ProtoData(
        writer_schema=types.ProtoSchema(proto_descriptor=schema.descriptor)
    )
    stream = writer.AppendRowsStream(bigquery_storage_v1.BigQueryWriteClient(transport=transport), template)

    many = _batches(size, effort)

    def measure() -> Sample:
        cpu_s = time.process_time()
        for batch in many:
            made = types.AppendRowsRequest()
            made.proto_rows = types.AppendRowsRequest.ProtoData(
                rows=types.ProtoRows(serialized_rows=[schema.serialize(row.columns) for row in batch])
            )
            last = stream.send(made)
        last.result(60)
        return {"cpu_us": (time.process_time() - cpu_s) / (size * len(many)) * 1e6}

    yield Contender("google-cloud-bigquery-storage", measure)
    stream.close()
    transport.close()


def _compression(effort: Effort) -> Iterator[Comparison]:
    """Compare an insertAll's body as it is with the same one compressed."""
    for size in SIZES:
        batch = rows(size)

        def measured(level: int, batch: list[Row] = batch) -> Callable[[], Sample]:
            def measure() -> Sample:
                repeats = max(effort.calls(2_000) // len(batch), 2)
                cpu_s = time.process_time()
                for _ in range(repeats):
                    body = request_body(batch)
                    if level:
                        body = gzip.compress(body, level, mtime=0)
                cpu_s = time.process_time() - cpu_s
                return {"cpu_us": cpu_s / repeats / len(batch) * 1e6, "bytes": len(body) / len(batch)}

            return measure

        yield compare(
            f"compression: {size} rows a request",
            [
                Contender("as it is", measured(0)),
                Contender("gzip 1", measured(1)),
                Contender("gzip 6", measured(6)),
            ],
            rounds=effort.rounds(_ROUNDS),
            setup="an insertAll's body alone, encoded and compressed; per row",
            peer="as it is",
        )


@contextmanager
def _servers(tls: Path | None) -> Iterator[tuple[str, str]]:
    """Run both servers in processes of their own: the URL of one and HOST:PORT of the other."""
    arguments = []
    if tls is not None:
        files = (
            CertificateAuthority.create("bench")
            .issue(dns_names=["localhost"])
            .write(tls, chain="chain.pem", key="key.pem", root="ca.pem")
        )
        os.environ["SSL_CERT_FILE"] = os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = str(files / "ca.pem")
        arguments = [str(files)]
    with ExitStack() as stack:
        hosts = []
        for kind in ("http", "grpc"):
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "bench.writers_server", kind, *arguments],
                    stdout=subprocess.PIPE,
                    text=True,
                    cwd=ROOT,
                )
            )
            stack.callback(process.terminate)
            assert process.stdout is not None
            hosts.append(process.stdout.readline().strip())
        if tls is None:
            yield f"http://{hosts[0]}", hosts[1]
            return
        before = storage_write.BIGQUERY_STORAGE
        storage_write.BIGQUERY_STORAGE = hosts[1]
        os.environ.pop("BIGQUERY_WRITE_EMULATOR_HOST", None)
        try:
            yield f"https://{hosts[0]}", ""
        finally:
            storage_write.BIGQUERY_STORAGE = before
