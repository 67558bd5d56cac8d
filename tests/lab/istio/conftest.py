"""A small mesh to vary: one gateway over HTTPS, one app with a sidecar, mTLS everywhere, nothing allowed by default."""

from __future__ import annotations

import itertools
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.istio import Mesh, MeshSettings, Placement, SecretSocket, WorkloadRef, compile_proxy, load_mesh
from meshlab.manifest import ManifestError, parse_manifests

from tests import yaml_text
from tests.lab.door_and_cart import DOOR_AND_CART

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.manifest import Manifest

JWKS = (
    '{"keys": [{"kty": "EC", "crv": "P-256", "kid": "one", '
    '"x": "H-wvkNY40omOviVspdaKQodQUzaApIxErq0fnv4eXMo", "y": "-cmEPNJmzCu-FT6xvdznJ51hAlyiCxs7UHExZjCv2Oc"}]}'
)

BASE = (
    DOOR_AND_CART
    + """---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door, namespace: edge}
spec:
  selector: {app: door}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      tls: {mode: SIMPLE, credentialName: door-tls}
      hosts: [shop/cart.example]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart.example]
  gateways: [edge/door]
  http:
    - route: [{destination: {host: cart}}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"""
)

GATEWAY = WorkloadRef("edge", "door")
APP = WorkloadRef("shop", "cart")


@cache
def base_manifests() -> tuple[Manifest, ...]:
    """The base's manifests, which no test may change: hundreds of tests read them."""
    return tuple(parse_manifests(BASE, "base.yaml"))


class Compiled:
    """One compiled proxy, with the parts that tests look at."""

    def __init__(self, mesh: Mesh, ref: WorkloadRef, placement: Placement) -> None:
        self.mesh, self.ref, self.placement = mesh, ref, placement
        self.bootstrap: dict[str, Any] = compile_proxy(mesh, ref, placement, SecretSocket())

    def listener(self, port: int) -> dict[str, Any]:
        found = {listener["name"]: listener for listener in self.bootstrap["staticResources"]["listeners"]}
        side = "" if self.mesh.workload(self.ref).is_gateway else "inbound_"
        chosen: dict[str, Any] = found[f"{side}0.0.0.0_{port}"]
        return chosen

    def managers(self, port: int) -> list[dict[str, Any]]:
        return [chain["filters"][0]["typedConfig"] for chain in self.listener(port)["filterChains"]]

    def manager(self, port: int) -> dict[str, Any]:
        return self.managers(port)[0]

    def filters(self, port: int) -> list[dict[str, Any]]:
        chosen: list[dict[str, Any]] = self.manager(port)["httpFilters"]
        return chosen

    def cluster(self, name: str) -> dict[str, Any]:
        found = {cluster["name"]: cluster for cluster in self.bootstrap["staticResources"]["clusters"]}
        chosen: dict[str, Any] = found[name]
        return chosen

    def virtual_hosts(self, port: int) -> dict[str, list[dict[str, Any]]]:
        hosts = [host for manager in self.managers(port) for host in manager["routeConfig"]["virtualHosts"]]
        return {host["domains"][0]: host["routes"] for host in hosts}


class SmallMesh:
    """The small mesh, to be built with further manifests; one of the same name replaces the base's."""

    jwks = JWKS
    gateway_ref, app_ref = GATEWAY, APP

    def mesh(
        self,
        *texts: str,
        without: tuple[str, ...] = (),
        trust_domain: str = "cluster.local",
        settings: MeshSettings | None = None,
    ) -> Mesh:
        chosen = settings or MeshSettings(trust_domain=trust_domain)
        return load_mesh(self.manifests(*texts, without=without), chosen)

    def manifests(self, *texts: str, without: tuple[str, ...] = ()) -> list[Manifest]:
        added = [manifest for text in texts for manifest in parse_manifests(text, "test.yaml")]
        taken = {(manifest.kind, manifest.namespace, manifest.name) for manifest in added}
        kept = [
            manifest
            for manifest in base_manifests()
            if (manifest.kind, manifest.namespace, manifest.name) not in taken
            and f"{manifest.kind}/{manifest.name}" not in without
        ]
        return [*kept, *added]

    def compiled(self, ref: WorkloadRef, mesh: Mesh) -> Compiled:
        ports: Iterator[int] = itertools.count(21000)
        return Compiled(mesh, ref, Placement.plan(mesh, lambda: next(ports)))

    def gateway(self, *texts: str, without: tuple[str, ...] = ()) -> Compiled:
        return self.compiled(GATEWAY, self.mesh(*texts, without=without))

    def app(self, *texts: str, without: tuple[str, ...] = ()) -> Compiled:
        return self.compiled(APP, self.mesh(*texts, without=without))

    def refusal(self, *texts: str, without: tuple[str, ...] = ()) -> str:
        """The message with which the mesh is refused; it must start with the file."""
        with pytest.raises(ManifestError) as caught:
            self.mesh(*texts, without=without).require_complete(without_notes=True)
        message = str(caught.value)
        assert message.startswith(("test.yaml", "base.yaml"))
        return message

    def base(self, kind: str, name: str) -> str:
        """The text of one of the base's manifests."""
        (found,) = [
            document
            for document in yaml_text.read_all(BASE)
            if (document["kind"], document["metadata"]["name"]) == (kind, name)
        ]
        return yaml_text.write(found)

    def changed(self, text: str, path: str, value: object) -> str:
        """A one-document manifest with another value at a dotted path."""
        document = yaml_text.read(text)
        *way, last = path.split(".")
        place = document
        for part in way:
            place = place[int(part)] if part.isdigit() else place.setdefault(part, {})
        place[int(last) if last.isdigit() else last] = value
        return yaml_text.write(document)


@pytest.fixture(scope="session")
def small() -> SmallMesh:
    """The small mesh."""
    return SmallMesh()
