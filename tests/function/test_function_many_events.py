"""Messages with several events, and events with several rows: each ends for itself, and the message with the last."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, cast

import meshpass
import msgspec
import pytest
from enrichment import row
from enrichment.core import plan
from enrichment.core.enricher import Enricher
from enrichment.core.received import Received
from enrichment.core.transform import Transform
from enrichment.deadline import TimeBudget
from enrichment.errors import BadEventError, Disposition, Stage, TransientError
from enrichment.event.message import Message
from enrichment.event.recent_ids import RecentIds
from enrichment.expressions import Scope as EventScope
from enrichment.expressions import compile_expression
from enrichment.expressions.functions import FUNCTIONS, Function
from enrichment.lookup import Lookups
from enrichment.lookup.request import LookupKey
from enrichment.row import Row
from enrichment.settings import pipeline_file
from enrichment.settings.environment import PIPELINE_FILE, TABLE_FILE
from enrichment.settings.model import Column, Format, OnConflict, PipelineConfig, Table
from enrichment.telemetry.counters import Counters
from enrichment.telemetry.log import Log, Severity

from .world import World

P = ParamSpec("P")
SHIPPED = pipeline_file.read(PIPELINE_FILE, TABLE_FILE)
LINES = replace(SHIPPED, event=replace(SHIPPED.event, format=Format.NDJSON))
BUSY = TransientError(Stage.WRITE, "busy", "")
BAD = BadEventError(Stage.WRITE, "row_invalid", "")


class Moody(World):
    """A world whose writes fail for some events."""

    def __init__(self, fails: Mapping[str, Exception] | None = None) -> None:
        super().__init__()
        self.fails = dict(fails or {})

    async def write(self, row: Row, deadline: meshpass.Deadline) -> None:
        await asyncio.sleep(0)
        if error := self.fails.get(str(row.columns["event_id"])):
            raise error
        await super().write(row, deadline)


class Scene:
    def __init__(self, config: PipelineConfig, world: World, **sinks: World) -> None:
        self.world = world
        self.lines: list[dict[str, Any]] = []
        self.counters = Counters()
        log = Log("", Severity.DEBUG, write=lambda line: self.lines.append(json.loads(line)))
        now = datetime(2026, 3, 1, tzinfo=UTC)
        lookups = Lookups([(rules, world) for rules in config.lookups])
        self.enricher = Enricher(
            Transform(config, lookups, lambda: now),
            world,
            world,
            TimeBudget(10.0),
            log,
            "v",
            "f",
            "",
            self.counters,
            sinks,
        )

    def deliver(self, *events: dict[str, object] | bytes, message_id: str = "m-1") -> Disposition:
        data = b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in events)
        message = Message(
            data, {"k": "v"}, message_id, datetime(2026, 3, 1, tzinfo=UTC), delivery_id=message_id
        )
        return asyncio.run(self.enricher.handle(Received(b"", message, {}))).disposition

    def written(self) -> list[str]:
        return sorted(str(row.columns["event_id"]) for row in self.world.rows)

    def count(self, outcome: str) -> int:
        totals = self.counters.snapshot()
        return sum(total for name, total in totals.items() if name.startswith(f"events/{outcome}"))


def one(name: str, **fields: object) -> dict[str, object]:
    return {"event_id": name, "user_id": "u", "type": "t", "occurred_at": "2026-03-01T12:00:00Z", **fields}


def test_each_event_of_a_message_ends_for_itself() -> None:
    scene = Scene(LINES, Moody())
    assert (
        scene.deliver(one("a"), b"no json", one("b"), one("c", user_id="nobody")) is Disposition.DEAD_LETTERED
    )
    assert scene.written() == ["a", "b"]
    dead_letters = scene.world.dead_letters
    assert [dead_letter.data for dead_letter in dead_letters] == [
        b"no json",
        json.dumps(one("c", user_id="nobody")).encode(),
    ]
    assert [dead_letter.attributes["dead_letter_reason"] for dead_letter in dead_letters] == [
        "json_invalid",
        "profile_not_found",
    ]
    assert [dead_letter.attributes["dead_letter_message_id"] for dead_letter in dead_letters] == [
        "m-1:1",
        "m-1:3",
    ]
    assert all(dead_letter.attributes["k"] == "v" for dead_letter in dead_letters)
    assert (scene.count("written"), scene.count("dead-lettered")) == (2, 2)
    assert [line["logging.googleapis.com/labels"]["outcome"] for line in scene.lines] == [
        "written", "dead-lettered", "written", "dead-lettered",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fails", "disposition"),
    [
        ({}, Disposition.WRITTEN),
        ({"a": BAD}, Disposition.DEAD_LETTERED),
        ({"a": BAD, "b": BUSY}, Disposition.RETRY),
        ({"a": BUSY, "b": ValueError()}, Disposition.FAULT),
        ({"a": ValueError(), "b": BAD}, Disposition.FAULT),
    ],
)
def test_the_message_ends_as_the_gravest_of_its_events(
    fails: dict[str, Exception], disposition: Disposition
) -> None:
    assert Scene(LINES, Moody(fails)).deliver(one("a"), one("b"), one("c")) is disposition


def test_a_message_that_comes_again_doubles_no_dead_letter_and_no_row() -> None:
    world = Moody({"b": BUSY})
    scene = Scene(LINES, world)
    events = (one("a"), b"no json", one("b"))
    assert scene.deliver(*events) is Disposition.RETRY
    assert (scene.written(), world.dead_letters) == (["a"], [])
    assert scene.count("retry") == 2
    reasons = {line["logging.googleapis.com/labels"].get("reason") for line in scene.lines}
    assert reasons == {None, "busy", "message_incomplete"}
    world.fails.clear()
    assert scene.deliver(*events) is Disposition.DEAD_LETTERED
    assert len(world.dead_letters) == 1
    assert len({row.insert_id for row in world.rows}) == 2


def test_a_dead_letter_that_cannot_be_published_brings_the_message_back() -> None:
    world = Moody()
    world.failures = {"publish": BUSY}
    assert Scene(LINES, world).deliver(one("a"), b"no json") is Disposition.RETRY


# --- two events with one id ---


def conflicting(on_conflict: OnConflict, world: World | None = None) -> Scene:
    return Scene(replace(SHIPPED, event=replace(SHIPPED.event, on_conflict=on_conflict)), world or World())


def test_a_second_event_of_one_id_is_dead_lettered_and_counted() -> None:
    scene = conflicting(OnConflict.DEAD_LETTER)
    assert scene.deliver(one("e", n=1)) is Disposition.WRITTEN
    assert scene.deliver(one("e", n=2), message_id="m-2") is Disposition.DEAD_LETTERED
    (dead_letter,) = scene.world.dead_letters
    assert dead_letter.attributes["dead_letter_reason"] == "identity_conflict"
    assert json.loads(dead_letter.data)["n"] == 2
    assert scene.counters.total("identity_conflicts", on_conflict="dead-letter") == 1


def test_the_same_event_published_twice_is_no_conflict() -> None:
    scene = conflicting(OnConflict.DEAD_LETTER)
    again = dict(reversed(one("e", n=1).items()))
    assert scene.deliver(one("e", n=1)) is scene.deliver(again, message_id="m-2") is Disposition.WRITTEN
    assert len({row.insert_id for row in scene.world.rows}) == 1


@pytest.mark.parametrize("on_conflict", [OnConflict.WRITE, OnConflict.LAST_WINS])
def test_a_conflict_may_be_a_row_of_its_own(on_conflict: OnConflict) -> None:
    scene = conflicting(on_conflict)
    assert (
        scene.deliver(one("e", n=1)) is scene.deliver(one("e", n=2), message_id="m-2") is Disposition.WRITTEN
    )
    assert len({row.insert_id for row in scene.world.rows}) == 2
    assert scene.world.dead_letters == []
    # Where every content has a name of its own there is no conflict to count.
    counted = scene.counters.total("identity_conflicts", on_conflict=on_conflict.value)
    assert counted == (1 if on_conflict is OnConflict.LAST_WINS else 0)


def test_an_event_that_was_not_written_keeps_no_other_from_its_id() -> None:
    world = Moody({"e": BUSY})
    scene = conflicting(OnConflict.DEAD_LETTER, world)
    assert scene.deliver(one("e", n=1)) is Disposition.RETRY
    world.fails.clear()
    assert scene.deliver(one("e", n=2), message_id="m-2") is Disposition.WRITTEN


class Gated(World):
    """A world that ends a write once the test says so, as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[str, asyncio.Future[None]] = {}

    async def write(self, row: Row, deadline: meshpass.Deadline) -> None:
        gate = self.open[str(row.columns["type"])] = asyncio.get_running_loop().create_future()
        await gate
        await super().write(row, deadline)


