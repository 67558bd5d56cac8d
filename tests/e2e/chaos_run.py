"""One run of a chaos plan against a lab, in memory that does not grow with the events, and what is found afterwards."""

from __future__ import annotations

import json
import threading
import time
from array import array
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from enrichment.commands import sql
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.pubsub_v1 import PublisherClient
from google.cloud.pubsub_v1.types import LimitExceededBehavior, PublisherOptions, PublishFlowControl
from meshlab.cloud.bigquery.control import order_faults, stats
from meshlab.cloud.bigquery.faults import Faults
from meshlab.cloud.pubsub import backlog, fail_publish

from bench.scale.memory import Watch
from tests.e2e.chaos import EVENT_PREFIX, Blow, Plan, Sent, event_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from meshlab.demo.events import EventClients
    from meshlab.lab.stack import Lab

AHEAD = 20_000
"""How many messages may wait: enough that there always are some, and few enough for the memory of a fake."""

OUTAGE_S = 5.0
_PATIENCE_S = 90.0
_PUBLISH_TIMEOUT_S = 60.0
_UNCONFIRMED = 2_000
_SHOWN = 5
_BLOCK = 1_000
_QUERY_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Findings:
    """What became of the events of a run.

    Attributes:
        events: Different events that were published.
        messages: Messages that were published.
        seconds: From the first message until all were settled.
        events_per_s: Different events for each of these seconds.
        rows: Rows of the table.
        written: Different events that have rows.
        view_rows: Rows of the view that removes duplicates.
        view_events: Different events in that view.
        dead_letters: Messages with a dead letter, by its reason.
        dead_letters_repeated: Dead letters beyond the first of each message.
        undelivered: Messages that Pub/Sub gave up on.
        injected: How often each fault of BigQuery and of the dead-letter topic was injected.
        peaks_mib: The most memory that each process has held, in MiB.
        cpu_s: Processor time of each process, in seconds.
        complaints: What is not as it must be, one sentence each.
    """

    events: int
    messages: int
    seconds: float
    events_per_s: float
    rows: int
    written: int
    view_rows: int
    view_events: int
    dead_letters: Mapping[str, int]
    dead_letters_repeated: int
    undelivered: int
    injected: Mapping[str, int]
    peaks_mib: Mapping[str, float]
    cpu_s: Mapping[str, float]
    complaints: Sequence[str]

    @property
    def duplicates_before_view(self) -> int:
        """Rows beyond the first of each event."""
        return self.rows - self.written

    @property
    def duplicates_after_view(self) -> int:
        """The same in the view."""
        return self.view_rows - self.view_events

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        more = {name: getattr(self, name) for name in ("duplicates_before_view", "duplicates_after_view")}
        return {**asdict(self), **more}


