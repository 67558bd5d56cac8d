"""The gateway's address, names and authority are those of the contract and of the mesh's manifests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.infra.terraform.conftest import ROOT
from tests.infra.terraform.example import contract, endpoint

if TYPE_CHECKING:
    from tests.infra.terraform.evaluate import Plan

HOSTS = [contract()["GKE_GATEWAY_HOST"], contract()["ORDERS_HOST"]]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return endpoint()


def pool(plan: Plan) -> dict[str, Any]:
    (found,) = plan.all("google_privateca_ca_pool").values()
    policy: dict[str, Any] = found["issuance_policy"][0]
    return policy


def test_the_address_is_the_contracts_and_internal(plan: Plan) -> None:
    (address,) = plan.all("google_compute_address").values()
    assert address["address_type"] == "INTERNAL"
    assert (
        plan.outputs["url"] == contract()["GKE_GATEWAY_URL"] == f"https://{contract()['GKE_GATEWAY_ADDRESS']}"
    )
    service = (ROOT / "infra/mesh/ingress/https/service.yaml").read_text()
    assert yaml.safe_load(service)["spec"]["loadBalancerIP"] == "${GKE_GATEWAY_ADDRESS}"


def test_every_host_of_the_contract_resolves_to_the_gateway_in_a_zone_of_its_own(plan: Plan) -> None:
    zones = plan.all("google_dns_managed_zone").values()
    assert sorted(zone["dns_name"] for zone in zones) == sorted(f"{host}." for host in HOSTS)
    assert {zone["visibility"] for zone in zones} == {"private"}
    records = plan.all("google_dns_record_set").values()
    assert {record["name"]: record["rrdatas"] for record in records} == {
        f"{host}.": [contract()["GKE_GATEWAY_ADDRESS"]] for host in HOSTS
    }


def test_the_authority_certifies_the_hosts_alone(plan: Plan) -> None:
    constraints = pool(plan)["identity_constraints"][0]
    assert constraints["allow_subject_passthrough"] is False
    names = " || ".join(f'san.value == "{host}"' for host in sorted(HOSTS))
    assert constraints["cel_expression"][0]["expression"] == (
        f"subject_alt_names.size() > 0 && subject_alt_names.all(san, san.type == DNS && ({names}))"
    )


def test_a_certificate_serves_tls_and_nothing_else(plan: Plan) -> None:
    values = pool(plan)["baseline_values"][0]
    assert values["ca_options"] == [{"non_ca": True}]
    assert values["key_usage"][0]["extended_key_usage"] == [{"server_auth": True}]


def test_the_clusters_subnet_is_given_on_once_the_address_is_reserved(plan: Plan) -> None:
    outputs = (ROOT / "infra/terraform/modules/gateway-endpoint/outputs.tf").read_text()
    (block,) = re.findall(r'^output "node_subnet" {\n(.*?)^}', outputs, re.MULTILINE | re.DOTALL)
    assert "depends_on = [google_compute_address.this]" in block
    assert plan.outputs["node_subnet"] == "nodes"


def test_no_private_key_is_made_by_terraform(plan: Plan) -> None:
    assert pool(plan)["allowed_issuance_modes"] == [
        {"allow_csr_based_issuance": True, "allow_config_based_issuance": False}
    ]
    kinds = {address.split(".")[0] for address in plan.resources}
    assert not kinds & {"tls_private_key", "google_privateca_certificate"}


def test_the_secret_holds_the_authoritys_certificate(plan: Plan) -> None:
    (secret,) = plan.all("google_secret_manager_secret").values()
    assert secret["secret_id"] == contract()["GKE_GATEWAY_CA_SECRET"]
    (version,) = plan.all("google_secret_manager_secret_version").values()
    assert "pem_ca_certificates" in version["secret_data"].address


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"hosts": ["metadata.google.internal"]}, "hosts must not be google.internal"),
        ({"hosts": ["c.internal"]}, "hosts must not be google.internal"),
        ({"hosts": ["internal"]}, "hosts must be DNS names of two labels"),
        ({"hosts": [f"{'a' * 60}.internal"]}, "hosts must have at most 63 characters"),
        ({"hosts": ["a-b.internal", "a.b.internal"]}, "hosts must have at most 63 characters"),
        ({"hosts": ["*.internal"]}, "hosts must be DNS names of two labels"),
        ({"hosts": ["user-profile.example.com"]}, "certificate_domains must hold"),
        ({"address": "gateway"}, "address must be an IPv4 address"),
        ({"certificate_lifetime_days": 365}, "certificate_lifetime_days must be"),
        ({"ca_readers": ["allUsers"]}, "ca_readers must be service accounts"),
        ({"tier": "CHEAP"}, "tier must be"),
    ],
)
def test_wrong_values_of_the_endpoint_are_refused(values: dict[str, Any], named: str) -> None:
    assert any(named in refusal for refusal in endpoint(**values).refusals)
