"""What the comparison of functions guarantees: the same work for all, done by real clients, and every row checked."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import takewhile
from pathlib import Path
from statistics import median
from threading import Thread

import jwt
import pytest
from cloudevents.http import from_http
from cryptography.hazmat.primitives.asymmetric import ec
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from bench import boot_ack, caller, plot, report
from bench.enrich import load, processes, pull, push, stage, workload
from bench.enrich.bigquery import Report
from bench.enrich.service import Service
from bench.enrich.stage import EMPTY, OURS, SOURCE_DOCUMENT, TEXTBOOK, Function, Stage
from bench.harness import BenchError, Comparison

FUNCTIONS = pytest.mark.parametrize(
    "function", [OURS, TEXTBOOK, SOURCE_DOCUMENT], ids=lambda found: found.name
)


@pytest.fixture(scope="module")
def up() -> Iterator[Stage]:
    with stage.standing() as standing:
        yield standing


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return caller.new_key()


def table(*event_ids: str, mismatched: int = 0) -> Report:
    return Report(requests=1, event_ids=list(event_ids), mismatched=mismatched, last_at_s=1.0)


def asked(
    key: ec.EllipticCurvePrivateKey,
    *,
    of: str = "u-0000007",
    host: str = "user-profile.internal",
    claim: tuple[str, object] = ("scope", "profile.read"),
) -> bytes:
    said = {
        "iss": caller.ISSUER,
        "aud": caller.AUDIENCE,
        "scope": "profile.read",
        "iat": 1,
        "exp": time.time() + 60,
    }
    said[claim[0]] = claim[1]
    token = jwt.encode(said, key, algorithm="ES256")
    return f"GET /profile/{of} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n".encode()


def status(answer: tuple[float, bytes]) -> int:
    return int(answer[1][9:12])


# the work


def test_an_event_is_what_the_function_takes_and_about_500_bytes() -> None:
    event = json.loads(workload.event(42, 7))
    assert (event["event_id"], event["user_id"]) == ("e-00000042", "u-0000007")
    assert 450 <= len(workload.event(42, 7)) <= 550


def test_a_delivery_is_a_cloudevent_with_a_pubsub_message() -> None:
    head, _, body = workload.delivery(1, 1, "127.0.0.1:8080").partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert int(headers["content-length"]) == len(body)
    event = from_http(headers, body)
    assert event["type"] == "google.cloud.pubsub.topic.v1.messagePublished"
    assert event.data["message"]["messageId"] == event["id"]


def test_the_service_takes_20_ms_in_the_middle_and_200_for_one_key_in_80() -> None:
    taken_s = [workload.service_s(key) for key in range(8_000)]
    assert median(taken_s) == pytest.approx(0.020, abs=0.001)
    assert Counter(taken_s)[0.2] == 100


def test_repeating_keys_are_the_same_in_every_process() -> None:
    keys = workload.zipf_keys(3_000)
    assert list(keys) == list(workload.zipf_keys(3_000))
    assert Counter(keys).most_common(1)[0][0] == 1
    assert 1_000 < len(set(keys)) < 2_000


# the fakes


def test_the_service_answers_with_the_profile_that_was_asked_for(key: ec.EllipticCurvePrivateKey) -> None:
    service = Service(key.public_key())
    delay_s, answer = service.answer(asked(key, of="u-0000007"), b"")
    assert delay_s == workload.service_s(7)
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["user_id"] == "u-0000007"
    assert b"x-envoy-upstream-service-time" in answer
    assert service.report()["lookups"] == 1
    assert service.report()["lookups"] == 0


@pytest.mark.parametrize(
    "claim", [("aud", "another"), ("iss", "another"), ("exp", 1)], ids=["audience", "issuer", "expired"]
)
def test_the_service_refuses_a_token_that_a_mesh_would_refuse(
    key: ec.EllipticCurvePrivateKey, claim: tuple[str, object]
) -> None:
    service = Service(key.public_key())
    assert status(service.answer(asked(key, claim=claim), b"")) == 401
    assert service.report()["lookups"] == 0


def test_the_service_refuses_a_token_of_another_signer(key: ec.EllipticCurvePrivateKey) -> None:
    assert status(Service(key.public_key()).answer(asked(caller.new_key()), b"")) == 401


def test_the_service_has_no_route_for_another_host(key: ec.EllipticCurvePrivateKey) -> None:
    assert status(Service(key.public_key()).answer(asked(key, host="10.0.0.5"), b"")) == 404


def test_the_table_takes_rows_from_the_official_client(up: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"event_id": "e-1", "user_id": "u-1", "profile": '{"user_id": "u-1"}'},
        {"event_id": "e-2", "user_id": "u-2", "profile": '{"user_id": "u-1"}'},
    ]
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", up.env_for("SIGNING_KEY_FILE")["BIGQUERY_EMULATOR_HOST"])
    up.seen()
    with bigquery.Client(workload.PROJECT, AnonymousCredentials()) as client:
        assert client.insert_rows_json(workload.TABLE, rows) == []
    _, seen = up.seen()
    assert (seen["requests"], seen["event_ids"], seen["mismatched"]) == (1, ["e-1", "e-2"], 1)


# the check of the rows


def test_a_row_twice_is_one_row() -> None:
    push.check(2, table("e-00000000", "e-00000001", "e-00000001"))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (table("e-00000000"), "1 have no row"),
        (table("e-00000000", "e-00000001", "e-00000009"), "1 rows belong to none"),
        (table("e-00000000", "e-00000001", mismatched=1), "1 hold another user's profile"),
    ],
    ids=["lost", "foreign", "mismatched"],
)
def test_a_contender_whose_rows_are_wrong_has_no_numbers(rows: Report, says: str) -> None:
    with pytest.raises(BenchError, match=says):
        push.check(2, rows)


# the load


@contextmanager
def answering(code: int) -> Iterator[str]:
    """A function that answers every event with this status, closing the connection."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response_only(code)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_event_without_an_ack_ends_the_run() -> None:
    with answering(503) as address, pytest.raises(BenchError, match="503"):
        load.deliver(load.Plan(address, 0, in_flight=2, seconds=0.1))


