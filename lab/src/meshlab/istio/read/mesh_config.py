"""MeshConfig: the mesh-wide settings of Istio that decide what happens to a request.

Istio keeps them in the ConfigMap `istio`. Who installs with istioctl writes them in an `IstioOperator`, and istiod also
takes them from a plain file. The three forms are read alike. Defaults: `pkg/config/mesh/mesh.go#DefaultMeshConfig`.
"""

from __future__ import annotations

import re
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from meshlab.istio.read import mesh_config_fields as names
from meshlab.istio.read.extension_providers import (
    BUILT_IN_PROVIDERS,
    ExtensionProvider,
    read_extension_provider,
)
from meshlab.istio.read.fields import Fields, Where
from meshlab.istio.read.ingress import IngressMode, IngressSettings
from meshlab.istio.read.istio_operator import read_operator
from meshlab.istio.read.proxy_config import ForwardedCertificate, read_proxy_config
from meshlab.istio.read.virtual_service.protobuf_values import integer
from meshlab.manifest import Manifest, parse_yaml
from meshlab.quick_dataclass import dataclass
from meshlab.visible_text import shown_value

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MeshSettings", "RetryPolicy", "is_mesh_config", "read_mesh_settings"]

PathNormalization = Literal["NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"]
_NORMALIZATIONS = ("DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")
_OUTBOUND = ("ALLOW_ANY", "REGISTRY_ONLY")
_TLS_VERSIONS = ("TLS_AUTO", "TLSV1_2", "TLSV1_3")
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class RetryPolicy:
    """A retry policy as written; `attempts` 0 turns retries off."""

    attempts: int
    per_try_timeout_s: float | None = None
    retry_on: str = ""
    retry_remote_localities: bool = False
    ignore_previous_hosts: bool | None = None
    backoff_s: float | None = None


@dataclass(frozen=True)
class MeshSettings:
    """What of a MeshConfig decides the outcome of a request, with Istio's defaults.

    Attributes:
        trust_domain: The first part of every identity of the mesh.
        trust_domain_aliases: Trust domains that policies treat like `trust_domain`.
        root_namespace: The namespace whose policies count everywhere.
        outbound_traffic_policy: What a sidecar does with a host that the mesh does not know.
        path_normalization: How proxies rewrite a path before policies and routes see it.
        num_trusted_proxies: How many addresses at the end of X-Forwarded-For a gateway trusts.
        forwarded_certificate: What gateways do with X-Forwarded-Client-Cert; `None` for Istio's default.
        service_export_to: The `exportTo` of Services and ServiceEntries without one.
        virtual_service_export_to: The `exportTo` of VirtualServices without one.
        destination_rule_export_to: The `exportTo` of DestinationRules without one.
        access_log_file: Where every proxy logs requests; an empty string for nowhere.
        access_log_format: The format of that log; an empty string for Istio's own.
        access_log_encoding: Whether that log is text or JSON.
        default_access_log_providers: The providers of a Telemetry that names none.
        extension_providers: Providers by name, Istio's own included.
        enable_auto_mtls: Whether sidecars choose mutual TLS where no DestinationRule says so.
        mesh_mtls_min_version: The lowest TLS version inside the mesh.
        default_http_retry_policy: The retries of routes without any; `None` for Istio's own.
        connect_timeout_s: How long a proxy waits for a connection, in seconds.
        protocol_detection_timeout_s: How long a proxy waits for the first bytes, in seconds; 0 for ever.
        h2_upgrade_policy: Whether sidecars speak HTTP/2 to services that know HTTP/1.1.
        ingress: What becomes of Ingress objects.
        revision: The revision of istiod; `None` where it is not known.
        network: The network of the proxies; an empty string where it is not written.
        dns_capture: Whether proxies answer DNS themselves, so that ServiceEntries without addresses get their own.
    """

    trust_domain: str = "cluster.local"
    trust_domain_aliases: tuple[str, ...] = ()
    root_namespace: str = "istio-system"
    outbound_traffic_policy: Literal["ALLOW_ANY", "REGISTRY_ONLY"] = "ALLOW_ANY"
    path_normalization: PathNormalization = "BASE"
    num_trusted_proxies: int = 0
    forwarded_certificate: ForwardedCertificate | None = None
    service_export_to: tuple[str, ...] = ("*",)
    virtual_service_export_to: tuple[str, ...] = ("*",)
    destination_rule_export_to: tuple[str, ...] = ("*",)
    access_log_file: str = ""
    access_log_format: str = ""
    access_log_encoding: Literal["TEXT", "JSON"] = "TEXT"
    default_access_log_providers: tuple[str, ...] = ()
    extension_providers: Mapping[str, ExtensionProvider] = field(default_factory=lambda: BUILT_IN_PROVIDERS)
    enable_auto_mtls: bool = True
    mesh_mtls_min_version: Literal["TLS_AUTO", "TLSV1_2", "TLSV1_3"] = "TLS_AUTO"
    default_http_retry_policy: RetryPolicy | None = None
    connect_timeout_s: float = 10.0
    protocol_detection_timeout_s: float = 0.0
    h2_upgrade_policy: Literal["DO_NOT_UPGRADE", "UPGRADE"] = "DO_NOT_UPGRADE"
    dns_capture: bool = False
    ingress: IngressSettings = field(default_factory=IngressSettings)
    revision: str | None = None
    network: str = ""


