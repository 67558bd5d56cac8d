"""Pub/Sub messages as HTTP requests bring them: through Eventarc, or pushed by a subscription of one's own.

==========================  ==========================================  ================================================
form                        how it is recognised                        what it carries
==========================  ==========================================  ================================================
unwrapped, with metadata    the header `x-goog-pubsub-message-id`       data as the body; id, time, ordering key and
                                                                        attributes as headers
CloudEvent, binary          headers that begin with `ce-`               the push body; the event's attributes as headers
CloudEvent, structured      the media type of a CloudEvent in JSON      the push body in the field `data`
wrapped                     a body with `message` and `subscription`    the push body
unwrapped, bare             anything else that has a body               data as the body, and nothing besides
==========================  ==========================================  ================================================

They are tried in this order. Where attributes travel as headers, a publisher can choose the name of a header: so what
Pub/Sub writes itself comes first, and one of its headers that is there twice makes the delivery invalid. Nothing of a
request chooses anything but the event.

Sources: https://cloud.google.com/pubsub/docs/push, https://cloud.google.com/pubsub/docs/payload-unwrapping,
https://cloud.google.com/eventarc/docs/cloudevents, and the HTTP binding of CloudEvents 1.0
(https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md).
"""

import base64
import binascii
from collections.abc import Callable, Iterable
from datetime import datetime
from urllib.parse import unquote

import msgspec

from enrichment.core.received import Received
from enrichment.errors import BadEventError, EnrichmentError, failure, release_frames
from enrichment.event import message
from enrichment.event.message import Message

