"""DestinationRule: how clients connect to a host, and the subsets of its endpoints."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Literal, cast

from meshlab.istio.read.connection_pool import read_connection_pool
from meshlab.istio.read.export_to import read_export_to
from meshlab.istio.read.fields import Fields, spec_of
from meshlab.istio.read.hosts import full_name, host_problem
from meshlab.istio.read.outbound_fields import ALIKE, EJECTS, LIMITS, refused_fields
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Where
    from meshlab.manifest import Manifest

__all__ = [
    "ClientTls",
    "DestinationRule",
    "Subset",
    "TrafficPolicy",
    "read_destination_rule",
]

TlsMode = Literal["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"]

_REFUSED = refused_fields("DestinationRule")
_BALANCER = dict.fromkeys(
    (
        "consistentHash", "localityLbSetting", "warmup", "warmupDurationSecs", "zoneAwareLbSetting",
        "backendUtilization",
    ),
    ALIKE,
)  # fmt: skip
_SIMPLE = (
    "UNSPECIFIED", "ROUND_ROBIN", "LEAST_CONN", "LEAST_REQUEST", "RANDOM", "PASSTHROUGH",
)  # fmt: skip
_OUTLIER = dict.fromkeys(
    (
        "baseEjectionTime", "consecutive5xxErrors", "consecutiveErrors", "consecutiveGatewayErrors",
        "consecutiveLocalOriginFailures", "interval", "maxEjectionPercent", "minHealthPercent",
        "outlierDetectionHttpErrorCodes", "splitExternalLocalOriginErrors",
    ),
    EJECTS,
)  # fmt: skip
_RETRY_BUDGET = {"retryBudget": LIMITS}
_POLICY = ("connectionPool", "loadBalancer", "outlierDetection", "tls")
_TLS = (
    "mode", "clientCertificate", "privateKey", "caCertificates", "credentialName", "subjectAltNames", "sni",
    "insecureSkipVerify",
)  # fmt: skip
_TLS_REFUSED = {"caCrl": _REFUSED["caCrl"]}
_OWN_FILES = ("clientCertificate", "privateKey", "caCertificates")


@dataclass(frozen=True)
class ClientTls:
    """TLS towards a host.

    Attributes:
        mode: Whose certificates are used.
        credential_name: The Secret with the client's certificate, its key, or the CA; empty where files are named.
        client_certificate: A file of the proxy's pod.
        private_key: A file of the proxy's pod.
        ca_certificates: A file of the proxy's pod; empty for the operating system's CAs.
        subject_alt_names: The names of which the server's certificate must have one.
        sni: The server name that is asked for; empty for Istio's choice.
        insecure_skip_verify: Whether the server's certificate is not verified.
    """

    mode: TlsMode
    credential_name: str
    client_certificate: str
    private_key: str
    ca_certificates: str
    subject_alt_names: tuple[str, ...]
    sni: str
    insecure_skip_verify: bool
    where: Where = field(compare=False)


@dataclass(frozen=True)
class TrafficPolicy:
    """What of a traffic policy can change the outcome of a request.

    Attributes:
        tls: TLS; `None` where nothing is said.
        passthrough: Whether the load balancer is PASSTHROUGH: connections go where the client wanted them to go.
        h2_upgrade: Whether HTTP/1.1 becomes HTTP/2; `None` where the mesh's setting counts.
        use_client_protocol: Whether the server gets the version of HTTP that the client speaks.
        balancer: Whether a load balancer is written, as it replaces that of a wider policy.
        pool: Whether a connection pool is written, as it replaces that of a wider policy.
        ports: Settings of single ports, by the service's port.
    """

    tls: ClientTls | None = None
    passthrough: bool = False
    h2_upgrade: bool | None = None
    use_client_protocol: bool = False
    balancer: bool = False
    pool: bool = False
    ports: Mapping[int, TrafficPolicy] = field(default_factory=dict)


@dataclass(frozen=True)
class Subset:
    """A part of a host's endpoints, chosen by labels."""

    name: str
    labels: Mapping[str, str]
    policy: TrafficPolicy | None


@dataclass(frozen=True)
class DestinationRule:
    """A DestinationRule as read.

    Attributes:
        host: The full name, or a wildcard.
        selector: Labels of the workloads whose proxies it is for; `None` for all.
        export_to: Namespaces that see it; empty for the mesh's default.
        created: Its creation time, where it is written.
    """

    namespace: str
    name: str
    host: str
    policy: TrafficPolicy | None
    subsets: tuple[Subset, ...]
    selector: Mapping[str, str] | None
    export_to: tuple[str, ...]
    created: str
    where: Where


