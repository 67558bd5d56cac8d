"""Content codings: linear work in bounded slices, the deadline between them, and bodies that httpx gives as well."""

import asyncio
import gzip
import itertools
import os
import time
import zlib
from contextlib import suppress

import meshpass
import pytest
from hypothesis import given
from hypothesis import strategies as st
from meshpass._call.content_coding import (
    MAX_MEMBERS,
    Decoder,
    NotDecodableError,
    TooLargeError,
    decode_slices,
)

from .conftest import Connect, Server


def decode(body: bytes, coding: str, limit: int) -> bytes:
    return b"".join(decode_slices(body, coding, limit))


@pytest.mark.parametrize("body", [b"not gzip", gzip.compress(b"abc", mtime=0)[:-9], b"\x1f\x8b", b"\x1f"])
def test_a_damaged_body_is_not_decodable(body: bytes) -> None:
    with pytest.raises(NotDecodableError):
        decode(body, "gzip", 1000)


@given(
    st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "br", "gzip, deflate", "deflate, x-gzip"])
)
def test_no_body_breaks_the_decoder_in_another_way(body: bytes, coding: str) -> None:
    with suppress(NotDecodableError, TooLargeError):
        assert len(decode(body, coding, 100)) <= 100


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=20), st.sampled_from([15, -15]))
def test_a_body_is_decoded_alike_however_it_is_cut(body: bytes, cuts: list[int], wbits: int) -> None:
    coded = gzip.compress(zlib.compress(body[:100], wbits=wbits)) + gzip.compress(b"") + b"\0" * 3
    decoder, decoded = Decoder("deflate, gzip", 1000), list[bytes]()
    for cut in [*cuts, len(coded)]:
        decoded += decoder.feed(coded[:cut])
        coded = coded[cut:]
    decoded += decoder.finish()

    assert b"".join(decoded) == body[:100]


def test_a_gzip_of_several_members_is_decoded_whole() -> None:
    assert decode(gzip.compress(b"a" * 60) + gzip.compress(b"b" * 40), "gzip", 100) == b"a" * 60 + b"b" * 40


@pytest.mark.parametrize("limit", [99, 100])
def test_a_limit_counts_all_members(limit: int) -> None:
    body = gzip.compress(b"a" * 60) + gzip.compress(b"b" * 40)
    if limit == 100:
        assert len(decode(body, "gzip", limit)) == 100
    else:
        with pytest.raises(TooLargeError):
            decode(body, "gzip", limit)


_CASES = {
    "empty members": (gzip.compress(b"") * 100_000, "gzip", "more than 10000 gzip members"),
    "empty members in one member": (
        gzip.compress(gzip.compress(b"") * 100_000),
        "gzip, gzip",
        "more than 10000 gzip members",
    ),
    "nested codings": (b"x", ", ".join(["gzip"] * 5000), "more than 5 content codings"),
    "six codings": (b"x", "gzip, gzip, deflate, x-gzip, gzip, deflate", "more than 5 content codings"),
    "br": (b"x", "br", "a coding that was not asked for"),
    "zstd below gzip": (gzip.compress(b"x"), "zstd, gzip", "a coding that was not asked for"),
    "stored blocks without an end": (b"\0\0\0\xff\xff" * 1_000_000, "deflate", "ends too early"),
}


@pytest.mark.parametrize("case", _CASES)
def test_a_body_that_costs_work_and_gives_nothing_is_refused(
    connect: Connect, server: Server, case: str
) -> None:
    body, coding, why = _CASES[case]
    server.answer = lambda _: (200, {"content-encoding": coding}, body)

    with pytest.raises(meshpass.BadResponse, match=why):
        connect(address=server.address).get("/")


_SLICES = {
    "deflate streams": (b"\x03\x00" * 500_000, "deflate"),
    "as many members as are allowed": (gzip.compress(b"") * MAX_MEMBERS, "gzip"),
    "a bomb": (gzip.compress(b"\0" * 5_000_000), "gzip"),
    "a bomb in five codings": (b"\0" * 5_000_000, ",".join(["gzip"] * 5)),
    "noise": (gzip.compress(os.urandom(1_000_000)), "gzip"),
}


@pytest.mark.parametrize("case", _SLICES)
def test_the_work_grows_with_the_body_and_comes_in_small_slices(case: str) -> None:
    body, coding = _SLICES[case]
    for _ in range(coding.count(",") and 5):
        body = gzip.compress(body)
    sizes = [len(part) for part in decode_slices(body, coding, 10_000_000)]

    assert max(sizes) <= 64 * 1024
    # A slice takes 16 KiB of input, gives 64 KiB of output, or ends a member.
    assert len(sizes) <= 10 + MAX_MEMBERS + len(body) / (16 * 1024) + 6 * sum(sizes) / (16 * 1024)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("none", b"abc"),
        ("utf-8", b"abc"),
        ("identity", b"abc"),
        ("", b"abc"),
        ("utf-8, gzip", gzip.compress(b"abc", mtime=0)),
        ("gzip", gzip.compress(b"abc", mtime=0) + b"\0" * 512),
        ("gzip", gzip.compress(b"abc", mtime=0) + b"padding"),
        ("deflate", zlib.compress(b"abc") + b"padding"),
    ],
)
def test_a_body_that_httpx_gives_is_given_here(
    connect: Connect, server: Server, coding: str, body: bytes
) -> None:
    server.answer = lambda _: (200, {"content-encoding": coding}, body)

    assert connect(address=server.address).get("/").content == b"abc"


@pytest.fixture
def slow_slices(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make each slice last 2 ms; return a list with an item for each one that was carried out."""
    done: list[int] = []

    def slices(body: bytes, coding: str, limit: int) -> object:
        for index in range(5000):
            time.sleep(0.002)
            done.append(index)
            yield b""

    monkeypatch.setattr("meshpass._call.response.decode_slices", slices)
    return done


@pytest.mark.usefixtures("slow_slices")
def test_the_deadline_ends_the_decoding(connect: Connect, server: Server) -> None:
    server.answer = lambda _: (200, {"content-encoding": "gzip"}, b"x")

    with pytest.raises(meshpass.MeshTimeout) as caught:
        connect(address=server.address, timeout_s=0.2).get("/")

    assert caught.value.code == "timeout_body"


def test_other_tasks_run_while_a_body_is_decoded(
    server: Server, auth: meshpass.SignedJWT, slow_slices: list[int]
) -> None:
    server.answer = lambda _: (200, {"content-encoding": "gzip"}, b"x")
    turns: list[int] = []

    async def others() -> None:
        while True:
            turns.append(len(slow_slices))
            await asyncio.sleep(0)

    async def main() -> None:
        other = asyncio.create_task(others())
        async with meshpass.AsyncClient(
            "http://user-profile.internal", address=server.address, auth=auth, timeout_s=0.3
        ) as client:
            with suppress(meshpass.MeshTimeout):
                await client.get("/")
        other.cancel()

    asyncio.run(main())
    gaps = [after - before for before, after in itertools.pairwise(turns)]

    assert len(slow_slices) > 10
    assert max(gaps) <= 9  # those that are carried out at once, and one
