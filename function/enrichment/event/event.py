"""The event inside a message."""

from collections.abc import Mapping

import msgspec

from enrichment import documents
from enrichment.errors import BadEventError, failure
from enrichment.event import formats, identity
from enrichment.event.conditions import is_dropped
from enrichment.event.field_values import FieldValueError, checked
from enrichment.event.formats import Document, Part, invalid
from enrichment.event.message import Message
from enrichment.expressions import Scope, message_root
from enrichment.settings.model import EventShape, Field

MAX_PROBLEMS = 5
"""How many of an event's problems a detail names; the rest is a number."""


_NO_SCOPE = Scope({})


class Event(msgspec.Struct, frozen=True):
    """A decoded event.

    Args:
        event_id: What names the event; the same event published twice has the same one. The message's id where
            the id is one of each row, or a dropped event has no id.
        values: The declared fields by dotted name, checked, defaults filled in: timestamps are `datetime` in UTC, an
            optional field that has neither value nor default is None.
        document: The whole event, parsed.
        text: The whole event as it came, JSON.
        scope: What expressions find of it: the roots `event`, `message` and, where there is one, `cloudevent`.
        is_dropped: Whether it is to be acknowledged and not written. Its declared fields need not be right.
    """

    event_id: str
    values: Mapping[str, object]
    document: Mapping[str, object]
    text: str
    scope: Scope = _NO_SCOPE
    is_dropped: bool = False


def decode(part: Part, shape: EventShape) -> Event:
    """Decode and validate an event.

    Args:
        part: What its message holds of it.
        shape: What makes it an event.

    Returns:
        The event.

    Raises:
        BadEventError: `json_invalid`, the data is not JSON; `data_undecodable`, it is not what the format says;
            `event_invalid`, it is, but not an event: the detail names the fields, never their values.
    """
    found = formats.read(part, shape)
    values, wrong = check_fields(found.document, shape.fields)
    scope = scope_of(part.message, found, values)
    # Before the fields are required: an event of another kind need not have them.
    if is_dropped(shape, scope):
        event_id = _name_if_any(part, shape, scope)
        return Event(event_id, values, found.document, found.text, scope, is_dropped=True)
    if wrong:
        raise invalid(_listed([sentence for _, sentence in wrong]) + _wrapper(found))
    try:
        event_id = _name(part, shape, scope)
    except BadEventError as error:
        raise failure(error.reason, error.detail + _wrapper(found)) from None
    return Event(event_id, values, found.document, found.text, scope)


def scope_of(message: Message, found: Document, values: Mapping[str, object]) -> Scope:
    """Return what expressions find of an event: `event`, `message` and, where there is one, `cloudevent`.

    Args:
        message: The message that carried it.
        found: The event.
        values: Its declared fields, checked.
    """
    roots: dict[str, object] = {
        "event": found.document,
        "message": message_root(
            message.message_id, message.publish_time, message.ordering_key, message.attributes
        ),
    }
    if found.cloudevent is not None:
        roots["cloudevent"] = found.cloudevent
    return Scope(roots, values, {"event": found.text})


def check_fields(
    document: Mapping[str, object], fields: tuple[Field, ...]
) -> tuple[dict[str, object], list[tuple[str, str]]]:
    """Check the declared fields of an event.

    Args:
        document: The event.
        fields: What is declared.

    Returns:
        The good values by dotted name, defaults filled in; and the name of each bad field with what is wrong.
    """
    values: dict[str, object] = {}
    problems: list[tuple[str, str]] = []
    for field in fields:
        name = field.name
        try:
            value = documents.find(document, field.path)
            if value is not None:
                values[name] = checked(field, value)
            elif field.required:
                problems.append((name, f"{name} is missing"))
            else:
                values[name] = field.default
        except FieldValueError as error:
            problems.append((name, f"{name} {error}"))
        except documents.NoObjectError:
            problems.append((name, f"{name} cannot be found, for a part of the way to it is no object"))
    return values, problems


def _name(part: Part, shape: EventShape, scope: Scope) -> str:
    if not shape.id:
        return identity.hashed(part.data)
    return part.message.message_id if shape.id_is_of_items else identity.identify(shape.id, scope)


def _name_if_any(part: Part, shape: EventShape, scope: Scope) -> str:
    try:
        return _name(part, shape, scope)
    except BadEventError:
        return part.message.message_id


def _wrapper(found: Document) -> str:
    from enrichment.event import diagnosis  # for bad events alone

    return diagnosis.of_wrapper(found.document)


def _listed(problems: list[str]) -> str:
    more = len(problems) - MAX_PROBLEMS
    return "; ".join(problems[:MAX_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
