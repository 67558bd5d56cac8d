"""The same policy tests on other shapes of the ingress: without TLS, and with two services on one host."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from meshgen.generated import write
from meshgen.plan import directories, generate
from meshlab.bench.case_file.collect import collect
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.session import Choice, run_cases
from meshlab.env_file import read_env_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshlab.bench.report.run import Run

    Verdicts = Callable[..., Run]

INFRA = Path(__file__).parents[2] / "infra"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the project with infra/ alone."""
    shutil.copytree(INFRA, tmp_path / "infra", symlinks=True, ignore=shutil.ignore_patterns("generator"))
    return tmp_path


@pytest.fixture(scope="module")
def bench() -> Iterator[LocalBench]:
    """One bench for all tests of this module: proxies of one mesh become those of the next."""
    with closing(LocalBench()) as bench:
        yield bench


@pytest.fixture
def verdicts_of(root: Path, bench: LocalBench) -> Verdicts:
    """Run the cases of the ingress on an overlay of the copy, all or those whose name holds some words."""

    def run(overlay: str, words: str = "") -> Run:
        mesh = bench.load(Sources((str(root / "infra/mesh/overlays" / overlay),)))
        contract = read_env_file(root / "infra/contract.env")
        return run_cases(mesh, collect([root / "infra/policy-tests/ingress"], contract), Choice(words))

    return run


def failed(run: Run) -> list[str]:
    return [outcome.case.name for outcome in run.outcomes if outcome.state != "passed"]


def test_the_overlay_without_tls_lets_in_and_refuses_the_same(root: Path, verdicts_of: Verdicts) -> None:
    for file in (root / "infra/policy-tests/ingress").rglob("*.yaml"):
        text = file.read_text().replace("https://${", "http://${").replace("}:443", "}:80")
        file.write_text(text)
    run = verdicts_of("plain-http")
    assert len(run.outcomes) > 500
    # Without TLS there is no server name, so a wrong one refuses nothing.
    assert failed(run) == ["another server name than the Host"]


def test_two_services_share_a_host_by_their_paths(root: Path, verdicts_of: Verdicts) -> None:
    service = root / "infra/mesh/services/orders/service.yaml"
    service.write_text(service.read_text().replace("${ORDERS_HOST}", "${GKE_GATEWAY_HOST}"))
    write(generate(root), directories(root))
    (root / "infra/policy-tests/ingress/orders.yaml").unlink()  # for a host that is not served any more
    run = verdicts_of("example")
    assert failed(run) == []
    reached = {
        (outcome.case.name.partition(",")[0], outcome.verdict.app)
        for outcome in run.outcomes
        if outcome.verdict
        and outcome.verdict.app
        and outcome.case.name.startswith(("orders,", "user-profile,"))
    }
    assert len(reached) == 2


UPGRADE = """
  - name: 'orders, reports: an upgrade to WebSocket'
    from: outside
    token: reports
    request:
      method: GET
      url: https://${ORDERS_HOST}/orders/x-1
      headers: {upgrade: websocket, connection: Upgrade}
    expect: {status: 200}
"""


def test_a_service_with_a_custom_method_and_websocket_gets_both_and_no_other(
    root: Path, verdicts_of: Verdicts
) -> None:
    """A custom method after a colon opens no other, and no other service gets WebSocket."""
    service = root / "infra/mesh/services/orders/service.yaml"
    text = service.read_text().replace("paths: [/orders], ", 'paths: ["/orders:batchGet"], ')
    service.write_text(f"{text}websocket: true\n")
    write(generate(root), directories(root))
    extra = root / "infra/policy-tests/ingress/services/orders.yaml"
    assert "WebSocket" not in extra.read_text()
    extra.write_text(extra.read_text().rstrip("\n") + UPGRADE)
    run = verdicts_of("example")
    assert failed(run) == []

    posted = {
        outcome.case.name: bool(outcome.verdict and outcome.verdict.app)
        for outcome in run.outcomes
        if outcome.case.name.startswith("orders, storefront: POST /orders")
    }
    for other in ("/orders:another (", "/orders (", "/orders%3AbatchGet ("):
        assert [was for name, was in posted.items() if f"POST {other}" in name] == [False, False]
    assert [name for name, was in posted.items() if was and "POST /orders:batchGet" not in name] == []
    assert any(posted.values())

    upgraded = {
        outcome.case.name: [str(hop.workload) for hop in outcome.verdict.hops]
        for outcome in run.outcomes
        if outcome.verdict and "an upgrade to WebSocket" in outcome.case.name
    }
    assert upgraded["orders, reports: an upgrade to WebSocket"][-1] == "orders/orders"
    refused = upgraded["user-profile, reports: an upgrade to WebSocket, at the gateway"]
    assert refused == ["istio-ingress/istio-internal-gateway"]


ROGUE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a-rogue, namespace: neighbour}
spec:
  hosts: [user-profile.internal, neighbour.internal]
  gateways: [istio-ingress/internal-gateway]
  http: [{route: [{destination: {host: orders.orders.svc.cluster.local}}]}]
"""


def with_a_rogue(root: Path) -> None:
    overlay = root / "infra/mesh/overlays/example"
    (overlay / "rogue.yaml").write_text(ROGUE)
    file = overlay / "kustomization.yaml"
    file.write_text(file.read_text().replace("components:", "  - rogue.yaml\ncomponents:"))


def test_a_route_of_another_namespace_gets_no_request_of_a_service(root: Path, verdicts_of: Verdicts) -> None:
    with_a_rogue(root)
    assert failed(verdicts_of("example")) == []


def test_without_the_namespaces_of_the_gateways_hosts_it_would(root: Path, verdicts_of: Verdicts) -> None:
    with_a_rogue(root)
    hosts = root / "infra/mesh/ingress/https/generated/gateway-hosts.yaml"
    line = "    - user-profile/${GKE_GATEWAY_HOST}\n"
    assert line in hosts.read_text()
    hosts.write_text(hosts.read_text().replace(line, "    - '*/${GKE_GATEWAY_HOST}'\n"))
    # Catch-all routes go last, so the rogue gets what finds no route of the service.
    case = "user-profile, enrichment: GET /profile/x-1, with a parameter inside a segment"
    assert case in failed(verdicts_of("example", "parameter inside a segment"))
