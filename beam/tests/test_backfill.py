"""Backfills: each input read once, continued where it came to, and reported."""

import asyncio
import base64
import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT, PUBLISHED, SUBSCRIPTION, TOPIC, Cloud, Gateway, Table, TakeDeadLetters, event
from enrichment.commands import sql
from enrichment.core.received import Received
from enrichment.errors import Disposition, Outcome
from enrichment_beam import engine as engines
from enrichment_beam import shared_engine
from enrichment_beam.backfill import bigquery_input, inputs
from enrichment_beam.backfill.inputs import InputsError, files
from enrichment_beam.backfill.journal import Journal, JournalError
from enrichment_beam.backfill.output import LoadFiles, Written
from enrichment_beam.backfill.readers import Form, Read, reader
from enrichment_beam.backfill.records import EventRecords
from enrichment_beam.backfill.report import Report
from enrichment_beam.backfill.run import Engine, carry_out, load_commands, new_plan
from enrichment_beam.backfill.shard import Kind, Records, Shard, ShardState
from enrichment_beam.backfill.show import Show
from enrichment_beam.backfill.work import Job, ShardRun
from enrichment_beam.command import main
from enrichment_beam.engine import Bundle, EngineOptions
from enrichment_beam.settings import WorkerSettings
from enrichment_beam.tally import TableRow
from google.cloud import bigquery
from google.pubsub_v1 import PublisherClient, PubsubMessage, SubscriberClient

IN_PROCESS = Engine("beam", 1, "", ["--runner=FnApiRunner"])


class Backfill:
    """A backfill in this process, with a journal of its own."""

    def __init__(self, settings: WorkerSettings, folder: Path) -> None:
        self.settings = settings
        self.journal = folder / "journal"
        self.shard_bytes = 2_000

    def job(self, **changes: Any) -> Job:
        made = Job(self.settings, EngineOptions(patience_s=0), str(self.journal), Records.AUTO, "")
        return replace(made, **changes)

    def files(self, pattern: object, write: str = "insert-all", **changes: Any) -> Report:
        found, shards = files([str(pattern)], self.shard_bytes)
        return self.run(found, shards, self.job(**changes), write)

    def run(self, found: Any, shards: list[Shard], job: Job, write: str = "insert-all") -> Report:
        plan = new_plan(found, shards, job, write)
        return carry_out(plan, job, IN_PROCESS, Show(), is_dry_run=job.options.looks_only)


@pytest.fixture
def backfill(settings: WorkerSettings, tmp_path: Path) -> Backfill:
    return Backfill(settings, tmp_path)


def write_lines(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def test_the_report_says_what_became_of_each_file(
    backfill: Backfill, table: Table, dead_letters: TakeDeadLetters, tmp_path: Path
) -> None:
    write_lines(tmp_path / "good.jsonl", *(event(n) for n in range(60)))
    (tmp_path / "bad.jsonl.gz").write_bytes(
        gzip.compress(b"\n".join([event(60), b"{broken", event(61, user_id="unknown"), b"", event(62)]))
    )
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(event(63) + b"\n" + event(64))[:-12])
    (tmp_path / "empty.jsonl").write_bytes(b"")
    report = backfill.files(tmp_path / "*.json*")
    by_name = {Path(one.name).name: one for one in report.inputs}
    good, bad, cut = (by_name[name] for name in ("good.jsonl", "bad.jsonl.gz", "cut.jsonl.gz"))
    assert (good.state, good.records, good.rows, good.written, good.shards_done) == (
        "done",
        60,
        60,
        60,
        good.shards,
    )
    assert good.shards > 1
    assert (bad.state, bad.written) == ("done", 2)
    assert bad.dead_lettered == {"json_invalid": 1, "profile_not_found": 1}
    assert f"{bad.name}, line 2: " in bad.examples["json_invalid"]
    assert f"{bad.name}, line 3: " in bad.examples["profile_not_found"]
    assert "broken" not in str(bad.examples)
    assert report.total.examples == bad.examples
    assert (cut.state, len(cut.failed)) == ("failed", 1)
    assert "cut.jsonl.gz cannot be read on from line" in cut.failed[0]
    assert by_name["empty.jsonl"].state == "done"
    assert not report.is_complete
    assert report.total.written == len(table.rows()) == 62 + cut.written
    assert sorted(one.attributes["dead_letter_reason"] for one in dead_letters()) == [
        "json_invalid",
        "profile_not_found",
    ]
    saved = json.loads((backfill.journal / "report.json").read_text())
    assert saved["total"]["written"] == report.total.written
    assert sum(report.total.lookups.values()) == 63 + cut.written


