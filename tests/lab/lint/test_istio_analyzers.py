"""Lint against the cases of Istio's own analyzers: the same objects are found, and no others.

Set ISTIO_ANALYZERS to `pkg/config/analysis/analyzers` of a checkout of istio/istio. Nothing of it is copied here: the
expected messages are read from its `analyzers_test.go`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.settings_file import read_settings_file
from meshlab.inputs import read_inputs
from meshlab.istio import load_mesh
from meshlab.lint.run import lint
from meshlab.lint.source_texts import text_of
from meshlab.manifest import parse_manifests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.read.mesh_config import MeshSettings

    Result = tuple["Case", set[tuple[str, str]], set[tuple[str, str]]]
    """A case, the messages that lint lacks, and its codes for objects that have no message."""

ANALYZERS = Path(os.environ.get("ISTIO_ANALYZERS") or "missing")
pytestmark = pytest.mark.skipif(
    not (ANALYZERS / "analyzers_test.go").is_file(),
    reason="ISTIO_ANALYZERS names no folder with Istio's analyzers",
)

_ENVOY_FILTER = "an EnvoyFilter is refused as a whole (ML000)"
_INSTALLATION = "the installation of Istio is not in a mesh's manifests"

CODES: dict[str, tuple[str, ...]] = {
    "ConflictingGateways": ("ML111",),
    "ConflictingMeshGatewayVirtualServiceHosts": ("ML216",),
    "ConflictingServiceEntryProtocol": ("ML410",),
    "ConflictingSidecarWorkloadSelectors": ("ML221",),
    "Deprecated": ("ML220",),
    "DeploymentAssociatedToMultipleServices": ("ML513",),
    "DeploymentConflictingPorts": ("ML513",),
    "DestinationRuleSubsetNotSelectPods": ("ML402", "ML411"),
    "ExternalNameServiceTypeInvalidPortName": ("ML507",),
    "GatewayDuplicateCertificate": ("ML112",),
    "GatewayPortNotDefinedOnService": ("ML102",),
    "ImageAutoWithoutInjectionError": ("ML511",),
    "ImageAutoWithoutInjectionWarning": ("ML511", "ML503"),
    "IneffectiveSelector": ("ML315",),
    "IngressRouteRulesNotAffected": ("ML219",),
    "InvalidApplicationUID": ("ML512",),
    "InvalidGatewayCredential": ("ML109",),
    "JwksUriFetchUnrestricted": ("ML314",),
    "JwtClaimBasedRoutingWithoutRequestAuthN": ("ML215",),
    "MultipleSidecarsWithoutWorkloadSelectors": ("ML221",),
    "NamespaceMultipleInjectionLabels": ("ML509",),
    "NamespaceNotInjected": ("ML508",),
    "NoMatchingWorkloadsFound": ("ML302", "ML317"),
    "NoServerCertificateVerificationDestinationLevel": ("ML408",),
    "NoServerCertificateVerificationPortLevel": ("ML408",),
    "PodMissingProxy": ("ML510",),
    "PortNameIsNotUnderNamingConvention": ("ML506",),
    "ReferencedInternalGateway": ("ML217",),
    "ReferencedResourceNotFound authz.AuthorizationPoliciesAnalyzer": ("ML313",),
    "ReferencedResourceNotFound gateway.IngressGatewayPortAnalyzer": ("ML101", "ML114"),
    "ReferencedResourceNotFound gateway.SecretAnalyzer": ("ML107",),
    "ReferencedResourceNotFound sidecar.SelectorAnalyzer": ("ML208",),
    "ReferencedResourceNotFound telemetry.SelectorAnalyzer": ("ML302",),
    "ReferencedResourceNotFound virtualservice.DestinationHostAnalyzer": ("ML203", "ML204"),
    "ReferencedResourceNotFound virtualservice.DestinationRuleAnalyzer": ("ML213",),
    "ReferencedResourceNotFound virtualservice.GatewayAnalyzer": ("ML201",),
    "ServiceEntryAddressesRequired": ("ML409",),
    "UnknownDestinationRuleHost": ("ML401",),
    "VirtualServiceDestinationPortSelectorRequired": ("ML214",),
    "VirtualServiceHostNotFoundInGateway": ("ML202",),
    "VirtualServiceIneffectiveMatch": ("ML218",),
    "VirtualServiceUnreachableRule": ("ML206",),
}  # fmt: skip
"""Istio's message to the codes of the same finding; with the analyzer where several give the message."""

