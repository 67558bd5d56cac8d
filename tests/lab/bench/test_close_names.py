"""Which names a message shows about one that does not exist."""

from __future__ import annotations

import pytest
from meshlab.bench.close_names import close_names, known_names

NAMES = ("bank/ledger", "outside", "outside:edge/door", "shop/cart", "shop/web")


@pytest.mark.parametrize(
    ("wanted", "close"),
    [
        ("shop", ["shop/cart", "shop/web"]),
        ("cart", ["shop/cart"]),
        ("edge", ["outside:edge/door"]),
        ("shop/crat", ["shop/cart"]),
        ("bank/cart", ["bank/ledger", "shop/cart"]),
        ("Shop/Cart", ["shop/cart"]),
        ("zzz", []),
    ],
)
def test_a_namespace_a_name_alone_and_a_slip_lead_to_the_names_that_are_meant(
    wanted: str, close: list[str]
) -> None:
    assert close_names(wanted, NAMES) == close


def test_where_none_is_close_the_names_that_there_are_are_shown() -> None:
    assert known_names("shop", NAMES) == "did you mean shop/cart or shop/web?"
    assert known_names("zzz", NAMES) == f"there are {', '.join(NAMES)}"
    assert known_names("zzz", [f"n/{number:02}" for number in range(20)]).endswith("n/11 and 8 more")
    assert known_names("zzz", []) == "there are none"
