"""Sources of columns: what is known of their values before the first event, and whether a column can take them."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from enrichment.row import column_values
from enrichment.settings.event_section import Declared
from enrichment.settings.lookup_rules import DeclaredField, LookupRules
from enrichment.settings.model import Column, EventShape, FieldType, TableField

Path = tuple[str, ...]

_NEED_NOT = "it need not have it: make the column NULLABLE"

# https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#required-attributes
_ALWAYS_IN_CLOUDEVENT = ((), ("id",), ("source",), ("specversion",), ("type",))

_WHOLE = {"JSON", "STRING", "RECORD"}  # what can take a whole event or profile


class Root(msgspec.Struct, frozen=True):
    """One root.

    Args:
        type_of: The type of what stands under some keys; None where the event or the service decides.
        why_missing: Why there may be nothing under some keys, and what to do if there must be; empty if there always
            is a value.
        comes_as_text: Whether the whole root is JSON text, which a STRING or JSON column takes as it came.
    """

    type_of: Callable[[Path], FieldType | None]
    why_missing: Callable[[Path], str]
    comes_as_text: bool = False


def known(declared: Declared, lookups: Sequence[LookupRules]) -> dict[str, Root]:
    """Return the roots of a column's expression by name.

    Args:
        declared: What makes an event.
        lookups: The lookups.
    """
    return {
        "event": _event(declared.shape),
        **{rules.name: _looked_up(rules) for rules in lookups},
        "message": Root(_type_in_message, _why_missing_in_message),
        **(
            {"cloudevent": Root(lambda _: None, _why_missing_in_cloudevent)}
            if "cloudevent" in declared.roots
            else {}
        ),
        **({"item": Root(lambda _: None, lambda _: _NEED_NOT)} if "item" in declared.roots else {}),
        **({"parents": Root(lambda _: None, lambda _: _NEED_NOT)} if "parents" in declared.roots else {}),
        **({"index": Root(lambda _: FieldType.INTEGER, lambda _: "")} if "index" in declared.roots else {}),
        "row": Root(lambda _: FieldType.STRING, lambda _: ""),
        "trace": Root(lambda _: FieldType.STRING, lambda _: ""),
        "now": Root(lambda _: FieldType.TIMESTAMP, lambda _: ""),
    }


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
    ) or _missing_problem(column, roots, declared)


def unwritable(column: Column | TableField) -> str:
    """Return the first type in a column that rows cannot be written for, empty if there is none."""
    if column.type not in column_values.TYPES:
        return column.type
    return next(filter(None, map(unwritable, column.fields)), "")


def _event(shape: EventShape) -> Root:
    fields = {field.path: field for field in shape.fields}

    def type_of(path: Path) -> FieldType | None:
        if not path:
            return FieldType.JSON
        return fields[path].type if path in fields else None

    def why_missing(path: Path) -> str:
        if not path:
            return ""
        if path not in fields:
            return "no event is checked for it: declare it in [event.fields]"
        field = fields[path]
        return "" if field.required or field.default is not None else "it is not required: require it"

    return Root(type_of, why_missing, comes_as_text=True)


def _looked_up(rules: LookupRules) -> Root:
    repeated = {echo.field for echo in rules.echo}
    # A declared field that is a key is a string; what an expression gives may be an integer as well.
    are_texts = rules.takes_one_key and all(
        isinstance(value, DeclaredField) for value in rules.values.values()
    )

    def type_of(path: Path) -> FieldType | None:
        if not path:
            return FieldType.JSON
        return FieldType.STRING if are_texts and path in repeated else None

    def why_missing(path: Path) -> str:
        if rules.why_absent:
            return f"{rules.why_absent} writes rows without a profile: make the column NULLABLE"
        if path and path not in repeated:
            return "no profile is checked for it: make the column NULLABLE"
        return ""

    return Root(type_of, why_missing, comes_as_text=True)


def _type_in_message(path: Path) -> FieldType | None:
    if path == ("publish_time",):
        return FieldType.TIMESTAMP
    return FieldType.JSON if path in ((), ("attributes",)) else FieldType.STRING


def _why_missing_in_message(path: Path) -> str:
    if path in ((), ("id",), ("publish_time",), ("attributes",)):
        return ""
    return "a message need not have it: make the column NULLABLE"


def _why_missing_in_cloudevent(path: Path) -> str:
    return "" if path in _ALWAYS_IN_CLOUDEVENT else _NEED_NOT


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


def _missing_problem(column: Column, roots: Mapping[str, Root], declared: Declared) -> str:
    """Why the table's demand for a value may not be met."""
    expression = column.expression
    if not column.required or column.default is not None or expression is None:
        return ""
    if any(part.text == expression.text for part in declared.shape.id):
        return ""  # an event without a part of its id has no row

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
    """Return the dotted names of a path into the event, the shortest first."""
    keys = path[1:] if path[0] == "event" else ()
    return [".".join(keys[:length]) for length in range(1, len(keys) + 1)]


def _is_broken(path: tuple[str, ...], declared: Declared) -> bool:
    return any(name in declared.broken for name in _event_names(path))


def _scalar_around(path: tuple[str, ...], declared: Declared) -> str:
    """Return the declared field that a path leads into although nothing can be inside of it, empty if there is none."""
    for name in _event_names(path)[:-1]:
        field = declared.fields.get(name)
        if field is not None and field.type is not FieldType.JSON:
            return name
    return ""
