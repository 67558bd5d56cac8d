"""What a pipeline makes of sample events, with all mistakes at once."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from enrichment import event, row
from enrichment.commands import hints, samples
from enrichment.commands.steps import Step, steps_of
from enrichment.core import plan
from enrichment.errors import BadEventError, EnrichmentError, failure
from enrichment.event import formats
from enrichment.event.conditions import is_dropped
from enrichment.event.message import Message
from enrichment.expressions import EvaluationError, Scope, pseudonyms
from enrichment.lookup.profile import Profile
from enrichment.lookup.sample import sample_profile
from enrichment.row.column_values import ColumnValueError
from enrichment.settings import lookup_notes, pipeline_file, table_file
from enrichment.settings.model import Column, FieldType, PipelineConfig, TableField

_SAMPLE_KEY = b"a sample key, of no use outside of check"

_OF_A_ROW = frozenset({"row", "item", "index"})

MAX_EVENTS_NAMED = 3
"""How many events a sentence names; the rest is a number."""


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


@dataclass(frozen=True, slots=True)
class SampleRow:
    """The row of one sample event.

    Args:
        event: The event's number, from 1.
        table: The name of the one of `[[tables]]` that takes it, empty for the table of `[columns]`.
        lines: The row, column by column.
        insert_id: What names it.
    """

    event: int
    table: str
    lines: tuple[Line, ...]
    insert_id: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Args:
        problems: The mistakes, one sentence each.
        rows: The row of the first event that each table takes; empty where the pipeline could not be read.
        warnings: What may be a mistake, one sentence each.
        events: How many events were tried.
        dropped: How many of them make no row.
    """

    problems: tuple[str, ...]
    rows: tuple[SampleRow, ...] = ()
    warnings: tuple[str, ...] = ()
    events: int = 0
    dropped: int = 0

    @property
    def lines(self) -> tuple[Line, ...]:
        """The first row, column by column; empty where there is none."""
        return self.rows[0].lines if self.rows else ()

    @property
    def insert_id(self) -> str:
        """What names the first row."""
        return self.rows[0].insert_id if self.rows else ""


def check(
    pipeline: Path,
    table: Path,
    sample: bytes | None = None,
    profile: bytes | None = None,
    attributes: Mapping[str, str] | None = None,
) -> Report:
    """Validate a pipeline, and build the rows of sample events as the function would.

    Args:
        pipeline: `pipeline.toml`.
        table: `table.json`.
        sample: An event, or many as `samples.split` takes them; None makes one up of the declared fields.
        profile: The profile to join them with, None for one with nothing but the key.
        attributes: The messages' attributes.

    Returns:
        All mistakes of the files and, as far as the files can be used, of the events.
    """
    config, file_problems = pipeline_file.inspect(pipeline, table)
    problems = list(file_problems)
    if config is None:
        return Report(tuple(problems))
    if config.calls("hmac_sha256") and not pseudonyms.has_key():
        pseudonyms.set_key(_SAMPLE_KEY)
    if sample is None:
        data, shape = samples.made_up(config.event)
        contents: Sequence[bytes] = [data]
        config = replace(config, event=shape)
    else:
        contents = samples.split(sample)
    trials = [
        _Trial(config, part, profile)
        for data in contents
        for part in _parts(config, data, dict(attributes or {}), problems)
    ]
    problems += _numbered([trial.problems for trial in trials])
    warnings = [note for rules in config.lookups for note in lookup_notes.notes(rules)]
    for name, columns in (("", config.columns), *((one.name, one.columns) for one in config.tables)):
        taken = [trial for trial in trials if trial.table == name]
        found = _json_into_text(config, columns)
        if sample is not None:
            found += _of_samples(config, columns, taken)
        if profile is not None:
            for rules in config.lookups:
                documents = [trial.profiles.get(rules.name) for trial in taken[:1]]
                found += hints.missing_paths(columns, rules.name, documents)
        warnings += [f"table {name}, {warning}" for warning in found] if name else found
    dropped = sum(trial.is_dropped for trial in trials)
    if dropped:
        warnings.append(f"{dropped} of {len(trials)} events would be dropped, and make no row.")
    if not trials:
        if len(problems) == len(file_problems):
            problems.append("the file has no event in it.")
        return Report(tuple(problems))
    fields = (table_file.read(table, []) or {}).values()
    return Report(tuple(problems), _rows(trials, fields), tuple(warnings), len(trials), dropped)


