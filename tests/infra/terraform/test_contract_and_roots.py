"""The contract and Google's root say the same: variables come from keys, outputs go back to keys."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from ipaddress import ip_network
from typing import TYPE_CHECKING

import hcl2
import meshcontract
import pytest
from meshcontract.command import tfvars, update
from meshcontract.keys import KEYS

from tests.infra.terraform.evaluate import Reference
from tests.infra.terraform.roots import CONTRACT, EVERYTHING, GOOGLE, PROJECT, ROOT, google, variables

if TYPE_CHECKING:
    from pathlib import Path

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


def test_the_variables_of_contract_tf_are_those_that_the_contract_gives() -> None:
    assert {name.upper() for name in OF_CONTRACT} == {
        name for name, key in KEYS.items() if "terraform" in key.readers
    }


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
    returned = {name for name, key in KEYS.items() if key.returned}
    assert {name.lower() for name in returned | {"REPORTS_SUBJECT", "STOREFRONT_SUBJECT"}} <= outputs


def test_a_value_goes_from_terraform_into_the_contract_and_back_unchanged(tmp_path: Path) -> None:
    made = google(**EVERYTHING, callers={"reports": f"reports@{PROJECT}.iam.gserviceaccount.com"}).outputs
    # What only Google knows is a unique id here, another one for each account.
    named = ("FUNCTION", "LOOKUP", "REPORTS", "PULL_WORKER", "DATAFLOW")
    ids = {f"{name}_SUBJECT": str(number) for number, name in enumerate(named, start=101)}
    values = {
        name: ids.get(name.upper(), str(value)) if isinstance(value, Reference) else value
        for name, value in made.items()
    }
    values = json.loads(json.dumps(values, default=str))
    outputs, contract = tmp_path / "outputs.json", tmp_path / "contract.env"
    outputs.write_text(
        json.dumps({name: {"value": value} for name, value in values.items() if value is not None})
    )
    shutil.copy(ROOT / "infra/contract.env", contract)

    changed = update(contract, outputs)

    assert changed == ids
    assert update(contract, outputs) == {}
    before, after = (
        tfvars(meshcontract.load(path, before_terraform=True))
        for path in (ROOT / "infra/contract.env", contract)
    )
    assert before == after


def test_the_example_that_terraform_plans_has_the_values_of_the_contract() -> None:
    """`terraform test` reads no file of variables, so the example has them once more."""
    (given,) = hcl2.loads((GOOGLE / "tests/example.tftest.hcl").read_text())["variables"]
    for name, value in given.items():
        if name.startswith("__"):
            continue
        wanted = CONTRACT[name.upper()]
        plain = [one.strip('"') for one in value] if isinstance(value, list) else value.strip('"')
        assert plain == (wanted.split(",") if isinstance(value, list) else wanted), name


def test_the_ranges_that_only_terraform_reads_overlap_with_no_other() -> None:
    plan = google(**EVERYTHING)
    ranges = {
        address: ip_network(subnet["ip_cidr_range"])
        for address, subnet in plan.all("google_compute_subnetwork").items()
    }
    assert len(ranges) == 5
    for one, other in itertools.combinations(ranges, 2):
        assert not ranges[one].overlaps(ranges[other]), f"{one} and {other}"


def test_the_shipped_contract_is_taken() -> None:
    assert google().refusals == []
