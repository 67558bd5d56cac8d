"""Faults that a test orders of the BigQuery fake, as the official client meets them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
import requests
from google.api_core import exceptions
from google.cloud import bigquery as client_library
from meshlab.cloud import bigquery
from meshlab.cloud.bigquery.control import Stats, order_faults, stats
from meshlab.cloud.bigquery.errors import REFUSALS
from meshlab.cloud.bigquery.faults import PASSING_REASONS, FaultKind, FaultPlan, Faults

from tests.clock import Clock
from tests.lab.cloud.bigquery_client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from google.cloud.bigquery import Client

TABLE = "p.d.events"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def host(clock: Clock) -> Iterator[str]:
    with bigquery.running(clock) as host:
        yield host


@pytest.fixture
def client(host: str) -> Iterator[Client]:
    with connect(host) as client:
        client.create_dataset("d")
        client.create_table(client_library.Table(TABLE, schema=[client_library.SchemaField("id", "STRING")]))
        yield client


def insert(client: Client, *ids: str, timeout: float = 10.0) -> Sequence[dict[str, Any]]:
    """One request, tried once."""
    send: Any = client.insert_rows_json
    errors: Sequence[dict[str, Any]] = send(
        TABLE, [{"id": id_} for id_ in ids], row_ids=ids, retry=None, timeout=timeout
    )
    return errors


def ids_in(client: Client) -> list[str]:
    return [row["id"] for row in client.list_rows(TABLE)]


def send_order(host: str, body: bytes) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{host}/lab/faults", data=body)) as response:
            return response.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())["error"]["message"]


def test_nothing_fails_unless_ordered(client: Client, host: str) -> None:
    assert [insert(client, f"{n}") for n in range(20)] == [[]] * 20
    assert stats(host) == Stats(requests=20, rows=20, written=20)


def test_it_is_unavailable_for_as_long_as_ordered_in_googles_words(
    client: Client, host: str, clock: Clock
) -> None:
    order_faults(host, Faults(unavailable_s=5))
    with pytest.raises(exceptions.ServiceUnavailable) as caught:
        insert(client, "a")
    assert [error["reason"] for error in caught.value.errors] == ["backendError"]
    clock.now_s += 4.9
    with pytest.raises(exceptions.ServiceUnavailable):
        insert(client, "a")
    clock.now_s += 0.1
    assert insert(client, "a") == []
    assert ids_in(client) == ["a"]
    assert stats(host) == Stats(requests=3, rows=3, written=1, unavailable=2)


def test_the_official_client_retries_a_lost_answer_and_no_row_is_doubled(client: Client, host: str) -> None:
    order_faults(host, Faults(lost_answer_share=0.5, seed=1))
    send: Any = client.insert_rows_json
    retry = client_library.DEFAULT_RETRY.with_delay(initial=0.01, maximum=0.01)
    for n in range(20):
        assert send(TABLE, [{"id": f"{n}"}], row_ids=[f"{n}"], retry=retry) == []
    assert stats(host).lost_answers > 0
    assert sorted(ids_in(client), key=int) == [f"{n}" for n in range(20)]


def test_other_calls_go_on_while_inserts_fail(client: Client, host: str) -> None:
    order_faults(host, Faults(unavailable_s=5))
    assert ids_in(client) == []


def test_a_partial_failure_names_bad_rows_stops_the_others_and_writes_none(client: Client, host: str) -> None:
    order_faults(host, Faults(partial_share=1))
    errors = insert(client, *(f"{n}" for n in range(10)))
    reasons = [error["errors"][0]["reason"] for error in errors]
    assert [error["index"] for error in errors] == list(range(10))
    assert 1 <= sum(reason in PASSING_REASONS for reason in reasons) <= 3
    assert set(reasons) <= {*PASSING_REASONS, "stopped"}
    assert ids_in(client) == []
    assert stats(host) == Stats(requests=1, rows=10, partial=1)


def test_rows_of_a_lost_answer_are_written_and_a_retry_doubles_none(client: Client, host: str) -> None:
    order_faults(host, Faults(lost_answer_share=1, seed=3))
    failures = set()
    for n in range(8):
        with pytest.raises((exceptions.ServiceUnavailable, requests.RequestException)) as caught:
            insert(client, f"{n}")
        failures.add(caught.type)
    assert {exceptions.ServiceUnavailable} < failures, "some get a 503, some no answer at all"
    order_faults(host, Faults())
    assert [insert(client, f"{n}") for n in range(8)] == [[]] * 8
    assert ids_in(client) == [f"{n}" for n in range(8)]
    assert stats(host) == Stats(requests=16, rows=16, written=8, lost_answers=8)


def test_a_delayed_request_is_written_even_if_its_client_has_gone(client: Client, host: str) -> None:
    order_faults(host, Faults(delay_s=0.2))
    with pytest.raises(requests.Timeout):
        insert(client, "a", timeout=0.05)
    assert insert(client, "b") == []  # is done after the other, which came before
    assert ids_in(client) == ["a", "b"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"not JSON", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"outage_s": 5}', "There is no fault outage_s"),
        (b'{"unavailable_s": -1}', "unavailable_s must be 0 or more"),
        (b'{"unavailable_s": "5"}', "unavailable_s must be a number"),
        (b'{"delay_s": NaN}', "delay_s must be a number"),
        (b'{"delay_s": true}', "delay_s must be a number"),
        (b'{"partial_share": 1.5}', "partial_share must be from 0 to 1"),
        (b'{"partial_share": 0.6, "lost_answer_share": 0.6}', "must not exceed 1 together"),
        (b'{"seed": 0.5}', "seed must be an integer"),
    ],
    ids=lambda value: value.decode() if isinstance(value, bytes) else "",
)
def test_an_order_that_is_not_well_formed_is_refused_and_changes_nothing(
    client: Client, host: str, body: bytes, words: str
) -> None:
    order_faults(host, Faults(unavailable_s=5))
    status, message = send_order(host, body)
    assert status == 400
    assert words in message
    with pytest.raises(exceptions.ServiceUnavailable):
        insert(client, "a")


def test_the_same_seed_fails_the_same_requests_and_rows_whatever_their_size() -> None:
    faults = Faults(partial_share=0.3, lost_answer_share=0.3, aborted_share=0.2, seed=7)
    first, second, other = (FaultPlan(faults, 0.0) for _ in range(3))
    injected = [first.next(50, 0.0) for _ in range(100)]
    assert [second.next(50, 0.0) for _ in range(100)] == injected
    assert [other.next(1, 0.0).kind for _ in range(100)] == [fault.kind for fault in injected]
    assert {fault.kind for fault in injected} == set(FaultKind) - {FaultKind.UNAVAILABLE}


def test_another_seed_fails_other_requests() -> None:
    plans = [FaultPlan(Faults(partial_share=0.3, seed=seed), 0.0) for seed in (7, 8)]
    one, other = ([plan.next(1, 0.0).kind for _ in range(100)] for plan in plans)
    assert one != other


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_is_a_403_with_googles_reason_and_words(client: Client, host: str, refusal: str) -> None:
    order_faults(host, Faults(refusal=refusal))
    with pytest.raises(exceptions.Forbidden) as caught:
        insert(client, "a")
    reason, message = REFUSALS[refusal]
    assert [error["reason"] for error in caught.value.errors] == [reason]
    assert message in str(caught.value)
    assert ids_in(client) == []
    order_faults(host, Faults())
    assert insert(client, "a") == []


def recreate(client: Client) -> None:
    client.delete_table(TABLE)
    client.create_table(client_library.Table(TABLE, schema=[client_library.SchemaField("id", "STRING")]))


def test_rows_for_a_recreated_table_are_acknowledged_and_lost_while_the_service_does_not_know_it(
    client: Client, host: str, clock: Clock
) -> None:
    order_faults(host, Faults(lag_s=60))
    recreate(client)
    assert insert(client, "a") == []
    assert ids_in(client) == []
    clock.now_s += 60
    assert insert(client, "b") == []
    assert ids_in(client) == ["b"]
    assert stats(host) == Stats(requests=2, rows=2, written=1, dropped=1)


def test_a_table_that_is_new_under_its_name_is_not_found_while_the_service_does_not_know_it(
    client: Client, host: str, clock: Clock
) -> None:
    clock.now_s += 1000  # the fixture's own table is older than the lag
    order_faults(host, Faults(lag_s=60))
    new = "p.d.new"
    client.create_table(client_library.Table(new, schema=[client_library.SchemaField("id", "STRING")]))
    send: Any = client.insert_rows_json
    with pytest.raises(exceptions.NotFound):
        send(new, [{"id": "a"}], retry=None)
    assert insert(client, "a") == []
    clock.now_s += 60
    assert send(new, [{"id": "a"}], retry=None) == []


def test_the_time_of_creation_tells_a_recreated_table_from_the_first(client: Client, clock: Clock) -> None:
    first = client.get_table(TABLE).created
    clock.now_s += 1
    recreate(client)
    assert client.get_table(TABLE).created != first


def test_an_unknown_refusal_is_refused(host: str) -> None:
    assert send_order(host, b'{"refusal": "mood"}')[0] == 400
