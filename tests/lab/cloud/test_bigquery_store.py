"""Rows of the BigQuery fake that do not fit into memory, and the fake's own process with both ports."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery as client_library
from meshlab.cloud.bigquery.schema import Field, Schema
from meshlab.processes.ports import free_ports

from tests.lab.cloud.write_client import Message, append, write_client

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

    import pytest
    from meshlab.cloud.bigquery.store import Store, _Stored

TEXTS = Schema((Field("id", "INTEGER"), Field("text", "STRING")))


@contextlib.contextmanager
def opened(directory: pathlib.Path | None = None, **options: int) -> Iterator[Store]:
    # DuckDB complains at the end of a process that loaded it while tests were collected.
    from meshlab.cloud.bigquery.store import Store

    with contextlib.closing(Store(directory, **options)) as store:
        yield store


def test_rows_above_the_memory_limit_go_to_files_that_are_deleted_at_the_end(tmp_path: pathlib.Path) -> None:
    with opened(tmp_path, memory_limit_mib=48) as store:
        name = store.create(TEXTS)
        row_count, chunk = 3000, 100
        for start in range(0, row_count, chunk):
            texts = [base64.b64encode(os.urandom(18_000)).decode() for _ in range(chunk)]
            store.append(name, [{"id": start + n, "text": text} for n, text in enumerate(texts)])
            assert store.count(name) == start + chunk
        assert any(path.is_file() for path in tmp_path.rglob("*"))
        assert [row[0] for row in store.read(name, 995, 10)] == list(range(995, 1005))
    assert list(tmp_path.iterdir()) == []


def test_few_rows_make_no_file(tmp_path: pathlib.Path) -> None:
    with opened(tmp_path) as store:
        name = store.create(TEXTS)
        store.append(name, [{"id": 1, "text": "a"}])
        assert store.read(name, 0, 10) == [(1, "a")]
        assert list(tmp_path.iterdir()) == []


def test_what_waits_for_a_reader_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from meshlab.cloud.bigquery import store as module

    written: list[int] = []
    write = module.Store._write

    def noting(self: Store, name: str, stored: _Stored, text: str) -> None:
        written.append(len(text))
        write(self, name, stored, text)

    monkeypatch.setattr(module.Store, "_write", noting)
    monkeypatch.setattr(module, "_FLUSH_CHARS", 4000)
    monkeypatch.setattr(module, "_MOST_BUFFERED_CHARS", 8000)
    with opened() as store:
        name = store.create(TEXTS)
        for n in range(100):
            store.append(name, [{"id": n, "text": "x" * 1000}])
        assert sum(written) > 85_000, "no reader came, and at most some 8,000 characters are left"
        assert max(written) < 6000, "what one statement takes is bounded, too"
        assert [row[0] for row in store.read(name, 0, 100)] == list(range(100))


def test_rows_are_read_page_by_page_in_the_order_they_came() -> None:
    with opened() as store:
        name = store.create(TEXTS)
        for n in range(7):
            store.append(name, [{"id": n, "text": "a"}])
            assert store.count(name) == n + 1
        pages = [[row[0] for row in store.read(name, start, 3)] for start in (0, 3, 6, 9)]
    assert pages == [[0, 1, 2], [3, 4, 5], [6], []]


def test_the_process_serves_both_apis_on_the_same_tables_and_leaves_no_file(tmp_path: pathlib.Path) -> None:
    ports = free_ports()
    port = next(ports)
    command = [sys.executable, "-m", "meshlab.cloud.bigquery", "--write-port", str(port)]
    with subprocess.Popen(
        [*command, "--directory", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        host = f"http://{process.stdout.readline().split()[1]}"
        with (
            client_library.Client(
                project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": host}
            ) as client,
            write_client(f"127.0.0.1:{port}", wait=True) as write,
        ):
            client.create_dataset("d")
            fields = [client_library.SchemaField("id", "STRING")]
            client.create_table(client_library.Table("p.d.t", schema=fields))
            row = Message({"id": "string"})
            stream = "projects/p/datasets/d/tables/t/streams/_default"
            list(write.append_rows(iter([append(row, {"id": "a"}, stream=stream)])))
            assert [found["id"] for found in client.list_rows("p.d.t")] == ["a"]
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_ends_the_process_with_a_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "meshlab.cloud.bigquery", "--write-port", str(port)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 1
    assert f"127.0.0.1:{port}" in result.stderr
