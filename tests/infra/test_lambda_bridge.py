"""The manifests of the Lambda bridge: what they say, and that each line of them is held by a policy test."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from meshgen.lambda_bridge import lambda_bridge_files
from meshlab.bench.case_file.collect import collect
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.session import Choice, run_cases
from meshlab.env_file import read_env_file
from meshlab.kustomize import build

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.manifest import Manifest

    from tests.conftest import Edit, Edited

ROOT = Path(__file__).parents[2]
BRIDGE = ROOT / "infra/mesh/lambda-bridge"
CASES = ROOT / "infra/policy-tests/lambda-bridge"
VALUES = read_env_file(BRIDGE / "contract/bridge.env")
SIDES = ("gke", "eks")


@pytest.fixture(scope="module")
def bench() -> Iterator[LocalBench]:
    running = LocalBench()
    yield running
    running.close()


def outcomes(bench: LocalBench, root: Path, side: str, names: frozenset[str] | None = None) -> dict[str, str]:
    """The state of each policy test of a side, run on the manifests of a checkout."""
    files = collect([CASES / side], VALUES)
    if names is not None:
        kept = [
            replace(file, cases=tuple(case for case in file.cases if case.name in names)) for file in files
        ]
        files = [file for file in kept if file.cases]
        assert {case.name for file in files for case in file.cases} == names
    mesh = bench.load(Sources((str(root / "infra/mesh/lambda-bridge/overlays" / side),)))
    run = run_cases(mesh, files, Choice())
    return {outcome.case.name: outcome.state for outcome in run.outcomes}


@pytest.mark.parametrize("side", SIDES)
def test_every_expectation_of_a_side_is_met(bench: LocalBench, side: str) -> None:
    found = outcomes(bench, ROOT, side)
    assert [name for name, state in found.items() if state != "passed"] == []
    assert len(found) >= 20


# A line is changed, and the cases named beside it must fail.
_GKE, _EKS = "infra/mesh/lambda-bridge/gke", "infra/mesh/lambda-bridge/eks"
_POLICY = f"{_GKE}/callers/greeter/authorization-policy.yaml"
PAGE = "the caller asks over plain HTTP, and EKS is asked over TLS by the bridge's name"
REACHED = (
    "GKE's egress gateway reaches the load balancer, which is asked by its own name for the bridge's host"
)
WEAKENED: dict[str, tuple[str, Edit, frozenset[str]]] = {
    "gke: any service account may call": (
        "gke",
        (_POLICY, "cluster.local/ns/greeter/sa/greeter", "cluster.local/ns/greeter/*"),
        frozenset({"a workload that the policy does not name"}),
    ),
    "gke: any workload may call": (
        "gke",
        (_POLICY, "[cluster.local/ns/greeter/sa/greeter]", '["*"]'),
        frozenset({"the certificate of a namespace without the bridge"}),
    ),
    "gke: any host": (
        "gke",
        (_POLICY, 'hosts: ["${BRIDGE_HOST}"]', 'hosts: ["${BRIDGE_HOST}", "*"]'),
        frozenset({"the caller's certificate with another Host"}),
    ),
    "gke: any text behind the host": (
        "gke",
        (_POLICY, 'hosts: ["${BRIDGE_HOST}"]', 'hosts: ["${BRIDGE_HOST}", "lambda.bridge.internal:*"]'),
        frozenset({"the caller's certificate with another Host that has the right one in front"}),
    ),
    "gke: a WebSocket": (
        "gke",
        (_POLICY, 'notValues: ["*"]', 'notValues: ["h2c"]'),
        frozenset({"a WebSocket, whose tunnel no policy reads"}),
    ),
    "gke: dots with a parameter": (
        "gke",
        (_POLICY, '            notPaths: ["/lookup/..;*", "/lookup/.;*"]\n', ""),
        frozenset(
            {
                "the caller's certificate, and dots with a parameter in place of an id",
                "the caller's certificate, and one dot with a parameter in place of an id",
            }
        ),
    ),
    "gke: the proxies' own headers": (
        "gke",
        (f"{_GKE}/virtual-service.yaml", "            - x-forwarded-client-cert\n", ""),
        frozenset({"nothing that the proxies know of the workload leaves"}),
    ),
    "gke: any method": (
        "gke",
        (_POLICY, "            methods: [GET]\n", ""),
        frozenset({"a method that the caller may not use"}),
    ),
    "gke: any path": (
        "gke",
        (_POLICY, 'paths: [/, "/lookup/{*}"]', 'paths: ["*"]'),
        frozenset({"a path that the caller may not ask for", "a path that leads out again"}),
    ),
    "gke: any path below lookup": (
        "gke",
        (_POLICY, "/lookup/{*}", "/lookup/{**}"),
        frozenset({"a path below one that the caller may ask for"}),
    ),
    "gke: no policy for the pages": (
        "gke",
        (_POLICY, 'paths: [/, "/lookup/{*}"]', "paths: [/]"),
        frozenset({"the second path that the caller may ask for"}),
    ),
    "gke: the gateway takes plaintext": (
        "gke",
        (f"{_GKE}/gateway.yaml", "protocol: HTTPS\n      tls:\n        mode: ISTIO_MUTUAL", "protocol: HTTP"),
        frozenset({"plaintext to the egress gateway"}),
    ),
    "gke: the gateway asks for no certificate": (
        "gke",
        (f"{_GKE}/gateway.yaml", "mode: ISTIO_MUTUAL", "mode: SIMPLE\n        credentialName: any"),
        frozenset({"TLS without a certificate to the egress gateway"}),
    ),
    "gke: sidecars speak plaintext to the gateway": (
        "gke",
        (f"{_GKE}/destination-rule-gateway.yaml", "mode: ISTIO_MUTUAL", "mode: DISABLE"),
        frozenset({PAGE}),
    ),
    "gke: sidecars ask the gateway for another server name": (
        "gke",
        (f"{_GKE}/destination-rule-gateway.yaml", "sni: ${BRIDGE_HOST}", "sni: elsewhere.example"),
        frozenset({PAGE}),
    ),
    "gke: EKS is asked in plaintext": (
        "gke",
        (f"{_GKE}/destination-rule-eks.yaml", "mode: MUTUAL", "mode: DISABLE"),
        frozenset({PAGE}),
    ),
    "gke: EKS is asked by another server name": (
        "gke",
        (f"{_GKE}/destination-rule-eks.yaml", "sni: ${BRIDGE_HOST}", "sni: elsewhere.example"),
        frozenset({PAGE}),
    ),
    "gke: any server of the authority": (
        "gke",
        (f"{_GKE}/destination-rule-eks.yaml", '          subjectAltNames: ["${BRIDGE_HOST}"]\n', ""),
        frozenset({"a server with another name of the bridge's authority gets no request"}),
    ),
    "gke: any server of any public authority": (
        "gke",
        (f"{_GKE}/destination-rule-eks.yaml", "credentialName: lambda-bridge-client", "credentialName: other"),
        frozenset({PAGE}),
    ),
    "gke: every namespace sees the bridge": (
        "gke",
        (f"{_GKE}/callers/greeter/kustomization.yaml",
            "{op: add, path: /spec/exportTo/-, value: greeter}",
            '{op: replace, path: /spec/exportTo, value: ["*"]}',
        ),
        frozenset({"a namespace without the bridge does not get it by its name"}),
    ),
    "gke: the caller's sidecars reach any host": (
        "gke",
        (f"{_GKE}/callers/greeter/sidecar.yaml", "mode: REGISTRY_ONLY", "mode: ALLOW_ANY"),
        frozenset({"a host that the sidecar does not know", "EKS's gateway by its own address"}),
    ),
    "gke: the sidecar leaves the gateway out": (
        "gke",
        (f"{_GKE}/virtual-service.yaml", "            subset: lambda\n            port:\n              number: 443",
         "            port:\n              number: 443"),
        frozenset({PAGE}),
    ),
    **{
        f"{side}: plaintext inside the mesh": (
            side,
            ("infra/mesh/platform/peer-authentication.yaml", "mode: STRICT", "mode: PERMISSIVE"),
            frozenset({"plaintext to another workload of the mesh"}),
        )
        for side in SIDES
    },
    **{
        f"{side}: everything is allowed by default": (
            side,
            ("infra/mesh/platform/kustomization.yaml", "  - authorization-policy.yaml\n", ""),
            frozenset({"a workload that no policy opens"}),
        )
        for side in SIDES
    },
    "eks: any certificate of the authority": (
        "eks",
        (f"{_EKS}/gateway.yaml", '        subjectAltNames: ["${BRIDGE_CLIENT_IDENTITY}"]\n', ""),
        frozenset({"the certificate of another client of the same authority", "a certificate without any identity"}),
    ),
    "eks: no client certificate": (
        "eks",
        (f"{_EKS}/gateway.yaml", "mode: MUTUAL", "mode: SIMPLE"),
        frozenset({"no client certificate"}),
    ),
    "eks: the mesh's own clients": (
        "eks",
        (f"{_EKS}/gateway.yaml",
         '        credentialName: lambda-bridge-server\n', ""),
        frozenset({REACHED}),
    ),
    "eks: any host name of the gateway": (
        "eks",
        (f"{_EKS}/gateway.yaml", 'hosts: ["./${BRIDGE_HOST}"]', 'hosts: ["./${BRIDGE_HOST}", "./*"]'),
        frozenset({"another server name", "no server name"}),
    ),
    "eks: any method": (
        "eks",
        (f"{_EKS}/authorization-policy.yaml", "            methods: [GET]\n", ""),
        frozenset({"another method"}),
    ),
    "eks: any path": (
        "eks",
        (f"{_EKS}/authorization-policy.yaml", 'paths: [/, "/lookup/{*}"]', 'paths: ["*"]'),
        frozenset({"another path", "a path that leads out again"}),
    ),
    "eks: any path below lookup": (
        "eks",
        (f"{_EKS}/authorization-policy.yaml", "/lookup/{*}", "/lookup/{**}"),
        frozenset({"a path below one that is allowed"}),
    ),
    "eks: a WebSocket": (
        "eks",
        (f"{_EKS}/authorization-policy.yaml", 'notValues: ["*"]', 'notValues: ["h2c"]'),
        frozenset({"a WebSocket, whose tunnel no policy reads"}),
    ),
    "eks: dots with a parameter": (
        "eks",
        (f"{_EKS}/authorization-policy.yaml", '            notPaths: ["/lookup/..;*", "/lookup/.;*"]\n', ""),
        frozenset(
            {"dots with a parameter in place of an id", "one dot with a parameter in place of an id"}
        ),
    ),
    "eks: the proxies' own headers": (
        "eks",
        (f"{_EKS}/virtual-service.yaml", "            - x-forwarded-client-cert\n", ""),
        frozenset({"nothing that the proxies know of the client reaches the function"}),
    ),
    "eks: any host": (
        "eks",
        (f"{_EKS}/authorization-policy.yaml", 'hosts: ["${BRIDGE_HOST}"]', 'hosts: ["${BRIDGE_HOST}", "*"]'),
        frozenset({"another Host", "the load balancer's own name as Host"}),
    ),
    "eks: any text behind the host": (
        "eks",
        (f"{_EKS}/authorization-policy.yaml", 'hosts: ["${BRIDGE_HOST}"]',
         'hosts: ["${BRIDGE_HOST}", "lambda.bridge.internal:*"]'),
        frozenset({"the right Host with something behind it"}),
    ),
    "eks: another client in the policy": (
        "eks",
        (f"{_EKS}/authorization-policy.yaml", '["${BRIDGE_CLIENT_PRINCIPAL}"]', "[gke.bridge.internal/ns/a/sa/b]"),
        frozenset({REACHED}),
    ),
    "eks: the load balancer by the request's host": (
        "eks",
        (f"{_EKS}/destination-rule.yaml", "          sni: ${ALB_HOST}\n", ""),
        frozenset({REACHED}),
    ),
    "eks: any name of the load balancer": (
        "eks",
        (f"{_EKS}/destination-rule.yaml", '          subjectAltNames: ["${ALB_HOST}"]\n', ""),
        frozenset({"a load balancer with another name gets no request"}),
    ),
    "eks: any public authority of the load balancer": (
        "eks",
        (f"{_EKS}/destination-rule.yaml", "          credentialName: lambda-alb-ca\n", ""),
        frozenset({"a load balancer whose certificate another authority signed gets no request"}),
    ),
    "eks: plaintext to the load balancer": (
        "eks",
        (f"{_EKS}/destination-rule.yaml", "mode: SIMPLE", "mode: DISABLE"),
        frozenset({REACHED}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WEAKENED)
def test_a_changed_line_fails_a_named_case(bench: LocalBench, edited: Edited, name: str) -> None:
    side, edit, cases = WEAKENED[name]
    changed = edited(edit)
    for file in lambda_bridge_files(changed.root):
        file.path.write_text(file.text)
    found = outcomes(bench, changed.root, side, cases)
    assert {case: state for case, state in found.items() if state == "passed"} == {}


# What may be left out without any case noticing, because something else says the same:
# - OPTIONAL_MUTUAL in the Gateway of EKS: Envoy demands a certificate wherever it compares subject names.
# - The principal in the policy of EKS: the Gateway has let in that client alone. The next test takes the Gateway's list
#   away, and the policy refuses.
# - `sni` towards EKS: without it the name is the request's host, which is the same one. It is written down so that
#   subjectAltNames never stands alone.
# - `action: ALLOW`, the mode REGISTRY_ONLY of a Sidecar with an outboundTrafficPolicy, the port of a service that has
#   one, the protocol of a port named http: Istio's defaults.
# - Selectors, exportTo, location, time-outs, retries, connection limits and outlier detection decide nothing between
#   two proxies; the tests below assert them.


def test_the_policy_of_eks_holds_without_the_gateways_list_of_clients(
    bench: LocalBench, edited: Edited
) -> None:
    # Both name the one client, so taking the name out of the policy changes no case as long as the Gateway has it.
    edit = (f"{_EKS}/gateway.yaml", '        subjectAltNames: ["${BRIDGE_CLIENT_IDENTITY}"]\n', "")
    open_gateway = edited(edit)
    case = "the certificate of another client of the same authority"
    files = [
        replace(f, cases=tuple(c for c in f.cases if c.name == case))
        for f in collect([CASES / "eks"], VALUES)
    ]
    for file in lambda_bridge_files(open_gateway.root):
        file.path.write_text(file.text)
    mesh = bench.load(Sources((str(open_gateway.root / "infra/mesh/lambda-bridge/overlays/eks"),)))
    (outcome,) = run_cases(mesh, [file for file in files if file.cases], Choice()).outcomes
    assert outcome.verdict is not None
    assert outcome.verdict.summary == (
        "403 by the proxy of istio-lambda-ingress/istio-lambda-ingress: no ALLOW policy matched"
    )


@pytest.fixture(params=SIDES)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return build(BRIDGE / "overlays" / request.param)


def objects(side: str) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    return {(found.kind, found.name): found.body for found in build(BRIDGE / "overlays" / side)}


def test_every_value_of_the_contract_is_put_in_and_every_key_is_used(manifests: list[Manifest]) -> None:
    assert [str(found) for found in manifests if "${" in str(found.body)] == []


def test_every_key_is_used_by_a_manifest_or_the_function() -> None:
    texts = "".join(path.read_text() for side in SIDES for path in (BRIDGE / side).rglob("*.yaml"))
    lambdas = {"AWS_ACCOUNT_ID", "AWS_REGION", "LAMBDA_FUNCTION_ARN", "TARGET_GROUP_ARN"}
    assert {key for key in VALUES if f"${{{key}}}" not in texts} == lambdas
    assert VALUES["BRIDGE_CLIENT_IDENTITY"] == f"spiffe://{VALUES['BRIDGE_CLIENT_PRINCIPAL']}"
    for arn in ("LAMBDA_FUNCTION_ARN", "TARGET_GROUP_ARN"):
        assert f":{VALUES['AWS_REGION']}:{VALUES['AWS_ACCOUNT_ID']}:" in VALUES[arn]


def test_the_generated_component_is_up_to_date() -> None:
    for file in lambda_bridge_files(ROOT):
        assert file.path.read_text() == file.text


def test_nothing_is_exported_beyond_its_namespace_but_to_the_caller() -> None:
    exporting = ("ServiceEntry", "VirtualService", "DestinationRule")
    found = {key: body["spec"]["exportTo"] for key, body in objects("gke").items() if key[0] in exporting}
    assert found == {
        ("ServiceEntry", "lambda-bridge"): [".", "greeter"],
        ("VirtualService", "lambda-bridge"): [".", "greeter"],
        ("DestinationRule", "egress-gateway-for-lambda"): [".", "greeter"],
        ("DestinationRule", "lambda-bridge-mtls"): ["."],
    }
    assert {
        tuple(body["spec"]["exportTo"]) for key, body in objects("eks").items() if key[0] in exporting
    } == {(".",)}


@pytest.mark.parametrize(("side", "label"), [("gke", "lambda-egress"), ("eks", "lambda-ingress")])
def test_gateways_and_policies_name_the_pods_of_the_bridge(side: str, label: str) -> None:
    selectors = {
        key: body["spec"]["selector"].get("matchLabels", body["spec"]["selector"])
        for key, body in objects(side).items()
        if key[0] in ("Gateway", "AuthorizationPolicy") and key[1] != "allow-nothing"
    }
    assert len(selectors) == 2
    assert list(selectors.values()) == [{"istio": label}] * 2


@pytest.mark.parametrize("side", SIDES)
def test_servers_outside_the_mesh_say_so(side: str) -> None:
    entries = [body["spec"]["location"] for key, body in objects(side).items() if key[0] == "ServiceEntry"]
    assert entries == ["MESH_EXTERNAL"]


@pytest.mark.parametrize(
    ("side", "name"),
    [("gke", "egress-gateway-for-lambda"), ("gke", "lambda-bridge-mtls"), ("eks", "lambda-load-balancer")],
)
def test_a_server_that_cannot_be_reached_is_left_out_and_one_that_answers_with_an_error_is_not(
    side: str, name: str
) -> None:
    spec = objects(side)["DestinationRule", name]["spec"]
    ((port,),) = [
        policy["portLevelSettings"]
        for policy in (
            spec.get("trafficPolicy"),
            *(subset["trafficPolicy"] for subset in spec.get("subsets", ())),
        )
        if policy
    ]
    outliers = port["outlierDetection"]
    assert outliers["splitExternalLocalOriginErrors"] is True
    assert (outliers["consecutiveLocalOriginFailures"], outliers["consecutive5xxErrors"]) == (3, 0)
    assert outliers["maxEjectionPercent"] == 50  # an outage of all ejects not all
    assert port["connectionPool"]["tcp"]["connectTimeout"] in ("2s", "3s")


def test_a_connection_outlives_its_certificate_for_ten_minutes_at_most() -> None:
    spec = objects("gke")["DestinationRule", "lambda-bridge-mtls"]["spec"]
    (port,) = spec["trafficPolicy"]["portLevelSettings"]
    assert port["connectionPool"]["tcp"]["maxConnectionDuration"] == "600s"


@pytest.mark.parametrize("side", SIDES)
def test_no_label_or_selector_names_a_revision(side: str) -> None:
    assert "istio.io/rev" not in str(objects(side))


@pytest.mark.parametrize("side", SIDES)
def test_both_sides_demand_mtls_and_allow_nothing(side: str) -> None:
    found = objects(side)
    assert found["PeerAuthentication", "default"]["spec"] == {"mtls": {"mode": "STRICT"}}
    assert found["AuthorizationPolicy", "allow-nothing"]["spec"] == {}


@pytest.mark.parametrize(("side", "name"), [("gke", "istio-lambda-egress"), ("eks", "istio-lambda-ingress")])
def test_the_gateways_pods_are_hardened_like_those_of_the_ingress(side: str, name: str) -> None:
    ingress = next(iter(yaml.safe_load_all((ROOT / "infra/mesh/ingress/deployment.yaml").read_text())))
    theirs, ours = ingress["spec"]["template"], objects(side)["Deployment", name]["spec"]["template"]
    for key in ("containers", "securityContext", "automountServiceAccountToken"):
        assert ours["spec"][key] == theirs["spec"][key]
    assert ours["spec"]["serviceAccountName"] == name
    assert ours["metadata"]["annotations"] == {"inject.istio.io/templates": "gateway"}
    assert ours["metadata"]["labels"]["sidecar.istio.io/inject"] == "true"


def test_the_load_balancer_of_eks_is_internal_and_takes_one_range() -> None:
    service = objects("eks")["Service", "istio-lambda-ingress"]
    prefix = "service.beta.kubernetes.io/aws-load-balancer"
    assert service["metadata"]["annotations"][f"{prefix}-scheme"] == "internal"
    assert service["spec"]["loadBalancerClass"] == "service.k8s.aws/nlb"
    assert service["spec"]["loadBalancerSourceRanges"] == [VALUES["GKE_SOURCE_RANGE"]]


def test_the_gateway_of_eks_takes_tls_1_3_alone() -> None:
    (server,) = objects("eks")["Gateway", "lambda-ingress"]["spec"]["servers"]
    assert server["tls"]["minProtocolVersion"] == "TLSV1_3"


def test_every_hop_waits_longer_than_the_next_one() -> None:
    first, second = objects("gke")["VirtualService", "lambda-bridge"]["spec"]["http"]
    (third,) = objects("eks")["VirtualService", "lambda"]["spec"]["http"]
    seconds = [int(re.sub("s$", "", route["timeout"])) for route in (first, second, third)]
    assert seconds == sorted(seconds, reverse=True)
    assert seconds[-1] > 10  # the function's own
    assert {route["retries"]["retryOn"] for route in (first, second, third)} == {
        "connect-failure,refused-stream"
    }


def test_another_caller_is_one_folder_and_one_line(edited: Edited, bench: LocalBench) -> None:
    overlay = "infra/mesh/lambda-bridge/overlays/gke/kustomization.yaml"
    line = "  - ../../gke/callers/greeter\n"
    copy = edited((overlay, line, f"{line}  - ../../gke/callers/writer\n")).root
    callers = copy / "infra/mesh/lambda-bridge/gke/callers"
    shutil.copytree(callers / "greeter", callers / "writer")
    for path in (callers / "writer").iterdir():
        path.write_text(path.read_text().replace("greeter", "writer"))
    for file in lambda_bridge_files(copy):
        file.path.write_text(file.text)

    found = build(copy / "infra/mesh/lambda-bridge/overlays/gke")
    entry = next(each for each in found if each.kind == "ServiceEntry")
    assert entry.body["spec"]["exportTo"] == [".", "greeter", "writer"]
    assert outcomes(bench, copy, "gke", frozenset({PAGE})) == {PAGE: "passed"}
    assert outcomes(bench, copy, "gke")["a workload that the policy does not name"] == "passed"
