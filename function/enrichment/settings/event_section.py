"""The part of `pipeline.toml` that says what makes an event: `[event]`."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from enrichment.documents import strict_json
from enrichment.event import identity
from enrichment.event.field_values import checked
from enrichment.expressions import Expression, ExpressionError, compile_expression
from enrichment.row import MAX_ROW_BYTES
from enrichment.settings.model import (
    MAX_UNPACKED_BYTES,
    MOST_UNPACKED_BYTES,
    OF_ITEM,
    EventShape,
    Field,
    FieldType,
    Format,
    OnConflict,
)
from enrichment.settings.toml_section import Section, shown, suggestion

if TYPE_CHECKING:
    from enrichment.event.avro import AvroCodec

_ID_TYPES = (FieldType.STRING, FieldType.INTEGER)


@dataclass(frozen=True, slots=True)
class Declared:
    """Declarations of `[event]`.

    Args:
        shape: The same without its mistakes.
        fields: The fields by dotted name.
        broken: Those whose mistakes are noted already: nothing more can be said of them.
        roots: What an expression can begin with that is evaluated before anything is looked up.
        id_is_good: Whether it is known what names an event.
    """

    shape: EventShape
    fields: dict[str, Field]
    broken: set[str]
    roots: tuple[str, ...] = ("event", "message")
    id_is_good: bool = False


def read(section: Section, folder: Path) -> Declared:
    """Read `[event]` and note its mistakes.

    Args:
        section: The section.
        folder: Where the files are that it names: the pipeline's own.
    """
    section.refuse_others(
        (
            "encoding",
            "max_unpacked_bytes",
            "format",
            "schema",
            "id",
            "on_conflict",
            "drop",
            "each",
            "fields",
        )
    )
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
    data_format = Format(section.choice("format", Format, Format.JSON) or Format.JSON)
    roots = ("event", "message", *(("cloudevent",) if data_format is Format.CLOUDEVENTS else ()))
    each = _each(section, roots)
    shape = EventShape(
        id=(),
        fields=tuple(fields.values()),
        encodings=_encodings(section),
        max_unpacked_bytes=section.whole(
            "max_unpacked_bytes", MAX_UNPACKED_BYTES, 1, MOST_UNPACKED_BYTES, "bytes"
        ),
        format=data_format,
        avro=_schema(section, data_format, folder),
        on_conflict=OnConflict(
            section.choice("on_conflict", OnConflict, OnConflict.DEAD_LETTER) or OnConflict.DEAD_LETTER
        ),
        drop=_drop(section, roots) if "drop" in section.values else (),
        each=each[0] if each else None,
        each_inside=each[1:],
    )
    row_roots = (*roots, *OF_ITEM[: 3 if each[1:] else 2]) if each else roots
    declared = Declared(shape, fields, broken, row_roots)
    before = section.mistakes
    shape = replace(shape, id=_id(section, declared))
    return replace(declared, shape=shape, id_is_good=section.mistakes == before)


def _encodings(section: Section) -> tuple[str, ...]:
    if "encoding" not in section.values:
        return ()
    from enrichment.event import encoding

    found = section.values["encoding"]
    names = [found] if isinstance(found, str) else found
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        section.problem(
            "encoding",
            f"is {shown(found)}; it must be a list of {', '.join(encoding.ENCODINGS)}, the outermost first.",
        )
        return ()
    for name in names:
        if name not in encoding.ENCODINGS:
            section.problem(
                "encoding",
                f"has {shown(name)}; it must be one of {', '.join(encoding.ENCODINGS)}."
                f"{suggestion(name, encoding.ENCODINGS)}",
            )
    return tuple(name for name in names if name in encoding.ENCODINGS)


def _schema(section: Section, data_format: Format, folder: Path) -> "AvroCodec | None":
    if data_format is not Format.AVRO:
        if "schema" in section.values:
            section.problem("schema", f'is for format = "avro" alone, and the format is {data_format}.')
        return None
    path = section.file_beside("schema", "the file of the Avro schema", folder)
    if path is None:
        return None
    from enrichment.event import avro  # which loads its library

    try:
        return avro.codec(path)
    except avro.AvroSchemaError as error:
        section.problem("schema", f"is {shown(path.name)}: {error}.")
        return None


def _expression(section: Section, key: str, text: object, roots: tuple[str, ...]) -> Expression | None:
    if not isinstance(text, str) or not text:
        section.problem(key, f"is {shown(text)}; it must be an expression, such as event.type.")
        return None
    try:
        return compile_expression(text, roots)
    except ExpressionError as error:
        section.problem(key, f"is {shown(text)}; {error.sentence}")
        return None


def _expressions(section: Section, key: str, roots: tuple[str, ...]) -> tuple[Expression, ...]:
    found = section.values[key]
    texts = found if isinstance(found, list) else [found]
    if not texts:
        section.problem(key, "is an empty list; it must be an expression, or a list of them.")
    compiled = (_expression(section, key, text, roots) for text in texts)
    return tuple(one for one in compiled if one is not None)


def _drop(section: Section, roots: tuple[str, ...]) -> tuple[Expression, ...]:
    conditions = _expressions(section, "drop", roots)
    for condition in conditions:
        if not condition.paths:
            section.problem(
                "drop",
                f"is {shown(condition.text)}, which is the same for every event; write a condition on the event, such "
                "as event.type == 'test'.",
            )
    return conditions


def _each(section: Section, roots: tuple[str, ...]) -> tuple[Expression, ...]:
    """Return the array whose items make a row each, and the arrays inside of its items."""
    if "each" not in section.values:
        return ()
    found = section.values["each"]
    texts = found if isinstance(found, list) else [found]
    if not texts:
        section.problem("each", "is an empty list; it must be an expression, or a list of them.")
    inner = (*roots, "item", "parents")
    compiled = [
        _expression(section, "each", text, inner if number else roots) for number, text in enumerate(texts)
    ]
    for source in compiled[1:]:
        if source is not None and "item" not in source.roots:
            section.problem(
                "each",
                f"has {shown(source.text)}, which is the same for each item of the array before it; write item.PATH.",
            )
    return tuple(source for source in compiled if source is not None)


def _id(section: Section, declared: Declared) -> tuple[Expression, ...]:
    about = f'an expression such as "event.id" or "message.id", a list of them, or "{identity.CONTENT}"'
    if "id" not in section.values:
        section.problem("id", f"is missing; it must be {about}.")
        return ()
    if section.values["id"] == identity.CONTENT:
        return ()
    sources = _expressions(section, "id", declared.roots)
    for source in sources:
        if source.path == ("event",) or (source.kinds and not source.kinds & {"string", "number"}):
            section.problem("id", f"is {shown(source.text)}; it must be {about}.")
        elif source.is_plain and source.path[0] == "event":
            _check_id_field(section, ".".join(source.path[1:]), source, declared)
    return sources


def _check_id_field(section: Section, name: str, source: Expression, declared: Declared) -> None:
    field = declared.fields.get(name)
    if field is None:
        # A field need not be declared; one that is nearly the name of a declared one is a slip.
        if any(name.startswith(f"{outer}.") for outer in declared.fields):
            return
        if advice := suggestion(name, declared.fields):
            section.problem(
                "id", f"is {shown(source.text)}, and {name} is not declared in [event.fields].{advice}"
            )
    elif name not in declared.broken and not (field.type in _ID_TYPES and field.required):
        section.problem(
            "id",
            f"is {shown(source.text)}, and {name} must be declared as a required string or integer in [event.fields].",
        )


def _field(listed: Section, name: str) -> tuple[Field, bool]:
    """Return a declared field, and whether it is free of mistakes."""
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
    """Return a value of the file as JSON would bring it: times become text.

    Raises:
        ValueError: JSON cannot hold it.
    """
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if not strict_json.is_finite(value):
        raise ValueError("must be something that JSON can hold")
    try:
        return strict_json.parse(msgspec.json.encode(value))
    except strict_json.NotValidError as error:
        raise ValueError(f"must be something that JSON can hold: {error}") from None