def in_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


async def started(world: Gated, name: str) -> "asyncio.Future[None]":
    while name not in world.open:  # noqa: ASYNC110 - a turn of the loop, no time
        await asyncio.sleep(0)
    return world.open.pop(name)


def received(event: dict[str, object], message_id: str) -> Received:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return Received(b"", Message(json.dumps(event).encode(), {}, message_id, at, delivery_id=message_id), {})


@pytest.mark.parametrize(
    ("first", "ends", "conflicts"),
    [
        (None, [Disposition.WRITTEN, Disposition.DEAD_LETTERED], 1),
        (BAD, [Disposition.DEAD_LETTERED, Disposition.WRITTEN], 0),
        (BUSY, [Disposition.RETRY, Disposition.WRITTEN], 0),
    ],
)
@in_a_loop
async def test_a_conflict_is_decided_once_it_is_known_whether_the_other_event_is_written(
    first: Exception | None, ends: list[Disposition], conflicts: int
) -> None:
    world = Gated()
    scene = conflicting(OnConflict.DEAD_LETTER, world)
    one_, two = (
        asyncio.create_task(scene.enricher.handle(received(one("a", type=name), name)))
        for name in ("one", "two")
    )
    gate = await started(world, "one")
    for _ in range(20):
        await asyncio.sleep(0)
    assert world.open == {}, "the second one waits"
    if first is None:
        gate.set_result(None)
    else:
        gate.set_exception(first)
        (await started(world, "two")).set_result(None)
    assert [(await task).disposition for task in (one_, two)] == ends
    assert [row.columns["type"] for row in world.rows] == (["one"] if first is None else ["two"])
    assert scene.counters.total("identity_conflicts", on_conflict="dead-letter") == conflicts