def test_a_run_that_failed_goes_on_and_reads_no_finished_part_again(
    backfill: Backfill, table: Table, gateway: Gateway, tmp_path: Path
) -> None:
    path = write_lines(
        tmp_path / "a.jsonl", *(event(n, user_id="denied" if n == 150 else f"u-{n}") for n in range(200))
    )
    first = backfill.files(path)
    assert (first.is_complete, first.total.state) == (False, "failed")
    assert "not_allowed at lookup is a fault" in first.total.failed[0]
    with Journal(str(backfill.journal)) as journal:
        plan = journal.plan()
        assert plan is not None
        states = list(journal.states(plan))
    assert 0 < sum(state.done for state in states) < len(states)
    finished = {shard.begin for shard, state in zip(plan.shards, states, strict=True) if state.done}
    assert finished
    shared_engine.close_all()  # as another process would begin, without what this one remembers
    gateway.reset()
    at = next(state.position for state in states if state.failed)
    lines = path.read_bytes().splitlines(keepends=True)
    offset, done_keys = 0, set()
    for number, line in enumerate(lines):
        shard = max(begin for begin in (one.begin for one in plan.shards) if begin <= offset)
        if shard in finished:
            done_keys.add(f"u-{number}")
        offset += len(line)
    gateway.permits = True
    second = backfill.files(path)
    assert second.is_complete, second
    assert second.total.written == 200
    assert not done_keys & set(gateway.seen)
    assert at > 0
    assert len(set(table.event_ids())) == len(table.rows()) == 200


