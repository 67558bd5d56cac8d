"""MeshConfig: the mesh-wide settings, from each of the places where Istio keeps them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.istio.read.ingress import IngressSettings
from meshlab.istio.read.mesh_config import MeshSettings, RetryPolicy, is_mesh_config, read_mesh_settings
from meshlab.manifest import Manifest, ManifestError, parse_manifests, to_manifest

from tests import yaml_text

if TYPE_CHECKING:
    from tests.lab.istio.conftest import SmallMesh


def plain(text: str) -> MeshSettings:
    return read_mesh_settings(yaml_text.read(text) or {}, "mesh.yaml")


def operator(spec: str) -> Manifest:
    body = {"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "metadata": {"name": "i"}}
    return to_manifest({**body, "spec": yaml_text.read(spec)}, "op.yaml")


def config_map(text: str, name: str = "istio") -> Manifest:
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"mesh": text}}
    return to_manifest({**body, "metadata": {"name": name, "namespace": "istio-system"}}, "cm.yaml")


def refusal(written: Manifest | str) -> str:
    with pytest.raises(ManifestError) as caught:
        read_mesh_settings(written) if isinstance(written, Manifest) else plain(written)
    return str(caught.value)


def test_an_empty_config_gives_istios_defaults() -> None:
    settings = plain("{}")

    assert settings == MeshSettings()
    assert (settings.trust_domain, settings.root_namespace) == ("cluster.local", "istio-system")
    assert (settings.outbound_traffic_policy, settings.path_normalization) == ("ALLOW_ANY", "BASE")
    assert (settings.enable_auto_mtls, settings.connect_timeout_s) == (True, 10.0)
    assert set(settings.extension_providers) == {"prometheus", "stackdriver", "envoy"}


def test_the_three_places_are_read_alike() -> None:
    text = "{trustDomain: td.example, rootNamespace: root, outboundTrafficPolicy: {mode: REGISTRY_ONLY}}"

    expected = MeshSettings(
        trust_domain="td.example", root_namespace="root", outbound_traffic_policy="REGISTRY_ONLY"
    )
    assert plain(text) == expected
    installed = replace(expected, revision="default")
    assert read_mesh_settings(config_map(text)) == installed
    assert read_mesh_settings(operator(f"{{meshConfig: {text}}}")) == installed
    assert read_mesh_settings(operator(f"{{values: {{meshConfig: {text}}}}}")) == installed


def test_the_revision_of_istiod_is_in_the_operator_and_in_the_name_of_its_config_map() -> None:
    assert plain("{}").revision is None
    for written in (
        config_map("{}", "istio-canary"),
        operator("{revision: canary}"),
        operator("{values: {revision: canary}}"),
    ):
        assert read_mesh_settings(written).revision == "canary"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", IngressSettings("STRICT", "istio", "ingressgateway")),
        ("{ingressControllerMode: 'OFF'}", IngressSettings("OFF", "istio", "ingressgateway")),
        (
            "{ingressControllerMode: DEFAULT, ingressClass: own}",
            IngressSettings("DEFAULT", "own", "ingressgateway"),
        ),
        ("{ingressService: istio-ingressgateway}", IngressSettings("STRICT", "istio", "ingressgateway")),
        ("{ingressService: door}", IngressSettings("STRICT", "istio", "door")),
        ("{ingressService: door, ingressSelector: gate}", IngressSettings("STRICT", "istio", "gate")),
    ],
)
def test_what_a_mesh_config_says_about_ingresses(text: str, expected: IngressSettings) -> None:
    assert plain(text).ingress == expected


def test_gateways_of_other_networks_are_refused() -> None:
    spec = "{values: {global: {network: one, meshNetworks: %s}}}"
    gateway = "{two: {endpoints: [{fromRegistry: far}], gateways: [{address: 203.0.113.1, port: 15443}]}}"
    assert "servers in other networks" in refusal(operator(spec % gateway))
    assert read_mesh_settings(operator(spec % "{}")).network == "one"


def test_an_operators_namespace_is_the_root_unless_its_config_names_another() -> None:
    installed = "values: {global: {istioNamespace: mesh}}"

    assert read_mesh_settings(operator(f"{{{installed}}}")).root_namespace == "mesh"
    assert (
        read_mesh_settings(operator(f"{{{installed}, meshConfig: {{rootNamespace: r}}}}")).root_namespace
        == "r"
    )


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("trustDomainAliases: [b, a, b]", "trust_domain_aliases", ("a", "b")),
        ("trustDomainAliases: []", "trust_domain_aliases", ()),
        ("pathNormalization: {normalization: DEFAULT}", "path_normalization", "BASE"),
        ("pathNormalization: {normalization: NONE}", "path_normalization", "NONE"),
        ("defaultConfig: {gatewayTopology: {numTrustedProxies: 2}}", "num_trusted_proxies", 2),
        # The JSON form of protocol buffers takes a number as a string, too.
        ("defaultConfig: {gatewayTopology: {numTrustedProxies: '2'}}", "num_trusted_proxies", 2),
        ("defaultHttpRetryPolicy: {attempts: '0'}", "default_http_retry_policy", RetryPolicy(0)),
        ("defaultServiceExportTo: [.]", "service_export_to", (".",)),
        ("defaultVirtualServiceExportTo: [.]", "virtual_service_export_to", (".",)),
        ("defaultDestinationRuleExportTo: ['~']", "destination_rule_export_to", ("~",)),
        ("accessLogFile: /dev/stdout", "access_log_file", "/dev/stdout"),
        ("accessLogEncoding: JSON", "access_log_encoding", "JSON"),
        ("defaultProviders: {accessLogging: [envoy]}", "default_access_log_providers", ("envoy",)),
        ("enableAutoMtls: false", "enable_auto_mtls", False),
        ("meshMTLS: {minProtocolVersion: TLSV1_3}", "mesh_mtls_min_version", "TLSV1_3"),
        ("connectTimeout: 500ms", "connect_timeout_s", 0.5),
        ("protocolDetectionTimeout: 5s", "protocol_detection_timeout_s", 5.0),
        ("h2UpgradePolicy: UPGRADE", "h2_upgrade_policy", "UPGRADE"),
        ("defaultHttpRetryPolicy: {attempts: 0}", "default_http_retry_policy", RetryPolicy(0)),
        (
            "defaultHttpRetryPolicy: {attempts: 3, retryOn: '5xx', perTryTimeout: 2s}",
            "default_http_retry_policy",
            RetryPolicy(3, 2.0, "5xx"),
        ),
    ],
)
def test_a_setting_is_read(text: str, field: str, value: object) -> None:
    assert getattr(plain(text), field) == value
    assert getattr(MeshSettings(), field) != value or text.endswith(("DEFAULT}", "[]"))


@pytest.mark.parametrize(
    "text",
    [
        "enableTracing: true",
        "enablePrometheusMerge: false",
        "defaultConfig: {discoveryAddress: 'istiod:15012', concurrency: 2, tracing: {sampling: 10}}",
        "defaultConfig: {proxyMetadata: {ISTIO_META_DNS_AUTO_ALLOCATE: 'true'}}",
        "defaultConfig: {proxyMetadata: {ISTIO_DUAL_STACK: true}}",
        "defaultProviders: {metrics: [prometheus]}",
        "rootNamespace: null",
        "localityLbSetting: {enabled: true}",
    ],
)
def test_what_cannot_change_an_outcome_is_passed_over(text: str) -> None:
    assert plain(text) == MeshSettings()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("surprise: 1", "surprise: this field is not known"),
        ("trustDomain: Not_A_Domain", "trustDomain: 'Not_A_Domain'"),
        ("trustDomain: ''", "trustDomain: ''"),
        ("trustDomainAliases: [a/b]", "trustDomainAliases[0]"),
        ("outboundTrafficPolicy: {}", "without it Istio takes REGISTRY_ONLY"),
        ("outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS}", "outboundTrafficPolicy.mode"),
        ("pathNormalization: {normalization: SOME}", "pathNormalization.normalization"),
        ("caCertificates: [{pem: x}]", "caCertificates: trust in further"),
        ("defaultTrafficPolicy: {}", "defaultTrafficPolicy"),
        ("discoverySelectors: [{}]", "discoverySelectors"),
        ("tlsDefaults: {}", "tlsDefaults"),
        ("meshMTLS: {cipherSuites: [X]}", "meshMTLS.cipherSuites"),
        ("defaultConfig: {gatewayTopology: {proxyProtocol: {}}}", "gatewayTopology.proxyProtocol"),
        ("defaultConfig: {gatewayTopology: {numTrustedProxies: -1}}", "expected a whole number from 0"),
        ("defaultConfig: {interceptionMode: NONE}", "defaultConfig.interceptionMode"),
        ("defaultConfig: {proxyMetadata: {ISTIO_META_ENABLE_HBONE: 'true'}}", "ISTIO_META_ENABLE_HBONE"),
        ("defaultConfig: {connectionSettings: {}}", "defaultConfig.connectionSettings"),
        ("defaultHttpRetryPolicy: {attempts: 0, retryOn: '5xx'}", "turns retries off"),
        ("extensionProviders: [{name: a, zipkin: {}}, {name: a, zipkin: {}}]", "another provider"),
        ("extensionProviders: [{name: a}]", "expected one kind of provider, found none"),
        ("extensionProviders: [{name: a, envoyExtAuthzGrpc: {pathPrefix: /}}]", "pathPrefix"),
    ],
)
def test_what_could_change_an_outcome_and_is_not_built_is_refused_by_its_field(text: str, says: str) -> None:
    message = refusal(text)

    assert message.startswith("mesh.yaml: MeshConfig mesh: ")
    assert says in message


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("{profile: ambient}", "spec.profile"),
        ("{compatibilityVersion: '1.27'}", "spec.compatibilityVersion"),
        ("{values: {global: {trustDomain: x}}}", "write spec.meshConfig.trustDomain"),
        ("{values: {global: {proxy: {excludeOutboundPorts: '80'}}}}", "excludeOutboundPorts"),
        ("{values: {pilot: {env: {PILOT_SKIP_VALIDATE_TRUST_DOMAIN: 'true'}}}}", "PILOT_SKIP_VALIDATE"),
        (
            "{values: {sidecarInjectorWebhook: {enableNamespacesByDefault: true}}}",
            "enableNamespacesByDefault",
        ),
        (
            "{values: {meshConfig: {enableTracing: true}}, meshConfig: {enableTracing: true}}",
            "that one alone",
        ),
        ("{meshConfig: {surprise: 1}}", "spec.meshConfig.surprise"),
        ("{surprise: 1}", "spec.surprise"),
        ("{components: {pilot: {k8s: {env: [{name: PILOT_HTTP10, value: '1'}]}}}}", "env[0]: PILOT_HTTP10"),
        ("{unvalidatedValues: {global: {}}}", "spec.unvalidatedValues: the lab does not know"),
    ],
)
def test_an_operator_that_changes_more_than_its_mesh_config_is_refused(spec: str, says: str) -> None:
    message = refusal(operator(spec))

    assert message.startswith("op.yaml: IstioOperator i: ")
    assert says in message


def test_an_operator_needs_neither_a_name_nor_metadata() -> None:
    for metadata in ("", "metadata: {namespace: istio-system}\n", "metadata: {name: mesh}\n"):
        text = f"apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n{metadata}spec: {{profile: surprise}}"
        (manifest,) = parse_manifests(text, "mesh.yaml")
        assert "IstioOperator" in refusal(manifest)
        assert "spec.profile: 'surprise' is not supported" in refusal(manifest)


def test_an_operator_that_only_installs_things_is_passed_over() -> None:
    spec = """
