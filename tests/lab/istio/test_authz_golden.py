"""The compiler's authorization filters against Istio's own expectations.

Set ISTIO_AUTHZ_GOLDEN to a folder with `http/` and `tcp/`, such as `pilot/pkg/security/authz/builder/testdata` of
istio/istio. The cases and their options are those of `builder_test.go` beside that folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from meshlab.istio.envoy import rbac
from meshlab.istio.envoy.ext_authz import authorizer_cluster_name
from meshlab.istio.read.attachment import attached
from meshlab.istio.read.authorization_policy import read_authorization_policy
from meshlab.istio.read.mesh_config import MeshSettings, read_mesh_settings
from meshlab.manifest import parse_manifests

from tests import yaml_text

GOLDEN = Path(os.environ.get("ISTIO_AUTHZ_GOLDEN") or "missing")
pytestmark = pytest.mark.skipif(
    not (GOLDEN / "http").is_dir(), reason="ISTIO_AUTHZ_GOLDEN names no folder with Istio's golden cases"
)

SERVICE = "my-custom-ext-authz.foo.svc.cluster.local"
GRPC_WITHOUT_NAMESPACE = f"""
extensionProviders:
- name: default
  envoyExtAuthzGrpc: {{service: {SERVICE}, port: 9000, failOpen: true, statusOnError: "403"}}
"""
GRPC = f"""
extensionProviders:
- name: default
  envoyExtAuthzGrpc:
    service: foo/{SERVICE}
    port: 9000
    timeout: 2ms
    failOpen: true
    statusOnError: "403"
    includeRequestBodyInCheck: {{maxRequestBytes: 4096, allowPartialMessage: true}}
"""
HTTP = f"""
extensionProviders:
- name: default
  envoyExtAuthzHttp:
    service: foo/{SERVICE}
    port: 9000
    timeout: 10s
    failOpen: true
    statusOnError: "403"
    pathPrefix: /check
    includeRequestHeadersInCheck: [x-custom-id, x-prefix-*, "*-suffix"]
    includeHeadersInCheck: [not-used-beside-the-newer-field]
    includeAdditionalHeadersInCheck: {{x-header-1: value-1, x-header-2: value-2}}
    includeRequestBodyInCheck: {{maxRequestBytes: 2048, allowPartialMessage: true, packAsBytes: true}}
    headersToUpstreamOnAllow: [Authorization, x-prefix-*, "*-suffix"]
    headersToDownstreamOnDeny: [Set-cookie, x-prefix-*, "*-suffix"]
    headersToDownstreamOnAllow: [Set-cookie, x-prefix-*, "*-suffix"]
"""
INVALID = """
extensionProviders:
- name: default
  envoyExtAuthzHttp: {service: foo/my-custom-ext-authz, port: 999999, pathPrefix: check, statusOnError: "999"}
"""


@dataclass(frozen=True)
class Case:
    """One case of Istio's: which policy, with which settings, gives which filters."""

    name: str
    outputs: tuple[str, ...]
    policy: str = ""
    mesh: str = "{}"


def alone(name: str, mesh: str = "{}", policy: str = "") -> Case:
    return Case(name, (f"{name}-out",), policy or f"{name}-in", mesh)


def pair(name: str, mesh: str = "{}", policy: str = "") -> Case:
    return Case(name, (f"{name}-out1", f"{name}-out2"), policy or f"{name}-in", mesh)


