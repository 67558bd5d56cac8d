"""The gateway's address, and the range that the function's traffic leaves from.

Source: https://cloud.google.com/compute/docs/reference/rest/v1/addresses
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...cloud import fields, questions
from ..deployment import finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..deployment import Deployment
    from ..finding import Finding

_OVERLAYS = {"google-id-token": "keyless", "signed-jwt": "example"}
"""The shipped overlay, by MESH_AUTH."""


def check(deployment: Deployment) -> Iterator[Finding]:
    """Yield findings about the address and the range."""
    if deployment.ok("addresses"):
        yield from _address(deployment)
    yield from _range(deployment)


def _address(deployment: Deployment) -> Iterator[Finding]:
    address = questions.gateway_address(deployment.values)
    subject = f"the gateway's address {address}"
    found = [
        item for item in fields.items(deployment.data("addresses")) if fields.text(item, "address") == address
    ]
    if not found:
        reserve = (
            "gcloud",
            "compute",
            "addresses",
            "create",
            "meshpass-gateway",
            deployment.project_flag(),
            deployment.region_flag(),
            f"--addresses={address}",
            "--subnet=SUBNET_OF_THE_GATEWAY",
            "--purpose=SHARED_LOADBALANCER_VIP",
        )
        yield finding("address-missing", subject, "not reserved in this region", "reserved", reserve)
        return
    item = found[0]
    kind = fields.text(item, "addressType")
    if kind != "INTERNAL":
        yield finding("address-external", subject, f"type {kind or 'unknown'}", "type INTERNAL")
    if (status := fields.text(item, "status")) != "IN_USE":
        yield finding(
            "address-unused",
            subject,
            f"status {status or 'unknown'}",
            "status IN_USE",
            ("kubectl", "apply", "-k", f"infra/mesh/overlays/{_OVERLAYS[deployment.values['MESH_AUTH']]}"),
        )


def _range(deployment: Deployment) -> Iterator[Finding]:
    values = deployment.values
    if not values["FUNCTION_EGRESS_RANGE"]:
        return
    expected = f"FUNCTION_EGRESS_RANGE={values['FUNCTION_EGRESS_RANGE']}"
    if deployment.ok("connector"):
        connector = deployment.data("connector")
        subject = f"the connector {values['VPC_CONNECTOR'].rpartition('/')[2]}"
        if (state := fields.text(connector, "state")) != "READY":
            words = ("gcloud", "compute", "networks", "vpc-access", "connectors", "describe")
            name = values["VPC_CONNECTOR"].rpartition("/")[2]
            yield finding(
                "connector-not-ready",
                subject,
                f"state {state or 'unknown'}",
                "state READY",
                (*words, name, deployment.project_flag(), deployment.region_flag()),
            )
        # A connector on a subnet has no range of its own in the answer.
        found = fields.text(connector, "ipCidrRange")
        if found and found != values["FUNCTION_EGRESS_RANGE"]:
            yield finding("egress-range-differs", subject, found, expected)
    if deployment.ok("subnet"):
        found = fields.text(deployment.data("subnet"), "ipCidrRange")
        if found != values["FUNCTION_EGRESS_RANGE"]:
            _, name = questions.shared_network_project(values, "VPC_SUBNET")
            yield finding("egress-range-differs", f"the subnet {name}", found or "unknown", expected)
