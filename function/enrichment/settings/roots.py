"""What is known before the first event of the values that a column's expression can begin with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from enrichment.settings.event_section import Declared
from enrichment.settings.model import EventShape, FieldType, LookupRules, OnMiss

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Root:
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


def known(declared: Declared, lookups: Mapping[str, LookupRules]) -> dict[str, Root]:
    """Return the roots of a column's expression by name.

    Args:
        declared: What makes an event.
        lookups: The lookups by name.
    """
    return {
        "event": _event(declared.shape),
        **{name: _looked_up(rules) for name, rules in lookups.items()},
        "message": Root(_type_in_message, _why_missing_in_message),
        "trace": Root(lambda _: FieldType.STRING, lambda _: ""),
        "now": Root(lambda _: FieldType.TIMESTAMP, lambda _: ""),
    }


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
    def type_of(path: Path) -> FieldType | None:
        if not path:
            return FieldType.JSON
        return FieldType.STRING if path == (rules.echo,) else None

    def why_missing(path: Path) -> str:
        if rules.on_miss is OnMiss.WRITE:
            return 'on_miss = "write" writes rows without a profile: make the column NULLABLE'
        if path not in ((), (rules.echo,)):
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
