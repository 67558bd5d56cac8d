"""The shipped example: the modules with the values of infra/contract.env, evaluated without terraform."""

from __future__ import annotations

import functools
from typing import Any

import meshcontract

from tests.infra.terraform.conftest import ROOT
from tests.infra.terraform.evaluate import Plan, evaluate

__all__ = ["APPLICATIONS", "GATEWAYS", "cluster", "contract", "endpoint", "network", "network_values"]

MODULES = ROOT / "infra/terraform/modules"

APPLICATIONS = "meshpass-applications@example-project.iam.gserviceaccount.com"
GATEWAYS = "meshpass-gateways@example-project.iam.gserviceaccount.com"


@functools.cache
def contract() -> dict[str, str]:
    """Return the values of infra/contract.env."""
    values, problems = meshcontract.parse(ROOT / "infra/contract.env")
    assert not problems, problems
    return values


def network_values(**others: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the arguments of the module `network`, with others in place of the example's."""
    values = contract()
    return {
        "project_id": values["GOOGLE_CLOUD_PROJECT"],
        "region": values["REGION"],
        "name": values["VPC_NETWORK"],
        "node_range": values["NODE_RANGE"],
        "pod_range": values["POD_RANGE"],
        "service_range": values["SERVICE_RANGE"],
        "direct_egress": {"subnet": values["VPC_SUBNET"], "range": values["FUNCTION_EGRESS_RANGE"]},
        "gateway_address": values["GKE_GATEWAY_ADDRESS"],
        "google_apis_host": values["GOOGLE_APIS_HOST"],
        "application_node_account": APPLICATIONS,
        "gateway_node_account": GATEWAYS,
    } | others


def network(**others: Any) -> Plan:  # noqa: ANN401
    """Return what the module `network` makes."""
    return evaluate(MODULES / "network", network_values(**others))


def cluster(**others: Any) -> Plan:  # noqa: ANN401
    """Return what the module `cluster` makes."""
    values = contract()
    arguments = {
        "project_id": values["GOOGLE_CLOUD_PROJECT"],
        "region": values["REGION"],
        "name": values["CLUSTER_NAME"],
        "network": "network",
        "node_subnet": "nodes",
        "control_plane_subnet": "control-plane",
        "internet_tag": f"{values['VPC_NETWORK']}-internet",
    }
    return evaluate(MODULES / "cluster", arguments | others)


def endpoint(**others: Any) -> Plan:  # noqa: ANN401
    """Return what the module `gateway-endpoint` makes."""
    values = contract()
    arguments = {
        "project_id": values["GOOGLE_CLOUD_PROJECT"],
        "region": values["REGION"],
        "network": "network",
        "node_subnet": "nodes",
        "address": values["GKE_GATEWAY_ADDRESS"],
        "hosts": [values["GKE_GATEWAY_HOST"], values["ORDERS_HOST"]],
        "ca_secret": values["GKE_GATEWAY_CA_SECRET"],
    }
    return evaluate(MODULES / "gateway-endpoint", arguments | others)
