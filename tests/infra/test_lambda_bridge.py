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

    from tests.conftest import Edited

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


_EKS = "infra/mesh/lambda-bridge/eks"
PAGE = "the caller asks over plain HTTP, and EKS is asked over TLS by the bridge's name"

# test_every_bridge_condition_counts.py changes every line that decides.
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


EXPORTED = {
    "gke": {
        ("ServiceEntry", "lambda-bridge"): [".", "greeter"],
        ("VirtualService", "lambda-bridge"): [".", "greeter"],
        ("DestinationRule", "egress-gateway-for-lambda"): [".", "greeter"],
        ("DestinationRule", "lambda-bridge-mtls"): ["."],
    },
    "eks": {
        ("ServiceEntry", "lambda-load-balancer"): ["."],
        ("VirtualService", "lambda"): ["."],
        ("DestinationRule", "lambda-load-balancer"): ["."],
    },
}


@pytest.mark.parametrize("side", SIDES)
def test_nothing_is_exported_beyond_its_namespace_but_to_the_caller(side: str) -> None:
    exporting = ("ServiceEntry", "VirtualService", "DestinationRule")
    found = {key: body["spec"]["exportTo"] for key, body in objects(side).items() if key[0] in exporting}
    assert found == EXPORTED[side]


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


@pytest.mark.parametrize("side", SIDES)
def test_retries_are_written(side: str) -> None:
    routes = [
        route
        for key, body in objects(side).items()
        if key[0] == "VirtualService"
        for route in body["spec"]["http"]
    ]
    assert routes
    assert {route["retries"]["retryOn"] for route in routes} == {"connect-failure,refused-stream"}


@pytest.mark.parametrize("side", SIDES)
def test_every_hop_has_a_timeout(side: str) -> None:
    services = [body for key, body in objects(side).items() if key[0] == "VirtualService"]
    assert services
    assert all(route["timeout"] for body in services for route in body["spec"]["http"])


@pytest.mark.parametrize("side", SIDES)
def test_no_kind_needs_an_operator_in_the_cluster(side: str) -> None:
    assert {kind for kind, _ in objects(side)} & {"EnvoyFilter", "IstioOperator", "WasmPlugin"} == set()


@pytest.mark.parametrize(("side", "name"), [("gke", "istio-lambda-egress"), ("eks", "istio-lambda-ingress")])
def test_a_gateway_reads_the_secrets_of_its_own_namespace(side: str, name: str) -> None:
    role = objects(side)["Role", f"{name}-certificates"]
    assert role["metadata"]["namespace"] == name
    assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "watch", "list"]}]
    binding = objects(side)["RoleBinding", f"{name}-certificates"]
    assert binding["metadata"]["namespace"] == name
    assert binding["roleRef"]["name"] == f"{name}-certificates"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": name}]


def test_every_hop_waits_longer_than_the_next_one() -> None:
    first, second = objects("gke")["VirtualService", "lambda-bridge"]["spec"]["http"]
    (third,) = objects("eks")["VirtualService", "lambda"]["spec"]["http"]
    seconds = [int(re.sub("s$", "", route["timeout"])) for route in (first, second, third)]
    assert seconds == sorted(seconds, reverse=True)
    assert seconds[-1] > 10  # the function's own


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
