"""What the steps of one hop are explained from."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from meshlab.bench.case import FromBypass, FromForeignMesh
from meshlab.bench.planning.destination import destination_of
from meshlab.bench.verdicts.configured import chain_of, listener_of, manager_of
from meshlab.explain.attribute_values import SeenValues
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from meshlab.bench.case import Case
    from meshlab.bench.evidence.line import EvidenceLine
    from meshlab.bench.mesh_addresses import MeshUnderTest
    from meshlab.bench.verdicts.hop import Hop
    from meshlab.istio import Mesh
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.request_authentication import JwtRule, RequestAuthentication

__all__ = ["HopContext"]


@dataclass(frozen=True)
class HopContext:
    """One hop, and everything around it.

    Attributes:
        case: The case.
        hops: All hops of its request.
        index: Which of them is explained.
        mesh: The mesh.
        under_test: Its configurations.
    """

    case: Case
    hops: tuple[Hop, ...]
    index: int
    mesh: Mesh
    under_test: MeshUnderTest

    @property
    def hop(self) -> Hop:
        """The hop."""
        return self.hops[self.index]

    @property
    def line(self) -> EvidenceLine:
        """What its proxy logged."""
        return self.hop.line

    @property
    def after(self) -> Hop | None:
        """The next proxy on the way."""
        return self.hops[self.index + 1] if self.index + 1 < len(self.hops) else None

    @cached_property
    def workload(self) -> Workload:
        """The workload of the proxy."""
        return self.mesh.workload(self.hop.workload)

    @property
    def bootstrap(self) -> Mapping[str, Any]:
        """The configuration of the proxy."""
        return self.under_test.bootstraps[self.hop.workload]

    @cached_property
    def listener(self) -> Json | None:
        """The listener that took the connection."""
        return listener_of(self.bootstrap, self.line)

    @cached_property
    def chain(self) -> Json | None:
        """The filter chain that took it; `None` where none did."""
        return chain_of(self.bootstrap, self.line)

    @cached_property
    def manager(self) -> Json | None:
        """The HTTP connection manager of the chain; `None` where it passes connections on as they are."""
        return manager_of(self.chain) if self.chain else None

    @cached_property
    def jwt_rules(self) -> list[tuple[RequestAuthentication, int, JwtRule]]:
        """The rules on tokens of the proxy, in the order in which Envoy tries them."""
        if self.hop.direction == "outbound":
            return []
        attached = self.mesh.attached_to(self.workload, self.mesh.request_authentications)
        rules = [(policy, index, rule) for policy in attached for index, rule in enumerate(policy.rules)]
        return sorted(rules, key=lambda found: found[2].issuer)

    @cached_property
    def seen(self) -> SeenValues:
        """The values that the proxy saw."""
        names = {name.lower() for _, _, rule in self.jwt_rules for name, _ in rule.from_headers}
        names |= {token.name.lower() for token in self.case.tokens if token.placement == "header"}
        stated = {source: address for address, source in self.under_test.sources.items()}
        own = self.under_test.stated.get(self.hop.workload, "")
        return SeenValues(self.hop, stated, own, frozenset(names))

    @property
    def client_speaks_tls(self) -> bool | None:
        """Whether the other end spoke TLS; `None` where that is not known."""
        if self.line.tls_version or self.line.sni:
            return True
        if self.index:
            before = self.hops[self.index - 1]
            clusters = self.under_test.bootstraps[before.workload].get("staticResources", {})
            found = [each for each in clusters.get("clusters", []) if each["name"] == before.line.cluster]
            return _speaks_tls(found[0]) if found else None
        match self.case.sender:
            case FromBypass(mode=mode):
                return mode != "plaintext" or destination_of(self.case.request).tls
            case FromForeignMesh():
                return True
        return destination_of(self.case.request).tls


def _speaks_tls(cluster: Json) -> bool | None:
    """Return whether a cluster's connections are TLS; `None` where that depends on the endpoint."""
    if cluster.get("transportSocketMatches"):
        return None
    return bool(cluster.get("transportSocket"))
