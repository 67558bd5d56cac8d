"""Reader of `[columns]`, the part of `pipeline.toml` that says what is written where. Checks it against the table."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from enrichment.documents.instant import UNITS
from enrichment.expressions import Expression, ExpressionError, compile_expression
from enrichment.row import column_values
from enrichment.settings import column_sources
from enrichment.settings.column_sources import Root
from enrichment.settings.event_section import Declared, as_json
from enrichment.settings.model import Column, ColumnOptions, TableField
from enrichment.settings.toml_section import Section, shown, suggestion

UNKNOWN_FIELDS = ("refuse", "ignore")

_TIMES = {"TIMESTAMP", "DATE", "DATETIME", "TIME"}
_EXACT = {"NUMERIC", "BIGNUMERIC"}
_ABOUT = 'an expression, such as "event.PATH", or { from = "EXPRESSION" }, or { value = CONSTANT }'


def read(
    section: Section,
    table: Mapping[str, TableField] | None,
    declared: Declared,
    roots: Mapping[str, Root],
) -> tuple[Column, ...]:
    """Read `[columns]` and note its mistakes.

    Args:
        section: The section.
        table: The columns of the table by name; None where it could not be read.
        declared: What makes an event.
        roots: What is known of the values that an expression can begin with.

    Returns:
        The columns without mistakes, in the order of the file.
    """
    entries = {name: _read_entry(section, name, roots) for name in section.values}
    columns = []
    for name, entry in entries.items():
        target = (table or {}).get(name)
        if table is not None and target is None:
            section.problem(name, f"is no column of the table.{suggestion(name, table)}")
        if entry is None or target is None:
            continue
        column = _column(entry, target)
        if entry.is_good and (wrong := column_sources.problem(column, declared, roots)):
            entry.problem(wrong)
        elif entry.is_good:
            columns.append(column)
    if table is not None:
        _check_table(section, table, entries, declared)
    return tuple(columns)


@dataclass(slots=True)
class _Entry:
    """One line of the section.

    Args:
        section: Where its mistakes are noted.
        key: Under which key.
        text: What the line gives as the source.
        expression: The source; None for a constant.
        constant: The constant; None for an expression.
        default: What the column holds without a value, as the file gives it.
        is_good: Whether nothing is wrong with it so far.
    """

    section: Section
    key: str
    text: object
    expression: Expression | None = None
    constant: object = None
    default: object = None
    options: ColumnOptions = field(default_factory=ColumnOptions)
    given_options: Collection[str] = ()
    is_good: bool = True

    def problem(self, what: str) -> None:
        """Note a mistake of the source."""
        self.section.problem(self.key, f"is {shown(self.text)}; {what}")


def _read_entry(section: Section, name: str, roots: Mapping[str, Root]) -> _Entry | None:
    spec = section.values[name]
    if not isinstance(spec, dict):
        return _with_expression(_Entry(section, name, spec), roots)
    inner = section.section(name)
    before = inner.mistakes
    if "value" in spec:
        inner.refuse_others(("value",))
        return _Entry(inner, "value", spec["value"], constant=spec["value"], is_good=inner.mistakes == before)
    inner.refuse_others(("from", "default", "unit", "round", "unknown_fields", "value"))
    if "from" not in spec:
        inner.problem("from", f"is missing; it must be {_ABOUT}.")
        return None
    options = ColumnOptions(
        inner.choice("unit", UNITS, "") or "",
        inner.flag("round", default=False),
        inner.choice("unknown_fields", UNKNOWN_FIELDS, UNKNOWN_FIELDS[0]) == "ignore",
    )
    entry = _Entry(
        inner,
        "from",
        spec["from"],
        default=spec.get("default"),
        options=options,
        given_options=[key for key in ("unit", "round", "unknown_fields") if key in spec],
        is_good=inner.mistakes == before,
    )
    return _with_expression(entry, roots)


def _with_expression(entry: _Entry, roots: Mapping[str, Root]) -> _Entry | None:
    if not isinstance(entry.text, str):
        entry.problem(f"it must be {_ABOUT}.")
        return None
    try:
        entry.expression = compile_expression(entry.text, tuple(roots))
    except ExpressionError as error:
        entry.problem(error.sentence)
        return None
    return entry


def _column(entry: _Entry, target: TableField) -> Column:
    """Return the column, with its default as BigQuery takes it."""
    default: object = None
    writable = not column_sources.unwritable(target)
    for key, value in (("default", entry.default), ("value", entry.constant)):
        if value is not None and writable:
            try:
                default = column_values.convert(target, as_json(value), entry.options)
            except ValueError as error:
                entry.section.problem(key, f"is {shown(value)}; it {error}.")
                entry.is_good = False
    _check_options(entry, target)
    return Column(
        target.name,
        target.type,
        target.repeated,
        target.required,
        entry.expression,
        default,
        target.fields,
        entry.options,
        target.max_length,
        target.scale,
    )


def _check_options(entry: _Entry, target: TableField) -> None:
    for key, types in (("unit", _TIMES), ("round", _EXACT), ("unknown_fields", {"RECORD"})):
        if key in entry.given_options and not _has_type(target, types):
            names = " or ".join(sorted(types))
            entry.section.problem(key, f"is for {names}, and {target.name} has the type {target.type}.")
            entry.is_good = False


def _has_type(target: TableField, types: set[str]) -> bool:
    return target.type in types or any(_has_type(inner, types) for inner in target.fields)


def _check_table(
    section: Section,
    table: Mapping[str, TableField],
    entries: Mapping[str, _Entry | None],
    declared: Declared,
) -> None:
    for target in table.values():
        if target.required and target.name not in entries:
            section.problem(target.name, f"is missing, and the table requires it: {target.name} = SOURCE.")
    row_id = declared.shape.row_id_source
    carriers = [
        name
        for name, entry in entries.items()
        if entry is not None and entry.expression is not None and entry.expression.text in (row_id, "row.id")
    ]
    if declared.id_is_good and not any(name in table and table[name].type == "STRING" for name in carriers):
        section.problem(
            "", f'has no STRING column for the event id: COLUMN = "{row_id}". It distinguishes rows.'
        )
