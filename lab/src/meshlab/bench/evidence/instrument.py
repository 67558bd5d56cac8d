"""Access loggers of the bench, added to a finished Envoy configuration.

The compiler stays free of them, and a configuration from a real control plane can be run as well. Every HTTP connection
manager, TCP proxy and listener gets one; all of a proxy write JSON lines to one file. Filter chains without a name get
one, and each route is marked, so that a line says which of them took the request.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshlab.bench.echo.exchange import MARK_HEADER
from meshlab.bench.evidence.address_probes import with_address_probes
from meshlab.bench.evidence.condition_probes import SEEN_HEADERS, with_condition_probes
from meshlab.istio.envoy.jwt_authn import JWT_FILTER, PAYLOAD_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshlab.istio.envoy.config import Json

__all__ = ["chain_name", "instrument", "route_mark"]

_NAME = "meshlab.evidence"
_EXTENSIONS = "type.googleapis.com/envoy.extensions."
_FILE_LOG = f"{_EXTENSIONS}access_loggers.file.v3.FileAccessLog"
_HCM = f"{_EXTENSIONS}filters.network.http_connection_manager.v3.HttpConnectionManager"
_TCP_PROXY = f"{_EXTENSIONS}filters.network.tcp_proxy.v3.TcpProxy"
_PROXY_PROTOCOL = f"{_EXTENSIONS}filters.listener.proxy_protocol.v3.ProxyProtocol"

_HTTP_RBAC, _TCP_RBAC = "envoy.filters.http.rbac", "envoy.filters.network.rbac"

_CONNECTION_FIELDS = {
    "log_type": "%ACCESS_LOG_TYPE%",
    # Seconds since the epoch, with microseconds: they distinguish connections that had one port in turn.
    "start": "%START_TIME(%s.%6f)%",
    "duration_ms": "%DURATION%",
    "client": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "server": "%DOWNSTREAM_DIRECT_LOCAL_ADDRESS%",
    "source": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "destination": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "chain": "%FILTER_CHAIN_NAME%",
    "sni": "%REQUESTED_SERVER_NAME%",
    "peer": "%DOWNSTREAM_PEER_URI_SAN%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "termination": "%CONNECTION_TERMINATION_DETAILS%",
    "downstream_failure": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
}
_LOCAL_CLOSE = {"local_close": "%DOWNSTREAM_LOCAL_CLOSE_REASON%"}
_LOCAL_CLOSE_SINCE = (1, 38)
"""The first Envoy that knows this operator; an older one refuses the whole configuration for it."""
_UPSTREAM_FIELDS = {
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream": "%UPSTREAM_HOST%",
    "upstream_client": "%UPSTREAM_LOCAL_ADDRESS%",
    "upstream_failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
}
_ROUTE_MARK = "meshlab.route"
_HTTP_FIELDS = {
    "mark": f"%REQ({MARK_HEADER})%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "authority": "%REQ(:AUTHORITY)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "route": "%ROUTE_NAME%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "rbac": f"%DYNAMIC_METADATA({_HTTP_RBAC})%",
    "route_mark": f"%METADATA(ROUTE:{_ROUTE_MARK}:at)%",
}
_TCP_FIELDS = {"rbac": f"%DYNAMIC_METADATA({_TCP_RBAC})%"}
_TLS_DETAILS = {
    "tls_version": "%DOWNSTREAM_TLS_VERSION%",
    "tls_cipher": "%DOWNSTREAM_TLS_CIPHER%",
    "upstream_tls_version": "%UPSTREAM_TLS_VERSION%",
    "upstream_tls_cipher": "%UPSTREAM_TLS_CIPHER%",
    "upstream_peer": "%UPSTREAM_PEER_URI_SAN%",
}
"""What an explanation shows of a connection beside the fields of every run."""
_HTTP_DETAILS = {
    # The claims of tokens that were verified. A token itself is never in the metadata.
    "claims": f"%DYNAMIC_METADATA({JWT_FILTER}:{PAYLOAD_KEY})%",
    "seen_headers": f"%DYNAMIC_METADATA({SEEN_HEADERS})%",
}


def instrument(
    bootstrap: Json,
    log_file: Path,
    *,
    accept_client_addresses: bool = False,
    condition_probes: bool = False,
    envoy: tuple[int, int] = _LOCAL_CLOSE_SINCE,
) -> Json:
    """Return the configuration with the bench's access loggers, and with probes of what depends on addresses.

    Args:
        bootstrap: A whole configuration. It is not changed. Loggers of an earlier call are replaced.
        log_file: File that all loggers write to.
        accept_client_addresses: Whether bound listeners take a PROXY header from a client that sends one, so that the
            connection shows the client's address that a case names. A client without the header is served as before.
        condition_probes: Whether rules and conditions of policies are recorded one by one, with what else an
            explanation shows. It multiplies the filters.
        envoy: The major and minor version of the Envoy that shall take it.
    """
    of_connection = _CONNECTION_FIELDS | (_LOCAL_CLOSE if envoy >= _LOCAL_CLOSE_SINCE else {})
    of_requests = _HTTP_FIELDS
    if condition_probes:
        of_connection, of_requests = of_connection | _TLS_DETAILS, of_requests | _HTTP_DETAILS
    result: Json = json.loads(json.dumps(bootstrap))  # a copy, several times faster than copy.deepcopy
    for listener in _get(_get(result, "staticResources", {}), "listeners", []):
        name = listener.get("name", "")
        _log(listener, log_file, name, "connection", of_connection | _UPSTREAM_FIELDS | _TCP_FIELDS)
        for index, chain in enumerate(_filter_chains(listener)):
            chain.setdefault("name", chain_name(index))
            if "filters" in chain:
                chain["filters"] = _with_probes(chain["filters"], of_conditions=condition_probes)
        for network_filter in _network_filters(listener):
            config = network_filter.get("typedConfig") or network_filter.get("typed_config") or {}
            if config.get("@type") == _HCM:
                if "httpFilters" in config:
                    config["httpFilters"] = _with_probes(
                        config["httpFilters"], of_conditions=condition_probes
                    )
                _mark_routes(config)
                _log(config, log_file, name, "http", of_connection | _UPSTREAM_FIELDS | of_requests)
            elif config.get("@type") == _TCP_PROXY:
                _log(config, log_file, name, "tcp", of_connection | _UPSTREAM_FIELDS | _TCP_FIELDS)
                # A connection between proxies may stay open long after its case; its line must not wait for the end.
                options = dict(_get(config, "accessLogOptions", {}))
                config.pop("access_log_options", None)
                config["accessLogOptions"] = {**options, "flushAccessLogOnConnected": True}
        if accept_client_addresses:
            _accept_proxy_header(listener)
    return result


def chain_name(index: int) -> str:
    """Return the name of a filter chain that has none; the default one comes after the others."""
    return f"filter chain {index}"


def route_mark(virtual_host: int, route: int) -> str:
    """Return the mark of a route, by its place in the route configuration."""
    return f"{virtual_host} {route}"


def _with_probes(filters: list[Json], *, of_conditions: bool) -> list[Json]:
    return with_address_probes(with_condition_probes(filters) if of_conditions else filters)


def _mark_routes(manager: Json) -> None:
    """Let each route say in the access log which one it is: several may have one name, and most have none."""
    for host_index, host in enumerate(_get(_get(manager, "routeConfig", {}), "virtualHosts", [])):
        for route_index, route in enumerate(host.get("routes", [])):
            # Virtual hosts may share a route, which the copy of the configuration has made two of.
            metadata = route.setdefault("metadata", {}).setdefault("filterMetadata", {})
            metadata[_ROUTE_MARK] = {"at": route_mark(host_index, route_index)}


def _log(place: Json, log_file: Path, listener: str, scope: str, fields: dict[str, str]) -> None:
    kept = [logger for logger in _get(place, "accessLog", []) if logger.get("name") != _NAME]
    place.pop("access_log", None)
    form = {"scope": scope, "listener": listener, **fields}
    logger = {"@type": _FILE_LOG, "path": str(log_file), "logFormat": {"jsonFormat": form}}
    place["accessLog"] = [*kept, {"name": _NAME, "typedConfig": logger}]


def _filter_chains(listener: Json) -> list[Json]:
    default = _get(listener, "defaultFilterChain", None)
    return [*_get(listener, "filterChains", []), *([default] if default else [])]


def _network_filters(listener: Json) -> Iterator[Json]:
    for chain in _filter_chains(listener):
        yield from chain.get("filters", [])


def _accept_proxy_header(listener: Json) -> None:
    filters = list(_get(listener, "listenerFilters", []))
    kinds = [(entry.get("typedConfig") or entry.get("typed_config") or {}).get("@type") for entry in filters]
    if _PROXY_PROTOCOL in kinds or _get(listener, "bindToPort", True) is False:
        return
    config = {"@type": _PROXY_PROTOCOL, "allowRequestsWithoutProxyProtocol": True}
    listener.pop("listener_filters", None)
    listener["listenerFilters"] = [
        {"name": "envoy.filters.listener.proxy_protocol", "typedConfig": config},
        *filters,
    ]


def _get(place: Json, name: str, default: Any) -> Any:  # noqa: ANN401 - any value of a JSON document
    """Return a field in either spelling of protobuf's JSON."""
    snake = "".join(f"_{character.lower()}" if character.isupper() else character for character in name)
    return place.get(name, place.get(snake, default))
