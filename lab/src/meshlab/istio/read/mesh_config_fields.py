"""The fields of a MeshConfig and of a proxy's configuration: which are read, passed over, and refused.

A field is passed over when it cannot change the outcome of a request, each with the reason. What can, and is not built,
is refused. The names are those of `mesh/v1alpha1/config.proto` and `proxy.proto` of istio/api.
"""

from __future__ import annotations

__all__ = [
    "DEFAULT_PROVIDERS_PASSED_OVER",
    "MESH_MTLS_REFUSED",
    "OUTBOUND_REFUSED",
    "PASSED_OVER",
    "PROXY_METADATA_PASSED_OVER",
    "PROXY_PASSED_OVER",
    "PROXY_REFUSED",
    "READ",
    "REFUSED",
    "TOPOLOGY_REFUSED",
]

READ = (
    "accessLogEncoding",
    "accessLogFile",
    "accessLogFormat",
    "connectTimeout",
    "defaultConfig",
    "defaultDestinationRuleExportTo",
    "defaultHttpRetryPolicy",
    "defaultProviders",
    "defaultServiceExportTo",
    "defaultVirtualServiceExportTo",
    "enableAutoMtls",
    "extensionProviders",
    "h2UpgradePolicy",
    "ingressClass",
    "ingressControllerMode",
    "ingressSelector",
    "ingressService",
    "meshMTLS",
    "outboundTrafficPolicy",
    "pathNormalization",
    "protocolDetectionTimeout",
    "rootNamespace",
    "trustDomain",
    "trustDomainAliases",
)
"""The fields that `MeshSettings` holds."""

_OBSERVED = "it only decides what is observed"
_LIFECYCLE = "it decides how a proxy starts and ends"
_CONTROL_PLANE = "it says how proxies and istiod reach each other"

PASSED_OVER = {
    "ca": _CONTROL_PLANE,
    "certificates": "it names certificates of the control plane",
    "configSources": _CONTROL_PLANE,
    "disableEnvoyListenerLog": _OBSERVED,
    "dnsRefreshRate": "it decides how often a name is resolved again",
    "enableEnvoyAccessLogService": _OBSERVED,
    "enablePrometheusMerge": _OBSERVED,
    "enableTracing": _OBSERVED,
    "inboundClusterStatName": _OBSERVED,
    "inboundTrafficPolicy": "it decides at which address of its pod an application is reached",
    "localityLbSetting": "it chooses among endpoints of different places, and the lab is one place",
    "outboundClusterStatName": _OBSERVED,
    "proxyHttpPort": "it opens a further port, which no case uses",
    "proxyInboundListenPort": "listeners of the lab have addresses of their own",
    "proxyListenPort": "listeners of the lab have addresses of their own",
    "serviceScopeConfigs": "it joins clusters, and the lab is one cluster",
    "serviceSettings": "it joins clusters, and the lab is one cluster",
    "tcpKeepalive": "it keeps idle connections open",
    "zoneAwareLbSetting": "it chooses among endpoints of different places, and the lab is one place",
}
"""Field to the reason why it cannot change the outcome of a request."""

_NOT_BUILT = "is not built, and it can change the outcome of requests; remove it."

REFUSED = {
    "caCertificates": f"trust in further certificate authorities {_NOT_BUILT}",
    "defaultInboundHttpRetryPolicy": f"the retry policy of inbound routes {_NOT_BUILT}",
    "defaultTrafficPolicy": f"a mesh-wide traffic policy {_NOT_BUILT}",
    "discoverySelectors": f"hiding namespaces from istiod {_NOT_BUILT}",
    "serviceEntryVisibility": f"mesh-wide visibility of ServiceEntries {_NOT_BUILT}",
    "tlsDefaults": f"mesh-wide TLS settings outside mutual TLS {_NOT_BUILT}",
    "verifyCertificateAtClient": "Istio no longer reads it; remove it.",
}
"""Field to the problem and what to do."""

