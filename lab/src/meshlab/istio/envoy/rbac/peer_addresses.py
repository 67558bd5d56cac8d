"""Conditions on IP addresses, where every pod connects from a loopback address that stands for its own.

A condition on the connection's other end becomes the set of the loopback addresses whose stated addresses are in its
range. An address that was sent in X-Forwarded-For or a PROXY header is the real one, so the range itself counts too.
"""

from __future__ import annotations

import ipaddress
from dataclasses import field
from typing import TYPE_CHECKING

from meshlab.istio.envoy.rbac.matchers import address_range
from meshlab.istio.model.addresses import NO_ADDRESS, SOURCES
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.envoy.config import Json

__all__ = ["PeerAddresses"]


@dataclass(frozen=True)
class PeerAddresses:
    """What a proxy knows about addresses.

    Attributes:
        sources: A stated address to the loopback address that stands for it; empty where conditions stay as written.
        own: The stated address of the proxy's own pod; empty where it is not stated.
    """

    sources: Mapping[str, str] = field(default_factory=dict)
    own: str = ""

    def direct(self, block: str) -> list[Json]:
        """Return principals of which one matches where the connection's other end is in a range."""
        if not self.sources:
            return [{"directRemoteIp": address_range(block)}]
        # An empty list would match everything. No connection comes from 0.0.0.0.
        return [
            {"directRemoteIp": address_range(source)} for source in self._standing_for(block) or [NO_ADDRESS]
        ]

    def remote(self, block: str) -> list[Json]:
        """Return principals of which one matches where the trusted client address is in a range."""
        written: Json = {"remoteIp": address_range(block)}
        if not self.sources:
            return [written]
        if _overlap(block):
            written = {"andIds": {"ids": [written, {"notId": {"remoteIp": address_range(str(SOURCES))}}]}}
        return [
            written,
            *({"remoteIp": address_range(source)} for source in self._standing_for(block)),
        ]

    def destination(self, block: str) -> Json:
        """Return the permission that matches where the pod's own address is in a range."""
        if not self.own:
            return {"destinationIp": address_range(block)}
        return {"any": True} if _is_in(self.own, block) else {"notRule": {"any": True}}

    def _standing_for(self, block: str) -> list[str]:
        return [source for address, source in self.sources.items() if _is_in(address, block)]


def _is_in(address: str, block: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(block, strict=False)


def _overlap(block: str) -> bool:
    network = ipaddress.ip_network(block, strict=False)
    return isinstance(network, ipaddress.IPv4Network) and network.overlaps(SOURCES)