@in_a_loop
async def test_events_that_want_each_others_names_do_not_wait_for_each_other_for_ever() -> None:
    names = compile_expression("item", ("event", "item"))
    each = compile_expression("event.items", ("event",))
    scene = Scene(replace(SHIPPED, event=replace(SHIPPED.event, id=(names,), each=each)), Moody())
    ended = await asyncio.gather(
        *(
            scene.enricher.handle(received(one("e", type=name, items=items), name))
            for name, items in (("one", ["x", "y"]), ("two", ["y", "x"]))
        )
    )
    assert sorted(end.disposition.value for end in ended) == ["dead-lettered", "written"]


@in_a_loop
async def test_many_events_of_one_id_that_all_end_badly_have_each_one_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Refusing(World):
        async def write(self, row: Row, deadline: meshpass.Deadline) -> None:
            await asyncio.sleep(0)
            raise BAD

    claims = 0
    claim = RecentIds.claim

    def counted(recent: RecentIds, row_id: str, digest: str) -> object:
        nonlocal claims
        claims += 1
        return claim(recent, row_id, digest)

    monkeypatch.setattr(RecentIds, "claim", counted)
    scene = conflicting(OnConflict.DEAD_LETTER, Refusing())
    many = 200
    ended = await asyncio.gather(
        *(scene.enricher.handle(received(one("a", n=n), str(n))) for n in range(many))
    )
    assert {end.reason for end in ended} == {"row_invalid"}
    assert claims < 3 * many


@in_a_loop
async def test_an_event_that_is_cancelled_while_it_waits_keeps_no_other_waiting() -> None:
    world = Gated()
    scene = conflicting(OnConflict.DEAD_LETTER, world)
    first, cancelled, last = (
        asyncio.create_task(scene.enricher.handle(received(one("a", type=name), name)))
        for name in ("one", "two", "three")
    )
    gate = await started(world, "one")
    for _ in range(20):
        await asyncio.sleep(0)
    gate.set_exception(BUSY)
    cancelled.cancel()
    (await started(world, "three")).set_result(None)
    assert (await first).disposition is Disposition.RETRY
    assert (await last).disposition is Disposition.WRITTEN
    assert cancelled.cancelled()


