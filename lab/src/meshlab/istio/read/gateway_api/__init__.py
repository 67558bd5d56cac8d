"""The Gateway API: one module for each kind, from a manifest to a frozen value.

Versions that a cluster serves side by side have the same fields; v1alpha2 of TLSRoute and TCPRoute is a little wider.
"""

from __future__ import annotations

from meshlab.istio.read.gateway_api.backend_tls_policy import BackendTlsPolicy, read_backend_tls_policy
from meshlab.istio.read.gateway_api.gateway_class import GatewayClass, read_gateway_class
from meshlab.istio.read.gateway_api.grpc_route import GrpcRoute, read_grpc_route
from meshlab.istio.read.gateway_api.http_route import HttpRoute, read_http_route
from meshlab.istio.read.gateway_api.kubernetes_gateway import KubernetesGateway, read_kubernetes_gateway
from meshlab.istio.read.gateway_api.l4_routes import TcpRoute, TlsRoute, read_tcp_route, read_tls_route
from meshlab.istio.read.gateway_api.listener_set import ListenerSet, read_listener_set
from meshlab.istio.read.gateway_api.reference_grant import ReferenceGrant, read_reference_grant
from meshlab.istio.read.gateway_api.route import Route

__all__ = [
    "BackendTlsPolicy",
    "GatewayClass",
    "GrpcRoute",
    "HttpRoute",
    "KubernetesGateway",
    "ListenerSet",
    "ReferenceGrant",
    "Route",
    "TcpRoute",
    "TlsRoute",
    "read_backend_tls_policy",
    "read_gateway_class",
    "read_grpc_route",
    "read_http_route",
    "read_kubernetes_gateway",
    "read_listener_set",
    "read_reference_grant",
    "read_tcp_route",
    "read_tls_route",
]
