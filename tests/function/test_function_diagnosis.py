"""What data really is that cannot be read as JSON."""

import base64
import gzip
import json
import zlib

import pytest
from enrichment.documents import strict_json
from enrichment.event.diagnosis import of_no_object, of_not_json
from hypothesis import given
from hypothesis import strategies as st

EVENT = json.dumps({"id": "e", "note": "é" * 40}).encode()
PARSER = "the parser's own words"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty"),
        (b" \n", "it is blank"),
        (gzip.compress(EVENT, mtime=0), 'encoding = ["gzip"]'),
        (zlib.compress(EVENT), 'encoding = ["zlib"]'),
        (zlib.compress(EVENT, 1), 'encoding = ["zlib"]'),
        (base64.b64encode(EVENT), 'encoding = ["base64"]'),
        (base64.encodebytes(EVENT), 'encoding = ["base64"]'),
        (base64.b64encode(gzip.compress(EVENT, mtime=0)), 'encoding = ["base64", "gzip"]'),
        (
            base64.b64encode(base64.b64encode(EVENT)),
            'JSON in base64 in base64: set encoding = ["base64", "base64"]',
        ),
        (
            base64.b64encode(base64.encodebytes(gzip.compress(EVENT, mtime=0))),
            'gzip in base64 in base64: set encoding = ["base64", "base64", "gzip"]',
        ),
        (base64.b64encode(base64.b64encode(b"no JSON")), "a text and no JSON"),
        (b"\xef\xbb\xbf" + EVENT, 'encoding = ["utf-8-bom"]'),
        (EVENT.decode().encode("utf-16"), 'encoding = ["utf-16"]'),
        (EVENT.decode().encode("utf-16-le"), 'encoding = ["utf-16"]'),
        (EVENT.decode().encode("utf-16-be"), 'encoding = ["utf-16"]'),
        (EVENT.decode().encode("utf-32"), "UTF-32"),
        (EVENT.decode().encode("latin-1"), PARSER),  # escaped by json.dumps, so plain ASCII
        ('{"a": "é"}'.encode("latin-1"), "not UTF-8 (byte 7)"),
        (b"\x28\xb5\x2f\xfd\x00", "zstd"),
        (b"Obj\x01\x04", "Avro"),
        (EVENT + b"\n" + EVENT, 'format = "ndjson"'),
        (b"[1]\r\n[2]\r\n", 'format = "ndjson"'),
        (b'{"a": NaN}', "NaN or Infinity"),
        (b'{"a": -Infinity}', "NaN or Infinity"),
        (b'{"a": ', PARSER),
        (b"\n<html>", "XML or HTML"),
        (b"<?xml version='1.0'?><a/>", "XML or HTML"),
        (b"<34>1 2026-03-01T12:00:00Z host app - - started", "a text and no JSON"),
        (b"id,name\r\n1,a\r\n", "looks like CSV"),
        (b'"id";"name"\n"1";"a"', "looks like CSV"),
        (b"2026-03-01\tx\n2026-03-02\ty", "looks like CSV"),
        (b"level=info msg=x id=a", "a text and no JSON"),
        (b"id: a\nname: b", "a text and no JSON"),
        (b"eyJhIjogMX0", 'encoding = ["base64"]'),
        (base64.urlsafe_b64encode(b'{"a": "???>>>"}').rstrip(b"="), 'encoding = ["base64"]'),
        (b"eyJhIjoxfQ.eyJhIjoxfQ.c2ln", "a text and no JSON"),
        (b"\x1e" + EVENT + b"\n", "RFC 7464"),
        (EVENT + EVENT, "several JSON texts, one behind the other"),
        (b'{\n"a": 1}\n{\n"a": 2}', "several JSON texts, one behind the other"),
        (b"{'a': 1}", "do not stand in double quotes"),
        (b"[{a: 1}]", "do not stand in double quotes"),
        (b'{"a": 1,}', PARSER),
        (b"\n\x05hello\x10\x01", "binary, such as Protobuf"),
        (b"\x81\xa2id\xa1a", "not UTF-8 (byte 0)"),
        (b'{"a": "\x00"}', PARSER),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"\x04\x22\x4d\x18d@", "lz4"),
        (b"\xff\x06\x00\x00sNaPpY", "Snappy"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"ORC\x08\x03", "ORC"),
        (b"MessageSid=SM1&From=%2B49&Body=", "a form of HTML"),
        (b"a=b" + b"&a=b" * 1_000_000 + b"&", "a text and no JSON"),
        (b"{" + b" " * 1_000_000 + b"!", PARSER),
        (b"1" * 1_000_000 + b"!", "a text and no JSON"),
        (b"\x00\x00\x00\x00\x07\x06e-1\x02", "schema registry"),
        (b"\x00\x00\x01\x02\x07\x06e-1", "schema registry"),
        (b"\x00", "binary, such as Protobuf"),
        (b"x\x00y\x00", "binary, such as Protobuf"),
        (b"hello", "a text and no JSON"),
        (b"[" * 100_000, PARSER),
        (
            b"A" + b"\r\n" * 1_000_000 + b"!",
            "a text and no JSON",
        ),  # minutes where a pattern can match an end of line in two ways
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_it_is_named_with_what_to_set(data: bytes, says: str) -> None:
    assert says in of_not_json(data, PARSER)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([{"id": "a"}], 'an array: to make an event of each element, set format = "json-array"'),
        (EVENT.decode(), "a text that holds JSON: publish the object itself"),
        ("hello", "a text"),
        (None, "null"),
        (True, "a boolean"),
        (1.5, "a number"),
    ],
)
def test_json_that_is_no_object_is_named_with_what_to_do(document: object, says: str) -> None:
    said = of_no_object(document, may_be_array=True)
    assert said.startswith(f"it is not a JSON object but {says}")


def test_an_array_of_cloudevents_is_named_as_one() -> None:
    one = {"id": "1", "source": "s", "specversion": "1.0", "type": "t"}
    assert 'an array of CloudEvents: set format = "cloudevents"' in of_no_object(
        [one, one], may_be_array=True
    )
    assert 'format = "json-array"' in of_no_object([one, {}], may_be_array=True)
    assert 'format = "json-array"' in of_no_object([], may_be_array=True)


def test_the_setting_for_arrays_is_not_advised_where_it_is_set() -> None:
    assert of_no_object([], may_be_array=False) == "it is not a JSON object but an array"


PRETTY = json.dumps({"a": [{"b": "x"}, {}], "c": "y", "d": 1}, indent=2).split("\n")


@pytest.mark.parametrize("line", [line.encode() for line in PRETTY if line.strip() != "{}"])
def test_a_line_of_a_document_over_several_lines_says_so(line: bytes) -> None:
    with pytest.raises(strict_json.NotJsonError) as caught:
        strict_json.parse(line)
    said = of_not_json(line, str(caught.value), is_line=True)
    assert 'if several lines are one document, set format = "json"' in said
    assert "several lines" not in of_not_json(line, str(caught.value))


@pytest.mark.parametrize("line", [b"<html>", b"{'a': 1}", b'{"a": NaN}', b"hello"])
def test_a_line_that_is_no_part_of_a_value_is_not_called_one(line: bytes) -> None:
    assert "part of a value" not in of_not_json(line, PARSER, is_line=True)


@given(st.binary(max_size=60) | st.sampled_from([b"\x1f", b"x", b"\x78\x9c", b"\xff\xfe", b"\xff"]))
def test_whatever_it_is_there_is_one_line_about_it(data: bytes) -> None:
    said = of_not_json(data, PARSER)
    assert said
    assert "\n" not in said