def _rows(trials: Sequence["_Trial"], fields: Iterable[TableField]) -> tuple[SampleRow, ...]:
    """Return the row of the first event that each table takes."""
    rows: dict[str, SampleRow] = {}
    for number, trial in enumerate(trials, start=1):
        is_first = trial.table not in rows and bool(trial.columns)  # a dropped one has none
        lines = trial.lines(fields) if is_first else ()
        if lines:
            rows[trial.table] = SampleRow(number, trial.table, lines, trial.insert_id)
    return tuple(rows.values())


def _parts(
    config: PipelineConfig, data: bytes, attributes: dict[str, str], problems: list[str]
) -> list[event.Part]:
    """Return the events in the data of one sample message; none where they cannot be found, which is noted."""
    message = Message(data, attributes, "1234567890", samples.NOW)
    try:
        return event.split(message, config.event)
    except EnrichmentError as error:
        problems.append(f"the event would be dead-lettered: {error}.")
        return []


@dataclass(slots=True)
class _Trial:
    """One event, as far as it gets."""

    config: PipelineConfig
    part: event.Part
    given_profile: bytes | None
    problems: list[str] = field(default_factory=list)
    document: object = None
    profiles: dict[str, object] = field(default_factory=dict)
    not_joined: set[str] = field(default_factory=set)  # roots that are not there for another mistake
    insert_id: str = ""
    scope: Scope | None = None
    found: dict[str, object] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    columns: tuple[Column, ...] = field(init=False)
    is_dropped: bool = False
    table: str = ""

    def __post_init__(self) -> None:
        self.columns = self.config.columns
        bad_fields = self._decode()
        if self.scope is None:
            return
        for column in self.columns:
            needs = column.expression.roots if column.expression else frozenset()
            if not needs & self.not_joined and not any(_reads(column, name) for name in bad_fields):
                self._fill(column)
        if not self.problems:
            try:
                row.build(self.columns, self.insert_id, self.scope)
            except EnrichmentError as error:  # the row as a whole: it is too large
                self.problems.append(f"the event would be dead-lettered: {error}.")

    def _decode(self) -> list[str]:
        """Read the event and its profile, and give the declared fields that are wrong."""
        shape = self.config.event
        try:
            document = event.read(self.part, shape)
        except EnrichmentError as error:
            self.problems.append(f"the event would be dead-lettered: {error}.")
            return []
        self.document = document.document
        values, problems = event.check_fields(self.document, shape.fields)
        bad = [name for name, _ in problems]
        for _, sentence in problems:
            bad_field = formats.invalid(sentence)
            self.problems.append(f"the event would be dead-lettered: {bad_field}.")
        scope = event.scope_of(self.part.message, document, values)
        try:
            if is_dropped(shape, scope):
                self.problems.clear()
                self.columns, self.is_dropped = (), True
                return []
        except EnrichmentError as error:
            self.problems.append(f"the event would be dead-lettered: {error}.")
            return []
        if problems:
            self.not_joined |= _OF_A_ROW
        else:
            scope = self._plan(scope)
        self.scope = scope
        joined = self._join(bad)
        self.profiles = {name: profile.document if profile else None for name, profile in joined.items()}
        self.scope = scope.extended(
            {**self.profiles, "trace": {"id": samples.TRACE_ID}, "now": samples.NOW},
            {name: profile.text for name, profile in joined.items() if profile},
        )
        return bad

    def _join(self, bad_fields: list[str]) -> dict[str, Profile | None]:
        """Find the sample profiles, and note which would be refused."""
        assert self.scope is not None  # noqa: S101 - for mypy; the caller made it
        joined: dict[str, Profile | None] = {}
        for rules in self.config.lookups:
            joined[rules.name] = None
            if bad_fields:  # a key may be one of them
                self.not_joined.add(rules.name)
                continue
            try:
                joined[rules.name] = sample_profile(rules, self.scope, self.given_profile)
                continue
            except BadEventError as error:
                self.problems.append(f"the event would be dead-lettered: {error}.")
            except EnrichmentError as error:
                self.problems.append(f"the profile would be refused: {error}.")
            self.not_joined.add(rules.name)
        return joined

    def _plan(self, scope: Scope) -> Scope:
        """Decide which row the event makes, as the function does; give the scope of the first, if there is one."""
        try:
            found = event.decode(self.part, self.config.event)
            rows = plan.plan(found, self.config)
        except EnrichmentError as error:
            self.problems.append(f"the event would be dead-lettered: {error}.")
            self.not_joined |= _OF_A_ROW
            return scope
        if not rows:
            self.columns, self.is_dropped = (), True
            return scope
        self.columns, self.insert_id, self.table = rows[0].columns, rows[0].insert_id, rows[0].table
        return rows[0].scope

    def _fill(self, column: Column) -> None:
        assert self.scope is not None  # noqa: S101 - for mypy; the caller asked
        try:
            value = row.value_of(column, self.scope)
        except (ColumnValueError, EvaluationError) as error:
            self._refuse(column, "column_invalid", f"has the type {column.type}: {column.source} {error}")
            return
        if value is None and column.required:
            self._refuse(column, "column_missing", f"is required, and there is no {column.source}")
        self.found[column.name] = value

    def _refuse(self, column: Column, reason: str, why: str) -> None:
        sentence = f"the event would be dead-lettered: {failure(reason, f'column {column.name} {why}')}."
        self.wrong[column.name] = why
        self.problems.append(sentence)

    def lines(self, fields: Iterable[TableField]) -> tuple[Line, ...]:
        """Return the table's columns with what this event gives them; of one of `[[tables]]` those that are written."""
        if self.table:
            fields = [
                TableField(column.name, column.type, column.repeated, column.required)
                for column in self.columns
            ]
        columns = {column.name: column for column in self.columns}
        if self.scope is None:
            return ()
        return tuple(self._line(found, columns.get(found.name)) for found in fields)

    def _line(self, target: TableField, column: Column | None) -> Line:
        mode = "REQUIRED" if target.required else "REPEATED" if target.repeated else ""
        kind = f"{target.type} {mode}".strip()
        if column is None or self.scope is None:
            return Line(target.name, kind, "", None)
        value = self.found.get(column.name)
        return Line(
            target.name,
            kind,
            column.source,
            value,
            steps_of(column, self.scope, value, self.wrong.get(column.name, "")),
            self.wrong.get(column.name, ""),
        )


