"""External authorizers as Envoy's ext_authz filters (`pilot/pkg/security/authz/builder/extauthz.go`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.connection_manager import duration
from meshlab.istio.read.status_codes import STATUS_CODES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.extension_providers import ExternalAuthorizer

__all__ = ["authorizer_cluster_name", "http_authorizer", "tcp_authorizer"]

_TIMEOUT_S = 600.0


def authorizer_cluster_name(authorizer: ExternalAuthorizer) -> str:
    """Return the name that istiod gives to the cluster of an authorizer's service."""
    return f"outbound|{authorizer.port}||{authorizer.host}"


def http_authorizer(provider: str, authorizer: ExternalAuthorizer, cluster: str, rbac_filter: str) -> Json:
    """Return the HTTP filter that asks an authorizer about the requests that a CUSTOM policy matched.

    Args:
        provider: The provider's name.
        authorizer: The authorizer.
        cluster: The cluster of its service.
        rbac_filter: The filter that recorded which policy matched.
    """
    config: Json = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transportApiVersion": "V3",
        "filterEnabledMetadata": _matched(provider, rbac_filter),
    }
    if authorizer.protocol == "grpc":
        config["grpcService"] = _grpc_service(authorizer, cluster)
    else:
        config["httpService"] = _http_service(authorizer, cluster)
        config |= _if_any("allowedHeaders", authorizer.headers_in_check)
    if authorizer.fail_open:
        config["failureModeAllow"] = True
    if authorizer.status_on_error:
        config["statusOnError"] = {"code": STATUS_CODES[int(authorizer.status_on_error)]}
    if authorizer.body:
        flags = {
            "allowPartialMessage": authorizer.body.allow_partial,
            "packAsBytes": authorizer.body.pack_as_bytes,
        }
        config["withRequestBody"] = {
            "maxRequestBytes": authorizer.body.max_bytes,
            **{name: True for name, value in flags.items() if value},
        }
    return {"name": "envoy.filters.http.ext_authz", "typedConfig": config}


def tcp_authorizer(provider: str, authorizer: ExternalAuthorizer, cluster: str, rbac_filter: str) -> Json:
    """Return the network filter that asks an authorizer about the connections that a CUSTOM policy matched.

    Only authorizers that speak gRPC are asked about connections; see `http_authorizer` for the arguments.
    """
    config: Json = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.ext_authz.v3.ExtAuthz",
        "statPrefix": "tcp.",
        "transportApiVersion": "V3",
        "filterEnabledMetadata": _matched(provider, rbac_filter),
        "grpcService": _grpc_service(authorizer, cluster),
    }
    if authorizer.fail_open:
        config["failureModeAllow"] = True
    return {"name": "envoy.filters.network.ext_authz", "typedConfig": config}


def _matched(provider: str, rbac_filter: str) -> Json:
    return {
        "filter": rbac_filter,
        "path": [{"key": "istio_ext_authz_shadow_effective_policy_id"}],
        "value": {"stringMatch": {"prefix": f"istio-ext-authz-{provider}"}},
    }


def _grpc_service(authorizer: ExternalAuthorizer, cluster: str) -> Json:
    return {
        "envoyGrpc": {"clusterName": cluster, "authority": authorizer.host},
        "timeout": _timeout(authorizer),
    }


def _http_service(authorizer: ExternalAuthorizer, cluster: str) -> Json:
    service: Json = {
        # Envoy wants an address here, and does not use it.
        "serverUri": {
            "uri": f"http://{authorizer.host}",
            "cluster": cluster,
            "timeout": _timeout(authorizer),
        }
    }
    if authorizer.path_prefix:
        service["pathPrefix"] = authorizer.path_prefix
    if authorizer.added_headers:
        added = [{"key": key, "value": value} for key, value in sorted(authorizer.added_headers.items())]
        service["authorizationRequest"] = {"headersToAdd": added}
    response = {
        **_if_any("allowedUpstreamHeaders", authorizer.headers_to_upstream_on_allow),
        **_if_any("allowedClientHeaders", authorizer.headers_to_downstream_on_deny),
        **_if_any("allowedClientHeadersOnSuccess", authorizer.headers_to_downstream_on_allow),
    }
    if response:
        service["authorizationResponse"] = response
    return service


def _if_any(name: str, headers: Sequence[str]) -> Json:
    return {name: {"patterns": [_pattern(header) for header in headers]}} if headers else {}


def _pattern(header: str) -> Json:
    if header.startswith("*"):
        return {"suffix": header[1:], "ignoreCase": True}
    if header.endswith("*"):
        return {"prefix": header[:-1], "ignoreCase": True}
    return {"exact": header, "ignoreCase": True}


def _timeout(authorizer: ExternalAuthorizer) -> str:
    return duration(_TIMEOUT_S if authorizer.timeout_s is None else authorizer.timeout_s)
