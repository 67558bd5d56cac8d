"""Addresses that a cluster would choose, invented so that the same mesh always has the same ones.

Nothing listens on them. A client names them in a PROXY header, and its sidecar finds the listener by them.
"""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ALLOCATED", "NO_ADDRESS", "PODS", "PUBLIC", "SERVICES", "SOURCES", "invent", "spread"]

NO_ADDRESS = "0.0.0.0"  # noqa: S104 - what Istio writes for "none of its own"; nothing binds it
PODS = ipaddress.IPv4Network("10.244.0.0/16")
SERVICES = ipaddress.IPv4Network("10.96.0.0/16")
ALLOCATED = ipaddress.IPv4Network("240.240.0.0/16")
"""What istiod gives to ServiceEntries without addresses, for proxies that answer DNS themselves."""
PUBLIC = ipaddress.IPv4Network("198.18.0.0/15")
"""Servers outside of the cluster; a range that is reserved for tests (RFC 2544)."""
SOURCES = ipaddress.IPv4Network("127.100.0.0/16")
"""Where clients with a stated address connect from on this machine: loopback addresses that nothing listens on."""


def invent(name: str, network: ipaddress.IPv4Network) -> str:
    """Return an address for a name; other names may have the same one."""
    digest = hashlib.sha256(name.encode()).digest()
    offset = int.from_bytes(digest[:8], "big") % (network.num_addresses - 2)
    return str(network[1 + offset])


def spread(names: Iterable[str], network: ipaddress.IPv4Network, taken: Iterable[str] = ()) -> dict[str, str]:
    """Return an address of its own for every name.

    Args:
        names: The names. Their order does not matter.
        network: Where the addresses are from.
        taken: Addresses that are in use already.
    """
    used = set(taken)
    found: dict[str, str] = {}
    for name in sorted(set(names)):
        attempt = 0
        address = invent(name, network)
        while address in used:
            attempt += 1
            address = invent(f"{name} {attempt}", network)
        used.add(address)
        found[name] = address
    return found