def is_mesh_config(manifest: Manifest) -> bool:
    """Return whether an object carries a MeshConfig: an IstioOperator, or a ConfigMap `istio` or `istio-REVISION`."""
    if manifest.kind == "IstioOperator":
        return manifest.group == "install.istio.io"
    named = manifest.name == "istio" or manifest.name.startswith("istio-")
    if manifest.kind != "ConfigMap" or manifest.group or not named:
        return False
    data = manifest.body.get("data")
    return isinstance(data, dict) and "mesh" in data


def read_mesh_settings(written: Manifest | Mapping[str, Any], where: str = "MeshConfig") -> MeshSettings:
    """Read a MeshConfig from any of the places where Istio keeps it.

    Args:
        written: An `IstioOperator`, the ConfigMap `istio`, or the mapping of a plain MeshConfig file.
        where: What to call a plain file in error messages.

    Raises:
        ManifestError: An unknown field, a value that Istio refuses, or a setting that the lab does not build.
    """
    if not isinstance(written, Manifest):
        plain = Manifest(
            api_version="", kind="MeshConfig", name="mesh", namespace="", body=written, source=where
        )
        return _settings(written, Where(plain), MeshSettings.root_namespace)
    if written.kind == "IstioOperator":
        operator = read_operator(written)
        settings = _settings(
            operator.mesh_config, operator.where, operator.istio_namespace or MeshSettings.root_namespace
        )
        return replace(settings, revision=operator.revision, network=operator.network)
    place = Where(written).key("data", "mesh")
    settings = _settings(_embedded(written, place), place, MeshSettings.root_namespace)
    return replace(settings, revision=written.name.removeprefix("istio").removeprefix("-") or "default")


def _embedded(manifest: Manifest, where: Where) -> object:
    data = manifest.body.get("data")
    text = data.get("mesh") if isinstance(data, dict) else None
    if not isinstance(text, str):
        raise where.error(f"expected a MeshConfig as YAML text, found {shown_value(text)}.")
    documents = parse_yaml(text, f"{manifest}: data.mesh")
    if len(documents) > 1:
        raise where.error("holds several YAML documents; Istio reads one.")
    return documents[0] if documents else None


def _settings(value: object, where: Where, root_namespace: str) -> MeshSettings:
    if isinstance(value, dict):
        # protobuf reads null as a field that is not there.
        value = {name: setting for name, setting in value.items() if setting is not None}
    config = Fields(value, where, names.READ, names.REFUSED, names.PASSED_OVER)
    topology = read_proxy_config(config.raw("defaultConfig"), config.where.key("defaultConfig"))
    export_to = {
        kind: config.strings(f"default{kind}ExportTo") or ("*",)
        for kind in ("Service", "VirtualService", "DestinationRule")
    }
    minimum = config.mapping("meshMTLS", ("minProtocolVersion",), names.MESH_MTLS_REFUSED)
    auto_mtls = config.boolean("enableAutoMtls") if "enableAutoMtls" in config else True
    return MeshSettings(
        trust_domain=_trust_domain(config),
        trust_domain_aliases=_aliases(config),
        root_namespace=config.string("rootNamespace") or root_namespace,
        outbound_traffic_policy=_outbound(config),
        path_normalization=_normalization(config),
        num_trusted_proxies=topology.trusted_proxies or 0,
        forwarded_certificate=topology.forwarded_certificate,
        service_export_to=export_to["Service"],
        virtual_service_export_to=export_to["VirtualService"],
        destination_rule_export_to=export_to["DestinationRule"],
        access_log_file=config.string("accessLogFile"),
        access_log_format=config.string("accessLogFormat"),
        access_log_encoding=cast(
            "Literal['TEXT', 'JSON']", config.choice("accessLogEncoding", ("TEXT", "JSON"), "TEXT")
        ),
        default_access_log_providers=_default_log_providers(config),
        extension_providers=_providers(config),
        enable_auto_mtls=auto_mtls,
        mesh_mtls_min_version=cast(
            "Literal['TLS_AUTO', 'TLSV1_2', 'TLSV1_3']",
            minimum.choice("minProtocolVersion", _TLS_VERSIONS, "TLS_AUTO"),
        ),
        default_http_retry_policy=_retries(config),
        connect_timeout_s=_seconds(config, "connectTimeout", 10.0),
        protocol_detection_timeout_s=_seconds(config, "protocolDetectionTimeout", 0.0),
        dns_capture=_captures_dns(config),
        ingress=_ingress(config),
        h2_upgrade_policy=cast(
            "Literal['DO_NOT_UPGRADE', 'UPGRADE']",
            config.choice("h2UpgradePolicy", ("DO_NOT_UPGRADE", "UPGRADE"), "DO_NOT_UPGRADE"),
        ),
    )


