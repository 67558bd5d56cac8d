"""The way of one column from its source to its value, in words."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from enrichment.documents.instant import UNIT_NAMES, rfc3339
from enrichment.documents.walk import value_at
from enrichment.expressions import EvaluationError, Scope
from enrichment.expressions.functions import kind_of
from enrichment.settings.model import Column


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Args:
        what: What was looked up, evaluated or converted.
        gave: What came of it.
    """

    what: str
    gave: str


def steps_of(column: Column, scope: Scope, value: object, problem: str) -> tuple[Step, ...]:
    """Return the steps from a column's source to its value.

    Args:
        column: The column.
        scope: What its expression reads.
        value: What it got, None for nothing.
        problem: Why it got nothing, empty if nothing is wrong.
    """
    expression = column.expression
    if expression is None:
        return (Step("constant", shown(value)),)
    paths = () if expression.is_plain else expression.paths
    steps = [Step(".".join(path), shown(value_at(scope.document, path))) for path in paths]
    try:
        result = expression.evaluate(scope)
    except EvaluationError as error:
        return (*steps, Step(expression.text, f"error: it {error}"))
    steps.append(Step(expression.text, shown(result)))
    if value is not None and len(expression.path) == 1 and value is scope.texts.get(expression.path[0]):
        return (*steps, Step(f"as it came -> {column.type}", shown(value)))
    if problem:
        return (*steps, Step(_conversion(column, result), "error"))
    return (*steps, Step(_conversion(column, result), shown(value)))


def shown(value: object) -> str:
    """Return a value as it is shown: JSON, a time as text, and NULL for nothing."""
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        return rfc3339(value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _conversion(column: Column, result: object) -> str:
    kind = f"{column.type}{' REPEATED' if column.repeated else ''}"
    if result is None or (column.repeated and result == []):
        return "default" if column.default is not None else f"nothing -> {kind}"
    origin = "time" if isinstance(result, datetime) else kind_of(result)
    options = column.options
    extras = []
    if options.unit:
        extras.append(f"numbers are {UNIT_NAMES[options.unit]} since 1970")
    if options.rounds:
        extras.append("rounded")
    if options.ignores_unknown_fields:
        extras.append("fields that the table does not have are left out")
    return f"{origin} -> {kind}" + (f" ({', '.join(extras)})" if extras else "")
