"""The event inside a message."""

from collections.abc import Mapping
from dataclasses import dataclass

from enrichment import documents
from enrichment.documents import strict_json
from enrichment.errors import EnrichmentError, failure
from enrichment.event.field_values import FieldValueError, checked, is_name
from enrichment.event.message import Message
from enrichment.expressions import Scope, message_root
from enrichment.settings.model import EventShape, Field

MAX_EVENT_ID_LENGTH = 128
"""Longest insertId BigQuery takes (https://cloud.google.com/bigquery/quotas#streaming_inserts)."""

MAX_PROBLEMS = 5
"""How many of an event's problems a detail names; the rest is a number."""


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded event.

    Args:
        event_id: What names the event and its row; the same event published twice has the same one.
        values: The declared fields by dotted name, checked, defaults filled in: timestamps are `datetime` in UTC, an
            optional field that has neither value nor default is None.
        document: The whole event, parsed.
        text: The whole event as it came, JSON.
    """

    event_id: str
    values: Mapping[str, object]
    document: Mapping[str, object]
    text: str


def decode(message: Message, shape: EventShape) -> Event:
    """Decodes and validates an event.

    Args:
        message: The message; its data must be one JSON object.
        shape: What makes it an event.

    Returns:
        The event.

    Raises:
        BadEventError: `json_invalid`, the data is not JSON; `event_invalid`, it is, but not an event: the detail names
            the fields, never their values.
    """
    try:
        document = strict_json.parse_object(message.data)
    except strict_json.NotJsonError as error:
        raise failure("json_invalid", f"the message is not JSON: {error}") from None
    except strict_json.NotValidError as error:
        raise _invalid(str(error)) from None
    values, wrong = check_fields(document, shape.fields)
    problems = [problem for _, problem in wrong]
    event_id = message.message_id if shape.id is None else values.get(".".join(shape.id))
    if shape.id is None and not is_name(event_id, MAX_EVENT_ID_LENGTH):
        problems.append(f"message.id must be a string of 1 to {MAX_EVENT_ID_LENGTH} characters")
    if problems:
        raise _invalid(_listed(problems))
    # A configuration that was checked declares it as a required string.
    return Event(str(event_id), values, document, message.data.decode())


def scope(event: Event, message: Message) -> Scope:
    """Return what an expression can use of an event and the message that carried it."""
    root = message_root(message.message_id, message.publish_time, message.ordering_key, message.attributes)
    return Scope({"event": event.document, "message": root}, event.values, {"event": event.text})


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


def _listed(problems: list[str]) -> str:
    more = len(problems) - MAX_PROBLEMS
    return "; ".join(problems[:MAX_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")


def _invalid(problem: str) -> EnrichmentError:
    return failure("event_invalid", f"the message is not an event: {problem}")