profile: demo
hub: h
tag: t
components: {egressGateways: [{name: e, enabled: true}]}
values:
  global: {proxy: {resources: {}, includeIPRanges: "*"}, meshID: m}
  pilot: {autoscaleEnabled: false, env: {PILOT_ENABLE_STATUS: "true"}}
  gateways: {}
"""
    assert read_mesh_settings(operator(spec)) == MeshSettings(revision="default")


def test_a_config_map_names_itself_and_the_field_in_its_text() -> None:
    assert refusal(config_map("surprise: 1")).startswith(
        "cm.yaml: ConfigMap istio-system/istio: data.mesh.surprise:"
    )
    assert "data.mesh:2: " in refusal(config_map("{"))


@pytest.mark.parametrize(
    ("manifest", "carries"),
    [
        (config_map("{}"), True),
        (config_map("{}", "istio-canary"), True),
        (config_map("{}", "other"), False),
        (operator("{}"), True),
        (
            to_manifest({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio-ca"}}, "x"),
            False,
        ),
    ],
)
def test_the_objects_that_carry_a_mesh_config_are_known(manifest: Manifest, carries: bool) -> None:
    assert is_mesh_config(manifest) is carries


def test_a_provider_keeps_what_istio_would_only_notice_when_it_is_used() -> None:
    good = """
