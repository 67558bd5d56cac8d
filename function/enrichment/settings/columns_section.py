"""The part of `pipeline.toml` that says what is written where, checked against the table: `[columns]`."""

from collections.abc import Mapping

from enrichment.row import column_values, sources
from enrichment.row.sources import Source
from enrichment.settings.event_section import Declared, as_json
from enrichment.settings.lookup_rules import LookupRules
from enrichment.settings.model import Column, FieldType, Origin, TableField
from enrichment.settings.toml_section import Section, shown, suggestion

_WHOLE = {"JSON", "STRING", "RECORD"}  # what can take a whole event or profile


def read(
    section: Section, table: Mapping[str, TableField] | None, declared: Declared, lookup: LookupRules
) -> tuple[Column, ...]:
    """Reads `[columns]` and notes its mistakes.

    Args:
        section: The section.
        table: The columns of the table by name; None where it could not be read.
        declared: What makes an event.
        lookup: How its profile is looked up.

    Returns:
        The columns in the order of the file.
    """
    found: dict[str, Source | None] = {}
    columns = []
    for name in section.values:
        entry = _Entry(section, name)
        found[name] = source = entry.source()
        target = _target(section, name, table)
        if source is None or target is None:
            continue
        column = entry.column(target, source)
        if not _is_broken(source, declared):
            _check(entry, column, declared, lookup)
        columns.append(column)
    if table is not None:
        _check_table(section, table, found, declared)
    return tuple(columns)


class _Entry:
    """One line of the section: `name = "source"` or `name = { from = "source", default = ... }`."""

    def __init__(self, section: Section, name: str) -> None:
        spec = section.values[name]
        self._section, self._key = section, name
        self._text = spec
        self._default: object = None
        if isinstance(spec, dict):
            self._section, self._key = section.section(name), "from"
            self._section.refuse_others(("from", "default"))
            self._text = spec.get("from")
            self._default = spec.get("default")

    @property
    def has_default(self) -> bool:
        """Whether something stands in where the source has no value."""
        return self._default is not None

    def problem(self, what: str) -> None:
        """Notes a mistake of the source."""
        self._section.problem(self._key, f"is {shown(self._text)}; {what}")

    def source(self) -> Source | None:
        """The source, None where it is none."""
        if self._text is None:
            self._section.problem(self._key, f"is missing; it must be one of {sources.GRAMMAR}.")
        elif not isinstance(self._text, str):
            self.problem(f"it must be one of {sources.GRAMMAR}.")
        else:
            try:
                return sources.parse(self._text)
            except sources.SourceError as error:
                self.problem(f"{error}.{suggestion(self._text, sources.like(self._text))}")
        return None

    def column(self, target: TableField, source: Source) -> Column:
        """The column, with its default as BigQuery takes it."""
        default: object = None
        if self._default is not None and not _unwritable(target):
            try:
                default = column_values.convert(target, as_json(self._default))
            except ValueError as error:
                self._section.problem("default", f"is {shown(self._default)}; it {error}.")
        origin, path = source
        return Column(
            target.name, target.type, target.repeated, target.required, origin, path, default, target.fields
        )


def _target(section: Section, name: str, table: Mapping[str, TableField] | None) -> TableField | None:
    target = (table or {}).get(name)
    if table is not None and target is None:
        section.problem(name, f"is no column of the table.{suggestion(name, table)}")
    return target


def _is_broken(source: Source, declared: Declared) -> bool:
    return source[0] is Origin.EVENT and ".".join(source[1]) in declared.broken


def _check(entry: _Entry, column: Column, declared: Declared, lookup: LookupRules) -> None:
    """Notes why a column cannot take what its source gives, if it cannot."""
    source = (column.origin, column.path)
    kind = sources.type_of(source, declared.shape, next((echo.name for echo in lookup.echo), ""))
    whole = column.origin in (Origin.EVENT, Origin.PROFILE) and not column.path
    takes = f"{column.name} has the type {'repeated ' if column.repeated else ''}{column.type}, which takes"
    if unknown := _unwritable(column):
        entry.problem(f"{column.name} has the type {unknown} in it, which this function cannot write.")
    elif outer := _scalar_around(source, declared):
        entry.problem(f"{outer} is declared as {declared.fields[outer].type}, and has nothing inside.")
    elif whole and (column.repeated or column.type not in _WHOLE):
        entry.problem(f"{takes} no whole {column.origin}.")
    elif kind and (
        column.type not in column_values.TAKEN_BY[kind] or (column.repeated and kind is not FieldType.JSON)
    ):
        entry.problem(f"{takes} no {kind}.")
    elif (
        column.required
        and not entry.has_default
        and (why := sources.why_missing(source, declared.shape, lookup))
    ):
        entry.problem(f"the table requires {column.name}, but {why}, or give the column a default.")


def _unwritable(column: Column | TableField) -> str:
    """The first type in a column that rows cannot be written for, empty if there is none."""
    if column.type not in column_values.TYPES:
        return column.type
    return next(filter(None, map(_unwritable, column.fields)), "")


def _scalar_around(source: Source, declared: Declared) -> str:
    """The declared field that a source looks into although nothing can be inside of it, empty if there is none."""
    origin, path = source
    if origin is Origin.EVENT:
        for length in range(1, len(path)):
            outer = ".".join(path[:length])
            field = declared.fields.get(outer)
            if field is not None and outer not in declared.broken and field.type is not FieldType.JSON:
                return outer
    return ""


def _check_table(
    section: Section, table: Mapping[str, TableField], found: Mapping[str, Source | None], declared: Declared
) -> None:
    for target in table.values():
        if target.required and target.name not in found:
            section.problem(target.name, f"is missing, and the table requires it: {target.name} = SOURCE.")
    event_id: Source = (Origin.EVENT, declared.shape.id) if declared.shape.id else (Origin.MESSAGE, ("id",))
    carriers = [name for name, source in found.items() if source == event_id]
    if declared.id_is_good and not any(name in table and table[name].type == "STRING" for name in carriers):
        source = ".".join((event_id[0].value, *event_id[1]))
        section.problem(
            "", f'has no STRING column for the event id: COLUMN = "{source}". Rows are told apart by it.'
        )
