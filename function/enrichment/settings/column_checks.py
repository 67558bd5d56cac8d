"""Checks whether a column can take what its expression gives, as far as that is known before the first event."""

from collections.abc import Mapping

from enrichment.row import column_values
from enrichment.settings.event_section import Declared
from enrichment.settings.model import Column, FieldType, TableField
from enrichment.settings.roots import Root

_WHOLE = {"JSON", "STRING", "RECORD"}  # what can take a whole event or profile


def problem(column: Column, declared: Declared, roots: Mapping[str, Root]) -> str:
    """Return why a column cannot take its source, empty if nothing is known to be wrong.

    Args:
        column: The column.
        declared: What makes an event.
        roots: What is known of the values that its expression can begin with.
    """
    if unknown := unwritable(column):
        return f"{column.name} has the type {unknown} in it, which this function cannot write."
    if column.expression is None:
        return ""
    if any(_is_broken(path, declared) for path in column.expression.paths):
        return ""  # a mistake that is noted where the field is declared
    for path in column.expression.paths:
        if outer := _scalar_around(path, declared):
            return f"{outer} is declared as {declared.fields[outer].type}, and has nothing inside."
    return (
        _type_problem(column, roots) if column.expression.is_plain else _kind_problem(column)
    ) or _missing_problem(column, roots)


def unwritable(column: Column | TableField) -> str:
    """Return the first type in a column that rows cannot be written for, empty if there is none."""
    if column.type not in column_values.TYPES:
        return column.type
    return next(filter(None, map(unwritable, column.fields)), "")


def _takes(column: Column) -> str:
    return f"{column.name} has the type {'repeated ' if column.repeated else ''}{column.type}, which takes"


def _type_problem(column: Column, roots: Mapping[str, Root]) -> str:
    assert column.expression is not None  # noqa: S101 - for mypy; the caller asked
    name, *keys = column.expression.path
    root = roots[name]
    kind = root.type_of(tuple(keys))
    if not keys and root.comes_as_text:
        whole = column.type in _WHOLE and not column.repeated
        return "" if whole else f"{_takes(column)} no whole {name}."
    if kind is None:
        return ""
    fits = column.type in column_values.TAKEN_BY[kind]
    if kind is FieldType.TIMESTAMP and column.type == "DATE":
        return f"{_takes(column)} no timestamp. Write date({column.source})."
    if not fits or (column.repeated and kind is not FieldType.JSON):
        return f"{_takes(column)} no {kind}."
    return ""


def _kind_problem(column: Column) -> str:
    assert column.expression is not None  # noqa: S101 - for mypy; the caller asked
    kinds = column.expression.kinds - {"null"}
    if column.repeated:
        if kinds and "array" not in kinds:
            return f"{_takes(column)} lists, and the expression gives {_listed(kinds)}."
    elif kinds and not any(column.type in column_values.TAKEN_BY_KIND[kind] for kind in kinds):
        advice = " To write it as JSON text, put to_string() around it." if column.type == "STRING" else ""
        return f"{_takes(column)} no {_listed(kinds)}.{advice}"
    return ""


def _missing_problem(column: Column, roots: Mapping[str, Root]) -> str:
    """Why the table's demand for a value may not be met."""
    expression = column.expression
    if not column.required or column.default is not None or expression is None:
        return ""

    def is_there(path: tuple[str, ...]) -> bool:
        root, keys = roots[path[0]], path[1:]
        # What counts as false in JMESPath, such as {} or false, would be skipped by ||.
        counts_as_true = root.type_of(keys) not in (FieldType.BOOLEAN, FieldType.JSON, None)
        return counts_as_true and not root.why_missing(keys)

    if expression.is_plain:
        why = roots[expression.path[0]].why_missing(expression.path[1:])
        return f"the table requires {column.name}, but {why}, or give the column a default." if why else ""
    if expression.always_has_value(is_there):
        return ""
    return (
        f"the table requires {column.name}, but the expression may give null: end it with || and a value, or give the "
        "column a default."
    )


def _listed(kinds: frozenset[str]) -> str:
    return " or ".join(sorted(kinds))


def _event_names(path: tuple[str, ...]) -> list[str]:
    """The dotted names of a path into the event, the shortest first."""
    keys = path[1:] if path[0] == "event" else ()
    return [".".join(keys[:length]) for length in range(1, len(keys) + 1)]


def _is_broken(path: tuple[str, ...], declared: Declared) -> bool:
    return any(name in declared.broken for name in _event_names(path))


def _scalar_around(path: tuple[str, ...], declared: Declared) -> str:
    """The declared field that a path leads into although nothing can be inside of it, empty if there is none."""
    for name in _event_names(path)[:-1]:
        field = declared.fields.get(name)
        if field is not None and field.type is not FieldType.JSON:
            return name
    return ""
