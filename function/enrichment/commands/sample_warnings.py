"""What may be a mistake in a pipeline, by what sample events show."""

import re
from collections.abc import Mapping, Sequence

from enrichment.commands import hints
from enrichment.commands.trial import RowTrial, roots_of
from enrichment.documents.instant import UNIT_NAMES
from enrichment.documents.walk import value_at
from enrichment.expressions import EvaluationError, Expression, Scope
from enrichment.settings.model import Column, FieldType, PipelineConfig

_FROM_UNIX = frozenset({"from_unix_s", "from_unix_ms", "from_unix_us", "from_unix_ns"})
_YEAR = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_FALSE_TEXTS = frozenset({"false", "f", "no", "n", "off", "0", "null", "none"})
_FIRST_YEAR, _LAST_YEAR = 1975, 2200  # a number of a wrong unit is in 1970, or thousands of years ahead


def of_samples(
    config: PipelineConfig,
    columns: Sequence[Column],
    trials: Sequence[RowTrial],
    attributes: Mapping[str, str],
) -> list[str]:
    """Return warnings about the columns of one table, from the rows that samples make in it.

    Args:
        config: What `pipeline.toml` says.
        columns: The columns of the table.
        trials: The rows.
        attributes: The attributes of the samples' messages; none where the samples came without.
    """
    optional = [field.path for field in config.event.fields if not field.required]
    return [
        *hints.missing_paths(columns, "event", roots_of(trials, "event"), optional),
        *hints.missing_paths(columns, "item", roots_of(trials, "item")),
        *hints.missing_paths(columns, "cloudevent", roots_of(trials, "cloudevent")),
        *(hints.missing_paths(columns, "message", roots_of(trials, "message")) if attributes else ()),
        *_without_value(config, columns, trials),
        *_unlikely_times(columns, trials),
    ]


def of_conditions(config: PipelineConfig, scopes: Sequence[Scope]) -> list[str]:
    """Return warnings about conditions that are true for a value that people read as false.

    JMESPath takes `null`, `false` and what is empty for false. So the text "false" and the number 0 are true.

    Args:
        config: What `pipeline.toml` says.
        scopes: What expressions find of the samples.
    """
    conditions = [
        *(("[event] drop", condition) for condition in config.event.drop),
        *((f"[[tables]] {table.name} when", table.when) for table in config.tables),
        *((f"the when of lookup {rules.name}", rules.when) for rules in config.lookups if rules.when),
    ]
    return [
        f"{setting}: {condition.text} is {misread[0]} for a sample, which counts as true. Compare it, as in "
        f"{condition.text} {misread[1]}."
        for setting, condition in conditions
        if (misread := next(filter(None, (_read_as_false(condition, scope) for scope in scopes)), None))
    ]


def _read_as_false(condition: Expression, scope: Scope) -> tuple[str, str] | None:
    """Return what a condition gives, and what to compare it with, where people read it as false and it is true."""
    try:
        found = condition.evaluate(scope)
    except EvaluationError:
        return None  # reported by itself
    if isinstance(found, str) and found.strip().casefold() in _FALSE_TEXTS:
        return f"the text {found.strip().casefold()!r}", "== 'true'"
    is_zero = isinstance(found, int | float) and not isinstance(found, bool) and found == 0
    return ("the number 0", "!= `0`") if is_zero else None


def json_into_text(config: PipelineConfig, columns: Sequence[Column]) -> list[str]:
    """Return warnings about declared fields that may hold an object, for columns that take text alone."""
    fields = {("event", *field.path) for field in config.event.fields if field.type is FieldType.JSON}
    return [
        f"column {column.name}: {column.source} is declared as json. An object or a list in it does not fit a "
        f"{column.type} column. Write to_string({column.source}) to keep it as JSON text."
        for column in columns
        if column.type == "STRING" and column.expression and column.expression.path in fields
    ]


def _unlikely_times(columns: Sequence[Column], trials: Sequence[RowTrial]) -> list[str]:
    """Warnings about times that a number makes and that are far from the present, as with a wrong unit."""
    warnings = []
    for column in columns:
        functions = column.expression.functions if column.expression else frozenset()
        if not column.options.unit and functions.isdisjoint(_FROM_UNIX):
            continue
        for trial in trials:
            found = trial.found.get(column.name)
            year = found[:4] if isinstance(found, str) and _YEAR.match(found) else ""
            if year and not _FIRST_YEAR <= int(year) <= _LAST_YEAR:
                warnings.append(
                    f"column {column.name}: {column.source} is in the year {year} for a sample. "
                    f"See whether the number counts {_listed_units()}."
                )
                break
    return warnings


def _listed_units() -> str:
    *names, last = UNIT_NAMES.values()
    return f"{', '.join(names)} or {last}"


def _without_value(
    config: PipelineConfig, columns: Sequence[Column], trials: Sequence[RowTrial]
) -> list[str]:
    """Warnings about expressions that find what they begin with and still give nothing, for any row."""
    looked_up = {rules.name for rules in config.lookups}
    warnings = []
    for column in columns:
        expression = column.expression
        if expression is None or expression.is_plain or not trials or expression.roots & looked_up:
            continue
        if all(not _gives(column, trial) for trial in trials) and any(
            value_at(trial.scope.roots.get(path[0]), path[1:]) not in (None, "", [], {})
            for trial in trials
            for path in expression.paths
            if path[0] in ("event", "item", "parents")
        ):
            warnings.append(
                f"column {column.name}: {column.source} gives nothing for the sample. See --explain."
            )
        elif empty := sorted(expression.record_keys - _filled_keys(column, trials)):
            warnings.append(
                f"column {column.name}: {', '.join(empty)} of its records is null for the sample. "
                "See whether the names on the right are those of the event."
            )
    return warnings


def _filled_keys(column: Column, trials: Sequence[RowTrial]) -> set[str]:
    """Return the keys that have a value in a record that the column's expression gives."""
    found: list[object] = []
    for trial in trials:
        if column.expression is None:
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


def _gives(column: Column, trial: RowTrial) -> bool:
    """Whether an expression has a value, or an error that is reported by itself."""
    if column.expression is None or column.name in trial.wrong:
        return True
    try:
        return column.expression.evaluate(trial.scope) not in (None, [], {})
    except EvaluationError:
        return True
