"""IstioOperator: the input of istioctl. Only its mesh-wide settings matter here; the rest installs components.

How istioctl turns it into a MeshConfig: `manifests/charts/istio-control/istio-discovery/templates/configmap.yaml`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Fields, Where
from meshlab.quick_dataclass import dataclass
from meshlab.visible_text import shown_value

if TYPE_CHECKING:
    from meshlab.manifest import Manifest

__all__ = ["Operator", "read_operator"]

_SPEC = ("compatibilityVersion", "components", "meshConfig", "namespace", "profile", "revision", "values")
_INSTALLED = "it describes the installation"
_SPEC_PASSED_OVER = dict.fromkeys(("addonComponents", "hub", "installPackagePath", "tag"), _INSTALLED)
# The profile `demo` also logs to standard output, which decides nothing.
_PROFILES = (
    "default",
    "demo",
    "minimal",
    "empty",
    "external",
    "remote",
    "openshift",
    "stable",
    "preview",
    "",
)
_INSTALLATION = dict.fromkeys(
    (
        "autoscaleEnabled",
        "autoscaleMax",
        "autoscaleMin",
        "base",
        "cni",
        "defaultRevision",
        "gateways",
        "hub",
        "istio_cni",
        "istiodRemote",
        "ownerName",
        "profile",
        "resources",
        "revisionTags",
        "tag",
        "telemetry",
        "ztunnel",
    ),
    _INSTALLED,
)
_GLOBAL = dict.fromkeys(
    (
        "arch",
        "caAddress",
        "caName",
        "certSigners",
        "configCluster",
        "configValidation",
        "defaultNodeSelector",
        "defaultPodDisruptionBudget",
        "defaultResources",
        "defaultTolerations",
        "externalIstiod",
        "hub",
        "imagePullPolicy",
        "imagePullSecrets",
        "istiod",
        "jwtPolicy",
        "logAsJson",
        "logging",
        "meshID",
        "mountMtlsCerts",
        "multiCluster",
        "nativeNftables",
        "networkPolicy",
        "omitSidecarInjectorConfigMap",
        "operatorManageWebhooks",
        "pilotCertProvider",
        "platform",
        "priorityClassName",
        "proxy_init",
        "remotePilotAddress",
        "resourceScope",
        "sds",
        "sts",
        "tag",
        "tracer",
        "variant",
        "waypoint",
    ),
    _INSTALLED,
)
_PROXY = dict.fromkeys(
    (
        "componentLogLevel",
        "enableCoreDump",
        "holdApplicationUntilProxyStarts",
        "image",
        "lifecycle",
        "logLevel",
        "outlierLogPath",
        "privileged",
        "readinessFailureThreshold",
        "readinessInitialDelaySeconds",
        "readinessPeriodSeconds",
        "resources",
        "seccompProfile",
        "startupProbe",
        "statusPort",
        "tracer",
        "variant",
    ),
    "it decides how a proxy starts and what it logs",
)
_CAPTURE_DEFAULTS = {
    "autoInject": ("enabled", ""),
    "clusterDomain": ("cluster.local",),
    "excludeIPRanges": ("",),
    "excludeInboundPorts": ("",),
    "excludeOutboundPorts": ("",),
    "includeIPRanges": ("*",),
    "includeInboundPorts": ("*",),
    "includeOutboundPorts": ("",),
}
_ISTIOD_ENVIRONMENT = frozenset(
    {
        "ENABLE_CLUSTER_TRUST_BUNDLE_API",
        "ENABLE_EXTERNAL_NAME_ALIAS",  # current istiod does not read it
        "ENABLE_NATIVE_SIDECARS",
        "INJECTION_WEBHOOK_CONFIG_NAME",
        "ISTIO_DUAL_STACK",
        "PILOT_ENABLE_ALPHA_GATEWAY_API",
        "PILOT_ENABLE_ANALYSIS",
        "PILOT_ENABLE_QUIC_LISTENERS",
        "PILOT_ENABLE_STATUS",
        "PILOT_REMOTE_CLUSTER_TIMEOUT",
        "PILOT_TRACE_SAMPLING",
        "UNSAFE_ENABLE_ADMIN_ENDPOINTS",
        "VALIDATION_WEBHOOK_CONFIG_NAME",
    }
)
"""Settings of istiod that cannot change the outcome of a request."""


@dataclass(frozen=True)
class Operator:
    """The mesh-wide settings of an IstioOperator.

    Attributes:
        mesh_config: The MeshConfig as written, `None` where there is none.
        where: Where it stands.
        istio_namespace: Where Istio is installed; an empty string where that is not written.
        revision: The revision of istiod.
        network: The network of the proxies; an empty string where it is not written.
    """

    mesh_config: object
    where: Where
    istio_namespace: str
    revision: str
    network: str


def read_operator(manifest: Manifest) -> Operator:
    """Read an IstioOperator.

    Raises:
        ManifestError: An unknown field, or a setting that decides requests and is not built.
    """
    spec = Fields(
        manifest.body.get("spec"), Where(manifest).key("spec"), _SPEC, _SPEC_REFUSED, _SPEC_PASSED_OVER
    )
    spec.choice("profile", _PROFILES, "")
    if spec.raw("compatibilityVersion"):
        raise spec.where.key("compatibilityVersion").error(
            "the behaviour of an older Istio is not built; remove it."
        )
    values = spec.mapping(
        "values",
        ("global", "meshConfig", "pilot", "revision", "sidecarInjectorWebhook"),
        _VALUES_REFUSED,
        _INSTALLATION,
    )
    everywhere = values.mapping("global", _GLOBAL_READ, _GLOBAL_REFUSED, _GLOBAL)
    _check_capture(everywhere.mapping("proxy", tuple(_CAPTURE_DEFAULTS), passed_over=_PROXY))
    _check_injection(values.mapping("sidecarInjectorWebhook", _INJECTION, passed_over=_WEBHOOK))
    _check_environment(values.raw("pilot"), values.where.key("pilot", "env"))
    _check_components(spec.raw("components"), spec.where.key("components"))
    if spec.raw("meshConfig") and values.raw("meshConfig"):
        raise values.where.key("meshConfig").error("spec.meshConfig says the same; keep that one alone.")
    source = values if values.raw("meshConfig") else spec
    namespace = everywhere.string("istioNamespace") or spec.string("namespace")
    if everywhere.raw("meshNetworks"):
        raise everywhere.where.key("meshNetworks").error(
            "servers in other networks are reached through gateways, which is not compiled; remove it."
        )
    return Operator(
        mesh_config=source.raw("meshConfig"),
        where=source.where.key("meshConfig"),
        istio_namespace=namespace,
        revision=spec.string("revision") or values.string("revision") or "default",
        network=everywhere.string("network"),
    )


_SPEC_REFUSED = {"unvalidatedValues": "the lab does not know what this changes; write it in spec.values."}
_VALUES_REFUSED = {"experimental": "the lab does not know what this changes; remove it."}
_GLOBAL_READ = ("istioNamespace", "meshNetworks", "network", "proxy")
_GLOBAL_REFUSED = {
    "trustDomain": "current Istio does not read it; write spec.meshConfig.trustDomain.",
    "outboundTrafficPolicy": "current Istio does not read it; write spec.meshConfig.outboundTrafficPolicy.",
    "mtls": "current Istio does not read it; write a PeerAuthentication.",
}
_INJECTION = (
    "alwaysInjectSelector", "defaultTemplates", "enableNamespacesByDefault", "neverInjectSelector", "templates",
)  # fmt: skip
_WEBHOOK = dict.fromkeys(("injectedAnnotations", "reinvocationPolicy", "rewriteAppHTTPProbe"), _INSTALLED)


def _check_capture(proxy: Fields) -> None:
    for name, usual in _CAPTURE_DEFAULTS.items():
        if name in proxy and proxy.string(name) not in usual:
            problem = (
                f"{proxy.string(name)!r} changes which traffic sidecars see; that is not built. Remove it."
            )
            raise proxy.where.key(name).error(problem)


def _check_injection(webhook: Fields) -> None:
    for name in _INJECTION:
        if webhook.raw(name):
            raise webhook.where.key(name).error(
                "another choice of the pods that get a sidecar is not built; remove it."
            )


def _check_environment(pilot: object, where: Where) -> None:
    environment = pilot.get("env") if isinstance(pilot, dict) else None
    if environment is not None and not isinstance(environment, dict):
        raise where.error(f"expected a mapping, found {shown_value(environment)}.")
    for name in environment or {}:
        if name not in _ISTIOD_ENVIRONMENT:
            raise where.key(name).error(_OTHER_ISTIOD)


def _check_components(components: object, where: Where) -> None:
    """Refuse settings of istiod that a component carries; all else of components describes the installation."""
    pilot = components.get("pilot") if isinstance(components, dict) else None
    kubernetes = pilot.get("k8s") if isinstance(pilot, dict) else None
    environment = kubernetes.get("env") if isinstance(kubernetes, dict) else None
    for index, entry in enumerate(environment if isinstance(environment, list) else []):
        name = entry.get("name") if isinstance(entry, dict) else entry
        if name not in _ISTIOD_ENVIRONMENT:
            raise where.key("pilot", "k8s", "env").item(index).error(f"{name}: {_OTHER_ISTIOD}")


_OTHER_ISTIOD = "the lab keeps to istiod's default behaviour; remove it."