def test_a_function_that_closes_its_connections_still_gets_its_events() -> None:
    with answering(204) as address:
        assert load.deliver(load.Plan(address, 0, in_flight=2, zipf=50)).events == 50


def test_open_load_sends_what_arrives_whether_or_not_the_function_keeps_up() -> None:
    expected = sum(1 for _ in takewhile(lambda after_s: after_s <= 0.5, workload.arrivals(100)))
    with answering(204) as address:
        found = load.deliver(load.Plan(address, 0, rate_hz=100, seconds=0.5))
    assert found.events == expected


def test_usage_is_that_of_a_whole_process_group() -> None:
    used = processes.usage(os.getpgrp())
    assert used.cpu_s > 0
    assert used.peak_mib > 10


def test_a_group_that_has_ended_has_no_usage() -> None:
    with pytest.raises(BenchError, match="cannot be looked at"):
        processes.usage(2**22 + 1)  # beyond the largest id that Linux gives


# the contenders


@FUNCTIONS
def test_every_function_writes_each_event_as_its_own_row(up: Stage, function: Function) -> None:
    found = push.run(up, function, in_flight=8, seconds=0.3)
    assert found.delivered.events > 0
    assert found.lookups > 0
    assert found.inserts > 0
    assert found.cpu_s > 0


def test_a_function_that_writes_nothing_has_no_numbers(up: Stage) -> None:
    with pytest.raises(BenchError, match="have no row"):
        push.run(up, EMPTY, in_flight=2, seconds=0.1)


@pytest.mark.skipif(not pull.is_installed(), reason="Apache Beam is installed by the first full run")
def test_beam_writes_each_event_as_its_own_row(up: Stage) -> None:
    up.seen()
    assert pull.run(up.env_for("SIGNING_KEY_FILE"), 20, up.directory) > 0
    service, rows = up.seen()
    push.check(20, rows)
    assert service["lookups"] == 20


def test_beams_packages_are_pinned_with_their_hashes() -> None:
    lines = (Path(pull.__file__).parents[1] / "peers/beam/requirements.txt").read_text().splitlines()
    packages = [line for line in lines if line and line[0] not in " #"]
    assert f"apache-beam=={pull.VERSION} \\" in packages
    assert all("==" in line and line.endswith("\\") for line in packages)


def test_boot_is_measured_up_to_the_ack_of_a_row(up: Stage) -> None:
    found = boot_ack.measure(up, OURS)
    assert 0 < found["listening_ms"] < found["first_ack_ms"]
    assert found["peak_mib"] > 10


# what is shown


@pytest.mark.parametrize(
    ("metric", "shown"),
    [("events_per_s", ("events", "1/s")), ("peak_mib", ("peak", "MiB")), ("lookups", ("lookups", ""))],
    ids=["rate", "memory", "count"],
)
def test_a_column_names_its_unit(metric: str, shown: tuple[str, str]) -> None:
    assert report.split(metric) == shown


def test_the_plot_shows_rates_with_ratios_and_is_the_same_for_the_same_numbers(tmp_path: Path) -> None:
    throughput = Comparison(
        "t", "theirs", "s", {"ours": [{"events_per_s": 600.0}], "theirs": [{"events_per_s": 200.0}]}
    )
    latency = Comparison(
        "t",
        "theirs",
        "s",
        {"ours": [{"p50_ms": 60.0, "p99_ms": 240.0}], "theirs": [{"p50_ms": 61.0, "p99_ms": 250.0}]},
    )
    drawn = [plot.write(tmp_path / f"{name}.svg", throughput, latency).read_text() for name in "ab"]
    assert drawn[0] == drawn[1]
    for text in ("600  (3.00x)", "p99 240 ms", "ours", "theirs"):
        assert text in drawn[0]


def test_the_plot_of_a_run_finds_its_comparisons_whatever_stands_between_them(tmp_path: Path) -> None:
    rates = {"ours": [{"events_per_s": 600.0}], "theirs": [{"events_per_s": 200.0}]}
    acks = {name: [{"p50_ms": 60.0, "p99_ms": 240.0, "added_p99_ms": 9.0}] for name in ("ours", "theirs")}
    more = {"64 in flight": [{"p50_ms": 1.0, "p99_ms": 2.0}]}
    results = {
        "enrich": [Comparison("t", "theirs", "s", samples) for samples in (rates, rates, acks, more, rates)]
    }
    drawn = plot.of_run(tmp_path, "run", results)
    assert drawn is not None
    assert "p99 240 ms" in drawn.read_text()