_PUBSUB = b"x-goog-pubsub-"
_MESSAGE_ID = "x-goog-pubsub-message-id"
_PUBLISH_TIME = "x-goog-pubsub-publish-time"
_ORDERING_KEY = "x-goog-pubsub-ordering-key"
_CLOUD_EVENT = b"ce-"
_REQUIRED = ("id", "source", "specversion", "type")
_STRUCTURED = "application/cloudevents+json"

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Largest request of HTTP/1 that Cloud Run lets through (https://cloud.google.com/run/quotas). A message of 10 MB takes
13.4 MB in a push."""

# Headers of the request itself, of Google's front ends and of proxies. What remains of an unwrapped push are the
# message's attributes. Credentials must be among these: attributes are written to rows and to dead letters. So must
# what is new in each request, such as names of a trace: each delivery would be another content of its event.
_NOT_ATTRIBUTES = frozenset(
    {
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "api-key",
        "apikey",
        "authorization",
        "b3",
        "baggage",
        "cache-control",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "from",
        "function-execution-id",
        "grpc-trace-bin",
        "host",
        "keep-alive",
        "max-forwards",
        "origin",
        "pragma",
        "proxy-authorization",
        "referer",
        "sentry-trace",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "uber-trace-id",
        "upgrade",
        "user-agent",
        "via",
        "x-access-token",
        "x-amz-security-token",
        "x-amzn-trace-id",
        "x-api-key",
        "x-auth-token",
        "x-client-cert",
        "x-csrf-token",
        "x-cloud-trace-context",
        "x-real-ip",
        "x-request-id",
        "x-request-start",
    }
)
_NOT_ATTRIBUTE_PREFIXES = (
    "proxy-",
    "sec-",
    "x-appengine-",
    "x-b3-",
    "x-cloud-",
    "x-datadog-",
    "x-endpoint-",
    "x-envoy-",
    "x-forwarded-",
    "x-goog-",
    "x-google-",
    "x-ot-",
    "x-serverless-",
)


class NoPushError(ValueError):
    """A request is no delivery at all, so there is no message to keep; the message says why and quotes nothing."""


def read(headers: Iterable[tuple[bytes, bytes]], body: bytes, arrived_at: datetime) -> Received:
    """Read the message in a request, in whatever form it was pushed.

    Args:
        headers: The request's headers, names in lower case, as ASGI gives them.
        body: The request's body.
        arrived_at: When it arrived, in UTC: the time of a message whose delivery names none.

    Returns:
        The delivery. One that says what it is and does not hold it has an `envelope_invalid` for its message.

    Raises:
        NoPushError: The request is no delivery: it has no body, claims to be a CloudEvent and is none, or is encoded in
            another way than by gzip.
    """
    metadata: list[tuple[str, str]] = []
    extensions: dict[str, str] = {}
    content_type = content_encoding = ""
    headers = list(headers)
    for name, value in headers:
        if name.startswith(_CLOUD_EVENT):
            extensions[name[3:].decode("latin-1")] = value.decode("latin-1")
        elif name.startswith(_PUBSUB):
            metadata.append((name.decode("latin-1"), _text(value)))
        elif name == b"content-type":
            content_type = value.decode("latin-1").partition(";")[0].strip().lower()
        elif name == b"content-encoding":
            content_encoding = value.decode("latin-1").strip().lower()
    if any(name == _MESSAGE_ID for name, _ in metadata):
        return Received(body, _or_error(lambda: _unwrapped(metadata, headers, body)), {})
    # Beside metadata it is an attribute of the message, which the publisher has chosen.
    if content_encoding not in ("", "identity"):
        body = _decoded(body, content_encoding)
    if extensions:
        if missing := [name for name in _REQUIRED if not extensions.get(name)]:
            raise NoPushError(f"it has headers of a CloudEvent, but no ce-{missing[0]}")
        # Only what travels on is decoded: section 3.1.3.2 of the binding has values percent-encoded.
        if "traceparent" in extensions:
            extensions["traceparent"] = unquote(extensions["traceparent"])
        return Received(body, _or_error(lambda: message.read(body)), extensions)
    if content_type == _STRUCTURED:
        return _structured(body)
    if not body:
        raise NoPushError("it has neither a body nor the headers of a delivery")
    return Received(
        body, _or_error(lambda: message.read_wrapped(body) or message.unnamed(body, arrived_at)), {}
    )


def _decoded(body: bytes, content_encoding: str) -> bytes:
    """Return a body without the encoding that HTTP put around it (RFC 9110, section 8.4)."""
    if content_encoding not in ("gzip", "x-gzip"):
        raise NoPushError("its content-encoding is not gzip: send the body as it is, or in gzip")
    from enrichment.event import encoding  # which pushes do without

    try:
        return encoding.undo(body, ["gzip"], MAX_BODY_BYTES)
    except BadEventError as error:
        release_frames(error)
        raise NoPushError(
            f"its content-encoding is gzip, and its body is not, or holds more than {MAX_BODY_BYTES} bytes"
        ) from None


def _or_error(read_message: Callable[[], Message]) -> Message | EnrichmentError:
    try:
        return read_message()
    except BadEventError as error:
        return release_frames(error)


class _StructuredEvent(msgspec.Struct):
    id: str
    source: str
    specversion: str
    type: str
    data: msgspec.Raw = msgspec.Raw()
    data_base64: str = ""
    traceparent: object = ""


def _structured(body: bytes) -> Received:
    try:
        event = msgspec.json.decode(body, type=_StructuredEvent)
        inner = base64.b64decode(event.data_base64, validate=True) if event.data_base64 else bytes(event.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NoPushError("its media type is that of a CloudEvent, and its body is none") from None
    except binascii.Error:
        raise NoPushError(
            "its media type is that of a CloudEvent, and its data_base64 is no base64"
        ) from None
    extensions = {
        "id": event.id,
        "source": event.source,
        "specversion": event.specversion,
        "type": event.type,
    }
    if isinstance(event.traceparent, str) and event.traceparent:
        extensions["traceparent"] = event.traceparent
    return Received(body, _or_error(lambda: message.read(inner)), extensions)


def _unwrapped(metadata: list[tuple[str, str]], headers: list[tuple[bytes, bytes]], body: bytes) -> Message:
    known = dict(metadata)
    if len(known) != len(metadata):
        raise failure(
            "envelope_invalid",
            "the delivery does not hold a Pub/Sub message: one of its x-goog-pubsub headers is there twice",
        )
    return message.of_parts(
        data=body,
        attributes=_attributes(headers),
        message_id=known[_MESSAGE_ID],
        publish_time=known.get(_PUBLISH_TIME, ""),
        ordering_key=known.get(_ORDERING_KEY, ""),
    )


def _attributes(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for raw, value in headers:
        name = raw.decode("latin-1")
        if name not in _NOT_ATTRIBUTES and not name.startswith(_NOT_ATTRIBUTE_PREFIXES):
            attributes[name] = _text(value)
    return attributes


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