def test_a_finished_backfill_does_nothing_more(backfill: Backfill, gateway: Gateway, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", *(event(n) for n in range(10)))
    assert backfill.files(path).is_complete
    shared_engine.close_all()
    gateway.reset()
    again = backfill.files(path)
    assert (again.is_complete, again.total.written, gateway.seen) == (True, 10, [])


def test_a_journal_of_another_backfill_is_refused(backfill: Backfill, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", event(0))
    backfill.files(path)
    write_lines(tmp_path / "b.jsonl", event(1))
    with pytest.raises(JournalError, match=r"b\.jsonl was not part"):
        backfill.files(tmp_path / "*.jsonl")
    with pytest.raises(JournalError, match="--publish-time"):
        backfill.files(path, publish_time="event.occurred_at")
    write_lines(path, event(0), event(1))
    with pytest.raises(JournalError, match="has changed"):
        backfill.files(path)


def test_one_run_has_a_journal_at_a_time(backfill: Backfill, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", event(0))
    with Journal(str(backfill.journal)), pytest.raises(JournalError, match="Another run"):
        backfill.files(path)


def test_rows_may_be_written_by_the_storage_write_api(
    backfill: Backfill, table: Table, dead_letters: TakeDeadLetters, tmp_path: Path
) -> None:
    environment = {**backfill.settings.environment, "BIGQUERY_WRITER": "storage-write"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "BIGQUERY_WRITER", "storage-write"
        )  # to be taken back: the engine sets it for its process
        backfill.settings = replace(backfill.settings, environment=environment)
        path = write_lines(tmp_path / "a.jsonl", *(event(n) for n in range(100)), b"{broken")
        report = backfill.files(path, "storage-write")
        shared_engine.close_all()
    assert report.is_complete
    assert table.event_ids() == [f"e-{n:05}" for n in range(100)]
    assert len(dead_letters()) == 1


def test_a_dry_run_counts_and_touches_nothing(
    backfill: Backfill, table: Table, gateway: Gateway, dead_letters: TakeDeadLetters, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "a.jsonl", *(event(n) for n in range(30)), b"{broken", event(30, user_id=7))
    report = backfill.files(path, options=EngineOptions(looks_only=True))
    total = report.total
    assert (report.is_dry_run, total.records, total.written, total.rows) == (True, 32, 30, 30)
    assert total.dead_lettered == {"json_invalid": 1, "event_invalid": 1}
    assert total.lookups == {"wanted": 30}
    assert (table.rows(), gateway.seen, dead_letters()) == ([], [], [])


def test_a_dry_run_may_be_repeated_and_stands_in_no_way(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, table: Table, tmp_path: Path
) -> None:
    for name in (*env, "K_REVISION", "K_SERVICE", "PIPELINE_FILE", "TABLE_FILE"):
        monkeypatch.setenv(name, env.get(name, ""))
    path = write_lines(tmp_path / "a.jsonl", *(event(n) for n in range(5)))
    given = ["backfill", f"--files={path}", f"--journal={tmp_path}/journal", "--runner=FnApiRunner"]
    assert main([*given, "--dry-run"]) == 0
    assert main([*given, "--dry-run", f"--report={tmp_path}/copy.json"]) == 0
    assert json.loads((tmp_path / "copy.json").read_text())["total"]["rows"] == 5
    assert table.rows() == []
    assert main(given) == 0
    shared_engine.close_all()
    assert len(table.rows()) == 5


def test_rows_of_messages_have_the_message_s_own_identity(
    backfill: Backfill, table: Table, tmp_path: Path
) -> None:
    line = {
        "data": base64.b64encode(event(1)).decode(),
        "messageId": "4711",
        "publishTime": "2026-02-03T04:05:06Z",
    }
    path = write_lines(tmp_path / "a.jsonl", json.dumps(line).encode())
    assert backfill.files(path, records=Records.MESSAGES).is_complete
    (row,) = table.rows()
    assert (row["message_id"], row["publish_time"].isoformat()) == ("4711", "2026-02-03T04:05:06+00:00")


def test_events_keep_the_time_of_the_first_run(
    backfill: Backfill, table: Table, gateway: Gateway, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "a.jsonl", event(1), event(2, user_id="denied"))
    backfill.files(path)
    gateway.permits = True
    shared_engine.close_all()
    assert backfill.files(path).is_complete
    one, two = sorted(table.rows(), key=lambda row: str(row["event_id"]))
    assert one["publish_time"] == two["publish_time"]


def test_files_for_a_load_job_hold_the_rows(
    backfill: Backfill, table: Table, dead_letters: TakeDeadLetters, tmp_path: Path
) -> None:
    lines = [event(n, note="a\nb") for n in range(50)]
    path = write_lines(tmp_path / "a.jsonl", *lines, b"{broken")
    job: dict[str, Any] = {
        "load_folder": str(tmp_path / "out"),
        "options": EngineOptions(patience_s=0, collects_rows=True),
    }
    assert backfill.files(path, "load-files", **job).is_complete
    written = sorted((tmp_path / "out").glob(f"backfill-*/rows/{table.name}/*"))
    rows = [json.loads(line) for file in written for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert sorted(row["event_id"] for row in rows) == [f"e-{n:05}" for n in range(50)]
    assert rows[0]["event"]["note"] == "a\nb", "a column of JSON holds JSON, not text"
    assert rows[0]["profile"]["plan"] == "pro"
    assert table.rows() == []
    assert len(dead_letters()) == 1
    began_at = json.loads((backfill.journal / "backfill.json").read_text())["began_at"]
    job["began_at"] = began_at
    commands = load_commands(backfill.job(**job), [table.name])
    assert len(commands) == len(written)
    assert all("--job_id=backfill_" in one and str(tmp_path) in one for one in commands)
    assert commands == load_commands(backfill.job(**job), [table.name])


def test_files_that_a_killed_run_left_unnoted_are_not_loaded_beside_those_of_the_next(tmp_path: Path) -> None:
    output = LoadFiles(str(tmp_path), {"p.d.a": [], "p.d.b": []})
    row = {name: TableRow(name, "i", {"x": 1}) for name in ("p.d.a", "p.d.b")}
    output.add([row["p.d.a"]])
    output.flush(3, 0)
    output.add([row["p.d.a"], row["p.d.b"]])
    output.flush(3, 100)  # and the state that says so is not written
    other = LoadFiles(str(tmp_path), {"p.d.a": [], "p.d.b": []})
    other.go_on(3, 100)
    other.add([row["p.d.a"]])  # the first part of these rows alone: the row of b is in the file after it
    other.flush(3, 100)
    other.add([row["p.d.b"]])
    other.flush(3, 150)
    assert sorted(str(one.relative_to(tmp_path / "rows")) for one in tmp_path.rglob("*.gz")) == [
        "p.d.a/000003-000000000000.json.gz",
        "p.d.a/000003-000000000100.json.gz",
        "p.d.b/000003-000000000150.json.gz",
    ]


def test_names_with_brackets_and_records_that_no_message_holds_are_reported(
    backfill: Backfill, table: Table, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "[").mkdir()
    write_lines(tmp_path / "[/x].jsonl", event(0))
    write_lines(tmp_path / "[b].jsonl", event(1, user_id=7, note="x" * 11_000_000), event(2))
    backfill.shard_bytes = 1 << 30
    report = backfill.files(tmp_path / "**/*.jsonl")
    assert (report.total.state, report.total.unreadable, report.is_complete) == ("done", 1, False)
    assert table.event_ids() == ["e-00000", "e-00002"]
    assert "[b].jsonl" in capsys.readouterr().err


def test_a_record_that_is_tried_again_does_not_gather_the_file_behind_it(
    settings: WorkerSettings, gateway: Gateway, tmp_path: Path
) -> None:
    class Slow:
        def __init__(self) -> None:
            self.seen = 0

        async def handle(self, received: Received) -> Outcome:
            self.seen += 1
            if b"e-00000" in received.body:
                while self.seen < 40:  # noqa: ASYNC110 - others run meanwhile
                    await asyncio.sleep(0.001)
            return Outcome(Disposition.WRITTEN)

    core = Slow()
    engine = engines.Engine(lambda: core, EngineOptions(in_flight=4))
    path = write_lines(tmp_path / "a.jsonl", *(event(n) for n in range(200)))
    shard = Shard(0, str(path), Kind.LINES)
    run = ShardRun(shard, ShardState(0, 0), Journal(str(tmp_path / "j")), Written(), most_ahead=50)
    most = 0

    def reads() -> Iterator[Read]:
        nonlocal most
        for one in reader(Kind.LINES, Form(Records.EVENTS, EventRecords("2026-11-30T00:00:00Z")))(shard, 0):
            most = max(most, len(run._pending))
            yield one

    run.take(reads(), Bundle(engine))
    engine.close()
    assert run.state.records == 200
    assert 30 < most <= 50


def test_a_run_waits_for_workers_of_one_that_was_killed(tmp_path: Path) -> None:
    with Journal(str(tmp_path)):
        pass
    worker = Journal(str(tmp_path))
    with (
        worker.at_work(),
        pytest.raises(JournalError, match="Worker processes"),
        Journal(str(tmp_path), wait_s=0),
    ):
        pass
    with Journal(str(tmp_path), wait_s=0):
        pass


def test_a_report_that_cannot_be_written_ends_without_a_traceback(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in (*env, "K_REVISION", "K_SERVICE", "PIPELINE_FILE", "TABLE_FILE"):
        monkeypatch.setenv(name, env.get(name, ""))
    path = write_lines(tmp_path / "a.jsonl", event(0))
    given = ["backfill", f"--files={path}", f"--journal={tmp_path}/j", "--runner=FnApiRunner", "--dry-run"]
    assert main([*given, "--report=/proc/none/report.json"]) == 1
    assert "--report=/proc/none/report.json cannot be written" in capsys.readouterr().err
    shared_engine.close_all()


def test_a_dry_run_counts_what_the_run_does(
    backfill: Backfill, dead_letters: TakeDeadLetters, tmp_path: Path
) -> None:
    bad = [event(30, user_id=7), event(31, user_id=""), event(32, event_id=""), event(33, occurred_at="soon")]
    broken = [b"{broken", b"[]", b"7", b"", b'{"event_id": 1e999}']
    lines = [*(event(n) for n in range(20)), *broken, *bad, event(34, note="\x00")]
    path = write_lines(tmp_path / "a.jsonl", *lines)
    tried = backfill.files(path, options=EngineOptions(looks_only=True)).total
    shared_engine.close_all()
    backfill.journal = tmp_path / "real"
    done = backfill.files(path).total
    for count in ("records", "rows", "written", "dead_lettered", "dropped", "unreadable"):
        assert getattr(tried, count) == getattr(done, count), count
    assert done.dead_lettered


def test_the_view_over_live_rows_and_a_backfill_has_each_event_once(
    backfill: Backfill, cloud: Cloud, table: Table, tmp_path: Path
) -> None:
    lines = {n: {"data": base64.b64encode(event(n)).decode(), "messageId": f"m-{n}",
                 "publishTime": PUBLISHED.isoformat(), "attributes": {"n": str(n)}} for n in range(30)}  # fmt: skip
    live = write_lines(tmp_path / "live.jsonl", *(json.dumps(lines[n]).encode() for n in range(20)))
    assert backfill.files(live, records=Records.MESSAGES).is_complete
    shared_engine.close_all()
    old = write_lines(tmp_path / "old.jsonl", *(json.dumps(lines[n]).encode() for n in range(10, 30)))
    backfill.journal = tmp_path / "another"
    backfill.settings = replace(
        backfill.settings, environment={**backfill.settings.environment, "BIGQUERY_WRITER": "storage-write"}
    )  # which remembers no insertIds, as insertAll forgets them after a minute
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIGQUERY_WRITER", "storage-write")
        assert backfill.files(old, "storage-write", records=Records.MESSAGES).is_complete
        shared_engine.close_all()
    assert len(table.rows()) == 40, "the table itself has those of both twice"
    view = f"{table.name}_view"
    cloud.bigquery.query_and_wait(sql.render("deduplicated_view", {"table": table.name, "view": view}))
    seen = [str(row["event_id"]) for row in cloud.bigquery.query_and_wait(f"SELECT event_id FROM `{view}`")]
    cloud.bigquery.delete_table(view)
    assert sorted(seen) == [f"e-{n:05}" for n in range(30)]


def test_rows_of_a_query_are_read_in_shards(backfill: Backfill, table: Table, cloud: Cloud) -> None:
    name = f"{PROJECT}.events.archive"
    schema = [bigquery.SchemaField(column, kind) for column, kind in (
        ("data", "BYTES"), ("attributes", "STRING"), ("message_id", "STRING"), ("publish_time", "TIMESTAMP")
    )]  # fmt: skip
    cloud.bigquery.create_table(bigquery.Table(name, schema))
    rows = [
        {"data": base64.b64encode(event(n)).decode(), "attributes": "{}", "message_id": f"m-{n}",
         "publish_time": PUBLISHED.isoformat()}
        for n in range(25)
    ]  # fmt: skip
    assert cloud.bigquery.insert_rows_json(name, rows) == []
    result, count, _ = bigquery_input.run(f"SELECT * FROM `{name}`", PROJECT)
    shards = inputs.result("query", result, count, 10)
    report = backfill.run([("query", count, 0.0)], shards, backfill.job())
    cloud.bigquery.delete_table(name)
    assert report.is_complete
    assert len(shards) == 3
    assert sorted(str(row["message_id"]) for row in table.rows()) == sorted(f"m-{n}" for n in range(25))


def test_a_dead_letter_subscription_that_does_not_exist_is_named_with_its_option(backfill: Backfill) -> None:
    name = f"projects/{PROJECT}/subscriptions/nowhere"
    report = backfill.run([(name, 0, 0.0)], [Shard(0, name, Kind.SUBSCRIPTION)], backfill.job())
    assert report.total.failed == [f"{name} does not exist: create it, or correct --dead-letters."]


def test_dead_letters_become_their_rows_and_those_that_are_bad_again_stay(
    backfill: Backfill, table: Table, dead_letters: TakeDeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enrichment_beam.backfill.dead_letter_input.PULL_S", 0.3)
    essential = {"dead_letter_reason": "profile_not_found", "dead_letter_stage": "lookup",
                 "dead_letter_publish_time": "2026-11-01T00:00:00Z", "dead_letter_redrive_count": "0",
                 "dead_letter_function": "enrich"}  # fmt: skip
    undelivered = {
        "CloudPubSubDeadLetterSourceDeliveryCount": "5", "CloudPubSubDeadLetterSourceSubscription": "own",
        "CloudPubSubDeadLetterSourceSubscriptionProject": PROJECT,
        "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-11-02T00:00:00Z",
    }  # fmt: skip
    with PublisherClient() as publisher:
        publisher.publish(topic=TOPIC, messages=[
            PubsubMessage(data=event(1), attributes={**essential, "dead_letter_message_id": "first", "own": "x"}),
            PubsubMessage(data=event(2, user_id="unknown"), attributes={**essential, "dead_letter_message_id": "b"}),
            PubsubMessage(data=event(3), attributes=undelivered),
            PubsubMessage(data=b"of another program"),
            PubsubMessage(data=event(4), attributes={**essential, "dead_letter_message_id": "d",
                                                     "dead_letter_function": "orders"}),
            PubsubMessage(data=event(5), attributes={**undelivered,
                                                     "CloudPubSubDeadLetterSourceSubscription": "of-orders"}),
        ])  # fmt: skip
        with SubscriberClient() as subscriber:
            for name in ("own", "of-orders"):
                publisher.create_topic(name=f"projects/{PROJECT}/topics/{name}")
                subscriber.create_subscription(
                    name=f"projects/{PROJECT}/subscriptions/{name}", topic=f"projects/{PROJECT}/topics/{name}"
                )
    environment = {**backfill.settings.environment, "TRIGGER_TOPIC": f"projects/{PROJECT}/topics/own"}
    backfill.settings = replace(backfill.settings, environment=environment)
    monkeypatch.setenv("TRIGGER_TOPIC", "")  # to be taken back: the engine sets it for its process
    shards = [Shard(0, SUBSCRIPTION, Kind.SUBSCRIPTION)]
    job = backfill.job(options=EngineOptions(patience_s=0, collects_dead_letters=True))
    report = backfill.run([(SUBSCRIPTION, 0, 0.0)], shards, job)
    total = report.total
    assert (total.state, total.records, total.written) == ("left", 6, 2)
    assert total.dead_lettered["profile_not_found"] == 1
    rows = {str(row["event_id"]): row for row in table.rows()}
    assert set(rows) == {"e-00001", "e-00003"}
    assert (rows["e-00001"]["message_id"], rows["e-00001"]["publish_time"].isoformat()) == (
        "first", "2026-11-01T00:00:00+00:00",
    )  # fmt: skip
    assert rows["e-00003"]["publish_time"].isoformat() == "2026-11-02T00:00:00+00:00"
    assert sorted(one.data for one in dead_letters()) == sorted(
        [event(2, user_id="unknown"), b"of another program", event(4), event(5)]
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (json.dumps([{"event_id": "e"}], indent=2).encode(), "Write one JSON object a line"),
        (b'\xef\xbb\xbf{\r\n  "event_id": "e"\r\n}', "Write one JSON object a line"),
        ('{"event_id": "e"}\n'.encode("utf-16"), "it is UTF-16"),
    ],
)
def test_a_file_whose_lines_are_no_records_is_refused_before_any_is_dead_lettered(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputsError, match=words):
        files([str(path)], 1000)


def test_files_of_events_named_by_their_message_are_refused(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    shipped = (Path(__file__).parents[2] / "function/pipeline.toml").read_text()
    pipeline = tmp_path / "p.toml"
    pipeline.write_text(shipped.replace('id = "event.event_id"', 'id = "message.id"'))
    path = write_lines(tmp_path / "a.jsonl", event(0))
    assert main(["backfill", f"--files={path}", f"--pipeline-file={pipeline}"]) == 2
    assert "--records=messages" in capsys.readouterr().err


def test_a_pipeline_that_a_template_launch_takes_is_no_failure(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    class Submitted:
        has_job = False
        state = "UNKNOWN"

        def wait_until_finish(self) -> None: ...

    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("apache_beam.Pipeline.run", lambda *_: Submitted())
    path = write_lines(tmp_path / "a.jsonl", event(0))
    given = [f"--files={path}", f"--journal={tmp_path}/journal", "--runner=FnApiRunner"]
    assert main(["backfill", *given]) == 0
    assert "given to Dataflow" in capsys.readouterr().err


def test_progress_is_lines_where_there_is_no_terminal(
    backfill: Backfill, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "a.jsonl", *(event(n) for n in range(50)))
    found, shards = files([str(path)], 1000)
    job = backfill.job()
    carry_out(new_plan(found, shards, job, "insert-all"), job, IN_PROCESS, Show(line_every_s=0))
    said = capsys.readouterr().err
    assert "backfill: 100 %, 50 events" in said
    assert "report: " in said
