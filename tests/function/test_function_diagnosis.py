"""What data really is that cannot be read as JSON."""

import base64
import gzip
import json
import zlib

import pytest
from enrichment.event.diagnosis import of_not_json
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
        (b"<html>", PARSER),
        (b"hello", PARSER),
        (b"[" * 100_000, PARSER),
        (
            b"A" + b"\r\n" * 1_000_000 + b"!",
            PARSER,
        ),  # minutes where a pattern can match an end of line in two ways
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_it_is_named_with_what_to_set(data: bytes, says: str) -> None:
    assert says in of_not_json(data, PARSER)


@given(st.binary(max_size=60) | st.sampled_from([b"\x1f", b"x", b"\x78\x9c", b"\xff\xfe", b"\xff"]))
def test_whatever_it_is_there_is_one_line_about_it(data: bytes) -> None:
    said = of_not_json(data, PARSER)
    assert said
    assert "\n" not in said
