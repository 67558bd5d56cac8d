"""Faults that a test orders of the BigQuery fake, as the client of the Storage Write API meets them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.cloud import bigquery as client_library
from meshlab.cloud import bigquery
from meshlab.cloud.bigquery.control import Stats, order_faults, stats
from meshlab.cloud.bigquery.errors import REFUSALS
from meshlab.cloud.bigquery.faults import Faults

from tests.clock import Clock
from tests.lab.cloud.bigquery_client import connect
from tests.lab.cloud.write_client import Message, append, write_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.bigquery import Client
    from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types

TABLE = "p.d.events"
PARENT = "projects/p/datasets/d/tables/events"
STREAM = f"{PARENT}/streams/_default"
ROW = Message({"id": "string"})
SCHEMA = [client_library.SchemaField("id", "STRING")]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hosts(clock: Clock) -> Iterator[bigquery.Hosts]:
    with bigquery.running_both(clock) as hosts:
        yield hosts


@pytest.fixture
def client(hosts: bigquery.Hosts) -> Iterator[Client]:
    with connect(hosts.rest) as client:
        client.create_dataset("d")
        client.create_table(client_library.Table(TABLE, schema=SCHEMA))
        yield client


@pytest.fixture
def write(hosts: bigquery.Hosts, client: Client) -> Iterator[BigQueryWriteClient]:
    with write_client(hosts.write) as write:
        yield write


def send(write: BigQueryWriteClient, *ids: str, stream: str = STREAM) -> types.AppendRowsResponse:
    request = append(ROW, *({"id": id_} for id_ in ids), stream=stream)
    (response,) = call(write, request)
    return response


def call(write: BigQueryWriteClient, *requests: types.AppendRowsRequest) -> list[types.AppendRowsResponse]:
    """Make one call, tried once."""
    return list(write.append_rows(iter(requests), retry=None))


def ids_in(client: Client) -> list[str]:
    return [row["id"] for row in client.list_rows(TABLE)]


def test_nothing_fails_unless_ordered_and_counts_are_of_both_apis(
    client: Client, write: BigQueryWriteClient, hosts: bigquery.Hosts
) -> None:
    for n in range(5):
        send(write, f"{n}", f"{n}b")
    insert: Any = client.insert_rows_json
    insert(TABLE, [{"id": "c"}])
    assert stats(hosts.rest) == Stats(requests=6, rows=11, written=11, appends=5)


def test_all_of_it_is_unavailable_for_as_long_as_ordered(
    client: Client, write: BigQueryWriteClient, hosts: bigquery.Hosts, clock: Clock
) -> None:
    order_faults(hosts.rest, Faults(unavailable_s=5))
    with pytest.raises(exceptions.ServiceUnavailable):
        send(write, "a")
    with pytest.raises(exceptions.ServiceUnavailable):
        write.create_write_stream({"parent": PARENT, "write_stream": {"type_": 1}}, retry=None)
    clock.now_s += 5
    send(write, "b")
    assert ids_in(client) == ["b"]
    assert stats(hosts.rest) == Stats(requests=2, rows=2, written=1, unavailable=1, appends=2)


def test_an_aborted_call_has_written_nothing(
    client: Client, write: BigQueryWriteClient, hosts: bigquery.Hosts
) -> None:
    order_faults(hosts.rest, Faults(aborted_share=1))
    with pytest.raises(exceptions.Aborted):
        send(write, "a")
    assert ids_in(client) == []
    assert stats(hosts.rest).aborted == 1


def test_a_lost_answer_ends_the_call_and_leaves_its_rows_and_its_offset(
    client: Client, write: BigQueryWriteClient, hosts: bigquery.Hosts
) -> None:
    name = write.create_write_stream({"parent": PARENT, "write_stream": {"type_": "COMMITTED"}}).name
    order_faults(hosts.rest, Faults(lost_answer_share=1))
    request = append(ROW, {"id": "a"}, stream=name, offset=0)
    with pytest.raises(exceptions.ServiceUnavailable):
        call(write, request)
    order_faults(hosts.rest, Faults())
    (again,) = call(write, request)
    assert again.error.code == 6, "the offset says that the row is there"
    assert ids_in(client) == ["a"]


def test_a_passing_error_is_a_response_and_the_call_goes_on(
    client: Client, write: BigQueryWriteClient, hosts: bigquery.Hosts
) -> None:
    order_faults(hosts.rest, Faults(partial_share=1))
    mended = threading.Event()

    def requests() -> Iterator[types.AppendRowsRequest]:
        yield append(ROW, {"id": "a"}, stream=STREAM)
        mended.wait()
        yield append(None, ROW.row(id="b"))

    responses = iter(write.append_rows(requests()))
    first = next(responses)
    order_faults(hosts.rest, Faults())
    mended.set()
    second = next(responses)
    assert (first.error.code, list(first.row_errors)) == (13, [])
    assert not second.error.code
    assert ids_in(client) == ["b"]


def test_a_share_of_calls_fails_and_the_same_seed_fails_the_same(
    write: BigQueryWriteClient, hosts: bigquery.Hosts
) -> None:
    def outcomes() -> list[str]:
        order_faults(hosts.rest, Faults(aborted_share=0.3, lost_answer_share=0.3, seed=5))
        found = []
        for n in range(16):
            outcome = "written"
            try:
                send(write, f"{n}")
            except exceptions.GoogleAPICallError as error:
                outcome = type(error).__name__
            found.append(outcome)
        return found

    first = outcomes()
    assert set(first) == {"written", "Aborted", "ServiceUnavailable"}, first
    assert outcomes() == first


QUOTAS = ("quota_exceeded", "rate_limit_exceeded")


@pytest.mark.parametrize("refusal", [refusal for refusal in REFUSALS if refusal not in QUOTAS])
def test_a_refusal_ends_the_call(
    client: Client, write: BigQueryWriteClient, hosts: bigquery.Hosts, refusal: str
) -> None:
    order_faults(hosts.rest, Faults(refusal=refusal))
    with pytest.raises(exceptions.PermissionDenied):
        send(write, "a")
    assert ids_in(client) == []


@pytest.mark.parametrize("refusal", QUOTAS)
def test_a_quota_is_a_response_and_the_call_goes_on(
    client: Client, write: BigQueryWriteClient, hosts: bigquery.Hosts, refusal: str
) -> None:
    order_faults(hosts.rest, Faults(refusal=refusal))
    responses = call(write, append(ROW, {"id": "a"}, stream=STREAM), append(None, ROW.row(id="b")))
    assert [response.error.code for response in responses] == [8, 8]
    assert ids_in(client) == []


def test_requests_that_came_together_are_delayed_together(
    client: Client, write: BigQueryWriteClient, hosts: bigquery.Hosts
) -> None:
    order_faults(hosts.rest, Faults(delay_s=0.5))
    started_s = time.monotonic()
    requests = [append(ROW, {"id": "0"}, stream=STREAM)]
    requests += [append(None, ROW.row(id=f"{n}")) for n in range(1, 50)]
    assert len(call(write, *requests)) == 50
    assert 0.5 <= time.monotonic() - started_s < 25, "one after the other takes 25 s"


def test_rows_for_a_recreated_table_are_acknowledged_and_lost_while_the_service_does_not_know_it(
    client: Client, write: BigQueryWriteClient, hosts: bigquery.Hosts, clock: Clock
) -> None:
    order_faults(hosts.rest, Faults(lag_s=60))
    with pytest.raises(exceptions.NotFound):
        send(write, "new")
    client.delete_table(TABLE)
    client.create_table(client_library.Table(TABLE, schema=SCHEMA))
    assert not send(write, "lost").error.code
    clock.now_s += 60
    send(write, "kept")
    assert ids_in(client) == ["kept"]
    assert stats(hosts.rest).dropped == 1


def test_insert_all_of_an_aborted_request_has_written_nothing(client: Client, hosts: bigquery.Hosts) -> None:
    order_faults(hosts.rest, Faults(aborted_share=1))
    insert: Any = client.insert_rows_json
    with pytest.raises(Exception, match=r"(?i)connection|incomplete|broken"):
        insert(TABLE, [{"id": "a"}], retry=None)
    order_faults(hosts.rest, Faults())
    assert ids_in(client) == []
    assert stats(hosts.rest) == Stats(requests=1, rows=1, aborted=1)
