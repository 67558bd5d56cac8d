"""`--address`: addresses of pods that options state."""

from __future__ import annotations

import pytest
from meshlab.bench.case_file.read_address_options import check_addresses, read_address_options
from meshlab.errors import LabError
from meshlab.istio import WorkloadRef

CART = WorkloadRef("shop", "cart")


def test_options_state_addresses_of_workloads() -> None:
    found = read_address_options(["shop/cart=10.8.1.7", "shop/till=FD00::2"])
    assert found == {CART: "10.8.1.7", WorkloadRef("shop", "till"): "fd00::2"}


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["cart=10.8.1.7"], "'cart' is no workload with an address; write NAMESPACE/NAME=IP"),
        (["shop/cart"], "'shop/cart' is no workload with an address"),
        (["shop/cart=10.8.1"], "'10.8.1' is not an IP address"),
        (["shop/cart=10.8.1.7", "shop/cart=10.8.1.8"], "shop/cart has the address 10.8.1.7 already"),
        (["shop/cart=10.8.1.7", "shop/till=10.8.1.7"], "shop/cart has the address 10.8.1.7, too"),
    ],
)
def test_an_option_that_states_none_or_a_second_one_is_refused(texts: list[str], problem: str) -> None:
    with pytest.raises(LabError) as error:
        read_address_options(texts)
    assert problem in str(error.value)


def test_a_workload_that_is_not_there_is_refused_with_names_like_it() -> None:
    check_addresses({CART: "10.8.1.7"}, [CART])
    with pytest.raises(LabError, match="no workload of this name; did you mean shop/cart"):
        check_addresses({WorkloadRef("shop", "crat"): "10.8.1.7"}, [CART])