NOT_REPORTED = {
    "AlphaAnnotation": "the maturity of a setting is no mistake",
    "ConflictingTelemetryWorkloadSelectors": "Telemetry decides no request",
    "DeprecatedAnnotation": "ML000 refuses annotations that are not known",
    "EnvoyFilterUsesAddOperationIncorrectly": _ENVOY_FILTER,
    "EnvoyFilterUsesRelativeOperation": _ENVOY_FILTER,
    "EnvoyFilterUsesRelativeOperationWithProxyVersion": _ENVOY_FILTER,
    "EnvoyFilterUsesRemoveOperationIncorrectly": _ENVOY_FILTER,
    "EnvoyFilterUsesReplaceOperationIncorrectly": _ENVOY_FILTER,
    "ExternalControlPlaneAddressIsNotAHostname": _INSTALLATION,
    "GatewayAPICRDVersionBelowMinimum": _INSTALLATION,
    "IneffectivePolicy": "ambient mode is not supported",
    "InvalidAnnotation": "ML000 refuses annotations that are not known",
    "InvalidExternalControlPlaneConfig": _INSTALLATION,
    "InvalidTelemetryProvider": "Telemetry decides no request",
    "InvalidWebhook": _INSTALLATION,
    "MisplacedAnnotation": "ML000 refuses annotations that are not known",
    "MultipleTelemetriesWithoutWorkloadSelectors": "Telemetry decides no request",
    "NamespaceInjectionEnabledByDefault": _INSTALLATION,
    "NegativeConditionStatus": "the state of a cluster is not in manifests",
    "PodsIstioProxyImageMismatchInNamespace": "the state of a cluster is not in manifests",
    "UnknownAnnotation": "ML000 refuses annotations that are not known",
    "UnknownMeshNetworksServiceRegistry": "meshes of several clusters are not supported",
}
"""Istio's message to the reason why lint has none like it."""

DEFAULT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: ingress, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  template:
    metadata:
      labels: {app: istio-ingressgateway, istio: ingressgateway, sidecar.istio.io/inject: "true"}
      annotations: {inject.istio.io/templates: gateway}
    spec: {containers: [{name: istio-proxy, image: auto}]}
