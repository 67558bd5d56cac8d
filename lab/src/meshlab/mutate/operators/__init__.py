"""Operators by kind: small functions that yield the changes of one object as written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from meshlab.istio.read.object_kinds import GATEWAY_API, NETWORKING, SECURITY
from meshlab.mutate.edits import Body, Change
from meshlab.mutate.operators.authorization_policy import authorization_policy
from meshlab.mutate.operators.destination_rules import destination_rule
from meshlab.mutate.operators.export_to import exported_service
from meshlab.mutate.operators.gateway_api import backend_tls, listeners, reference_grant, route
from meshlab.mutate.operators.gateways import gateway
from meshlab.mutate.operators.mesh_config import mesh_config
from meshlab.mutate.operators.peer_authentication import peer_authentication
from meshlab.mutate.operators.request_authentication import request_authentication
from meshlab.mutate.operators.service_entries import service_entry
from meshlab.mutate.operators.sidecars import sidecar
from meshlab.mutate.operators.virtual_services import virtual_service

__all__ = ["OPERATORS", "Operator"]

Operator = Callable[[Body], Iterator[Change]]

OPERATORS: Mapping[tuple[str, str], Operator] = {
    ("", "MeshConfig"): mesh_config,
    ("", "Service"): exported_service,
    (NETWORKING, "DestinationRule"): destination_rule,
    (NETWORKING, "Gateway"): gateway,
    (NETWORKING, "ServiceEntry"): service_entry,
    (NETWORKING, "Sidecar"): sidecar,
    (NETWORKING, "VirtualService"): virtual_service,
    (SECURITY, "AuthorizationPolicy"): authorization_policy,
    (SECURITY, "PeerAuthentication"): peer_authentication,
    (SECURITY, "RequestAuthentication"): request_authentication,
    (GATEWAY_API, "BackendTLSPolicy"): backend_tls,
    (GATEWAY_API, "Gateway"): listeners,
    (GATEWAY_API, "ListenerSet"): listeners,
    (GATEWAY_API, "ReferenceGrant"): reference_grant,
    **dict.fromkeys(
        ((GATEWAY_API, kind) for kind in ("GRPCRoute", "HTTPRoute", "TCPRoute", "TLSRoute")), route
    ),
}
"""(group, kind) of every object that decides requests, to what yields its changes."""
