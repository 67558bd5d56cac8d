"""Listeners of a sidecar for what its application sends.

| module | what it holds |
|---|---|
| `virtual_outbound` | the one listener that is bound; it finds the others by the address that the application wanted |
| `ports` | which services share a listener, and who is left out where they cannot |
| `chains` | the filter chains of one service on one port |
| `listener` | a listener in Envoy's words |
"""

from __future__ import annotations

from meshlab.istio.envoy.outbound.ports import outbound_listeners
from meshlab.istio.envoy.outbound.sidecar_context import OutboundContext
from meshlab.istio.envoy.outbound.virtual_outbound import virtual_outbound_listener

__all__ = ["OutboundContext", "outbound_listeners", "virtual_outbound_listener"]
