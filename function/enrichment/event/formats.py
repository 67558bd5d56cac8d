"""The formats of messages and events: encodings undone, lines and arrays split, each event read into a document."""

import io
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from enrichment.documents import strict_json
from enrichment.errors import EnrichmentError, failure
from enrichment.event.message import Message
from enrichment.settings.model import EventShape, Format

MAX_EVENTS = 10_000
"""Most events in one message: each is looked up and written within the message's time."""

_ENVELOPE = ("id", "source", "specversion", "type")
_ATTRIBUTE = "ce-"
_JSON_SPACE = b" \t\r\n"


class Part(msgspec.Struct, frozen=True):
    """What a message holds of one event.

    Args:
        message: The message. Where it holds several events, as if it had been published for this one alone: its id
            ends in the event's number, and its data are the event's own.
        data: The event's bytes without their encodings.
        encodings: What `message.data` still lacks to be what would be published, the outermost first.
    """

    message: Message
    data: bytes
    encodings: tuple[str, ...] = ()

    def published(self) -> Message:
        """Return the message with the bytes that would be published for this event alone."""
        if not self.encodings:
            return self.message
        from enrichment.event import encoding

        return replace(self.message, data=encoding.redo(self.data, self.encodings))


class Document(msgspec.Struct, frozen=True):
    """An event's document.

    Args:
        document: The event, parsed.
        text: The same as JSON, as it came where it was JSON.
        cloudevent: The attributes of the CloudEvent around it; None where there is none.
    """

    document: dict[str, object]
    text: str
    cloudevent: Mapping[str, object] | None = None


def split(message: Message, shape: EventShape) -> list[Part]:
    """Return the events in a message, none of them parsed yet.

    Args:
        message: The message.
        shape: How its data are encoded, and which format they have.

    Raises:
        BadEventError: `data_undecodable`, an encoding cannot be undone; `json_invalid`, there is nothing in it;
            `event_invalid`, there are more than `MAX_EVENTS`, or more values than are read.
    """
    data = message.data
    if shape.encodings:
        from enrichment.event import encoding  # which few pipelines need

        data = encoding.undo(data, shape.encodings, shape.max_unpacked_bytes)
    if shape.format is Format.JSON or not _holds_several(message, data, shape):
        return [Part(message, data)]
    try:
        # Of all events together: their documents are in memory at the same time.
        strict_json.check_values(data)
    except strict_json.NotValidError as error:
        raise invalid(str(error)) from None
    found = _lines(data) if shape.format is Format.NDJSON else _elements(data)
    if len(found) == 1:
        return [Part(message, found[0])]
    if len(found) > MAX_EVENTS:
        raise failure(
            "event_invalid", f"the message holds more than {MAX_EVENTS} events: publish fewer in one"
        )
    return [
        Part(replace(message, message_id=f"{message.message_id}:{number}", data=one), one, shape.encodings)
        for number, one in enumerate(found)
    ]


def _holds_several(message: Message, data: bytes, shape: EventShape) -> bool:
    """Return whether the data may hold more than one event."""
    match shape.format:
        case Format.NDJSON:
            return True
        case Format.JSON_ARRAY:
            return _is_array(data)
        case Format.CLOUDEVENTS:
            # https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md#4-json-batch-format
            return _is_array(data) and f"{_ATTRIBUTE}specversion" not in message.attributes
        case _:
            return False


def _is_array(data: bytes) -> bool:
    return data.lstrip(_JSON_SPACE)[:1] == b"["


def _lines(data: bytes) -> list[bytes]:
    """Return the lines that are not blank."""
    # No list of all lines first: millions of short ones take several times the data's own size.
    found = (line.removesuffix(b"\n") for line in io.BytesIO(data) if not line.isspace())
    lines = list(itertools.islice(found, MAX_EVENTS + 1))
    if not lines:
        raise _not_json(data, "it is empty")
    return lines


def _elements(data: bytes) -> list[bytes]:
    """Return the texts of the values in a JSON array."""
    try:
        decoded = msgspec.json.decode(data, type=list[msgspec.Raw])
    except msgspec.DecodeError as error:
        # One bad element is no reason to refuse its neighbours, where it is known where it ends.
        if found := _elements_of_lenient_json(data):
            return found
        raise _not_json(data, str(error)) from None
    except RecursionError:
        raise invalid(strict_json.TOO_DEEP) from None
    if not decoded:
        raise invalid("its array is empty")
    return [bytes(element) for element in itertools.islice(decoded, MAX_EVENTS + 1)]


