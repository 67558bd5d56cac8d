"""Pods and addresses that tests of NetworkPolicies know by name, and the policies of any environment."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshgen.networks import generate_networks

from tests import yaml_text
from tests.infra.networks.network_policies import Connection, Pod

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["ADDRESSES", "PODS", "PORTS", "connections", "generated", "policies_of"]

ROOT = Path(__file__).parents[3]

APP_X, APP_Y = Pod("team-x", (("app", "app"),)), Pod("team-y", (("app", "app"),))
OTHER_X, OTHER_Y = Pod("team-x", (("app", "other"),)), Pod("team-y", (("app", "other"),))
GATEWAY = Pod("istio-egress", (("istio", "egressgateway"),))
BESIDE_GATEWAY = Pod("istio-egress", (("app", "other"),))
ISTIOD, BESIDE_ISTIOD = Pod("istio-system", (("app", "istiod"),)), Pod("istio-system", (("app", "other"),))
INGRESS, PROFILE = Pod("istio-ingress", (("istio", "internal-gateway"),)), Pod("user-profile")
KUBE_DNS, NODE_CACHE = (
    Pod("kube-system", (("k8s-app", "kube-dns"),)),
    Pod("kube-system", (("k8s-app", "node-local-dns"),)),
)
AGENT, OTHER_SYSTEM = (
    Pod("kube-system", (("k8s-app", "konnectivity-agent"),)),
    Pod("kube-system", (("k8s-app", "other"),)),
)
STRANGER = Pod("new", (("istio", "egressgateway"), ("app", "istiod")))
FALSE_DNS = Pod("new", (("k8s-app", "kube-dns"),))
FALSE_CACHE = Pod("new", (("k8s-app", "node-local-dns"),))
FALSE_AGENT = Pod("new", (("k8s-app", "konnectivity-agent"),))

PODS = (
    APP_X,
    OTHER_X,
    APP_Y,
    OTHER_Y,
    GATEWAY,
    BESIDE_GATEWAY,
    ISTIOD,
    BESIDE_ISTIOD,
    INGRESS,
    PROFILE,
    KUBE_DNS,
    NODE_CACHE,
    AGENT,
    OTHER_SYSTEM,
    STRANGER,
    FALSE_DNS,
    FALSE_CACHE,
    FALSE_AGENT,
)

PRIVATE_APIS, RESTRICTED_APIS = "199.36.153.10", "199.36.153.6"
METADATA_V2, METADATA_V1 = "169.254.169.254", "169.254.169.252"
LOCAL_CACHE, DNS_SERVICE = "169.254.20.10", "10.2.0.10"
API_SERVER = "10.5.0.2"
INTERNET, INTERNET_V6 = "93.184.215.14", "2606:2800:21f:cb07::1"
INSIDE_V4 = (
    "10.9.0.1 172.16.0.1 192.168.0.1 100.64.0.1 127.0.0.1 0.0.0.1 192.0.0.1 198.18.0.1 224.0.0.1 240.0.0.1"
)
INSIDE_V6 = "fd00::1 fe80::1 ::1 ::ffff:10.9.0.1 64:ff9b::a09:1 100::1 ff02::1"
INSIDE = (*INSIDE_V4.split(), *INSIDE_V6.split())

ADDRESSES = (
    PRIVATE_APIS,
    RESTRICTED_APIS,
    METADATA_V2,
    METADATA_V1,
    LOCAL_CACHE,
    DNS_SERVICE,
    API_SERVER,
    INTERNET,
    INTERNET_V6,
    *INSIDE,
)

PORTS = (
    ("UDP", 53),
    ("TCP", 53),
    ("TCP", 80),
    ("TCP", 443),
    ("TCP", 987),
    ("TCP", 988),
    ("TCP", 8080),
    ("TCP", 8443),
    ("TCP", 9999),
    ("UDP", 9999),
    ("TCP", 15010),
    ("TCP", 15012),
    ("TCP", 15017),
)


def connections(namespaces: Iterable[str] = ()) -> Iterator[Connection]:
    """Return every connection of this world, or those with an end in these namespaces."""
    wanted = set(namespaces)
    ends: tuple[Pod | str, ...] = (*PODS, *ADDRESSES)
    for source in ends:
        for destination in ends:
            if source == destination or (isinstance(source, str) and isinstance(destination, str)):
                continue
            if wanted and not wanted & {
                end.namespace for end in (source, destination) if isinstance(end, Pod)
            }:
                continue
            for protocol, port in PORTS:
                yield Connection(source, destination, port, protocol)


def generated(root: Path, callers: Mapping[str, str] | None = None, /, **changes: object) -> dict[str, Any]:
    """Return the objects that follow from the example environment with some values changed, by kind and name.

    Args:
        root: An empty directory.
        callers: Callers in place of the project's own, each with its jwksUri; empty for one with keys of its own.
        changes: Values of the description; None takes one away.
    """
    mesh = root / "infra/mesh"
    shutil.copytree(ROOT / "infra/mesh/schema", mesh / "schema")
    shutil.copytree(ROOT / "infra/mesh/egress/teams", mesh / "egress/teams")
    shutil.copytree(ROOT / "infra/mesh/egress/gateway", mesh / "egress/gateway")
    for service in (ROOT / "infra/mesh/services").glob("*/service.yaml"):
        (mesh / "services" / service.parent.name).mkdir(parents=True)
        shutil.copy(service, mesh / "services" / service.parent.name)
    (mesh / "callers").mkdir()
    if callers is None:
        shutil.copytree(ROOT / "infra/mesh/callers", mesh / "callers", dirs_exist_ok=True)
    for name, address in (callers or {}).items():
        keys = {"jwksUri": address} if address else {"jwks": f"{name}.json"}
        (mesh / "callers" / f"{name}.yaml").write_text(yaml_text.write({"keys": keys}))
    value = yaml_text.read((ROOT / "infra/mesh/environments/example.yaml").read_text())
    value = {key: found for key, found in {**value, **changes}.items() if found is not None}
    (mesh / "environments").mkdir()
    (mesh / "environments/tried.yaml").write_text(yaml_text.write(value))
    (root / "infra/contract.env").write_text(f"GOOGLE_APIS_HOST={value.get('googleApis')}.googleapis.com\n")
    found = {}
    for file in generate_networks(root):
        for body in yaml_text.read_all(file.text):
            metadata = body.get("metadata", {"name": file.path.name})
            place = "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
            found[f"{body['kind']} {place}"] = body
    return found


def policies_of(objects: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the NetworkPolicies among objects."""
    return [body for body in objects.values() if body["kind"] == "NetworkPolicy"]