MESH_MTLS_REFUSED = {
    "cipherSuites": f"a choice of ciphers {_NOT_BUILT}",
    "ecdhCurves": "Istio refuses curves for the mesh's mutual TLS; remove it.",
}
OUTBOUND_REFUSED = {"tls": f"TLS for unknown hosts {_NOT_BUILT}"}
TOPOLOGY_REFUSED = {
    "proxyProtocol": f"the PROXY protocol at gateways {_NOT_BUILT}",
}

DEFAULT_PROVIDERS_PASSED_OVER = {"metrics": _OBSERVED, "tracing": _OBSERVED}

PROXY_PASSED_OVER = {
    "availabilityZone": "it chooses among endpoints of different places, and the lab is one place",
    "binaryPath": _LIFECYCLE,
    "concurrency": _LIFECYCLE,
    "configPath": _LIFECYCLE,
    "controlPlaneAuthPolicy": _CONTROL_PLANE,
    "discoveryAddress": _CONTROL_PLANE,
    "discoveryRefreshDelay": _CONTROL_PLANE,
    "drainDuration": _LIFECYCLE,
    "envoyAccessLogService": _OBSERVED,
    "envoyMetricsService": _OBSERVED,
    "envoyMetricsServiceAddress": _OBSERVED,
    "extraStatTags": _OBSERVED,
    "fileFlushInterval": _OBSERVED,
    "fileFlushMinSizeKb": _OBSERVED,
    "holdApplicationUntilProxyStarts": _LIFECYCLE,
    "image": _LIFECYCLE,
    "meshId": _OBSERVED,
    "privateKeyProvider": "it decides where a proxy signs with its key",
    "proxyAdminPort": _LIFECYCLE,
    "proxyStatsMatcher": _OBSERVED,
    "readinessProbe": _LIFECYCLE,
    "sds": _CONTROL_PLANE,
    "serviceCluster": _OBSERVED,
    "statNameLength": _OBSERVED,
    "statsCompression": _OBSERVED,
    "statsdUdpAddress": _OBSERVED,
    "statusPort": _LIFECYCLE,
    "terminationDrainDuration": _LIFECYCLE,
    "tracing": _OBSERVED,
    "tracingServiceName": _OBSERVED,
    "zipkinAddress": _OBSERVED,
}
"""Field of `defaultConfig` to the reason why it cannot change the outcome of a request."""

PROXY_REFUSED = {
    "caCertificatesPem": f"trust in further certificate authorities {_NOT_BUILT}",
    "connectionSettings": f"a profile of connection limits and timeouts {_NOT_BUILT}",
    "customConfigFile": f"a bootstrap of one's own {_NOT_BUILT}",
    "proxyBootstrapTemplatePath": f"a bootstrap of one's own {_NOT_BUILT}",
    "proxyHeaders": f"another choice of headers that proxies add {_NOT_BUILT}",
    "runtimeValues": f"Envoy's runtime {_NOT_BUILT}",
}

PROXY_METADATA_PASSED_OVER = frozenset(
    {
        "BOOTSTRAP_XDS_AGENT",
        "EXIT_ON_ZERO_ACTIVE_CONNECTIONS",
        "GRPC_XDS_BOOTSTRAP",
        "ISTIO_DUAL_STACK",
        "ISTIO_META_DNS_AUTO_ALLOCATE",
        "ISTIO_META_DNS_CAPTURE",
        # Both end or refuse connections of which no single request is a part.
        "ISTIO_META_GLOBAL_DOWNSTREAM_MAX_CONNECTIONS",
        "ISTIO_META_IDLE_TIMEOUT",
        "MINIMUM_DRAIN_DURATION",
        "OUTPUT_CERTS",
        "PROXY_CONFIG_XDS_AGENT",
        "PROXY_XDS_VIA_AGENT",
        "SECRET_TTL",
    }
)
"""Environment variables of a proxy that steer its agent, its certificates' files, its names in DNS or how many
connections it keeps without a request."""