extensionProviders:
  - name: ask
    envoyExtAuthzHttp: {service: shop/ask.shop.svc.cluster.local, port: 80, pathPrefix: /check, statusOnError: "503"}
  - {name: traces, zipkin: {service: x, port: 1}}
"""
    providers = plain(good).extension_providers
    ask = providers["ask"].authorizer

    assert ask is not None
    assert (ask.host, ask.protocol, ask.problem) == ("ask.shop.svc.cluster.local", "http", "")
    assert providers["traces"].authorizer is None
    for old, new, says in [
        ("port: 80", "port: 0", "port 0"),
        ("service: shop/", "service: a/b/", "service"),
        ("pathPrefix: /check", "pathPrefix: check", "pathPrefix"),
        ('"503"', '"599"', "statusOnError"),
        ("port: 80", "port: 80, headersToUpstreamOnAllow: ['*']", "bare *"),
        ("name: ask", "name: Ask", "name"),
    ]:
        changed = plain(good.replace(old, new)).extension_providers
        bad = (changed.get("ask") or changed["Ask"]).authorizer
        assert bad is not None
        assert says in bad.problem


def test_a_provider_s_numbers_may_be_strings_as_in_istio_s_own_documentation() -> None:
    text = """
extensionProviders:
  - name: ask
    envoyExtAuthzGrpc:
      {service: ask.shop.svc.cluster.local, port: "9000", includeRequestBodyInCheck: {maxRequestBytes: "64"}}