def _elements_of_lenient_json(data: bytes) -> list[bytes]:
    """Return the elements of an array that holds NaN or half of a surrogate pair; empty where it is no array at all."""
    decode = json.JSONDecoder().raw_decode
    found: list[bytes] = []
    try:
        text = data.decode().strip()
        at = 0  # where the bracket is, or the comma before the next element
        while not found or text[at] == ",":
            begin = _SPACE.match(text, at + 1).end()  # type: ignore[union-attr]  # it always matches
            _, end = decode(text, begin)
            found.append(text[begin:end].encode())
            at = _SPACE.match(text, end).end()  # type: ignore[union-attr]
    except (ValueError, IndexError, RecursionError):
        return []
    return found if text[at:] == "]" else []


_SPACE = re.compile(r"[ \t\r\n]*")


def read(part: Part, shape: EventShape) -> Document:
    """Read one event.

    Args:
        part: Its bytes.
        shape: Which format they have.

    Raises:
        BadEventError: `json_invalid`, they are not JSON; `event_invalid`, they are no event of the format.
    """
    match shape.format:
        case Format.AVRO:
            return _avro(part, shape)
        case Format.CLOUDEVENTS:
            return _cloudevent(part)
        case _:
            return _json(part.data, shape.format)


def _json(data: bytes, data_format: Format = Format.CLOUDEVENTS) -> Document:
    try:
        document = strict_json.parse(data)
    except strict_json.NotJsonError as error:
        raise _not_json(data, str(error), is_line=data_format is Format.NDJSON) from None
    except strict_json.NotValidError as error:
        raise invalid(str(error)) from None
    if isinstance(document, dict):
        return Document(document, data.decode())
    from enrichment.event import diagnosis  # for bad events alone

    raise invalid(diagnosis.of_no_object(document, may_be_array=data_format is Format.JSON))


def _avro(part: Part, shape: EventShape) -> Document:
    from enrichment.event.avro import AvroRecordError  # for a pipeline with Avro alone

    if shape.avro is None:
        raise TypeError("a pipeline that was checked has a schema for Avro")
    try:
        document = shape.avro.decode(part.data, part.message.attributes)
    except AvroRecordError as error:
        raise failure("data_undecodable", f"the data is not Avro as the schema says: {error}") from None
    except strict_json.NotValidError as error:
        raise invalid(str(error)) from None
    text = msgspec.json.encode(document)
    try:
        # Integers beyond 64 bits and names that are there twice cannot be, but the nesting may be too deep.
        strict_json.parse(text)
    except strict_json.NotValidError as error:
        raise invalid(str(error)) from None
    return Document(document, text.decode())


def _cloudevent(part: Part) -> Document:
    """Read a CloudEvent in a message, in structured or binary mode.

    In binary mode its attributes are the message's, with `ce-` before their names
    (https://github.com/google/knative-gcp/blob/main/docs/spec/pubsub-protocol-binding.md).
    """
    attributes: dict[str, object] = {
        name.removeprefix(_ATTRIBUTE): value
        for name, value in part.message.attributes.items()
        if name.startswith(_ATTRIBUTE)
    }
    if "specversion" in attributes:
        inner = _json(part.data)
        return msgspec.structs.replace(inner, cloudevent=_checked(attributes))
    envelope = _json(part.data).document
    raw = msgspec.json.decode(part.data, type=dict[str, msgspec.Raw])
    cloudevent = _checked(
        {name: value for name, value in envelope.items() if name not in ("data", "data_base64")}
    )
    encoded = envelope.get("data_base64")
    if encoded is not None:
        if envelope.get("data") is not None:
            raise invalid("the CloudEvent has both data and data_base64")
        try:
            data = msgspec.convert(encoded, bytes)
        except msgspec.ValidationError:
            raise invalid("data_base64 of the CloudEvent is no base64") from None
    else:
        data = bytes(raw.get("data", b"null"))
    if not isinstance(envelope.get("data"), dict) and encoded is None:
        raise invalid("data of the CloudEvent is not a JSON object")
    return msgspec.structs.replace(_json(data), cloudevent=cloudevent)


def _checked(cloudevent: dict[str, object]) -> dict[str, object]:
    for name in _ENVELOPE:
        found = cloudevent.get(name)
        if not isinstance(found, str) or not found:
            raise invalid(f"it is no CloudEvent, for its {name} is missing or no text")
    return cloudevent


def _not_json(data: bytes, parser_says: str, *, is_line: bool = False) -> EnrichmentError:
    from enrichment.event import diagnosis  # for bad events alone

    what = diagnosis.of_not_json(data, parser_says, is_line=is_line)
    return failure("json_invalid", f"the message is not JSON: {what}")


def invalid(problem: str) -> EnrichmentError:
    """Return the refusal of JSON that is not an event."""
    return failure("event_invalid", f"the message is not an event: {problem}")