HTTP_CASES = [
    alone("allow-empty-rule"),
    alone("allow-full-rule"),
    alone("allow-nil-rule"),
    alone("allow-path"),
    alone("audit-full-rule"),
    pair("custom-grpc-provider-no-namespace", GRPC_WITHOUT_NAMESPACE, "custom-simple-http-in"),
    pair("custom-grpc-provider", GRPC, "custom-simple-http-in"),
    pair("custom-http-provider", HTTP, "custom-simple-http-in"),
    pair("custom-bad-multiple-providers", HTTP),
    alone("custom-bad", INVALID, "custom-simple-http-in"),
    pair("deny-and-allow"),
    alone("deny-empty-rule"),
    pair("dry-run-allow-and-deny"),
    alone("dry-run-allow"),
    alone("dry-run-mix"),
    alone("multiple-policies"),
    alone("single-policy"),
    alone("simple-policy-td-aliases", "{trustDomain: td1, trustDomainAliases: [cluster.local]}"),
    alone(
        "simple-policy-multiple-td-aliases",
        "{trustDomain: td1, trustDomainAliases: [cluster.local, some-td]}",
    ),
    alone("simple-policy-principal-with-wildcard", "{trustDomain: td1, trustDomainAliases: [foobar]}"),
    alone(
        "td-aliases-source-principal", "{trustDomain: new-td, trustDomainAliases: [old-td, some-trustdomain]}"
    ),
    alone("trust-domains"),
]
TCP_CASES = [
    alone("allow-both-http-tcp"),
    alone("allow-only-http"),
    alone("audit-both-http-tcp"),
    pair("custom-both-http-tcp", GRPC),
    Case("custom-only-http", (), "custom-only-http-in", HTTP),
    alone("deny-both-http-tcp"),
    alone("dry-run-mix"),
]
LEGACY = {"allow-host-before-111"}
"""What lies in Istio's folder and no test of Istio's reads: it is the output for proxies older than 1.11."""


def in_istios_words(value: object) -> object:
    """Undo the one difference that is meant: Istio still writes the metadata matcher that Envoy deprecates."""
    if isinstance(value, dict):
        if set(value) == {"sourcedMetadata"}:
            return {"metadata": in_istios_words(value["sourcedMetadata"]["metadataMatcher"])}
        return {key: in_istios_words(item) for key, item in value.items()}
    return [in_istios_words(item) for item in value] if isinstance(value, list) else value


def context(settings: MeshSettings) -> rbac.RuleContext:
    known = {
        name: authorizer_cluster_name(provider.authorizer)
        for name, provider in settings.extension_providers.items()
        if provider.authorizer and provider.authorizer.host == SERVICE
    }
    return rbac.RuleContext(settings, lambda target: target, known)


def reaching(folder: Path, case: Case) -> list[Any]:
    manifests = parse_manifests((folder / f"{case.policy}.yaml").read_text(), case.policy)
    policies = [read_authorization_policy(manifest) for manifest in manifests]
    return attached(policies, "foo", {"app": "httpbin", "version": "v1"}, "istio-system")


def expected(folder: Path, case: Case, prefix: str = "") -> list[Any]:
    return [yaml_text.read((folder / f"{prefix}{name}.yaml").read_text()) for name in case.outputs]


@pytest.mark.parametrize("case", HTTP_CASES, ids=lambda case: case.name)
def test_the_http_filters_are_those_that_istio_makes(case: Case) -> None:
    filters = rbac.http_filters(
        reaching(GOLDEN / "http", case), context(read_mesh_settings(yaml_text.read(case.mesh)))
    )
    made = in_istios_words([*filters.before_jwt, *filters.after_jwt])

    assert made == expected(GOLDEN / "http", case)
    # Istio once had an option for these, and still compares them; today they are the same.
    assert made == expected(GOLDEN / "http", case, "extended-")


@pytest.mark.parametrize("case", TCP_CASES, ids=lambda case: case.name)
def test_the_tcp_filters_are_those_that_istio_makes(case: Case) -> None:
    settings = read_mesh_settings(yaml_text.read(case.mesh))
    made = rbac.tcp_filters(reaching(GOLDEN / "tcp", case), context(settings))

    assert in_istios_words(made) == expected(GOLDEN / "tcp", case)


@pytest.mark.parametrize(("layer", "cases"), [("http", HTTP_CASES), ("tcp", TCP_CASES)])
def test_no_policy_of_the_folder_is_left_out(layer: str, cases: list[Case]) -> None:
    there = {path.stem for path in (GOLDEN / layer).glob("*-in.yaml")}

    assert there - {case.policy for case in cases} == {f"{name}-in" for name in LEGACY if layer == "http"}