---
apiVersion: v1
kind: Service
metadata: {name: ingress, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  ports: [{name: http2, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]
"""
"""What Istio adds to each case: a gateway as its installation makes it, here in other words."""


@dataclass(frozen=True)
class Case:
    """A case of Istio's.

    Attributes:
        name: Its name, with a number where several have it.
        files: The manifests.
        mesh_config: A MeshConfig, or none.
        analyzer: The analyzer that it runs.
        expected: Message and object, as `Kind namespace/name`.
    """

    name: str
    files: tuple[str, ...]
    mesh_config: str
    analyzer: str
    expected: frozenset[tuple[str, str]]


def cases() -> list[Case]:
    """Return the cases that `analyzers_test.go` has."""
    path = ANALYZERS / "analyzers_test.go"
    if not path.is_file():
        return []
    grid = path.read_text().partition("testGrid = []testCase{")[2].partition("\n}\n")[0]
    return [_case(number, text) for number, text in enumerate(re.split(r"\n\t\{\n", grid)[1:])]


def _case(number: int, text: str) -> Case:
    def found(pattern: str) -> str:
        match = re.search(pattern, text, re.DOTALL)
        return match[1] if match else ""

    title = found(r'name: *"([^"]*)"')
    return Case(
        name=f"{number}-{title}",
        files=tuple(re.findall(r'"([^"]+)"', found(r"inputFiles: *\[\]string\{(.*?)\}"))),
        mesh_config=found(r'meshConfigFile: *"([^"]*)"'),
        analyzer=found(r"analyzer: *&?([\w.]+)"),
        expected=frozenset(
            (message, _qualified(origin))
            for message, origin in re.findall(r'\{msg\.(\w+), "([^"]*)"\}', text)
        ),
    )


def _qualified(origin: str) -> str:
    kind, _, name = origin.partition(" ")
    return (
        origin
        if "/" in name or kind in ("Namespace", "CustomResourceDefinition")
        else f"{kind} default/{name}"
    )


_NO_ARGUMENTS = "the pod's proxy has no arguments, so it may be a sidecar's"
_SAME_NAME = "Istio's webhook refuses its Gateway, which has two ports of one name"
_GATEWAY_API = "istiod serves no VirtualService by the name of a Gateway of the Gateway API"

MISSED = {
    ("PodMissingProxy", "Pod default/noninjectedpod"): "only a pod that runs has missed its injection",
    ("VirtualServiceHostNotFoundInGateway", "VirtualService default/my-vs-host-mismatch"): _GATEWAY_API,
    ("VirtualServiceHostNotFoundInGateway", "VirtualService default/testing-service-03-test-04"): _SAME_NAME,
    (
        "ImageAutoWithoutInjectionError",
        "Pod default/injected-pod",
    ): "a pod in a file is injected when it is created",
    ("Deprecated", "Telemetry istio-system/mesh-default"): "Telemetry decides no request",
}
"""Findings of Istio's that lint does not have, each with the reason."""

EXTRA = {
    ("ML101", "Gateway default/httpbin-gateway"): _NO_ARGUMENTS,
    ("ML101", "Gateway default/httpbin8001-gateway"): _NO_ARGUMENTS,
    ("ML201", "VirtualService default/my-vs"): _GATEWAY_API,
    ("ML208", "Sidecar ns1/has-selector"): "the selected pod is not injected",
    ("ML218", "VirtualService default/uri-with-prefix-exact"): "Istio compares prefixes with prefixes alone",
}
"""Findings of lint in objects in which Istio finds nothing, each with the reason."""


def codes_of(message: str, analyzer: str) -> tuple[str, ...]:
    """Return the codes of a message."""
    return CODES.get(f"{message} {analyzer}") or CODES.get(message, ())


def settings_of(case: Case) -> MeshSettings | None:
    """Return the MeshConfig of a case."""
    if not case.mesh_config:
        return None
    return read_settings_file(ANALYZERS / case.mesh_config)


def compared() -> Iterator[Result]:
    """Yield each case with the messages that lint lacks, and with its codes for objects that have no message."""
    every = cases()
    of_analyzer: dict[str, set[str]] = {}
    for case in every:
        of_analyzer.setdefault(case.analyzer, set()).update(message for message, _ in case.expected)
    for case in every:
        inputs = read_inputs([str(ANALYZERS / file) for file in case.files])
        inputs = replace(inputs, manifests=(*inputs.manifests, *parse_manifests(DEFAULT, "default")))
        mesh = load_mesh(inputs.manifests, settings_of(case), inject_unknown_namespaces=True)
        found = {
            (each.rule.code, each.problem.subject)
            for each in lint(inputs, mesh, text_of).findings
            if each.problem.source != "default"
        }
        missed = {
            (message, origin)
            for message, origin in case.expected
            if message not in NOT_REPORTED
            # An object that is refused is reported, too, and Istio's validation refuses most of them.
            and not any((code, origin) in found for code in (*codes_of(message, case.analyzer), "ML000"))
        }
        codes = {code for message in of_analyzer[case.analyzer] for code in codes_of(message, case.analyzer)}
        expected = {origin for _, origin in case.expected}
        yield case, missed, {(code, name) for code, name in found if code in codes and name not in expected}


@pytest.fixture(scope="module")
def results() -> list[Result]:
    """Return what the comparison found."""
    return list(compared())


def test_every_message_of_istio_has_a_code_or_a_reason() -> None:
    found = {(message, case.analyzer) for case in cases() for message, _ in case.expected}
    assert len(found) > 50
    assert [pair for pair in found if not codes_of(*pair) and pair[0] not in NOT_REPORTED] == []


def test_lint_finds_what_istio_finds(results: list[Result]) -> None:
    missed = {each for _, found, _ in results for each in found}
    assert missed == set(MISSED)


def test_lint_finds_nothing_where_istio_finds_nothing(
    results: list[Result],
) -> None:
    extra = {each for _, _, found in results for each in found}
    assert extra == set(EXTRA)
