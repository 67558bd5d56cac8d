"""VirtualServices from a few words, for tests that need no mesh around them."""

from __future__ import annotations

import json

import pytest
import yaml
from meshlab.istio.read.virtual_service import HttpRoute, VirtualService, read_virtual_service
from meshlab.manifest import ManifestError, parse_manifests

__all__ = ["TO_CART", "refused", "rule", "virtual_service"]

TO_CART = "route: [{destination: {host: cart}}]"


def virtual_service(
    http: str = "",
    *,
    name: str = "cart",
    namespace: str = "shop",
    more: str = "",
    hosts: str = "[cart.example]",
) -> VirtualService:
    """Read a VirtualService.

    Args:
        http: The list of rules.
        name: Its name.
        namespace: Its namespace.
        more: Further fields of `spec`.
        hosts: Its hosts; empty for a delegate.
    """
    spec = ", ".join(
        part for part in (f"hosts: {hosts}" if hosts else "", f"http: {http}" if http else "", more) if part
    )
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": namespace},
        "spec": yaml.safe_load(f"{{{spec}}}"),
    }
    (manifest,) = parse_manifests(json.dumps(body), "test.yaml")
    return read_virtual_service(manifest)


def rule(fields: str) -> HttpRoute:
    """Read one rule, on a gateway."""
    (found,) = virtual_service(f"[{{{fields}}}]", more="gateways: [door]").http
    return found


def refused(http: str = "", *, more: str = "gateways: [door]", hosts: str = "[cart.example]") -> str:
    """Return the message with which a VirtualService is refused."""
    with pytest.raises(ManifestError) as caught:
        virtual_service(http, more=more, hosts=hosts)
    return str(caught.value)
