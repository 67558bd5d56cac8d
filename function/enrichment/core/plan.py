"""What an event is to become: dropped, or one or more rows, each with its name and its table. Pure."""

import re
from collections.abc import Sequence

import msgspec

from enrichment.dead_letter import OUR_ATTRIBUTES
from enrichment.documents.walk import value_at
from enrichment.errors import EnrichmentError, failure
from enrichment.event import Event, identity
from enrichment.event.conditions import holds
from enrichment.event.message import REDRIVE_ATTRIBUTES
from enrichment.expressions import EvaluationError, Expression, Scope
from enrichment.settings.model import Column, EventShape, OnConflict, PipelineConfig, Unmatched

MAX_ROWS = 10_000
"""Most rows of one event: all are written within its time."""


MAX_MESSAGE_ROWS = 50_000
"""Most rows of all the events of one message: they are held in memory together, about 2 KB each."""


MAX_MESSAGE_ROW_BYTES = 100_000_000
"""Most bytes of the rows of one message. A column that holds the whole event repeats it in each row of `each`: without
this limit an event of 1 MB with 10,000 items would be 10 GB."""


class RowLimit:
    """The limits that the events of one message share."""

    def __init__(self) -> None:
        self._left = MAX_MESSAGE_ROWS
        self._left_bytes = MAX_MESSAGE_ROW_BYTES

    def take(self, rows: int) -> None:
        """Note how many rows one event may make.

        Raises:
            BadEventError: `event_invalid`, with them the message makes more than `MAX_MESSAGE_ROWS`.
        """
        if rows > self._left:
            raise failure(
                "event_invalid",
                f"the events of the message make more than {MAX_MESSAGE_ROWS} rows: publish fewer in one",
            )
        self._left -= rows

    def take_bytes(self, size: int) -> None:
        """Note how many bytes a row that was built has.

        Raises:
            BadEventError: `event_invalid`, with it the message makes more than `MAX_MESSAGE_ROW_BYTES`.
        """
        self._left_bytes -= size
        self.check_bytes()

    def check_bytes(self) -> None:
        """Refuse another row where those that were built are too many bytes already.

        Raises:
            BadEventError: As `take_bytes`.
        """
        if self._left_bytes < 0:
            raise failure(
                "event_invalid",
                f"the rows of the message make more than {MAX_MESSAGE_ROW_BYTES} bytes: publish less in one, or leave "
                "the whole event out of the columns where each makes the rows",
            )


class PlannedRow(msgspec.Struct, frozen=True):
    """A row that is to be written.

    Args:
        row_id: What names it: `row.id`.
        digest: A digest of the content that the name belongs to.
        table: Where it goes, a name of `[[tables]]`; empty for the table of the environment.
        columns: What is written.
        scope: What its expressions find, but for what is looked up.
    """

    row_id: str
    digest: str
    table: str
    columns: tuple[Column, ...]
    scope: Scope

    @property
    def insert_id(self) -> str:
        """What BigQuery is to drop repeats by."""
        return identity.insert_id(self.row_id, self.digest)


def plan(event: Event, config: PipelineConfig, limit: RowLimit | None = None) -> list[PlannedRow]:
    """Decide which rows an event makes.

    Args:
        event: The event.
        config: What `pipeline.toml` says.
        limit: What the events of its message share; None for an event by itself.

    Returns:
        The rows. None where the event is to be dropped: a `drop` says so, `each` finds nothing, or no table takes it.

    Raises:
        BadEventError: `event_invalid`, an expression cannot be evaluated for it, `each` finds something else than an
            array, or too many items; `event_unmatched`, no table takes it.
    """
    shape = config.event
    if event.is_dropped:
        return []
    attributes = _attributes(event.scope, config.content_paths) if config.content_paths else None
    digest = identity.ContentDigest(event.document, attributes)
    if shape.each is None:
        row = _row(event.scope, event.event_id, digest.hexdigest(), config)
        return [] if row is None else [row]
    shared = event.scope.shared()
    items = _items(shape, shared)
    (limit or RowLimit()).take(len(items))  # before any row is made, which takes memory
    rows = []
    for number, item in enumerate(items):
        scope = shared.extended({**item, "index": number})
        if shape.id_is_of_items:
            row_id = identity.identify(shape.id, scope)
            content = digest.with_item(item["item"])
        else:
            row_id, content = identity.suffixed(event.event_id, str(number)), digest.hexdigest()
        row = _row(scope, row_id, content, config)
        if row is not None:
            rows.append(row)
    return rows


