"""What a column can be filled from, as `pipeline.toml` writes it.

=============================  =====================================================================================
source                         what it is
=============================  =====================================================================================
`event`                        the whole event, as it came
`event.PATH`                   a field of the event; dots part the keys on the way: `event.order.total`
`profile`, `profile.PATH`      the same of the profile
`message.id`                   Pub/Sub's id of the message
`message.publish_time`         when it was published, by Pub/Sub's clock
`message.ordering_key`         its ordering key
`message.attributes.NAME`      one of its attributes; all behind `attributes.` is the name, dots included
`trace.id`                     the trace that the event belongs to, 32 hexadecimal digits
`now`                          when the row was built
=============================  =====================================================================================

A key with a dot in it cannot be written: take the object around it, as JSON.
"""

from enrichment.settings.lookup_rules import LookupRules, OnMiss
from enrichment.settings.model import EventShape, FieldType, Origin

GRAMMAR = (
    "event, event.PATH, profile, profile.PATH, message.id, message.publish_time, message.ordering_key, "
    "message.attributes.NAME, trace.id or now"
)

Source = tuple[Origin, tuple[str, ...]]


class SourceError(ValueError):
    """A text is not the name of a source; the message says why."""


def parse(text: str) -> Source:
    """Reads the name of a source.

    Args:
        text: As people write it.

    Returns:
        The origin, and the path in it.

    Raises:
        SourceError: it is none of the above.
    """
    origin, dot, rest = text.partition(".")
    if origin in (Origin.EVENT, Origin.PROFILE):
        return Origin(origin), parse_path(rest) if dot else ()
    if text in _SINGLE:
        return _SINGLE[text]
    if text.startswith(_ATTRIBUTE) and text != _ATTRIBUTE:
        return Origin.MESSAGE, ("attributes", text.removeprefix(_ATTRIBUTE))
    raise SourceError(f"it must be one of {GRAMMAR}")


def like(text: str) -> tuple[str, ...]:
    """Names of sources that somebody may have meant with a text that is none."""
    return *_SINGLE, "event", "profile", _ATTRIBUTE + text.rpartition(".")[2]


def parse_path(text: str) -> tuple[str, ...]:
    """Reads the keys on the way to a field: `order.total`.

    Raises:
        SourceError: a key is empty, or has a character that cannot be seen.
    """
    path = tuple(text.split("."))
    if not all(path):
        raise SourceError("a key between its dots is empty")
    if not text.isprintable():
        raise SourceError("it has a character that cannot be seen")
    return path


def type_of(source: Source, shape: EventShape, echo: str) -> FieldType | None:
    """What type a source's values are known to have, None where that is up to the event or the profile."""
    match source:
        case Origin.EVENT | Origin.PROFILE, ():
            return FieldType.JSON
        case Origin.EVENT, path:
            return next((field.type for field in shape.fields if field.path == path), None)
        case Origin.PROFILE, path:
            return FieldType.STRING if path == (echo,) else None
        case (Origin.MESSAGE, ("publish_time",)) | (Origin.NOW, _):
            return FieldType.TIMESTAMP
        case _:
            return FieldType.STRING


def why_missing(source: Source, shape: EventShape, lookup: LookupRules) -> str:
    """Why there may be no value, and what to do if there must be one.

    Args:
        source: Where the value comes from.
        shape: What makes an event.
        lookup: How its profile is looked up.

    Returns:
        The reason and the advice; empty if there always is a value.
    """
    origin, path = source
    if origin is Origin.EVENT and path:
        field = next((field for field in shape.fields if field.path == path), None)
        if field is None:
            return "no event is checked for it: declare it in [event.fields]"
        return "" if field.required or field.default is not None else "it is not required: require it"
    if origin is Origin.PROFILE and lookup.on_miss is OnMiss.WRITE:
        return 'on_miss = "write" writes rows without a profile: make the column NULLABLE'
    if origin is Origin.PROFILE and path not in ((), *(echo.field for echo in lookup.echo)):
        return "no profile is checked for it: make the column NULLABLE"
    if origin is Origin.MESSAGE and path not in (("id",), ("publish_time",)):
        return "a message need not have it: make the column NULLABLE"
    return ""


_SINGLE: dict[str, Source] = {
    "message.id": (Origin.MESSAGE, ("id",)),
    "message.publish_time": (Origin.MESSAGE, ("publish_time",)),
    "message.ordering_key": (Origin.MESSAGE, ("ordering_key",)),
    "trace.id": (Origin.TRACE, ("id",)),
    "now": (Origin.NOW, ()),
}
_ATTRIBUTE = "message.attributes."