def _captures_dns(config: Fields) -> bool:
    proxy = config.raw("defaultConfig")
    values = proxy.get("proxyMetadata") if isinstance(proxy, dict) else None
    written = values.get("ISTIO_META_DNS_CAPTURE") if isinstance(values, dict) else None
    return str(written).lower() in ("true", "1")


def _ingress(config: Fields) -> IngressSettings:
    usual = IngressSettings()
    mode = config.choice("ingressControllerMode", ("OFF", "DEFAULT", "STRICT"), usual.mode)
    service = config.string("ingressService")
    # For Istio's own gateway the label is not the name of its Service.
    named = "" if service == "istio-ingressgateway" else service
    return IngressSettings(
        mode=cast("IngressMode", mode),
        class_name=config.string("ingressClass") or usual.class_name,
        gateway=config.string("ingressSelector") or named or usual.gateway,
    )


def _trust_domain(config: Fields) -> str:
    domain = config.string("trustDomain", MeshSettings.trust_domain)
    _check_trust_domain(domain, config.where.key("trustDomain"))
    return domain


def _aliases(config: Fields) -> tuple[str, ...]:
    where = config.where.key("trustDomainAliases")
    aliases = () if config.raw("trustDomainAliases") in (None, []) else config.strings("trustDomainAliases")
    for index, alias in enumerate(aliases):
        _check_trust_domain(alias, where.item(index))
    return tuple(sorted(set(aliases)))  # istiod sorts them, and keeps each once


def _check_trust_domain(domain: str, where: Where) -> None:
    # Istio takes DNS labels, with or without a dot at the end (validation.go#ValidateTrustDomain).
    labels = domain.removesuffix(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise where.error(f"{domain!r} is not a trust domain; write a DNS name such as cluster.local.")


def _outbound(config: Fields) -> Literal["ALLOW_ANY", "REGISTRY_ONLY"]:
    if "outboundTrafficPolicy" not in config:
        return MeshSettings.outbound_traffic_policy
    policy = config.mapping("outboundTrafficPolicy", ("mode",), names.OUTBOUND_REFUSED)
    if "mode" not in policy:
        raise policy.where.key("mode").error("missing; without it Istio takes REGISTRY_ONLY. Write the mode.")
    return cast("Literal['ALLOW_ANY', 'REGISTRY_ONLY']", policy.choice("mode", _OUTBOUND, ""))


def _normalization(config: Fields) -> PathNormalization:
    chosen = config.mapping("pathNormalization", ("normalization",)).choice(
        "normalization", _NORMALIZATIONS, "DEFAULT"
    )
    return "BASE" if chosen == "DEFAULT" else cast("PathNormalization", chosen)


def _default_log_providers(config: Fields) -> tuple[str, ...]:
    providers = config.mapping(
        "defaultProviders", ("accessLogging",), passed_over=names.DEFAULT_PROVIDERS_PASSED_OVER
    )
    return () if providers.raw("accessLogging") in (None, []) else providers.strings("accessLogging")


def _providers(config: Fields) -> Mapping[str, ExtensionProvider]:
    found: dict[str, ExtensionProvider] = {}
    written = config.raw("extensionProviders")
    for index, entry in enumerate(written if isinstance(written, list) else []):
        provider = read_extension_provider(entry, config.where.key("extensionProviders").item(index))
        if provider.name in found:
            problem = f"another provider is called {provider.name!r}; Istio then denies what they decide."
            raise config.where.key("extensionProviders").item(index).key("name").error(problem)
        found[provider.name] = provider
    if written is not None and not isinstance(written, list):
        raise config.where.key("extensionProviders").error(f"expected a list, found {shown_value(written)}.")
    return {**BUILT_IN_PROVIDERS, **found}


def _retries(config: Fields) -> RetryPolicy | None:
    if "defaultHttpRetryPolicy" not in config:
        return None
    policy = config.mapping(
        "defaultHttpRetryPolicy",
        (
            "attempts",
            "perTryTimeout",
            "retryOn",
            "retryRemoteLocalities",
            "retryIgnorePreviousHosts",
            "backoff",
        ),
    )
    attempts = integer(policy, "attempts", signed=True) or 0
    if attempts < 0:
        raise policy.where.key("attempts").error("cannot be negative.")
    if attempts == 0 and any(key in policy for key in ("perTryTimeout", "retryOn", "retryRemoteLocalities")):
        raise policy.where.key("attempts").error(
            "is 0, which turns retries off; remove the other settings, as Istio asks."
        )
    ignore = "retryIgnorePreviousHosts"
    return RetryPolicy(
        attempts=attempts,
        per_try_timeout_s=policy.duration_s("perTryTimeout"),
        retry_on=policy.string("retryOn"),
        retry_remote_localities=policy.boolean("retryRemoteLocalities"),
        ignore_previous_hosts=policy.boolean(ignore) if ignore in policy else None,
        backoff_s=policy.duration_s("backoff"),
    )


def _seconds(config: Fields, name: str, default: float) -> float:
    value = config.duration_s(name)
    return default if value is None else value
