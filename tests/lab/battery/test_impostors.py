"""A proxy that stops checking the certificate of a server outside is seen at a server that shows a wrong one."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.battery.derive import derive
from meshlab.battery.wrong_servers import impostors, not_covered_with_impostors
from meshlab.bench.case import FromWorkload
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.planning.destination import destination_of
from meshlab.bench.protocol import Sources
from meshlab.istio.read.workload_ref import WorkloadRef

from tests.lab.battery.meshes import mesh, written
from tests.lab.outside_server import OUTSIDE_SERVER

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.battery.battery import Battery

UNCHECKED = OUTSIDE_SERVER.replace(", subjectAltNames: [api.example]", ", insecureSkipVerify: true")


def reached(bench: LocalBench, file: Path, objects: str, battery: Battery) -> set[str]:
    """The requests that the server outside answered."""
    file.write_text(written(objects))
    loaded = bench.load(Sources((str(file),)))
    cases = [question.case for question in battery.questions]
    with bench.running(loaded, battery.setup, cases, 0) as engine:
        return {outcome.case.name for outcome in engine.run(cases) if outcome.verdict and outcome.verdict.app}


def test_a_wrong_certificate_is_refused_and_reached_where_it_is_not_checked(tmp_path: Path) -> None:
    meshes = [mesh(OUTSIDE_SERVER), mesh(UNCHECKED)]
    battery = derive(meshes)
    stranger, other_name = impostors(meshes, battery)
    assert len(battery.not_covered) == len(not_covered_with_impostors(battery)) + 1
    file = tmp_path / "mesh.yaml"
    with closing(LocalBench()) as bench:
        assert reached(bench, file, OUTSIDE_SERVER, stranger) == set()
        assert reached(bench, file, UNCHECKED, stranger) != set()
        assert reached(bench, file, OUTSIDE_SERVER, other_name) == set()
        assert reached(bench, file, UNCHECKED, other_name) != set()


def test_there_is_none_where_no_proxy_speaks_tls_to_a_server_outside() -> None:
    meshes = [mesh()]
    assert impostors(meshes, derive(meshes)) == ()


def test_a_request_to_an_impostor_says_so_in_its_name_and_its_class() -> None:
    meshes = [mesh(OUTSIDE_SERVER)]
    asked = [question for found in impostors(meshes, derive(meshes)) for question in found.questions]
    assert asked
    assert all("at a server with a certificate" in question.case.name for question in asked)
    assert all("at a server with a certificate" in question.request_class for question in asked)


def test_a_server_behind_a_service_of_the_mesh_is_none_that_a_run_can_replace() -> None:
    behind = OUTSIDE_SERVER.replace(
        "  resolution: DNS\n", "  resolution: DNS\n  endpoints: [{address: cart.shop.svc.cluster.local}]\n"
    )
    meshes = [mesh(behind)]
    servers = {app.target for found in impostors(meshes, derive(meshes)) for app in found.setup.apps}
    assert "cart.shop.svc.cluster.local" not in servers


def test_each_port_of_a_server_is_asked_whatever_others_are_asked_more_often() -> None:
    # Clients speak TLS themselves on 443, and their proxies do it for them on 80.
    both = (
        OUTSIDE_SERVER
        + """---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: two, namespace: shop}
spec:
  hosts: [two.example]
  ports: [{number: 443, name: https, protocol: HTTPS}, {number: 80, name: http, protocol: HTTP, targetPort: 443}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: two, namespace: shop}
spec:
  host: two.example
  trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE, sni: two.example}}]}
"""
    )
    meshes = [mesh(both)]
    battery = derive(meshes)
    (example,) = [
        each
        for each in battery.questions
        if each.target == "two.example" and destination_of(each.case.request).port == 443
    ][:1]
    many = tuple(
        replace(example, case=replace(example.case, sender=FromWorkload(WorkloadRef(f"n{number}", "client"))))
        for number in range(5)
    )
    for found in impostors(meshes, replace(battery, questions=(*many, *battery.questions))):
        asked = [each.case for each in found.questions if each.target == "two.example"]
        assert {destination_of(case.request).port for case in asked} == {80, 443}
