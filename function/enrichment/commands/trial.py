"""One sample event, as far as it gets: its fields, its rows, and each column of them. All mistakes are kept."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from enrichment import event, row
from enrichment.commands import samples
from enrichment.commands.steps import Step, steps_of
from enrichment.core import plan
from enrichment.core.claims import Claims
from enrichment.core.plan import PlannedRow
from enrichment.errors import BadEventError, EnrichmentError, failure
from enrichment.event import formats
from enrichment.event.conditions import is_dropped
from enrichment.event.recent_ids import RecentIds
from enrichment.expressions import EvaluationError, Scope
from enrichment.lookup.profile import Profile
from enrichment.lookup.sample import sample_profile
from enrichment.row.conversions import ColumnValueError
from enrichment.settings.model import OF_ITEM, Column, PipelineConfig, TableField
from enrichment.telemetry.counters import uncounted

_OF_A_ROW = frozenset({"row", *OF_ITEM})


@dataclass(frozen=True, slots=True)
class Line:
    """A column of the table.

    Args:
        column: Its name.
        type: Its type and mode.
        source: Where its value comes from, empty where it is not written.
        value: What the sample event gives it, None for nothing.
        steps: The way from the source to the value.
        problem: Why it cannot be written, empty if it can.
    """

    column: str
    type: str
    source: str
    value: object
    steps: tuple[Step, ...] = ()
    problem: str = ""


def would_be_dead_lettered(error: EnrichmentError) -> str:
    """Return the sentence about an event that the function would not write."""
    return f"the event would be dead-lettered: {error}."


@dataclass(slots=True)
class RowTrial:
    """One row of an event.

    Args:
        config: What `pipeline.toml` says.
        given_profile: What the service would answer; None for no more than the key.
        columns: What is written.
        scope: What expressions find, without what is looked up.
        insert_id: What names the row; empty where that is not known.
        table: The one of `[[tables]]` that takes it, empty for the table of `[columns]`.
        bad_fields: Declared fields of the event that are wrong.
        not_joined: Roots that are not there for another mistake.
    """

    config: PipelineConfig
    given_profile: bytes | None
    columns: tuple[Column, ...]
    scope: Scope
    insert_id: str = ""
    table: str = ""
    bad_fields: tuple[str, ...] = ()
    not_joined: set[str] = field(default_factory=set)
    problems: list[str] = field(init=False, default_factory=list)
    profiles: dict[str, object] = field(init=False, default_factory=dict)
    found: dict[str, object] = field(init=False, default_factory=dict)
    wrong: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        joined = self._join()
        self.profiles = {name: profile.document if profile else None for name, profile in joined.items()}
        self.scope = self.scope.extended(
            {**self.profiles, "trace": {"id": samples.TRACE_ID}, "now": samples.NOW},
            {name: profile.text for name, profile in joined.items() if profile},
        )
        for column in self.columns:
            needs = column.expression.roots if column.expression else frozenset()
            if not needs & self.not_joined and not any(_reads(column, name) for name in self.bad_fields):
                self._fill(column)
        if not self.problems and not self.bad_fields and not self.not_joined:
            try:
                row.build(self.columns, self.insert_id, self.scope)
            except EnrichmentError as error:  # the row as a whole: it is too large
                self.problems.append(would_be_dead_lettered(error))

    def _join(self) -> dict[str, Profile | None]:
        """Find the sample profiles, and note which would be refused."""
        joined: dict[str, Profile | None] = {}
        for rules in self.config.lookups:
            joined[rules.name] = None
            if self.bad_fields:  # a key may be one of them
                self.not_joined.add(rules.name)
                continue
            try:
                joined[rules.name] = sample_profile(rules, self.scope, self.given_profile)
                continue
            except BadEventError as error:
                self.problems.append(would_be_dead_lettered(error))
            except EnrichmentError as error:
                self.problems.append(f"the profile would be refused: {error}.")
            self.not_joined.add(rules.name)
        return joined

    def _fill(self, column: Column) -> None:
        try:
            value = row.value_of(column, self.scope)
        except (ColumnValueError, EvaluationError) as error:
            self._refuse(column, "column_invalid", f"has the type {column.type}: {column.source} {error}")
            return
        if value is None and column.required:
            self._refuse(column, "column_missing", f"is required, and there is no {column.source}")
        self.found[column.name] = value

    def _refuse(self, column: Column, reason: str, why: str) -> None:
        self.wrong[column.name] = why
        self.problems.append(would_be_dead_lettered(failure(reason, f"column {column.name} {why}")))

    def lines(self, fields: Iterable[TableField]) -> tuple[Line, ...]:
        """Return the table's columns with what this row gives them; of one of `[[tables]]` those that are written."""
        if self.table:
            fields = [
                TableField(column.name, column.type, column.repeated, column.required)
                for column in self.columns
            ]
        columns = {column.name: column for column in self.columns}
        return tuple(self._line(found, columns.get(found.name)) for found in fields)

    def _line(self, target: TableField, column: Column | None) -> Line:
        mode = "REQUIRED" if target.required else "REPEATED" if target.repeated else ""
        kind = f"{target.type} {mode}".strip()
        if column is None:
            return Line(target.name, kind, "", None)
        value = self.found.get(column.name)
        problem = self.wrong.get(column.name, "")
        return Line(
            target.name,
            kind,
            column.source,
            value,
            steps_of(column, self.scope, value, problem),
            problem,
        )


