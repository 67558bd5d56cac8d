"""Cookies: no response can set one that breaks a later call."""

import socket
import warnings

import httpx
import meshpass
import pytest
from hypothesis import given
from hypothesis import strategies as st
from meshpass._call.cookies import MAX_COOKIE_BYTES, MAX_COOKIES, MAX_HEADER_BYTES, Cookies

from .conftest import Connect, RawServer, Server

_URL = "http://user-profile.internal/"


def kept(*lines: bytes) -> Cookies:
    cookies = Cookies()
    cookies.keep(_URL, lines)
    return cookies


def setting(*lines: bytes) -> list[bytes]:
    return [
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n",
        *(b"set-cookie: " + line + b"\r\n" for line in lines),
        b"\r\n",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "n=Müller".encode(),
        "n=Müller".encode("latin-1"),
        "ü=1".encode(),
        b"n=\xff\xfe",
        b"n=1; expires=Mon, 01 Jan 99999999999 00:00:00 GMT",
        b"n=1; max-age=" + b"9" * 400,
        b"n=1; path=/\xff",
        b"=",
        b";;;",
        b"n",
        b"n=" + b"x" * 9000,
        b"n=1; domain=elsewhere.internal",
    ],
)
def test_no_cookie_breaks_a_later_call(raw_server: RawServer, connect: Connect, line: bytes) -> None:
    heads: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        while head := connection.recv(65536):
            heads.append(head)
            connection.sendall(b"".join(setting(b"good=1", line)))

    client = connect(address=raw_server(serve))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            assert client.get("/").status_code == 200

    assert b"good=1" in heads[-1]
    assert heads[-1].isascii()


def test_cookies_are_limited_and_the_oldest_go_first() -> None:
    many = kept(*(b"c%d=1" % index for index in range(MAX_COOKIES)))
    many.keep(_URL, [b"newest=1"])
    header = many.header_for(_URL) or ""

    assert len(header.split("; ")) == MAX_COOKIES
    assert "newest=1" in header
    assert "c0=1;" not in header


def test_the_cookies_of_all_responses_fit_into_a_request() -> None:
    cookies = Cookies()
    for index in range(10):
        cookies.keep(_URL, [b"c%d=" % index + b"x" * (MAX_COOKIE_BYTES - 10)])
    header = cookies.header_for(_URL) or ""

    assert MAX_HEADER_BYTES / 2 < len(header) <= MAX_HEADER_BYTES
    assert "c9=" in header


def test_a_cookie_keeps_to_its_path_and_is_taken_back() -> None:
    cookies = kept(b"a=1; path=/v1", b"b=2")

    assert cookies.header_for(_URL + "v1/x") == "a=1; b=2"
    assert cookies.header_for(_URL + "v2") == "b=2"
    cookies.keep(_URL, [b"b=; max-age=0"])
    assert cookies.header_for(_URL + "v2") is None


def test_a_cookie_of_the_callers_own_that_cannot_be_sent_is_an_invalid_request(
    server: Server, auth: meshpass.SignedJWT
) -> None:
    with meshpass.Client("http://user-profile.internal", address=server.address, auth=auth) as client:
        client.cookies.set("n", "Müller")
        with pytest.raises(meshpass.InvalidRequest, match=r"client\.cookies"):
            client.get("/")
        client.cookies.clear()
        client.cookies.set("n", "m")
        client.get("/")

    assert server.seen[-1].headers["cookie"] == "n=m"


@given(
    st.lists(
        st.one_of(st.binary(max_size=60), st.from_regex(rb"[a-z]=.{0,9}(; ?[a-zA-Z-]+(=.{0,30})?){0,4}"))
    )
)
def test_whatever_is_set_a_cookie_header_can_be_sent(lines: list[bytes]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = kept(*lines).header_for(_URL)

    httpx.Headers({"cookie": header or ""}).raw[0][1].decode("ascii")
