"""What data really is that cannot be read as JSON, in words that say what to do about it.

A parser knows the byte at which it stopped. That is no help where the data is compressed, in another character set or
several texts in one. Nothing of the data is quoted.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping

_SETTING = "in [event] of pipeline.toml"
_GZIP = b"\x1f\x8b"
_BASE64 = re.compile(
    rb"[A-Za-z0-9+/]+={0,2}"
)  # no two parts take the same byte: linear whatever the data are
# https://datatracker.ietf.org/doc/html/rfc8878#section-3.1.1, https://avro.apache.org/docs/1.12.0/specification
_FOREIGN = {
    b"\x28\xb5\x2f\xfd": "it is compressed with zstd, which this function cannot undo: publish it with gzip",
    b"Obj\x01": "it is a file of Avro with its schema inside: publish each record by itself, as Pub/Sub's schemas ask",
    b"PK\x03\x04": "it is a zip file: publish it with gzip",
    b"BZh": "it is compressed with bzip2, which this function cannot undo: publish it with gzip",
    b"\xfd7zXZ": "it is compressed with xz, which this function cannot undo: publish it with gzip",
    b"\x04\x22\x4d\x18": "it is compressed with lz4, which this function cannot undo: publish it with gzip",
    b"\xff\x06\x00\x00sNaPpY": "it is compressed with Snappy, which this function cannot undo: publish it with gzip",
    b"PAR1": "it is a file of Parquet: publish each record by itself, as a JSON object",
    b"ORC": "it is a file of ORC: publish each record by itself, as a JSON object",
    b"\xff\xfe\x00\x00": "it is UTF-32: publish it in UTF-8",
    b"\x00\x00\xfe\xff": "it is UTF-32: publish it in UTF-8",
}
# https://cloud.google.com/pubsub/docs/reference/rest/v1/PubsubMessage
_OF_A_MESSAGE = frozenset({"data", "attributes", "messageId", "message_id", "publishTime", "publish_time"})
# https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#required-attributes
_OF_A_CLOUDEVENT = frozenset({"id", "source", "specversion", "type"})
_JSON_STARTS = (b"{", b"[")
_PART_OF_JSON = re.compile(rb"""[{}\[\],"]|(?:true|false|null|-?\d[\d.eE+-]*)(?:[\s,}\]]|$)""")
_XML = re.compile(rb"<[A-Za-z?!/]")
_UNQUOTED = re.compile(rb"[\[{\s]*(?:'|[A-Za-z_$][\w$]*\s*:)")
_SEPARATORS = (b",", b";", b"\t", b"|")
_TEXT_BYTES = bytes({*range(0x20, 0x100), *b"\t\n\r\f"})
_RECORD_SEPARATOR = b"\x1e"  # https://datatracker.ietf.org/doc/html/rfc7464
_DOES_NOT_READ = "which this function does not read: publish"
_FORM = re.compile(rb"[^\s={}\[\]\"&]+=[^\s={}\[\]\"&]*(?:&[^\s={}\[\]\"&]+=[^\s={}\[\]\"&]*)*+")
# https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format: a zero
# byte and the schema's number of 4 bytes stand before the record.
_CONFLUENT_BYTES = 5


def of_not_json(data: bytes, parser_says: str, *, is_line: bool = False) -> str:
    """Say what data is that is not JSON.

    Args:
        data: The data as it was read, after what `encoding` undoes.
        parser_says: The parser's own words, for what is nothing else but wrong JSON.
        is_line: Whether the data is a line of `format = "ndjson"`.

    Returns:
        One sentence without its full stop, to follow "the message is not JSON: ".
    """
    if not data.strip():
        return "it is empty" if not data else "it is blank"
    for mark, what in _FOREIGN.items():
        if data.startswith(mark):
            return what
    said = _encoded(data) or _several(data) or _nearly_json(data)
    return said or (is_line and _part_of_a_document(data, parser_says)) or parser_says


