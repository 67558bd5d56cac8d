"""Rows that no manifest can get wrong or right, each with the reason and the page that owns it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ELSEWHERE", "Owner"]


@dataclass(frozen=True)
class Owner:
    """Who owns a row.

    Attributes:
        reason: Why no manifest is concerned.
        page: The page or file that says what is done instead.
    """

    reason: str
    page: str


ELSEWHERE = {
    "0.1": Owner(
        "The SDK reads private keys as PKCS#8, or signs with Cloud KMS, or takes Google's tokens.",
        "docs/keys.md",
    ),
    "0.2": Owner("Events, rows and dead letters are the function's.", "function/README.md"),
    "0.3": Owner("Who may call the function is the deployment's.", "docs/deploy.md"),
    "0.9": Owner(
        "No setting of Istio asks for `exp`: a policy test states the gap, and the SDK always sets it.",
        "docs/mesh.md",
    ),
    "0.23": Owner("How the function reaches the VPC is the deployment's.", "docs/deploy.md"),
    "0.24": Owner("The runtime is the deployment's.", "docs/deploy.md"),
    "0.25": Owner("The package is the deployment's.", "docs/deploy.md"),
    "0.26": Owner("Errors, logs and attempts are the SDK's and the function's.", "docs/troubleshooting.md"),
    "0.30": Owner(
        "Who fetches a `jwksUri` depends on the control plane; the bench serves the keys itself.",
        "docs/mesh.md",
    ),
    "2.9": Owner(
        "Zones for Artifact Registry and the nodes' roles belong to the cluster's network.", "docs/egress.md"
    ),
    "2.16": Owner("The firewall belongs to the VPC.", "docs/access.md"),
    "2.17": Owner("No policy of a mesh stops a name in a DNS query.", "docs/access.md"),
    "2.18": Owner("The control plane's endpoint belongs to the cluster.", "docs/egress.md"),
    "2.21": Owner("Bindings of IAM belong to the project.", "docs/access.md"),
    "3.4": Owner("The setting is gone: istiod verifies by default since 1.21.", "docs/lambda-bridge.md"),
    "3.5": Owner("Addresses of ServiceEntries are istiod's own work by now.", "docs/lambda-bridge.md"),
    "3.6": Owner(
        "`deploy/bridge-certificates` makes them; a drill rotates and revokes them.", "docs/lambda-bridge.md"
    ),
    "4.1": Owner("Names of products.", "docs/egress.md"),
    "4.7": Owner("A text that was lost; row 2.10 has its range.", "docs/access.md"),
}
"""Rows by number."""