"""
    ask = plain(text).extension_providers["ask"].authorizer

    assert ask is not None
    assert (ask.port, ask.problem) == (9000, "")
    assert ask.body is not None
    assert ask.body.max_bytes == 64
    with pytest.raises(ManifestError, match="expected a whole number"):
        plain(text.replace("9000", "grpc"))


@pytest.mark.parametrize(
    ("written", "captures"), [("'true'", True), ("true", True), ("'false'", False), ("''", False)]
)
def test_proxies_answer_dns_where_their_metadata_says_so(written: str, captures: bool) -> None:
    text = f"defaultConfig: {{proxyMetadata: {{ISTIO_META_DNS_CAPTURE: {written}}}}}"
    assert read_mesh_settings(yaml_text.read(text)).dns_capture is captures
    assert read_mesh_settings({}).dns_capture is False


PROXY_CONFIG = """
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: cart, namespace: shop}
spec: {selector: {matchLabels: {app: cart}}, concurrency: 2, image: {imageType: debug}}
"""


def test_a_proxy_config_with_concurrency_and_image_alone_leaves_its_workloads_judged(
    small: SmallMesh,
) -> None:
    mesh = small.mesh(PROXY_CONFIG)
    mesh.require_complete(without_notes=True)
    assert not mesh.refusals


def test_a_proxy_config_with_a_variable_that_is_not_known_leaves_those_that_it_selects_unjudged(
    small: SmallMesh,
) -> None:
    unknown = PROXY_CONFIG.replace(
        "concurrency: 2", "environmentVariables: {ISTIO_META_ENABLE_HBONE: 'true'}"
    )
    (refused,) = small.mesh(unknown).refusals
    assert [str(problem).partition(": the lab")[0] for problem in refused.problems] == [
        "test.yaml:5: ProxyConfig shop/cart: spec.environmentVariables.ISTIO_META_ENABLE_HBONE"
    ]
    assert [dict(scope.selector) for scope in refused.scopes] == [{"app": "cart"}]


def test_a_field_of_another_proxy_config_is_none_of_the_object(small: SmallMesh) -> None:
    text = PROXY_CONFIG.replace("concurrency: 2", "gatewayTopology: {numTrustedProxies: 1}")
    assert "spec.gatewayTopology: this field is not known" in small.refusal(text)