class Run:
    """One run of a plan against a lab.

    Args:
        lab: Where to run. Its function is restarted.
        clients: Collect the dead letters.
        plan: What is sent and broken.
        report: Takes what happens, in one line each.
        progress: Takes how many messages are settled, a few times a second.
    """

    def __init__(
        self,
        lab: Lab,
        clients: EventClients,
        plan: Plan,
        *,
        report: Callable[[str], None] = lambda _: None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.plan = plan
        self._lab, self._clients = lab, clients
        self._pubsub, self._bigquery = (
            lab.environment[name] for name in ("PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST")
        )
        self._report, self._progress = report, progress
        self._story: list[str] = []
        self._published = _Published(plan)
        self._settled = 0

    def go(self) -> Findings:
        """Publish everything, break things when it is time, wait until every message is settled, and look."""
        seed = self.plan.seed
        order_faults(self._bigquery, Faults(partial_share=0.05, lost_answer_share=0.02, seed=seed))
        self._began_at = time.monotonic()
        publisher = _Publisher(self._lab, self.plan, self._published, lambda: self._settled)
        with Watch(self._groups, lambda: self._settled) as watch, publisher:
            self._settle(publisher)
        seconds = time.monotonic() - self._began_at
        self._note("all settled")
        return self._look(seconds, watch)

    def _groups(self) -> dict[str, int]:
        return {name: child.pid for name, child in self._lab.children.items() if child.running}

    def _settle(self, publisher: _Publisher) -> None:
        blows = list(self.plan.blows)
        moved_at = time.monotonic()
        while self._settled < self.plan.messages:
            publisher.check()
            now = backlog(self._pubsub, self._lab.resources.subscription)
            if now.acked > self._settled:
                self._settled, moved_at = now.acked, time.monotonic()
                self._progress(self._settled)
            assert time.monotonic() - moved_at < _PATIENCE_S, f"nothing moves any more{self.picture()}"
            if blows and self._settled >= blows[0][0] and now.outstanding:
                _, blow = blows.pop(0)
                self._note(f"with {now.outstanding} in flight {blow.value}")
                self._inject(blow)
            time.sleep(0.05)
        assert not blows, f"it was over before {blows}{self.picture()}"

    def _inject(self, blow: Blow) -> None:
        match blow:
            case Blow.GATEWAY_RESTARTED:
                self._lab.mesh.gateway.restart()
            case Blow.BIGQUERY_UNAVAILABLE:
                seed = self.plan.seed + 1
                outage = Faults(unavailable_s=OUTAGE_S, partial_share=0.05, lost_answer_share=0.02, seed=seed)
                order_faults(self._bigquery, outage)
            case Blow.DEAD_LETTER_TOPIC_FAILS:
                fail_publish(self._pubsub, self._lab.resources.dead_letter_topic, OUTAGE_S)
            case Blow.FUNCTION_KILLED:
                self._lab.restart_function(kill=True)
            case Blow.FUNCTION_ENDED:
                self._lab.restart_function()

    def picture(self, *message_ids: int) -> str:
        """What happened, and where some messages were seen."""
        lines = ["", *self._story, f"insertAll: {stats(self._bigquery)}"]
        found: dict[int, list[str]] = {message_id: [] for message_id in message_ids[:_SHOWN]}
        end: list[str] = []
        for line in self._log():
            end = [*end[1 - _SHOWN :], line[:300]]
            for message_id, said in found.items():
                if str(message_id) in line:
                    said.append(line[:300])
        for message_id, said in found.items():
            lines += [f"message {message_id}, the log says of it:", *said[-_SHOWN:]]
        if len(message_ids) > _SHOWN:
            lines.append(f"and {len(message_ids) - _SHOWN} more")
        return "\n".join([*lines, "the end of the function's log:", *end])

    def _log(self) -> Iterator[str]:
        with (self._lab.directory / "function.log").open(errors="replace") as log:
            yield from log

    def _note(self, what: str) -> None:
        line = f"{time.monotonic() - self._began_at:6.1f} s, {self._settled:7} settled: {what}"
        self._story.append(line)
        self._report(line)

    def _look(self, seconds: float, watch: Watch) -> Findings:
        """Wait for the last dead letters, and compare what there is with the plan."""
        dead_letters = self._lab.resources.dead_letter_subscription
        deadline = time.monotonic() + _PATIENCE_S
        while backlog(self._pubsub, dead_letters).unacked and time.monotonic() < deadline:
            time.sleep(0.05)
        reasons: dict[int, list[str]] = {}
        for dead_letter in self._clients.dead_letters():
            reasons.setdefault(int(dead_letter.message_id), []).append(dead_letter.reason)
        table = _Table(self._lab, self._bigquery)
        rows, complaints = table.compare(self.plan, self._published)
        view_rows, view_events = table.view()
        complaints += self._of_dead_letters(reasons)
        undelivered = backlog(self._pubsub, self._lab.resources.undelivered_subscription).unacked
        if undelivered:
            complaints.append(f"{undelivered} messages that Pub/Sub gave up on")
        if view_rows != view_events or view_events != rows.events:
            complaints.append(f"the view shows {view_rows} rows of {view_events} events, for {rows.events}")
        # All of it passes by itself, so no line may alert.
        complaints += [f"an alert: {line}" for line in self._alerts()]
        struck = stats(self._bigquery)
        injected = {name: getattr(struck, name) for name in ("unavailable", "partial", "lost_answers")}
        injected["dead_letters_refused"] = fail_publish(
            self._pubsub, self._lab.resources.dead_letter_topic, 0
        )
        complaints += [
            f"a fault that was never injected: {name}" for name, times in injected.items() if not times
        ]
        return Findings(
            events=self.plan.events,
            messages=self.plan.messages,
            seconds=seconds,
            events_per_s=self.plan.events / seconds,
            rows=rows.written,
            written=rows.events,
            view_rows=view_rows,
            view_events=view_events,
            dead_letters=dict(Counter(found[0] for found in reasons.values())),
            dead_letters_repeated=sum(len(found) - 1 for found in reasons.values()),
            undelivered=undelivered,
            injected=injected,
            peaks_mib=watch.peaks_mib,
            cpu_s=watch.cpu_s,
            complaints=complaints,
        )

    def _of_dead_letters(self, reasons: Mapping[int, Sequence[str]]) -> list[str]:
        expected = self._published.bad
        complaints = []
        if missed := expected.keys() - reasons.keys():
            picture = self.picture(*missed)
            complaints.append(f"{len(missed)} bad events without a dead letter{picture}")
        if wrong := reasons.keys() - expected.keys():
            complaints.append(f"{len(wrong)} good events that were dead-lettered{self.picture(*wrong)}")
        # At least once: a function killed between publishing a dead letter and the ack publishes it again.
        mistaken = [found for found in expected.keys() & reasons if set(reasons[found]) != {expected[found]}]
        if mistaken:
            picture = self.picture(*mistaken)
            complaints.append(f"{len(mistaken)} dead letters with the wrong reason{picture}")
        return complaints

    def _alerts(self) -> list[str]:
        found = []
        for line in self._log():
            if line.startswith("{") and '"CRITICAL"' in line:
                entry = json.loads(line)
                if entry.get("severity") == "CRITICAL":
                    found.append(str(entry["message"]))
        return found


class _Published:
    """Which message was published for which event: eight bytes for each event, and an entry for each bad one."""

    def __init__(self, plan: Plan) -> None:
        self._first = array("Q", bytes(8 * plan.events))
        self.bad: dict[int, str] = {}
        self.confirmed = 0

    def confirm(self, sent: Sent, message_id: int) -> None:
        """Note the id that Pub/Sub gave to a message."""
        self.confirmed += 1
        if sent.reason:
            self.bad[message_id] = sent.reason
        if not sent.is_repeat:
            self._first[sent.number] = message_id

    def message_of(self, number: int) -> int:
        """Return the id of the first message of an event."""
        return self._first[number]


class _Publisher:
    """Publishes a plan's messages in a thread, never more than `AHEAD` beyond those that are settled."""

    def __init__(self, lab: Lab, plan: Plan, published: _Published, settled: Callable[[], int]) -> None:
        self._topic = lab.resources.topic
        self._plan, self._published, self._settled = plan, published, settled
        self._errors: list[BaseException] = []
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        flow = PublishFlowControl(
            message_limit=_UNCONFIRMED, limit_exceeded_behavior=LimitExceededBehavior.BLOCK
        )
        self._client = PublisherClient(publisher_options=PublisherOptions(flow_control=flow))
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Publisher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._client.stop()
        self._client.transport.close()

    def check(self) -> None:
        """Raise what kept a message from being published."""
        if self._errors:
            raise self._errors[0]

    def _run(self) -> None:
        try:
            for place, sent in enumerate(self._plan.sent()):
                while place - self._settled() >= AHEAD:
                    if self._stopped.wait(0.01):
                        return
                future = self._client.publish(self._topic, sent.data)
                future.add_done_callback(lambda done, sent=sent: self._confirm(sent, done))
        except BaseException as error:  # noqa: BLE001 - it is raised in the other thread
            self._errors.append(error)

    def _confirm(self, sent: Sent, done: Future[str]) -> None:
        try:
            message_id = int(done.result(_PUBLISH_TIMEOUT_S))
        except BaseException as error:  # noqa: BLE001 - it is raised in the other thread
            self._errors.append(error)
        else:
            with self._lock:
                self._published.confirm(sent, message_id)


@dataclass(frozen=True)
class _Rows:
    written: int
    events: int


class _Table:
    """The table, asked in blocks of a thousand events."""

    def __init__(self, lab: Lab, endpoint: str) -> None:
        self._client = bigquery.Client(
            project=lab.resources.project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": endpoint},
        )
        self._table = lab.resources.table

    def compare(self, plan: Plan, published: _Published) -> tuple[_Rows, list[str]]:
        """Compare the rows with the plan's good events: counts and sums of each block, and ids where they differ."""
        number = f"IF(STARTS_WITH(event_id, '{EVENT_PREFIX}'), SAFE_CAST(SUBSTR(event_id, 7) AS INT64), NULL)"
        events = (
            f"SELECT {number} AS n, COUNT(*) AS times, "
            "COUNTIF(IFNULL(JSON_VALUE(profile, '$.user_id'), '') != user_id) AS mismatched "
            f"FROM `{self._table}` GROUP BY n"
        )
        found = list(
            self._ask(
                f"SELECT DIV(n, {_BLOCK}) AS block, COUNT(*) AS events, SUM(n) AS total, "
                f"SUM(times) AS written, SUM(mismatched) AS mismatched FROM ({events}) GROUP BY block"
            )
        )
        counts: Counter[int] = Counter()
        totals: Counter[int] = Counter()
        for good in plan.good():
            counts[good // _BLOCK] += 1
            totals[good // _BLOCK] += good
        actual = {row["block"]: (row["events"], row["total"]) for row in found}
        complaints = []
        if foreign := actual.pop(None, None):
            complaints.append(f"rows of {foreign[0]} ids that no event has")
        expected = {block: (counts[block], totals[block]) for block in counts}
        differing = sorted(b for b in expected.keys() | actual if expected.get(b) != actual.get(b))
        complaints += [self._differing(block, plan, published) for block in differing]
        if mismatched := sum(row["mismatched"] for row in found):
            complaints.append(f"{mismatched} rows with the profile of another user")
        written = sum(row["written"] for row in found)
        return _Rows(written, sum(events for events, _ in actual.values())), complaints

    def _differing(self, block: int, plan: Plan, published: _Published) -> str:
        """Name the events of a block that have no row, or have one and must not."""
        begin, end = block * _BLOCK, min((block + 1) * _BLOCK, plan.events)
        # Texts sort otherwise than numbers, so the ids are named.
        ids = [event_id(number) for number in range(begin, end)]
        parameter = bigquery.ArrayQueryParameter("ids", "STRING", ids)
        found = self._ask(
            f"SELECT DISTINCT event_id FROM `{self._table}` WHERE event_id IN UNNEST(@ids)", parameter
        )
        actual = {int(row["event_id"].removeprefix(EVENT_PREFIX)) for row in found}
        expected = {number for number in plan.good() if begin <= number < end}
        lost, more = sorted(expected - actual), sorted(actual - expected)
        messages = [published.message_of(number) for number in lost[:_SHOWN]]
        return (
            f"events {begin} to {end - 1}: {len(lost)} good ones have no row, such as {lost[:_SHOWN]} of the messages "
            f"{messages}; {len(more)} bad ones have one, such as {more[:_SHOWN]}"
        )

    def view(self) -> tuple[int, int]:
        """Make the view that removes duplicates, and count its rows and events."""
        view = f"{self._table}_deduplicated"
        names = {"table": self._table, "view": view, "dead_letters": f"{self._table}_dead_letters"}
        list(self._ask(sql.render("deduplicated_view", names)))
        (row,) = self._ask(f"SELECT COUNT(*) AS n, COUNT(DISTINCT event_id) AS events FROM `{view}`")
        return row["n"], row["events"]

    def _ask(self, query: str, *parameters: bigquery.ArrayQueryParameter) -> Iterator[bigquery.Row]:
        config = bigquery.QueryJobConfig(query_parameters=list(parameters))
        return iter(self._client.query_and_wait(query, job_config=config, wait_timeout=_QUERY_TIMEOUT_S))


def profiles_file(directory: Path, profiles: Mapping[str, Mapping[str, str]]) -> Path:
    """Write what the service in the mesh knows, and return the file."""
    file = directory / "profiles.json"
    file.write_text(json.dumps(profiles))
    return file