def _reads(column: Column, name: str) -> bool:
    """Whether a column needs a declared field."""
    path = ("event", *name.split("."))
    paths = column.expression.paths if column.expression else ()
    return any(found[: len(path)] == path for found in paths)


def _numbered(problems: Sequence[Sequence[str]]) -> list[str]:
    """Return the problems of all events; with the numbers of those that have each, where there are several events."""
    if len(problems) == 1:
        return list(problems[0])
    events: dict[str, list[int]] = {}
    for number, found in enumerate(problems, start=1):
        for problem in found:
            events.setdefault(problem, []).append(number)
    return [f"{_named(numbers)}: {problem}" for problem, numbers in events.items()]


def _named(numbers: list[int]) -> str:
    more = len(numbers) - MAX_EVENTS_NAMED
    named = ", ".join(map(str, numbers[:MAX_EVENTS_NAMED]))
    return f"event{'s' if len(numbers) > 1 else ''} {named}" + (f" and {more} more" if more > 0 else "")


def _of_samples(config: PipelineConfig, columns: Sequence[Column], trials: Sequence[_Trial]) -> list[str]:
    """Warnings about the columns of one table, from the events that it takes."""
    optional = [field.path for field in config.event.fields if not field.required]
    documents = [trial.document for trial in trials if trial.document]
    return [
        *hints.missing_paths(columns, "event", documents, optional),
        *_without_value(config, columns, trials),
        *_unlikely_times(columns, trials),
    ]