@dataclass(slots=True)
class EventTrial:
    """One event.

    Args:
        config: What `pipeline.toml` says.
        part: What its message holds of it.
        given_profile: What the service would answer; None for no more than the key.
        memory: The names of the rows of the events before it.
    """

    config: PipelineConfig
    part: event.Part
    given_profile: bytes | None
    memory: RecentIds
    problems: list[str] = field(init=False, default_factory=list)
    rows: list[RowTrial] = field(init=False, default_factory=list)
    is_dropped: bool = field(init=False, default=False)
    scope: Scope | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        try:
            document = event.read(self.part, self.config.event)
        except EnrichmentError as error:
            self.problems.append(would_be_dead_lettered(error))
            return
        values, wrong = event.check_fields(document.document, self.config.event.fields)
        scope = self.scope = event.scope_of(self.part.message, document, values)
        try:
            if is_dropped(self.config.event, scope):
                self.is_dropped = True
                return
            self.problems += [would_be_dead_lettered(formats.invalid(said)) for _, said in wrong]
        except EnrichmentError as error:
            self.problems.append(would_be_dead_lettered(error))
            return
        planned = [] if wrong else self._planned()
        if planned:
            self.rows = [
                self._row(one.columns, one.scope, insert_id=one.insert_id, table=one.table) for one in planned
            ]
        elif self.problems:  # the other columns of `[columns]` are tried all the same
            bad_fields = tuple(name for name, _ in wrong)
            self.rows = [self._row(self.config.columns, scope, bad_fields=bad_fields, no_row=True)]
        else:
            self.is_dropped = True

    def _planned(self) -> list[PlannedRow]:
        """Return the rows that the function would make; none where there are none, or where a mistake is noted."""
        try:
            found = event.decode(self.part, self.config.event)
            planned = plan.plan(found, self.config)
            claims = Claims(planned, self.config.event, self.memory, uncounted)
            claims.take()  # nothing is open: one event is tried after the other
            with claims:
                return planned
        except EnrichmentError as error:
            self.problems.append(would_be_dead_lettered(error))
            return []

    def _row(
        self,
        columns: tuple[Column, ...],
        scope: Scope,
        *,
        insert_id: str = "",
        table: str = "",
        bad_fields: tuple[str, ...] = (),
        no_row: bool = False,
    ) -> RowTrial:
        missing = set(_OF_A_ROW) if no_row else set()
        return RowTrial(
            self.config, self.given_profile, columns, scope, insert_id, table, bad_fields, missing
        )


def roots_of(trials: Iterable[RowTrial], name: str) -> list[object]:
    """Return what a root is in each row, those that share one named once."""
    found: dict[int, object] = {}
    for trial in trials:
        value = trial.scope.roots.get(name)
        if value is not None:
            found[id(value)] = value
    return list(found.values())


def _reads(column: Column, name: str) -> bool:
    """Whether a column needs a declared field."""
    path = ("event", *name.split("."))
    paths = column.expression.paths if column.expression else ()
    return any(found[: len(path)] == path for found in paths)