@in_a_loop
async def test_an_event_whose_time_is_over_before_it_is_decided_comes_again() -> None:
    world = Gated()
    scene = conflicting(OnConflict.DEAD_LETTER, world)
    held = asyncio.create_task(scene.enricher.handle(received(one("a", type="one"), "one")))
    gate = await started(world, "one")
    scene.enricher.budget = TimeBudget(0.01)
    outcome = await scene.enricher.handle(received(one("a", type="two"), "two"))
    assert (outcome.disposition, outcome.reason) == (Disposition.RETRY, "write_timeout")
    gate.set_result(None)
    assert (await held).disposition is Disposition.WRITTEN
    assert world.dead_letters == []


def test_a_neighbour_of_the_same_id_that_bigquery_refuses_is_no_conflict() -> None:
    class Picky(World):
        async def write(self, row: Row, deadline: meshpass.Deadline) -> None:
            await asyncio.sleep(0)
            if row.columns["type"] == "bad":
                raise BAD
            await super().write(row, deadline)

    scene = Scene(LINES, Picky())
    assert scene.deliver(one("a", type="bad"), one("a", type="good")) is Disposition.DEAD_LETTERED
    assert [row.columns["type"] for row in scene.world.rows] == ["good"]
    (dead_letter,) = scene.world.dead_letters
    assert dead_letter.attributes["dead_letter_reason"] == "row_invalid"


def test_a_conflict_inside_one_message_is_found_in_the_order_of_its_events() -> None:
    scene = Scene(LINES, Moody())
    assert scene.deliver(one("e", n=1), one("e", n=2), one("f")) is Disposition.DEAD_LETTERED
    assert [json.loads(dead_letter.data)["n"] for dead_letter in scene.world.dead_letters] == [2]


# --- drop, each, tables ---


def test_a_dropped_event_is_acknowledged_counted_and_logged_in_one_line_for_debugging() -> None:
    drop = (compile_expression("event.type == 'ping'", ("event",)),)
    scene = Scene(replace(SHIPPED, event=replace(SHIPPED.event, drop=drop)), World())
    assert scene.deliver(one("e", type="ping")) is Disposition.DROPPED
    assert Disposition.DROPPED.status == 200
    assert (scene.world.rows, scene.world.dead_letters) == ([], [])
    assert scene.count("dropped") == 1
    (line,) = scene.lines
    assert (line["severity"], line["event_id"]) == ("DEBUG", "e")


def with_items() -> PipelineConfig:
    each = compile_expression("event.items", ("event",))
    return replace(SHIPPED, event=replace(SHIPPED.event, each=each))


def test_an_event_makes_a_row_of_each_item() -> None:
    scene = Scene(with_items(), World())
    assert scene.deliver(one("e", items=[1, 2, 3])) is Disposition.WRITTEN
    assert len({row.insert_id for row in scene.world.rows}) == 3
    assert scene.count("written") == 1


def test_nothing_of_an_event_is_written_before_all_of_its_rows_can_be_built() -> None:
    class Unknown(World):
        seen = 0

        async def fetch(self, key: LookupKey, trace: Any, deadline: Any) -> Any:  # noqa: ANN401 - World's own
            self.seen += 1
            return await super().fetch("nobody" if self.seen == 2 else key, trace, deadline)

    world = Unknown()
    assert Scene(with_items(), world).deliver(one("e", items=[1, 2, 3])) is Disposition.DEAD_LETTERED
    assert world.rows == []
    assert len(world.dead_letters) == 1


@pytest.mark.parametrize(
    ("errors", "disposition"),
    [
        ([BAD], Disposition.DEAD_LETTERED),
        ([BAD, BUSY], Disposition.RETRY),
        ([BUSY, ValueError(), BAD], Disposition.FAULT),
    ],
)
def test_an_event_of_several_rows_ends_as_the_gravest_of_them(
    errors: list[Exception], disposition: Disposition
) -> None:
    class Failing(World):
        async def write(self, row: Row, deadline: meshpass.Deadline) -> None:
            if errors:
                raise errors.pop(0)
            await super().write(row, deadline)

    assert Scene(with_items(), Failing()).deliver(one("e", items=[1, 2, 3])) is disposition


def test_rows_go_to_the_tables_that_take_them() -> None:
    when = compile_expression("event.type == 'order'", ("event",))
    config = replace(SHIPPED, tables=(Table("orders", when, "orders", SHIPPED.columns[:1]),))
    orders, rest = World(), World()
    scene = Scene(config, rest, orders=orders)
    assert scene.deliver(one("a", type="order")) is scene.deliver(one("b")) is Disposition.WRITTEN
    assert [row.columns for row in orders.rows] == [{"event_id": "a"}]
    assert scene.written() == ["b"]