def _json_into_text(config: PipelineConfig, columns: Sequence[Column]) -> list[str]:
    """Warnings about declared fields that may hold an object, for columns that take text alone."""
    fields = {("event", *field.path) for field in config.event.fields if field.type is FieldType.JSON}
    return [
        f"column {column.name}: {column.source} is declared as json. An object or a list in it does not fit a "
        f"{column.type} column. Write to_string({column.source}) to keep it as JSON text."
        for column in columns
        if column.type == "STRING" and column.expression and column.expression.path in fields
    ]


def _unlikely_times(columns: Sequence[Column], trials: Sequence[_Trial]) -> list[str]:
    """Warnings about times that a number makes and that are far from the present, as with a wrong unit."""
    warnings = []
    for column in columns:
        functions = column.expression.functions if column.expression else frozenset()
        if column.options.unit_digits is None and functions.isdisjoint(_FROM_UNIX):
            continue
        for trial in trials:
            found = trial.found.get(column.name)
            year = found[:4] if isinstance(found, str) and _YEAR.match(found) else ""
            if year and not _FIRST_YEAR <= int(year) <= _LAST_YEAR:
                warnings.append(
                    f"column {column.name}: {column.source} is in the year {year} for a sample. "
                    "See whether the number counts seconds, milliseconds or microseconds."
                )
                break
    return warnings


_FROM_UNIX = frozenset({"from_unix_s", "from_unix_ms", "from_unix_us"})
_YEAR = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 1975, 2200  # a number of a wrong unit is in 1970, or thousands of years ahead


def _without_value(config: PipelineConfig, columns: Sequence[Column], trials: Sequence[_Trial]) -> list[str]:
    """Warnings about expressions that find what they begin with and still give nothing, for any event."""
    looked_up = {rules.name for rules in config.lookups}
    tried = [trial for trial in trials if trial.scope is not None]
    warnings = []
    for column in columns:
        expression = column.expression
        if expression is None or expression.is_plain or not tried or expression.roots & looked_up:
            continue
        if all(not _gives(column, trial) for trial in tried) and any(
            _walk(trial.document, path[1:]) not in (None, "", [], {})
            for trial in tried
            for path in expression.paths
            if path[0] == "event"
        ):
            warnings.append(
                f"column {column.name}: {column.source} gives nothing for the sample. See --explain."
            )
        elif empty := sorted(expression.record_keys - _filled_keys(column, tried)):
            warnings.append(
                f"column {column.name}: {', '.join(empty)} of its records is null for the sample. "
                "See whether the names on the right are those of the event."
            )
    return warnings


def _filled_keys(column: Column, trials: Sequence[_Trial]) -> set[str]:
    """Return the keys that have a value in a record that the column's expression gives."""
    found: list[object] = []
    for trial in trials:
        if column.expression is None or trial.scope is None:
            continue
        try:
            found.append(column.expression.evaluate(trial.scope))
        except EvaluationError:
            return set(column.expression.record_keys)  # reported by itself
    filled: set[str] = set()
    while found:
        value = found.pop()
        if isinstance(value, list):
            found.extend(value)
        elif isinstance(value, dict):
            filled.update(key for key, inner in value.items() if inner is not None)
            found.extend(value.values())
    return filled


def _gives(column: Column, trial: _Trial) -> bool:
    """Whether an expression has a value, or an error that is reported by itself."""
    if column.expression is None or trial.scope is None or column.name in trial.wrong:
        return True
    try:
        return column.expression.evaluate(trial.scope) not in (None, [], {})
    except EvaluationError:
        return True


def _walk(value: object, keys: Sequence[str]) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
