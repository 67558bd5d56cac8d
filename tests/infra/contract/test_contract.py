"""The contract as a whole: what is missing, misspelt, renamed or not set by its owner yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import meshcontract
import pytest

from tests.deploy.harness import CONTRACT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.deploy.harness import Contract

    Problems = Callable[..., list[str]]


def test_the_contract_of_the_repository_can_be_deployed_from_once_the_project_is_named(
    contract: Contract,
) -> None:
    values = meshcontract.load(contract.path)
    assert values["GOOGLE_CLOUD_PROJECT"] == "acme-mesh"
    assert meshcontract.placeholders(values) == []


def test_the_contract_of_the_repository_names_the_placeholder_project() -> None:
    values = meshcontract.load(CONTRACT)
    assert {"GOOGLE_CLOUD_PROJECT", "BIGQUERY_TABLE"} <= set(meshcontract.placeholders(values))


def test_every_missing_or_wrong_value_is_named_at_once_with_its_line(
    problems: Problems, contract: Contract
) -> None:
    found = problems(REGION=None, JWT_ISSUER="", BIGQUERY_TABLE="events", GKE_GATEWAY_URL="ftp://10.128.0.5")
    assert len(found) == 4
    for number, line in enumerate(contract.path.read_text().splitlines(), start=1):
        if line.startswith(("BIGQUERY_TABLE=", "GKE_GATEWAY_URL=")):
            assert any(each.startswith(f"line {number}: {line.partition('=')[0]} is '") for each in found)
    assert "REGION is missing. Write a region, such as europe-west1." in found
    assert any(
        "JWT_ISSUER is empty, and a manifest would have nothing in its place" in each for each in found
    )


def test_a_problem_names_key_value_reason_and_what_to_write_in_at_most_three_sentences(
    problems: Problems,
) -> None:
    (found,) = problems(FUNCTION_CPU="3")
    assert (
        "FUNCTION_CPU is '3', which is not a number of vCPUs that Cloud Run has. Write 1, 2, 4, 6 or 8"
        in found
    )
    assert found.count(". ") <= 2


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("GKE_GATEWAY_HSOT", "GKE_GATEWAY_HOST"),
        ("REGOIN", "REGION"),
        ("FUNCTION_MEMROY", "FUNCTION_MEMORY"),
        ("JWT_SUBJCET", "JWT_SUBJECT"),
        ("LOOKUP_INVOKER", "LOOKUP_INVOKERS"),
    ],
)
def test_a_misspelt_key_is_named_with_the_key_it_was_meant_to_be(
    problems: Problems, contract: Contract, written: str, meant: str
) -> None:
    value = meshcontract.read(contract.path).get(meant, "2Gi")
    (found,) = problems(**{meant: None, written: value})
    assert f"{written} is not known; did you mean {meant}?" in found


def test_a_key_of_an_earlier_version_is_named_with_the_key_that_took_its_place(problems: Problems) -> None:
    (found,) = problems(IDENTITY="google")
    assert "IDENTITY is now MESH_AUTH. Write MESH_AUTH=signed-jwt or google-id-token." in found


def test_keys_that_a_user_adds_are_taken_and_given_back(contract: Contract) -> None:
    contract.set(MESH_TRUST_DOMAIN="cluster.local", VPC_SUBNETS="more")
    values = meshcontract.load(contract.path)
    assert (values["VPC_SUBNET"], values["MESH_TRUST_DOMAIN"]) == ("meshpass-functions", "cluster.local")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("BILLING_SUBJECT", "a*"),
        ("BILLING_SUBJECT", "other/subject"),
        ("BILLING_EMAIL", "*@acme.example"),
        ("BILLING_HOST", "Billing.internal"),
        ("BILLING_RANGE", "0.0.0.0/0"),
        ("BILLING_ADDRESS", "8.8.8.8"),
        ("BILLING_AUDIENCE", "*"),
    ],
)
def test_a_key_that_a_user_adds_has_the_type_that_its_name_ends_in(
    problems: Problems, key: str, value: str
) -> None:
    (found,) = problems(**{key: value})
    assert f"{key} is '{value}'" in found


def test_the_defaults_are_right_values(contract: Contract) -> None:
    for name, key in meshcontract.KEYS.items():
        assert not key.default or key.type.problem(key.default) == "", name
    kept = {name for name, key in meshcontract.KEYS.items() if key.default is None}
    assert kept <= set(meshcontract.read(contract.path))


def test_a_contract_that_is_not_there_is_an_error_without_a_traceback(contract: Contract) -> None:
    contract.path.unlink()
    with pytest.raises(meshcontract.ContractError, match=r"cannot read the contract .*: No such file"):
        meshcontract.load(contract.path)


@pytest.mark.parametrize("content", [b"A=\xff\n", "A=é\n".encode("utf-16")])
def test_a_file_that_is_not_text_is_an_error_without_a_traceback(contract: Contract, content: bytes) -> None:
    contract.path.write_bytes(content)
    with pytest.raises(meshcontract.ContractError):
        meshcontract.load(contract.path)


def test_a_mesh_alone_needs_no_keys_of_the_deployment_but_right_ones(contract: Contract) -> None:
    contract.path.write_text("GOOGLE_APIS_HOST=private.googleapis.com\n")
    assert meshcontract.read(contract.path) == {"GOOGLE_APIS_HOST": "private.googleapis.com"}
    contract.path.write_text("FUNCTION_EGRESS_RANGE=0.0.0.0/0\n")
    with pytest.raises(meshcontract.ContractError, match="wider than /24"):
        meshcontract.read(contract.path)


def test_what_terraform_gives_back_may_be_missing_before_it_ran(contract: Contract) -> None:
    contract.set(MESH_AUTH="google-id-token", FUNCTION_SUBJECT=None)
    with pytest.raises(
        meshcontract.ContractError, match="FUNCTION_SUBJECT is missing; MESH_AUTH=google-id-token"
    ):
        meshcontract.load(contract.path)
    assert meshcontract.load(contract.path, before_terraform=True)["FUNCTION_SUBJECT"] == ""


def test_a_scope_of_the_token_is_separated_by_spaces(contract: Contract) -> None:
    values = meshcontract.load(contract.set(JWT_FURTHER_SCOPES="read:orders,write:orders").path)
    assert meshcontract.token_scope(values) == "read:user-profile read:orders write:orders"
    assert meshcontract.token_scope({**values, "JWT_FURTHER_SCOPES": ""}) == "read:user-profile"
