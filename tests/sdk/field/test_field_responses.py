"""Raw responses from the field, sent byte by byte to both clients: what is read, what is refused, what is used again.

A call that is refused is sent once, does not wait for its deadline, and leaves the client ready for the next one.
"""

import gzip
import socket
import threading
import time
from dataclasses import dataclass, field

import meshpass
import pytest

from ..conftest import Connect, RawServer  # noqa: TID252 - this folder's parent
from .conftest import Say

_ONCE = meshpass.RetryPolicy(attempts=1)
_NEXT = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext"
_CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
_TWICE = gzip.compress(gzip.compress(b"ab"))


@dataclass
class _First:
    """Sends these bytes for the first request, and a good response for every other."""

    wire: bytes
    close: bool = False
    heads: list[list[bytes]] = field(default_factory=list)

    def __call__(self, connection: socket.socket) -> None:
        first = not self.heads
        self.heads.append([])
        while head := connection.recv(65536):
            self.heads[-1].append(head)
            connection.sendall(self.wire if first and len(self.heads[0]) == 1 else _NEXT)
            if first and self.close:
                return


_READ = {
    "trailer": (_CHUNKED + b"2\r\nab\r\n0\r\nx-trailer: 1\r\n\r\n", "GET", b"ab"),
    "trailer that names a length": (_CHUNKED + b"2\r\nab\r\n0\r\ncontent-length: 9\r\n\r\n", "GET", b"ab"),
    "trailer that sets a cookie": (_CHUNKED + b"2\r\nab\r\n0\r\nset-cookie: bad=1\r\n\r\n", "GET", b"ab"),
    "chunk extension": (_CHUNKED + b"2;a=b\r\nab\r\n0;c\r\n\r\n", "GET", b"ab"),
    "quoted chunk extension": (_CHUNKED + b'2 ; a="b c"\r\nab\r\n0\r\n\r\n', "GET", b"ab"),
    "chunk sizes in capitals and with zeros": (
        _CHUNKED + b"00A\r\n0123456789\r\n0a\r\n0123456789\r\n000\r\n\r\n",
        "GET",
        b"0123456789" * 2,
    ),
    "chunks of no bytes": (_CHUNKED + b"0\r\n\r\n", "GET", b""),
    "Transfer-Encoding in capitals": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        "GET",
        b"ab",
    ),
    "the same length twice": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2, 2\r\n\r\nab",
        "GET",
        b"ab",
    ),
    "a length with zeros": (b"HTTP/1.1 200 OK\r\ncontent-length: 002\r\n\r\nab", "GET", b"ab"),
    "204 without a length": (b"HTTP/1.1 204 No Content\r\n\r\n", "GET", b""),
    "204 with a length": (b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", "GET", b""),
    "205 with length 0": (b"HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n", "GET", b""),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", "GET", b""),
    "aiohttp#1769 HEAD with a length": (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", "HEAD", b""),
    "HEAD with chunks announced": (_CHUNKED, "HEAD", b""),
    "HEAD with a coding": (
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\n",
        "HEAD",
        b"",
    ),
    "http-client#521 100": (b"HTTP/1.1 100 Continue\r\n\r\n" + _NEXT, "GET", b"next"),
    "http-client#521 102": (b"HTTP/1.1 102 Processing\r\n\r\n" * 3 + _NEXT, "GET", b"next"),
    "http-client#521 103": (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + _NEXT, "GET", b"next"),
    "an interim response with a length": (
        b"HTTP/1.1 103 Early Hints\r\ncontent-length: 5\r\n\r\n" + _NEXT,
        "GET",
        b"next",
    ),
    "no reason": (b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nab", "GET", b"ab"),
    "a reason outside of ASCII": ("HTTP/1.1 200 für\r\ncontent-length: 2\r\n\r\nab".encode(), "GET", b"ab"),
    "an empty field": (b"HTTP/1.1 200 OK\r\nx:\r\ncontent-length: 2\r\n\r\nab", "GET", b"ab"),
    "space around a value": (b"HTTP/1.1 200 OK\r\ncontent-length: \t 2 \t\r\n\r\nab", "GET", b"ab"),
    "a value outside of ASCII": (b"HTTP/1.1 200 OK\r\nx: \xfc\r\ncontent-length: 2\r\n\r\nab", "GET", b"ab"),
    "aiohttp#13364 gzip, gzip": (
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip, gzip\r\ncontent-length: %d\r\n\r\n%b"
        % (len(_TWICE), _TWICE),
        "GET",
        b"ab",
    ),
    "two fields of codings": (
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%b"
        % (len(_TWICE), _TWICE),
        "GET",
        b"ab",
    ),
}


@pytest.mark.parametrize("case", _READ)
def test_a_response_is_read_to_its_end_and_its_connection_used_again(
    raw_server: RawServer, connect: Connect, case: str
) -> None:
    wire, method, body = _READ[case]
    first = _First(wire)
    client = connect(address=raw_server(first), timeout_s=30, retry=_ONCE)

    assert client.request(method, "/").content == body
    assert client.request("POST", "/next").content == b"next"

    assert [len(heads) for heads in first.heads] == [2]
    assert b"bad=1" not in first.heads[0][1]


_READ_ONCE = {
    "connection: close": (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab", False),
    "close among other options": (
        b"HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 2\r\n\r\nab",
        False,
    ),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nab", False),
    "HTTP/1.0 keep-alive": (
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nab",
        False,
    ),
    "until the end": (b"HTTP/1.1 200 OK\r\n\r\nab", True),
    "HTTP/1.0 until the end": (b"HTTP/1.0 200 OK\r\n\r\nab", True),
    "more than the length": (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabcd", False),
    "more than the last chunk": (_CHUNKED + b"2\r\nab\r\n0\r\n\r\nmore", False),
    "aiohttp#3979 a second response": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged",
        False,
    ),
}


@pytest.mark.parametrize("case", _READ_ONCE)
def test_a_connection_that_may_be_out_of_step_is_not_used_again(
    raw_server: RawServer, connect: Connect, case: str
) -> None:
    wire, close = _READ_ONCE[case]
    first = _First(wire, close)
    client = connect(address=raw_server(first), timeout_s=30, retry=_ONCE)

    assert client.get("/").content == b"ab"
    assert client.request("POST", "/next").content == b"next"

    assert [len(heads) for heads in first.heads] == [1, 1]


def _with(fields: bytes, body: bytes = b"ab") -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n" + body


_REFUSED = {
    "folded field": _with(b"x: a\r\n b\r\ncontent-length: 2"),
    "space before the colon": _with(b"content-length : 2"),
    "no colon": _with(b"x\r\ncontent-length: 2"),
    "no name": _with(b": x\r\ncontent-length: 2"),
    "NUL in a value": _with(b"x: a\0b\r\ncontent-length: 2"),
    "carriage return in a value": _with(b"x: a\rb\r\ncontent-length: 2"),
    "two lengths": _with(b"content-length: 2\r\ncontent-length: 3"),
    "two lengths in a field": _with(b"content-length: 2, 3"),
    "negative length": _with(b"content-length: -2"),
    "length with a sign": _with(b"content-length: +2"),
    "length in hexadecimal": _with(b"content-length: 0x2"),
    "length with an underscore": _with(b"content-length: 1_0", b"0123456789"),
    "length of other digits": _with("content-length: ²".encode()),
    "length that is empty": _with(b"content-length:"),
    "length of 400 digits": _with(b"content-length: " + b"1" * 400),
    "length and chunks": _with(b"content-length: 2\r\ntransfer-encoding: chunked", b"2\r\nab\r\n0\r\n\r\n"),
    "aiohttp#4435 gzip as a transfer coding": _with(b"transfer-encoding: gzip, chunked", b"0\r\n\r\n"),
    "identity as a transfer coding": _with(b"transfer-encoding: identity"),
    "chunked twice": _with(
        b"transfer-encoding: chunked\r\ntransfer-encoding: chunked", b"2\r\nab\r\n0\r\n\r\n"
    ),
    "chunked and something behind it": _with(b"transfer-encoding: chunked, x", b"2\r\nab\r\n0\r\n\r\n"),
    "chunked with a vertical tab": _with(b"transfer-encoding: \x0bchunked", b"2\r\nab\r\n0\r\n\r\n"),
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "negative chunk": _CHUNKED + b"-2\r\nab\r\n0\r\n\r\n",
    "chunk with 0x": _CHUNKED + b"0x2\r\nab\r\n0\r\n\r\n",
    "chunk with an underscore": _CHUNKED + b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "chunk without a size": _CHUNKED + b"\r\nab\r\n0\r\n\r\n",
    "chunk longer than it says": _CHUNKED + b"2\r\nabc\r\n0\r\n\r\n",
    "chunk of 2^64 bytes": _CHUNKED + b"10000000000000000\r\nab\r\n0\r\n\r\n",
    "chunk line that ends with a line feed": _CHUNKED + b"2\nab\r\n0\r\n\r\n",
    "trailer that is none": _CHUNKED + b"2\r\nab\r\n0\r\nnothing\r\n\r\n",
    "flood of fields": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000,
    "flood in a field": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000,
    "flood in a trailer": _CHUNKED + b"0\r\n" + b"x: y\r\n" * 50_000,
    "flood in a chunk extension": _CHUNKED + b"2;" + b"x" * 300_000,
    "body over the limit": _with(b"content-length: 99999999999"),
    "switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status that is no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "status below 100": b"HTTP/1.1 099 OK\r\n\r\n",
    "HTTP/2.0 in text": b"HTTP/2.0 200 OK\r\n\r\n",
    "http in small letters": b"http/1.1 200 OK\r\n\r\n",
    "a line before the status": b"\r\nHTTP/1.1 200 OK\r\n\r\n",
    "body alone": b'{"a": 1}',
}


@pytest.mark.parametrize("case", _REFUSED)
def test_a_response_that_is_none_is_an_error_at_once_and_harms_no_later_call(
    raw_server: RawServer, connect: Connect, case: str
) -> None:
    first = _First(_REFUSED[case])
    client = connect(address=raw_server(first), timeout_s=30, retry=_ONCE)

    with pytest.raises(meshpass.MeshError) as caught:
        client.request("POST", "/")
    assert client.request("POST", "/next").content == b"next"

    # Nothing here is a matter of time: the server keeps the connection open, and the client ends it.
    assert caught.value.code in ("response_too_large", "not_decodable", "not_http", "connection_lost")
    assert [len(heads) for heads in first.heads] == [1, 1]


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab",
        _CHUNKED,
        _CHUNKED + b"5\r\nab",
        _CHUNKED + b"2\r\nab\r\n",
        _CHUNKED + b"2\r\nab\r\n0\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
    ids=["nothing", "head", "body", "chunks", "chunk", "last chunk", "trailer", "interim"],
)
def test_a_response_that_is_cut_is_never_taken_for_whole(
    raw_server: RawServer, connect: Connect, wire: bytes
) -> None:
    first = _First(wire, close=True)
    client = connect(address=raw_server(first), timeout_s=30, retry=_ONCE)

    with pytest.raises(meshpass.UpstreamUnavailable) as caught:
        client.request("POST", "/")

    assert caught.value.code == "connection_lost"
    assert client.request("POST", "/next").content == b"next"


def test_interim_responses_without_an_end_are_ended(raw_server: RawServer, connect: Connect) -> None:
    def flood(connection: socket.socket) -> None:
        connection.recv(65536)
        while True:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)
            time.sleep(0.001)  # the server shares its processor with the client

    with pytest.raises(meshpass.MeshError) as caught:
        connect(address=raw_server(flood), timeout_s=0.5, retry=_ONCE).get("/")

    assert caught.value.code in ("timeout_read", "timeout_body", "not_http", "connection_lost")


@pytest.mark.parametrize(
    "words",
    [
        b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged",
        b"x",
        b"",
    ],
    ids=["stray 408", "aiohttp#3979 unsolicited response", "one byte", "idle close"],
)
def test_what_an_idle_connection_says_is_no_response_to_the_next_call(
    raw_server: RawServer, connect: Connect, words: bytes
) -> None:
    idle, said = threading.Event(), threading.Event()
    requests: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        while request := connection.recv(65536):
            requests.append(request)
            connection.sendall(_NEXT)
            if len(requests) == 1:
                assert idle.wait(30)
                connection.sendall(words)
                connection.shutdown(socket.SHUT_WR)
                said.set()

    client = connect(address=raw_server(serve), timeout_s=30, retry=_ONCE)
    assert client.request("POST", "/").content == b"next"
    idle.set()
    assert said.wait(30)

    # A POST is not sent again: what was said must have been noticed before.
    assert client.request("POST", "/next").content == b"next"
    assert len(requests) == 2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 10000 00:00:00 GMT", None),
        ("1m0s", None),
        ("-1", None),
        ("NaN", None),
        ("9" * 400, 999_999_999.0),
        ("1e9", None),
        ("60", 60.0),
    ],
    ids=[
        "anthropic-sdk-python#1827",
        "year 10000",
        "urllib3#1822",
        "negative",
        "no number",
        "urllib3#3743",
        "exponent",
        "a minute",
    ],
)
def test_no_retry_after_leaves_a_call_as_a_raw_error_or_an_endless_wait(
    say: Say, connect: Connect, value: str, seconds: float | None
) -> None:
    asked: list[bytes] = []
    fields = f"server: istio-envoy\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n"
    busy = f"HTTP/1.1 503 Busy\r\n{fields}".encode()
    client = connect(
        address=say(busy, asked=asked), timeout_s=30, retry=meshpass.RetryPolicy(attempts=2, backoff_s=0)
    )

    with pytest.raises(meshpass.UpstreamUnavailable) as caught:
        client.get("/")

    assert caught.value.retry_after_s == seconds
    # One that cannot be waited for within the deadline ends the call; one that says nothing is passed over.
    assert len(asked) == (2 if seconds is None else 1)
