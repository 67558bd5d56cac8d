"""A proxy that stops checking the certificate of a server outside is seen at a server that shows a wrong one."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from meshlab.battery.derive import derive
from meshlab.battery.impostors import impostors
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources

from tests.lab.battery.meshes import mesh, written

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.battery.battery import Battery

OUTSIDE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec:
  hosts: [api.example]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api, namespace: shop}
spec:
  host: api.example
  trafficPolicy: {tls: {mode: SIMPLE, sni: api.example, subjectAltNames: [api.example]}}
"""
UNCHECKED = OUTSIDE.replace(", subjectAltNames: [api.example]", ", insecureSkipVerify: true")


def reached(bench: LocalBench, file: Path, objects: str, battery: Battery) -> set[str]:
    """The requests that the server outside answered."""
    file.write_text(written(objects))
    loaded = bench.load(Sources((str(file),)))
    cases = [question.case for question in battery.questions]
    with bench.running(loaded, battery.setup, cases, 0) as engine:
        return {outcome.case.name for outcome in engine.run(cases) if outcome.verdict and outcome.verdict.app}


def test_a_wrong_certificate_is_refused_and_reached_where_it_is_not_checked(tmp_path: Path) -> None:
    meshes = [mesh(OUTSIDE), mesh(UNCHECKED)]
    battery = derive(meshes)
    stranger, other_name = impostors(meshes, battery)
    file = tmp_path / "mesh.yaml"
    with closing(LocalBench()) as bench:
        assert reached(bench, file, OUTSIDE, stranger) == set()
        assert reached(bench, file, UNCHECKED, stranger) != set()
        assert reached(bench, file, OUTSIDE, other_name) == set()
        assert reached(bench, file, UNCHECKED, other_name) != set()


def test_there_is_none_where_no_proxy_speaks_tls_to_a_server_outside() -> None:
    meshes = [mesh()]
    assert impostors(meshes, derive(meshes)) == ()
