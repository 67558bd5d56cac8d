"""The contract and Google's root say the same: variables come from keys, outputs go back to keys."""

from __future__ import annotations

import re

import pytest
from meshcontract.keys import KEYS

from tests.infra.terraform.roots import CONTRACT, GOOGLE, google, variables

KNOWN = set(KEYS) | set(CONTRACT)
OF_CONTRACT = set(re.findall(r'^variable "(\w+)"', (GOOGLE / "contract.tf").read_text(), re.MULTILINE))
FOR_PEOPLE = {
    "image_repository",
    "lookup_service_attachment",
    "lookup_endpoints",
    "nat_addresses",
    "gateway_ca_pool",
}
"""Outputs that are no value of the contract."""


def test_every_variable_of_contract_tf_is_a_key() -> None:
    assert {name.upper() for name in OF_CONTRACT} <= KNOWN


def test_no_other_variable_has_the_name_of_a_key() -> None:
    own = variables(GOOGLE) - OF_CONTRACT
    assert not {name.upper() for name in own} & KNOWN


@pytest.mark.parametrize("name", sorted(OF_CONTRACT))
def test_a_value_of_the_contract_has_an_effect(name: str) -> None:
    files = (file for file in GOOGLE.glob("*.tf") if file.name != "contract.tf")
    text = "\n".join(file.read_text() for file in files)
    assert re.search(rf"\bvar\.{name}\b", text), f"no file of the root uses var.{name}"


def test_outputs_go_back_to_keys() -> None:
    outputs = set(google().outputs)
    assert {name.upper() for name in outputs - FOR_PEOPLE} <= KNOWN
    assert {
        "function_subject",
        "lookup_subject",
        "gke_gateway_address",
        "reports_subject",
        "storefront_subject",
    } <= outputs


def test_the_shipped_contract_is_taken() -> None:
    assert google().refusals == []
