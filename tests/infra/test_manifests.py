"""What infra/mesh says, object by object: hardening, and one source for everything two parts must agree on."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meshcontract
import pytest
import yaml
from meshlab.env_file import read_env_file
from meshlab.istio import load_mesh
from meshlab.kustomize import build

if TYPE_CHECKING:
    from meshlab.lab.project import Project
    from meshlab.manifest import Manifest

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
OVERLAYS = sorted(path.parent for path in INFRA.glob("mesh/overlays/*/kustomization.yaml"))


@pytest.fixture(params=OVERLAYS, ids=lambda path: path.name, scope="module")
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    """The objects of one overlay."""
    return build(request.param)


Objects = Mapping[tuple[str, str], Mapping[str, Any]]


@pytest.fixture(scope="module")
def example() -> Objects:
    """The objects of the example overlay, by kind and name."""
    return {(found.kind, found.name): found.body for found in build(INFRA / "mesh/overlays/example")}


def test_there_is_an_overlay_with_tls_and_one_without() -> None:
    assert {"example", "plain-http"} <= {path.name for path in OVERLAYS}


def test_the_lab_understands_every_overlay(manifests: list[Manifest]) -> None:
    assert {str(workload.ref) for workload in load_mesh(manifests).workloads} == {
        "istio-ingress/istio-internal-gateway",
        "orders/orders",
        "user-profile/user-profile",
    }


def test_every_object_names_its_namespace(manifests: list[Manifest]) -> None:
    assert [str(found) for found in manifests if not found.namespace and found.kind != "Namespace"] == []


def test_no_placeholder_is_left(manifests: list[Manifest]) -> None:
    left = [
        (str(found), text)
        for found in manifests
        for text in _strings(found.body)
        if "${" in text or text == "{}"
    ]
    assert left == []


def _strings(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [value] if isinstance(value, str) else []


def test_the_root_namespace_demands_mtls_and_allows_nothing(example: Objects) -> None:
    peers = example["PeerAuthentication", "default"]
    assert peers["metadata"]["namespace"] == "istio-system"
    assert peers["spec"] == {"mtls": {"mode": "STRICT"}}
    nothing = example["AuthorizationPolicy", "allow-nothing"]
    assert nothing["metadata"]["namespace"] == "istio-system"
    assert nothing["spec"] == {}


def test_every_proxy_logs_access(example: Objects) -> None:
    telemetry = example["Telemetry", "mesh-default"]
    assert telemetry["metadata"]["namespace"] == "istio-system"
    assert telemetry["spec"]["accessLogging"] == [{"providers": [{"name": "envoy"}]}]


CALLS = {"enrichment": ["user-profile"], "reports": ["orders", "user-profile"], "storefront": ["orders"]}
SERVICES = ["orders", "user-profile"]


@pytest.mark.parametrize("name", ["internal-gateway-tokens", *(f"{name}-tokens" for name in SERVICES)])
def test_every_request_authentication_demands_issuer_audience_and_a_header(
    example: Objects, name: str
) -> None:
    for rule in example["RequestAuthentication", name]["spec"]["jwtRules"]:
        assert rule["issuer"]
        assert rule["audiences"]
        assert bool(rule.get("jwks")) is not bool(rule.get("jwksUri"))
        assert rule["fromHeaders"] == [{"name": "Authorization", "prefix": "Bearer "}]
        assert rule["forwardOriginalToken"] is (name == "internal-gateway-tokens")


def test_the_function_signs_what_the_contract_says(example: Objects) -> None:
    contract = read_env_file(INFRA / "contract.env")
    for name in ("internal-gateway-tokens", "user-profile-tokens"):
        rule = example["RequestAuthentication", name]["spec"]["jwtRules"][0]
        assert rule["issuer"] == contract["JWT_ISSUER"]
        assert rule["audiences"] == [contract["JWT_AUDIENCE"]]


def test_callers_of_one_issuer_share_its_rule_and_no_audience_is_lost(example: Objects) -> None:
    rules = example["RequestAuthentication", "internal-gateway-tokens"]["spec"]["jwtRules"]
    google = [rule for rule in rules if rule["issuer"] == "https://accounts.google.com"]
    assert [rule["audiences"] for rule in google] == [["internal-reports", "internal-storefront"]]


@pytest.mark.parametrize("name", ["caller-enrichment", "user-profile-enrichment"])
def test_both_proxies_allow_the_function_one_method_and_one_segment(example: Objects, name: str) -> None:
    contract = read_env_file(INFRA / "contract.env")
    spec = example["AuthorizationPolicy", name]["spec"]
    assert spec["action"] == "ALLOW"
    assert spec["selector"]["matchLabels"]
    (rule,) = spec["rules"]
    (source,), (operation,) = rule["from"], rule["to"]
    host = contract["GKE_GATEWAY_HOST"]
    assert source["source"]["requestPrincipals"] == [f"{contract['JWT_ISSUER']}/{contract['JWT_SUBJECT']}"]
    assert operation["operation"]["hosts"] == [host, f"{host}:443"]
    assert operation["operation"]["methods"] == ["GET"]
    assert operation["operation"]["paths"] == ["/profile/{*}"]
    assert operation["operation"]["notPaths"] == ["/profile/..;*", "/profile/.;*"]
    assert {"key": "request.auth.claims[scope]", "values": [contract["JWT_SCOPE"]]} in rule["when"]
    assert {"key": "request.auth.audiences", "values": [contract["JWT_AUDIENCE"]]} in rule["when"]


def test_each_caller_has_one_policy_at_the_gateway_and_one_at_each_service(example: Objects) -> None:
    named = {name for kind, name in example if kind == "AuthorizationPolicy"} - {"allow-nothing"}
    assert named == {f"caller-{caller}" for caller in CALLS} | {
        f"{service}-{caller}" for caller, services in CALLS.items() for service in services
    }


def test_a_host_header_may_name_the_port_of_the_overlays_own_listener(manifests: list[Manifest]) -> None:
    (gateway,) = (found.body for found in manifests if found.kind == "Gateway")
    port = gateway["spec"]["servers"][0]["port"]["number"]
    policies = [found for found in manifests if found.kind == "AuthorizationPolicy" and found.body["spec"]]
    assert policies
    for policy in policies:
        for rule in policy.body["spec"]["rules"]:
            for entry in rule["to"]:
                host, with_port = entry["operation"]["hosts"]
                assert with_port == f"{host}:{port}"


def test_the_gateway_is_in_the_namespace_of_its_pods(example: Objects) -> None:
    places = {
        example[key]["metadata"]["namespace"]
        for key in (("Gateway", "internal-gateway"), ("Deployment", "istio-internal-gateway"))
    }
    assert places == {"istio-ingress"}


def test_every_public_key_has_a_kid(example: Objects) -> None:
    rules = [
        rule
        for (kind, _), body in example.items()
        if kind == "RequestAuthentication"
        for rule in body["spec"]["jwtRules"]
    ]
    keys = [key for rule in rules if "jwks" in rule for key in json.loads(rule["jwks"])["keys"]]
    assert keys
    assert all(key["kid"] for key in keys)


def test_the_gateway_answers_for_the_services_hosts_alone(example: Objects) -> None:
    contract = read_env_file(INFRA / "contract.env")
    hosts = {"orders": contract["ORDERS_HOST"], "user-profile": contract["GKE_GATEWAY_HOST"]}
    (server,) = example["Gateway", "internal-gateway"]["spec"]["servers"]
    assert server["hosts"] == [f"{name}/{host}" for name, host in hosts.items()]
    for name, host in hosts.items():
        route = example["VirtualService", name]["spec"]
        assert route["hosts"] == [host]
        assert route["exportTo"] == ["istio-ingress"]
        assert route["gateways"] == ["istio-ingress/internal-gateway"]


def test_every_route_ends_in_a_time_of_its_own_and_says_when_it_is_tried_again(example: Objects) -> None:
    for name in SERVICES:
        refusal, *routes = example["VirtualService", name]["spec"]["http"]
        assert refusal["directResponse"] == {"status": 400}
        for route in routes:
            assert route["timeout"]
            assert route["retries"]["attempts"] == 0 or route["retries"]["retryOn"]
            assert "authorization" not in route["headers"]["request"]["remove"]


def test_the_workloads_trust_the_gateways_own_identity(example: Objects) -> None:
    account = example["Deployment", "istio-internal-gateway"]["spec"]["template"]["spec"][
        "serviceAccountName"
    ]
    for caller, services in CALLS.items():
        for service in services:
            policy = example["AuthorizationPolicy", f"{service}-{caller}"]["spec"]
            (source,) = policy["rules"][0]["from"]
            assert source["source"]["principals"] == [f"cluster.local/ns/istio-ingress/sa/{account}"]
    assert ("ServiceAccount", account) in example


def test_the_gateway_is_injected_as_a_gateway_and_by_label(example: Objects) -> None:
    deployment = example["Deployment", "istio-internal-gateway"]
    assert deployment["metadata"]["namespace"] == "istio-ingress"
    template = deployment["spec"]["template"]["metadata"]
    assert template["labels"]["sidecar.istio.io/inject"] == "true"
    assert template["annotations"]["inject.istio.io/templates"] == "gateway"


def test_the_gateway_bounds_idle_and_total_connections(example: Objects) -> None:
    template = example["Deployment", "istio-internal-gateway"]["spec"]["template"]["metadata"]
    assert yaml.safe_load(template["annotations"]["proxy.istio.io/config"]) == {
        "proxyMetadata": {
            "ISTIO_META_IDLE_TIMEOUT": "60s",
            "ISTIO_META_GLOBAL_DOWNSTREAM_MAX_CONNECTIONS": "10000",
        }
    }


def test_only_the_callers_subnet_reaches_the_gateways_pods_and_only_at_the_listener(
    manifests: list[Manifest],
) -> None:
    contract = read_env_file(INFRA / "contract.env")
    (policy,) = (found.body for found in manifests if found.kind == "NetworkPolicy")
    (service,) = (
        found.body for found in manifests if found.kind == "Service" and found.namespace == "istio-ingress"
    )
    assert policy["metadata"]["namespace"] == "istio-ingress"
    assert policy["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress"],
        "ingress": [
            {
                "from": [{"ipBlock": {"cidr": contract["FUNCTION_EGRESS_RANGE"]}}],
                "ports": [{"protocol": "TCP", "port": service["spec"]["ports"][0]["targetPort"]}],
            }
        ],
    }


def test_the_gateway_is_highly_available(example: Objects) -> None:
    spec = example["Deployment", "istio-internal-gateway"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/healthz/ready", "port": 15021}
    assert len(spec["template"]["spec"]["topologySpreadConstraints"]) == 2
    autoscaler = example["HorizontalPodAutoscaler", "istio-internal-gateway"]["spec"]
    assert autoscaler["scaleTargetRef"]["name"] == "istio-internal-gateway"
    assert autoscaler["minReplicas"] >= 2
    assert "replicas" not in spec  # a number here would fight the autoscaler at every apply
    disruption = example["PodDisruptionBudget", "istio-internal-gateway"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert disruption["selector"]["matchLabels"].items() <= labels.items()


def test_the_load_balancer_is_internal_and_admits_the_functions_subnet_alone(
    manifests: list[Manifest],
) -> None:
    contract = read_env_file(INFRA / "contract.env")
    (service,) = (
        found.body for found in manifests if found.kind == "Service" and found.namespace == "istio-ingress"
    )
    assert service["metadata"]["annotations"]["networking.gke.io/load-balancer-type"] == "Internal"
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["spec"]["loadBalancerIP"] == contract["GKE_GATEWAY_ADDRESS"]
    assert service["spec"]["loadBalancerSourceRanges"] == [contract["FUNCTION_EGRESS_RANGE"]]
    assert service["spec"]["externalTrafficPolicy"] == "Local"


def test_gateway_and_service_agree_on_the_one_open_port(manifests: list[Manifest]) -> None:
    (service,) = (
        found.body for found in manifests if found.kind == "Service" and found.namespace == "istio-ingress"
    )
    (gateway,) = (found.body for found in manifests if found.kind == "Gateway")
    (port,), (server,) = service["spec"]["ports"], gateway["spec"]["servers"]
    assert port["port"] == server["port"]["number"]
    assert port["targetPort"] == port["port"] + 8000  # unprivileged in the pod


def test_the_example_closes_port_80_and_terminates_tls(example: Objects) -> None:
    (server,) = example["Gateway", "internal-gateway"]["spec"]["servers"]
    assert server["port"] == {"number": 443, "name": "https", "protocol": "HTTPS"}
    assert server["tls"] == {
        "mode": "SIMPLE",
        "credentialName": "internal-gateway-tls",
        "minProtocolVersion": "TLSV1_3",
    }


def test_every_pod_is_restricted_and_has_its_own_account(manifests: list[Manifest]) -> None:
    for deployment in (found.body for found in manifests if found.kind == "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["serviceAccountName"] not in ("", "default")
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
            assert container["image"] == "auto" or "@sha256:" in container["image"]
    for namespace in (found.body for found in manifests if found.kind == "Namespace"):
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_the_overlays_keys_are_public(overlay: Path) -> None:
    files = sorted((overlay / "keys").glob("*.json"))
    assert [file.name for file in files] == (
        ["google.json"] if overlay.name == "keyless" else ["enrichment.json"]
    )
    for key in json.loads(files[0].read_text())["keys"]:
        if overlay.name == "keyless":
            assert key.keys() == {"kid", "kty", "alg", "use", "e", "n"}
            continue
        assert key.keys() == {"kty", "crv", "x", "y", "alg", "use", "kid"}
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")


def test_no_private_key_is_in_the_project() -> None:
    marker = re.compile(rb"-----BEGIN (?:EC |RSA |ENCRYPTED )?PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}")
    made = {"build", "dist", "__pycache__"}
    files: list[Path] = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in made]
        files += (Path(folder, name) for name in names if not name.startswith(".") and name not in made)
    files = [path for path in files if path.is_file()]
    assert len(files) > 100
    assert [str(path) for path in files if marker.search(path.read_bytes())] == []


def test_the_contract_is_one_file_that_a_shell_reads_as_python_does(project: Project) -> None:
    assert (INFRA / "contract.env").resolve() == INFRA / "mesh/contract/values/contract.env"
    contract = meshcontract.read(INFRA / "contract.env")
    assert contract.items() <= project.contract().items()
    script = "set -eu; . infra/contract.env; set | grep -E '^(" + "|".join(contract) + ")=' | sed \"s/'//g\""
    shell = subprocess.run(["sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert dict(line.split("=", 1) for line in shell.stdout.splitlines()) == contract
