"""Which request of a battery is the one that is explained, and so no further one that a change lets in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case_file.read_question import read_question
from meshlab.explain.same_request import is_same_request

from tests.lab.battery.meshes import mesh as mesh_of
from tests.lab.explain.town import MESH

if TYPE_CHECKING:
    from meshlab.bench.case import Case


def case(sender: str, request: str) -> Case:
    (found,) = read_question(sender, request).cases
    return found


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (
            ("outside:edge/door", "GET https://shop.example/cart"),
            ("outside:edge/door", "GET https://shop.example:443/cart"),
            True,
        ),
        (
            ("outside:edge/door", "GET https://shop.example/"),
            ("outside:edge/door", "GET https://shop.example"),
            True,
        ),
        (
            ("outside:edge/door", "GET https://shop.example/"),
            ("outside:edge/door", "{url: 'https://shop.example:8443/', headers: {host: shop.example}}"),
            True,
        ),
        (
            ("outside:edge/door", "GET https://shop.example/"),
            ("outside:edge/door", "GET https://empty.example/"),
            False,
        ),
        (
            ("outside:edge/door", "GET http://shop.example/"),
            ("outside:edge/door", "GET http://shop.example:81/"),
            False,
        ),
        (
            ("{bypass: shop/web, to: bank/ledger}", "GET http://ledger.bank/"),
            ("{bypass: shop/web, to: bank/ledger, port: 8080}", "GET http://ledger.bank:8080/"),
            True,
        ),
        (
            ("{bypass: shop/web, to: bank/ledger, port: 8080}", "GET http://ledger.bank/"),
            ("{bypass: shop/web, to: bank/ledger, port: 9090}", "GET http://ledger.bank/"),
            False,
        ),
        (
            ("{bypass: shop/web, to: bank/ledger}", "GET http://ledger.bank/"),
            ("{bypass: none, to: bank/ledger}", "GET http://ledger.bank/"),
            False,
        ),
    ],
)
def test_ports_are_compared_as_the_proxies_know_them(
    one: tuple[str, str], other: tuple[str, str], is_same: bool
) -> None:
    mesh = mesh_of(MESH)
    assert is_same_request(case(*one), case(*other), mesh) is is_same
