"""The part of `pipeline.toml` that says what makes an event: `[event]`."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time

import msgspec

from enrichment.documents import strict_json
from enrichment.event import MAX_EVENT_ID_LENGTH
from enrichment.event.field_values import checked
from enrichment.row import MAX_ROW_BYTES
from enrichment.settings.model import EventShape, Field, FieldType
from enrichment.settings.toml_section import Section, is_finite, shown, suggestion


@dataclass(frozen=True, slots=True)
class Declared:
    """What `[event]` declares.

    Args:
        shape: The same without its mistakes.
        fields: The fields by dotted name.
        broken: Those whose mistakes are noted already: nothing more can be said of them.
        id_is_good: Whether it is known what names an event.
    """

    shape: EventShape
    fields: dict[str, Field]
    broken: set[str]
    id_is_good: bool = False

    def required_string(self, name: str) -> str:
        """What is wrong with a field that must be a required string; empty if nothing is, or nothing can be said."""
        field = self.fields.get(name)
        if field is None:
            return f"is not declared in [event.fields].{suggestion(name, self.fields)}"
        if name not in self.broken and not (field.type is FieldType.STRING and field.required):
            return "must be declared as a required string in [event.fields]."
        return ""


def read(section: Section) -> Declared:
    """Reads `[event]` and notes its mistakes."""
    section.refuse_others(("id", "fields"))
    fields: dict[str, Field] = {}
    broken: set[str] = set()
    listed = section.section("fields")
    for name in listed.values:
        fields[name], good = _field(listed, name)
        if not good:
            broken.add(name)
    for name, field in fields.items():
        for length in range(1, len(field.path)):
            outer = ".".join(field.path[:length])
            if outer in fields and outer not in broken and fields[outer].type is not FieldType.JSON:
                listed.problem(name, f"stands in {outer}, which is declared as {fields[outer].type}.")
    declared = Declared(EventShape(None, tuple(fields.values())), fields, broken)
    before = section.mistakes
    shape = replace(declared.shape, id=_id(section, declared))
    return replace(declared, shape=shape, id_is_good=section.mistakes == before)


def _id(section: Section, declared: Declared) -> tuple[str, ...] | None:
    about = '"message.id", or "event." and a declared field'
    text = section.text("id", about)
    if text is None or text == "message.id":
        return None
    root, dot, name = text.partition(".")
    if root != "event" or not dot:
        section.problem("id", f"is {shown(text)}; it must be {about}.")
        return None
    if wrong := declared.required_string(name):
        section.problem("id", f"is {shown(text)}, and {name} {wrong}")
    elif name not in declared.broken and declared.fields[name].max_length > MAX_EVENT_ID_LENGTH:
        section.problem(
            "id",
            f"is {shown(text)}, so {name} needs max_length = {MAX_EVENT_ID_LENGTH} or less: BigQuery takes no longer "
            "insertId.",
        )
    return tuple(name.split("."))


def _field(listed: Section, name: str) -> tuple[Field, bool]:
    """A declared field, and whether it is free of mistakes."""
    before = listed.mistakes
    path = tuple(name.split("."))
    if not all(path):
        listed.problem(name, "is no name of a field: a key between its dots is empty.")
    elif not name.isprintable():
        listed.problem(name, "is no name of a field: it has a character that cannot be seen.")
    spec = listed.values[name]
    if isinstance(spec, str):
        field = Field(path, _type(listed, name, spec))
    elif isinstance(spec, dict):
        field = _detailed(listed.section(name), path, spec)
    else:
        listed.problem(name, f"is {shown(spec)}; it must be a type, or a table with a type.")
        field = Field(path, FieldType.JSON)
    return field, listed.mistakes == before


def _type(section: Section, key: str, name: str) -> FieldType:
    if name in set(FieldType):
        return FieldType(name)
    section.problem(
        key, f"is {shown(name)}; it must be one of {', '.join(FieldType)}.{suggestion(name, FieldType)}"
    )
    return FieldType.JSON


def _detailed(section: Section, path: tuple[str, ...], spec: dict[str, object]) -> Field:
    known = ("type", "required", "default", "max_length")
    if "type" not in spec and not any(key in spec for key in known):
        inner = ".".join((*path, next(iter(spec), "FIELD")))
        section.problem("", f'has no type. A field inside of it is declared with quotes: "{inner}".')
        return Field(path, FieldType.JSON)
    section.refuse_others(known)
    kind = FieldType(section.choice("type", FieldType) or FieldType.JSON)
    field = Field(path, kind, section.flag("required", default="default" not in spec))
    if "max_length" in spec:
        if kind is not FieldType.STRING:
            section.problem("max_length", f"is for strings alone, and the type is {kind}.")
        field = replace(
            field, max_length=section.whole("max_length", field.max_length, 1, MAX_ROW_BYTES, "characters")
        )
    if "default" in spec:
        if field.required:
            section.problem("default", "is never used, for the field is required: leave one of the two out.")
        field = replace(field, default=_default(section, field, spec["default"]))
    return field


def _default(section: Section, field: Field, value: object) -> object:
    try:
        return checked(field, as_json(value))
    except ValueError as error:
        section.problem("default", f"is {shown(value)}; it {error}.")
        return None


def as_json(value: object) -> object:
    """A value of the file as JSON would bring it: times become text.

    Raises:
        ValueError: JSON cannot hold it.
    """
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if not is_finite(value):
        raise ValueError("must be something that JSON can hold")
    try:
        return strict_json.parse(msgspec.json.encode(value))
    except strict_json.NotValidError as error:
        raise ValueError(f"must be something that JSON can hold: {error}") from None
