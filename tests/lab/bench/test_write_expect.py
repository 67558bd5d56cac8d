"""Cases as lines of a case file: the reader makes the same case of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from meshlab.bench.case import (
    Case,
    CasePlace,
    Certificate,
    Expectation,
    FromBypass,
    FromForeignMesh,
    FromOutside,
    HttpRequest,
    Received,
    TcpRequest,
    TlsRequest,
    TokenSpec,
)
from meshlab.bench.case_file import parse_case_file, read_case_file
from meshlab.bench.case_file.write_expect import case_lines, expect_words
from meshlab.istio import WorkloadRef

CART, DOOR = WorkloadRef("shop", "cart"), WorkloadRef("edge", "door")
MESHES = Path(__file__).parent / "meshes"
PLACE = CasePlace("cases.yaml", 1)


def again(case: Case) -> Case:
    text = f"authorities: [other]\ncases:\n{case_lines(case)}"
    (found,) = parse_case_file(text, "cases.yaml").cases
    return replace(found, place=case.place)


@pytest.mark.parametrize("name", sorted(folder.name for folder in MESHES.iterdir()))
def test_every_case_of_the_meshes_is_the_same_again(name: str) -> None:
    for case in read_case_file(MESHES / name / "cases.yaml").cases:
        assert again(case) == case


ODD = [
    Case("a: b # c", FromOutside(DOOR), HttpRequest("http://a.example/"), Expectation(status=200), PLACE),
    Case(
        "'\"\u202e\x1b",
        FromOutside(DOOR, "192.0.2.1", Certificate("other", ("spiffe://a/ns/b/sa/c",), ("*.a.example",))),
        HttpRequest(
            "https://a.example/x?y=1#z",
            method="PROPFIND",
            headers=(("x", "1"), ("x", "a, b"), ("y", "")),
            body="{}",
            version="2",
            target="/%2e%2e;",
            sni="",
        ),
        Expectation(
            status=404,
            app="shop/cart",
            subset="v1",
            says="no such",
            headers={"a": None, "b": "1"},
            received=Received(path="/", identity="spiffe://x/y", headers={"authorization": None}),
        ),
        PLACE,
        (
            TokenSpec("https://idp.example", {"sub": "1", "n": 1, "l": ["a"], "d": {"e": None}, "exp": None}),
            TokenSpec(issuer="i", flaw="alg none", placement="query", name="t", prefix=""),
            TokenSpec(literal="yes", name="x-token", prefix=""),
        ),
    ),
    Case(
        "t", FromBypass(None, CART, 80, "tls"), TlsRequest("h", 1, "", "x"), Expectation(refused=True), PLACE
    ),
    Case(
        "u",
        FromForeignMesh("spiffe://a/ns/b/sa/c", "mesh", CART, None),
        TcpRequest("h", 1),
        Expectation(answered=True, app=("shop/cart", "a.example")),
        PLACE,
    ),
]


@pytest.mark.parametrize("case", ODD, ids=range(len(ODD)))
def test_what_is_hard_to_write_is_the_same_again(case: Case) -> None:
    assert again(case) == case
    assert case_lines(case).isascii()


@pytest.mark.parametrize(
    ("expect", "short"),
    [
        (Expectation(status=200, app="shop/cart"), "200 shop/cart"),
        (Expectation(status=404, app="shop/cart"), "404 app shop/cart"),
        (Expectation(status=403, proxy=CART), "403 shop/cart"),
        (Expectation(status=301, proxy=CART), "301 proxy shop/cart"),
        (Expectation(refused=True, proxy=CART), "refused shop/cart"),
        (Expectation(answered=True, app="a.example"), "answered a.example"),
        (Expectation(status=200), 200),
        (Expectation(refused=True), "refused"),
    ],
)
def test_a_verdict_is_written_short_where_that_says_all(expect: Expectation, short: object) -> None:
    assert expect_words(expect) == short