def of_no_object(document: object, *, may_be_array: bool) -> str:
    """Say what JSON is that is no object.

    Args:
        document: What was read.
        may_be_array: Whether another setting would make events of an array's elements.

    Returns:
        One sentence without its full stop, to follow "the message is not an event: ".
    """
    match document:
        case list() if not may_be_array:
            what = "an array"
        case list() if document and all(map(_is_cloudevent, document)):
            what = f'an array of CloudEvents: set format = "cloudevents" {_SETTING}'
        case list():
            what = f'an array: to make an event of each element, set format = "json-array" {_SETTING}'
        case str() if document.lstrip().startswith(("{", "[")):
            what = "a text that holds JSON: publish the object itself, which was written as JSON twice"
        case str():
            what = "a text"
        case None:
            what = "null"
        case bool():
            what = "a boolean"
        case _:
            what = "a number"
    return f"it is not a JSON object but {what}"


def of_wrapper(document: Mapping[str, object]) -> str:
    """Say what an object is that is no event, where it is something around an event.

    Args:
        document: What was read, which lacks what every event has.

    Returns:
        One clause that begins with a semicolon; empty where it is nothing known.
    """
    inner = document.get("message")
    if isinstance(inner, Mapping) and inner.keys() & _OF_A_MESSAGE:
        if isinstance(document.get("subscription"), str):
            return (
                "; it is the body of a push, published or sent as data: publish the event alone, and where a program "
                "sends pushes, write subscription as projects/P/subscriptions/S"
            )
        return (
            "; it looks like the body of a push without its subscription: send it with "
            '"subscription": "projects/P/subscriptions/S" beside message, or send the event alone'
        )
    if _is_cloudevent(document):
        return (
            f'; it is a CloudEvent: set format = "cloudevents" {_SETTING}, or begin the paths with event.data'
        )
    return ""


def _is_cloudevent(document: object) -> bool:
    return isinstance(document, Mapping) and document.keys() >= _OF_A_CLOUDEVENT


def _encoded(data: bytes) -> str:
    """Name the encoding that the data is in, and the setting that undoes it; empty if it is in none."""
    if data.startswith(_GZIP):
        return f'it is compressed with gzip: set encoding = ["gzip"] {_SETTING}'
    if data[0] == 0x78 and len(data) > 1 and int.from_bytes(data[:2], "big") % 31 == 0:
        return f'it is compressed with zlib: set encoding = ["zlib"] {_SETTING}'
    if data.startswith(b"\xef\xbb\xbf"):
        return f'it begins with a byte order mark: set encoding = ["utf-8-bom"] {_SETTING}'
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data[:2]:
        return _utf_16_or_confluent(data)
    names, what = _layers(data, _MAX_LAYERS)
    if names:
        inside_out = " in ".join([what, *reversed(names)] if what else reversed(names))
        return f"it is {inside_out}: set encoding = {json.dumps(names)} {_SETTING}"
    return ""


def _layers(data: bytes, most: int) -> tuple[list[str], str]:
    """Return the encodings around data that is in base64, the outermost first, and what they hold, if it is no gzip.

    Relays put base64 around base64: that of a queue around that of its source.
    """
    text = data.rstrip().translate(_URL_SAFE, b"\r\n")
    if not most or not _BASE64.fullmatch(text):
        return [], ""
    try:
        inner = base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return [], ""
    if inner.startswith(_GZIP):
        return ["base64", "gzip"], ""
    if inner.lstrip().startswith(_JSON_STARTS):
        return ["base64"], "JSON"
    names, what = _layers(inner, most - 1)
    return (["base64", *names], what) if names else ([], "")


_MAX_LAYERS = 3