def _attributes(scope: Scope, paths: Sequence[tuple[str, ...]]) -> dict[str, object]:
    """Return the attributes that belong to the content of an event.

    Left out are those that are new at each publication, and those that Pub/Sub or the function writes on a message that
    failed, and a redrive takes away: an event that comes again by another way has the same content.
    """
    found: dict[str, object] = {}
    for path in paths:
        if _is_of_delivery(path[-1]):
            continue
        value = value_at(scope.roots.get(path[0]), path[1:])
        if isinstance(value, dict):
            value = _in_lower_case(
                {name: inner for name, inner in value.items() if not _is_of_delivery(name)}
            )
        if value not in (None, {}):
            found[".".join(path)] = value
    return found


def _in_lower_case(attributes: dict[str, object]) -> dict[str, object]:
    """Return attributes with their names as an unwrapped push has them, so that the event is the same by every way."""
    lowered = {name.lower(): value for name, value in attributes.items()}
    return lowered if len(lowered) == len(attributes) else attributes


_OF_A_FAILURE = frozenset({*OUR_ATTRIBUTES, *REDRIVE_ATTRIBUTES})
# https://cloud.google.com/pubsub/docs/open-telemetry-tracing, https://www.w3.org/TR/trace-context/,
# https://cloud.google.com/pubsub/docs/dead-letter-topics#track-delivery-attempts; an unwrapped push has the names in
# lower case.
_OF_PUBSUB = re.compile(
    r"googclient_|traceparent$|tracestate$|cloudpubsubdeadlettersource", re.ASCII | re.IGNORECASE
)


def _is_of_delivery(name: str) -> bool:
    return _OF_PUBSUB.match(name) is not None or name in _OF_A_FAILURE


def _row(scope: Scope, row_id: str, digest: str, config: PipelineConfig) -> PlannedRow | None:
    """Return the row of one scope; None where no table takes it and it is to be dropped."""
    if config.event.on_conflict is OnConflict.WRITE:
        row_id = identity.suffixed(row_id, digest)
    scope = scope.extended({"row": {"id": row_id}})
    for table in config.tables:
        if holds(table.when, scope, f"[[tables]] {table.name} when"):
            return PlannedRow(row_id, digest, table.name, table.columns, scope)
    if config.columns or not config.tables:
        return PlannedRow(row_id, digest, "", config.columns, scope)
    if config.unmatched is Unmatched.DROP:
        return None
    raise failure("event_unmatched", "none of the [[tables]] takes the event, and there are no [columns]")


def _items(shape: EventShape, shared: Scope) -> list[dict[str, object]]:
    """Return what each row has of its own: its item and, where that stands inside of others, those around it."""
    if shape.each is None:
        return []
    found: list[dict[str, object]] = [{"item": item} for item in _array(shape.each, shared)]
    for each in shape.each_inside:
        inside: list[dict[str, object]] = []
        for outer in found:
            parents = [*_parents(outer), outer["item"]]
            items = _array(each, shared.extended({"parents": _parents(outer), **outer}))
            inside += [{"item": item, "parents": parents} for item in items]
            if len(inside) > MAX_ROWS:
                raise _too_many()
        found = inside
    return found


def _parents(item: dict[str, object]) -> list[object]:
    parents = item.get("parents")
    return parents if isinstance(parents, list) else []


def _array(each: Expression, scope: Scope) -> Sequence[object]:
    try:
        found = each.evaluate(scope)
    except EvaluationError as error:
        raise failure("event_invalid", f"[event] each cannot be read: {each.text} {error}") from None
    if found is None:
        return ()
    if not isinstance(found, list):
        raise failure("event_invalid", f"[event] each must find an array, and {each.text} is none")
    if len(found) > MAX_ROWS:
        raise _too_many()
    return found


def _too_many() -> EnrichmentError:
    return failure(
        "event_invalid", f"[event] each finds more than {MAX_ROWS} items: publish fewer in one event"
    )


def shape_needs_memory(shape: EventShape) -> bool:
    """Return whether an id can belong to two contents: not where the content is part of the id."""
    return bool(shape.id) and shape.on_conflict is not OnConflict.WRITE