def read_destination_rule(manifest: Manifest) -> DestinationRule:
    """Read a DestinationRule (`pkg/config/validation/validation.go#ValidateDestinationRule`).

    Raises:
        ManifestError: An unknown field, what Istio's validation refuses, or what is not compiled.
    """
    spec = spec_of(manifest, ("host", "trafficPolicy", "subsets", "exportTo", "workloadSelector"))
    namespace = manifest.namespace
    host = spec.required("host")
    if problem := host_problem(host):
        raise spec.where.key("host").error(problem)
    selector = None
    if "workloadSelector" in spec:
        selector = spec.mapping("workloadSelector", ("matchLabels",)).string_map("matchLabels")
    export_to = read_export_to(spec, namespace)
    if selector is not None and export_to not in ((), (namespace,)):
        problem = "a rule with a workloadSelector counts in its own namespace alone; remove this."
        raise spec.where.key("exportTo").error(problem)
    return DestinationRule(
        namespace=namespace,
        name=manifest.name,
        host=full_name(host, namespace),
        policy=_policy(spec, namespace),
        subsets=_subsets(spec, namespace),
        selector=selector,
        export_to=export_to,
        created=manifest.created,
        where=spec.where,
    )


def _subsets(spec: Fields, namespace: str) -> tuple[Subset, ...]:
    found: list[Subset] = []
    for entry in spec.items("subsets", ("name", "labels", "trafficPolicy")):
        name = entry.required("name")
        if any(name == other.name for other in found):
            raise entry.where.key("name").error(f"{name!r} stands here twice; keep one.")
        found.append(Subset(name, entry.string_map("labels"), _policy(entry, namespace)))
    return tuple(found)


def _policy(fields: Fields, namespace: str) -> TrafficPolicy | None:
    if fields.raw("trafficPolicy") is None:
        return None
    refused = {name: _REFUSED[name] for name in ("tunnel", "proxyProtocol")}
    policy = fields.mapping("trafficPolicy", (*_POLICY, "portLevelSettings"), refused, _RETRY_BUDGET)
    if not policy.names:
        raise policy.where.error("is empty, which Istio refuses; write a setting, or remove it.")
    ports: dict[int, TrafficPolicy] = {}
    for entry in policy.items("portLevelSettings", ("port", *_POLICY)):
        number = entry.mapping("port", ("number",)).port("number")
        ports.setdefault(number, _settings(entry, {}))
    return _settings(policy, ports)


def _settings(policy: Fields, ports: Mapping[int, TrafficPolicy]) -> TrafficPolicy:
    pool = read_connection_pool(policy)
    policy.mapping("outlierDetection", (), passed_over=_OUTLIER)
    balancer = policy.mapping("loadBalancer", ("simple",), passed_over=_BALANCER)
    return TrafficPolicy(
        tls=_tls(policy) if policy.raw("tls") is not None else None,
        passthrough=balancer.choice("simple", _SIMPLE, "UNSPECIFIED") == "PASSTHROUGH",
        h2_upgrade=pool.h2_upgrade if pool else None,
        use_client_protocol=pool is not None and pool.use_client_protocol,
        balancer="loadBalancer" in policy,
        pool=pool is not None,
        ports=ports,
    )


def _tls(policy: Fields) -> ClientTls:
    tls = policy.mapping("tls", _TLS, _TLS_REFUSED)
    mode = cast("TlsMode", tls.choice("mode", ("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"), "DISABLE"))
    found = ClientTls(
        mode=mode,
        credential_name=tls.string("credentialName"),
        client_certificate=tls.string("clientCertificate"),
        private_key=tls.string("privateKey"),
        ca_certificates=tls.string("caCertificates"),
        subject_alt_names=tls.strings("subjectAltNames"),
        sni=tls.string("sni"),
        insecure_skip_verify=tls.boolean("insecureSkipVerify"),
        where=tls.where,
    )
    _check_tls(tls, found)
    return found


def _check_tls(fields: Fields, tls: ClientTls) -> None:
    """Refuse what `pkg/config/validation/agent/validation.go#ValidateTLS` refuses."""
    if tls.mode not in ("SIMPLE", "MUTUAL"):
        return
    if tls.insecure_skip_verify:
        excluded = ["caCertificates", "subjectAltNames"]
        excluded += ["credentialName"] if tls.mode == "SIMPLE" else []
        for name in excluded:
            if fields.raw(name):
                raise fields.where.key(name).error(
                    "says what to verify, beside insecureSkipVerify; keep one."
                )
    written = [name for name in _OWN_FILES if fields.string(name)]
    if tls.credential_name:
        for name in written:
            raise fields.where.key(name).error("stands beside credentialName; Istio takes only one of them.")
    elif tls.mode == "MUTUAL":
        for name in ("clientCertificate", "privateKey"):
            if name not in written:
                raise fields.where.key(name).error("missing; MUTUAL needs it, or a credentialName.")