_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def _utf_16_or_confluent(data: bytes) -> str:
    is_marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    begins_as_json = data[:2].strip(b"\x00").strip() in (b"", *_JSON_STARTS) and data[:2] != b"\x00\x00"
    if len(data) % 2 == 0 and b"\x00" in data and (is_marked or begins_as_json):
        return f'it is UTF-16: set encoding = ["utf-16"] {_SETTING}'
    if data.startswith(b"\x00") and len(data) > _CONFLUENT_BYTES:
        return (
            "it begins with a zero byte, as records of Kafka with a schema registry do: publish JSON, or the Avro "
            "record without the registry's 5 bytes"
        )
    return ""


def _several(data: bytes) -> str:
    if data.startswith(_RECORD_SEPARATOR):
        return (
            "it is a sequence of JSON texts (RFC 7464): publish each by itself, or one a line with "
            f'format = "ndjson" {_SETTING}'
        )
    first, newline, rest = data.strip().partition(b"\n")
    if newline and rest and first.lstrip().startswith(_JSON_STARTS):
        try:
            json.loads(first)
            json.loads(rest.lstrip().partition(b"\n")[0])
        except (ValueError, RecursionError):
            pass
        else:
            return f'it holds one JSON text a line: set format = "ndjson" {_SETTING}'
    if data.lstrip().startswith(_JSON_STARTS):
        try:
            text = data.decode().lstrip()
            _, end = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            return ""
        if text[end:].lstrip().startswith(("{", "[")):
            return (
                "it holds several JSON texts, one behind the other: publish each by itself, or one a line with "
                f'format = "ndjson" {_SETTING}'
            )
    return ""


def _part_of_a_document(data: bytes, parser_says: str) -> str:
    """Name a line of a document that was written over several lines, such as by a pretty-printer."""
    line = data.strip()
    if "truncated" in parser_says or line.startswith((b"}", b"]", b'"')) or line.endswith((b",", b"{", b"[")):
        return (
            f'the line is a part of a value: if several lines are one document, set format = "json" {_SETTING}, '
            "else publish each event whole on one line"
        )
    return ""


def _nearly_json(data: bytes) -> str:
    """Say what a lenient parser takes and JSON does not have."""
    trimmed = data.strip()
    is_like_json = _PART_OF_JSON.match(trimmed) is not None
    if not is_like_json and data.translate(None, _TEXT_BYTES):
        return (
            f"it is binary, such as Protobuf or MessagePack, {_DOES_NOT_READ} JSON, or Avro with its schema"
        )
    try:
        data.decode()
    except UnicodeDecodeError as error:
        if is_like_json:
            return f"its text is not UTF-8 (byte {error.start}): publish it in UTF-8"
        return (
            f"it is binary, or a text that is not UTF-8 (byte {error.start}), {_DOES_NOT_READ} JSON in UTF-8"
        )
    if _XML.match(trimmed):
        return f"it is XML or HTML, {_DOES_NOT_READ} JSON"
    if _FORM.fullmatch(trimmed):
        return f"it is a form of HTML (name=value&...), {_DOES_NOT_READ} JSON"
    if not trimmed.startswith(_JSON_STARTS) and _is_csv(trimmed):
        return f"it looks like CSV, {_DOES_NOT_READ} each line as a JSON object"
    if not is_like_json:
        return "it is a text and no JSON: publish a JSON object"
    if trimmed.startswith(_JSON_STARTS) and _UNQUOTED.match(trimmed):
        return (
            "its keys or texts do not stand in double quotes, as in Python or JavaScript: publish what json.dumps() or "
            "JSON.stringify() writes"
        )
    try:
        json.loads(data, parse_constant=_refuse_constant)
    except _ConstantError:
        return "it holds NaN or Infinity, which JSON does not have: publish null or a text"
    except (ValueError, RecursionError):
        return ""
    return ""


def _is_csv(data: bytes) -> bool:
    """Return whether the first two lines have as many separators as each other."""
    first, second, *_ = (*data.split(b"\n", 2), b"", b"")
    return any(first.count(mark) == second.count(mark) > 0 for mark in _SEPARATORS)


class _ConstantError(Exception):
    """A constant of JavaScript that is not one of JSON."""


def _refuse_constant(_: str) -> None:
    raise _ConstantError