def test_the_events_of_one_message_share_a_limit_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MAX_MESSAGE_ROWS", 5)
    each = compile_expression("event.items", ("event",))
    scene = Scene(replace(LINES, event=replace(LINES.event, each=each)), World())
    events = [one("e-1", items=[1, 2, 3]), one("e-2", items=[1, 2, 3]), one("e-3", items=[1, 2])]
    assert scene.deliver(*events) is Disposition.DEAD_LETTERED
    assert scene.written() == ["e-1", "e-1", "e-1", "e-3", "e-3"]
    (dead_letter,) = scene.world.dead_letters
    assert "more than 5 rows" in dead_letter.attributes["dead_letter_detail"]
    assert scene.deliver(events[1]) is Disposition.WRITTEN


def test_rows_that_repeat_their_event_have_a_limit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    original = row.build

    def build(columns: Sequence[Column], insert_id: str, scope: EventScope) -> Row:
        built.append(insert_id)
        return original(columns, insert_id, scope)

    monkeypatch.setattr(row, "build", build)
    monkeypatch.setattr(plan, "MAX_MESSAGE_ROW_BYTES", 5_000)
    scene = Scene(with_items(), World())
    assert scene.deliver(one("e-1", items=[1] * 100, more="x" * 1_000)) is Disposition.DEAD_LETTERED
    assert scene.world.rows == []
    (dead_letter,) = scene.world.dead_letters
    assert dead_letter.attributes["dead_letter_reason"] == "event_invalid"
    assert "more than 5000 bytes" in dead_letter.attributes["dead_letter_detail"]
    assert len(built) < 5  # the others are not even built
    assert scene.deliver(one("e-2", items=[1], more="x" * 1_000)) is Disposition.WRITTEN


def test_a_second_delivery_that_fails_does_not_make_the_process_forget_what_the_first_wrote() -> None:
    world = Moody()
    scene = Scene(SHIPPED, world)
    assert scene.deliver(one("a")) is Disposition.WRITTEN
    world.fails["a"] = BUSY
    assert scene.deliver(one("a")) is Disposition.RETRY
    world.fails.clear()
    assert scene.deliver(one("a", user_id="other")) is Disposition.DEAD_LETTERED
    assert [dead_letter.attributes["dead_letter_reason"] for dead_letter in world.dead_letters] == [
        "identity_conflict"
    ]


def test_what_depends_on_the_event_alone_is_evaluated_once_for_all_of_its_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[object] = []
    lower = FUNCTIONS["lower"]

    def counted(text: str) -> object:
        calls.append(text)
        return lower.call(text)

    monkeypatch.setitem(cast("dict[str, Function]", FUNCTIONS), "lower", replace(lower, call=counted))
    columns = [column for column in SHIPPED.columns if column.name == "event_id"]
    of_event, of_item = (
        msgspec.structs.replace(columns[0], name=name, expression=compile_expression(text, ("event", "item")))
        for name, text in (("a", "lower(event.type)"), ("b", "lower(item || event.type)"))
    )
    config = replace(with_items(), columns=(*columns, of_event, of_item))
    scene = Scene(config, World())
    assert scene.deliver(one("e", items=["X", "Y", "Z"])) is Disposition.WRITTEN
    assert sorted((row.columns["a"], row.columns["b"]) for row in scene.world.rows) == [
        ("t", "x"),
        ("t", "y"),
        ("t", "z"),
    ]
    assert calls.count("t") == 1
    assert scene.deliver(one("f", type="U", items=["X", 1])) is Disposition.DEAD_LETTERED
    assert scene.deliver(one("g", type="V", items=["X"])) is Disposition.WRITTEN
    assert scene.world.rows[-1].columns["a"] == "v"


def test_an_event_whose_rows_take_longer_than_its_time_is_handed_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[str] = []
    original = row.build

    def build(columns: Sequence[Column], insert_id: str, scope: EventScope) -> Row:
        built.append(insert_id)
        monkeypatch.setattr(meshpass.Deadline, "left_s", lambda _: 0.0)
        return original(columns, insert_id, scope)

    monkeypatch.setattr(row, "build", build)
    scene = Scene(with_items(), World())
    assert scene.deliver(one("e", items=[1] * 100)) is Disposition.RETRY
    assert (len(built), scene.world.rows, scene.world.dead_letters) == (1, [], [])
