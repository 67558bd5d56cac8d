"""The lab's fake of BigQuery under load: `python -m bench.bigquery_fake`.

It prints what a row costs the fake in processor time and in memory, by insertAll or by the Storage Write API, so that
a bench of what writes rows can subtract the fake's share. Processor time, unlike rows per second, is nearly the same on
a busy machine.
"""

import argparse
import base64
import os
import sys
import time
from collections.abc import Callable, Iterator

import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]
from meshlab.processes.ports import free_ports
from meshlab.processes.supervisor import Supervisor

from bench.pubsub_fake import Process

TABLE = "bench.d.events"
STREAM = "projects/bench/datasets/d/tables/events/streams/_default"
_SCHEMA = [
    bigquery.SchemaField("id", "STRING"),
    bigquery.SchemaField("at", "TIMESTAMP"),
    bigquery.SchemaField("text", "STRING"),
]


def main(arguments: list[str]) -> None:
    """Write rows, count and read them, and print what each cost."""
    parser = argparse.ArgumentParser(prog="python -m bench.bigquery_fake", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="how many (default: %(default)s)")
    parser.add_argument("--bytes", type=int, default=800, help="text of each (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=500, help="rows of a request (default: %(default)s)")
    parser.add_argument(
        "--report", type=int, default=100_000, help="rows between lines (default: %(default)s)"
    )
    parser.add_argument(
        "--write-api",
        action="store_true",
        help="write by AppendRows and not by insertAll, to the default stream",
    )
    options = parser.parse_args(arguments)
    with Supervisor() as supervisor:
        ports = free_ports()  # kept, so that the port stays free
        write_port = next(ports)
        command = [sys.executable, "-m", "meshlab.cloud.bigquery", "--write-port", str(write_port)]
        child = supervisor.spawn("bigquery", [*command, "--directory", str(supervisor.directory)])
        host = f"http://127.0.0.1:{child.listening_port()}"
        child.wait_port(write_port)
        with bigquery.Client(
            project="bench", credentials=AnonymousCredentials(), client_options={"api_endpoint": host}
        ) as client:
            client.create_dataset("d")
            client.create_table(bigquery.Table(TABLE, schema=_SCHEMA))
            report = _Report(Process(child.pid))
            done = _append(write_port, options) if options.write_api else _insert(client, options)
            for rows in done:
                if rows % options.report == 0:
                    report.line(f"{rows:,} written", options.report)
            report.line("counted", 1, lambda: client.get_table(TABLE).num_rows)
            report.line("read", options.rows, lambda: sum(1 for _ in client.list_rows(TABLE)))


class _Report:
    """Prints what a row cost since the line before."""

    def __init__(self, fake: Process) -> None:
        self._fake = fake
        self._cpu_s = fake.cpu_s()
        self._wall_s = time.monotonic()
        print(f"start: {fake.resident_bytes() / 2**20:,.0f} MiB")

    def line(self, what: str, rows: int, act: Callable[[], object] | None = None) -> None:
        """Do something and print one line."""
        found = f" {act()}" if act else ""
        cpu_s, wall_s = self._fake.cpu_s(), time.monotonic()
        memory_mib = self._fake.resident_bytes() / 2**20
        print(
            f"{what}{found}: {(cpu_s - self._cpu_s) / rows * 1e6:,.1f} us of the fake's processor time a row, "
            f"{rows / (wall_s - self._wall_s):,.0f} rows/s; the fake has {memory_mib:,.0f} MiB",
            flush=True,
        )
        self._cpu_s, self._wall_s = cpu_s, wall_s


def _text(size: int) -> str:
    return base64.b64encode(os.urandom(size * 3 // 4)).decode()


def _insert(client: bigquery.Client, options: argparse.Namespace) -> Iterator[int]:
    for start in range(0, options.rows, options.batch):
        numbers = range(start, start + options.batch)
        rows = [{"id": f"{n}", "at": "2026-11-20T08:00:00Z", "text": _text(options.bytes)} for n in numbers]
        errors = client.insert_rows_json(TABLE, rows, row_ids=[row["id"] for row in rows])
        if errors:
            raise SystemExit(f"insertAll refused rows: {errors[0]}")
        yield start + options.batch


def _append(port: int, options: argparse.Namespace) -> Iterator[int]:
    kinds = descriptor_pb2.FieldDescriptorProto
    descriptor = descriptor_pb2.DescriptorProto(name="Row")
    for number, (name, kind) in enumerate(
        {"id": kinds.TYPE_STRING, "at": kinds.TYPE_INT64, "text": kinds.TYPE_STRING}.items(), 1
    ):
        descriptor.field.add(name=name, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
    file = descriptor_pb2.FileDescriptorProto(name="row.proto", syntax="proto2", message_type=[descriptor])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    row = message_factory.GetMessageClass(pool.FindMessageTypeByName("Row"))

    def requests() -> Iterator[types.AppendRowsRequest]:
        for start in range(0, options.rows, options.batch):
            request = types.AppendRowsRequest(write_stream="" if start else STREAM)
            if not start:
                request.proto_rows.writer_schema.proto_descriptor = descriptor
            request.proto_rows.rows.serialized_rows = [
                row(id=f"{n}", at=1_795_248_000_000_000, text=_text(options.bytes)).SerializeToString()
                for n in range(start, start + options.batch)
            ]
            yield request

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        client = BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=channel))
        for count, response in enumerate(client.append_rows(requests()), 1):
            if response.error.code:
                raise SystemExit(f"AppendRows refused rows: {response.error.message}")
            yield count * options.batch


if __name__ == "__main__":
    main(sys.argv[1:])
