"""Policies on IP addresses inside the mesh: judged where the pods' addresses are stated, and never guessed.

The mesh is that of `meshes/addresses`, whose cases are those that are judged.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from meshlab.bench import mesh_run
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.session import Choice, run_cases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.bench.verdicts.verdict import Outcome

MESH = Path(__file__).parent / "meshes/addresses/mesh.yaml"

SETUP = """
workloads: {shop/far: {}, shop/near: {}, shop/six: {}, shop/mute: {}}
addresses: {shop/near: 10.8.1.7, shop/far: 10.9.1.7, shop/six: "fd00:8::7", edge/door: 10.8.0.2}
authorizers: {ext: [{allow: false}]}
callers:
  near: {workload: shop/near}
  six: {workload: shop/six}
  mute: {workload: shop/mute}
  unknown: {outside: edge/door}
  known: {outside: edge/door, address: 203.0.113.9}
cases:
"""
NOT_JUDGED = """
- {name: a sidecar, from: mute, request: GET http://peer.shop/, expect: 403 shop/peer}
- {name: TCP that is refused, from: mute, request: {tcp: "peer.shop:6379"}, expect: refused shop/peer}
- {name: TCP that passes, from: mute, request: {tcp: "not-outside.shop:6379"}, expect: answered}
- {name: past the sidecar, from: {bypass: shop/mute, to: shop/peer, port: 8080}, request: GET http://peer/, expect: 403}
- {name: no workload, from: {bypass: none, to: shop/peer, port: 8080}, request: GET http://peer/, expect: 403}
- {name: a client, from: unknown, request: GET http://a.example/remote, expect: 403 shop/remote}
- {name: a client at the gateway, from: unknown, request: GET http://a.example/, expect: 200 shop/cart}
- {name: through the gateway, from: mute, request: GET http://door.edge/remote, expect: 403}
- {name: the path of the rule, from: mute, request: GET http://paths.shop/secret, expect: 200}
- {name: the port of the rule, from: mute, request: GET http://ports.shop/, expect: 403}
- {name: the authorizer, from: mute, request: GET http://asked.shop/, expect: 403}
- name: what stands for another address
  from: near
  request: {url: "http://remote.shop/", headers: {x-forwarded-for: 127.100.0.1}}
  expect: 200
- {name: the pod itself, from: near, request: GET http://inside.shop/, expect: 403}
"""
IPV6 = """
- {name: in a range, from: six, request: GET http://peer.shop/, expect: 200 shop/peer}
- {name: in no range of IPv4, from: six, request: GET http://elsewhere.shop/denied, expect: 403 shop/elsewhere}
- {name: IPv4 is, from: near, request: GET http://elsewhere.shop/denied, expect: 200 shop/elsewhere}
- {name: not in a range, from: six, request: GET http://remote.shop/, expect: 403 shop/remote}
"""
OF_MANIFESTS = """
---
apiVersion: v1
kind: Pod
metadata: {name: near, namespace: shop, labels: {app: near}}
spec: {containers: [{name: app}]}
status: {podIP: 10.8.1.7}
---
apiVersion: v1
kind: Pod
metadata: {name: moved, namespace: shop, labels: {app: moved}}
spec: {containers: [{name: app}]}
status: {podIP: 10.8.1.9}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm, namespace: shop}
spec: {address: 10.8.1.8, labels: {app: vm}}
"""
CASES_OF_MANIFESTS = """
workloads: {shop/vm: {}}
addresses: {shop/moved: 10.9.1.9}
cases:
- {name: a Pod's status, from: {workload: shop/near}, request: GET http://peer.shop/, expect: 200 shop/peer}
- {name: a WorkloadEntry, from: {workload: shop/vm}, request: GET http://peer.shop/, expect: 200 shop/peer}
- {name: the case file, from: {workload: shop/moved}, request: GET http://peer.shop/, expect: 403 shop/peer}
"""


@pytest.fixture(scope="module")
def bench() -> Iterator[LocalBench]:
    bench = LocalBench()
    yield bench
    bench.close()


def outcomes(bench: LocalBench, *meshes: Path, cases: str) -> dict[str, Outcome]:
    loaded = bench.load(Sources(tuple(map(str, meshes))))
    run = run_cases(loaded, [parse_case_file(cases, "cases.yaml")], Choice())
    return {outcome.case.name: outcome for outcome in run.outcomes}


def wrong(found: dict[str, Outcome]) -> dict[str, list[str]]:
    return {
        name: [*map(str, outcome.mismatches), *outcome.reasons]
        for name, outcome in found.items()
        if outcome.state != "passed"
    }


def test_what_depends_on_an_address_that_is_not_stated_is_not_judged(bench: LocalBench) -> None:
    found = outcomes(bench, MESH, cases=SETUP + NOT_JUDGED)
    give = "give the pod's address under `addresses` of a case file, or with --address."
    of_mute = f"the address of shop/mute is not stated; {give}"
    of_client = "the client's address is not stated; give it as `address` of the caller."
    asked = {
        "a sidecar": ("shop/peer-allow", "source.ip", of_mute),
        "TCP that is refused": ("shop/peer-allow", "source.ip", of_mute),
        "TCP that passes": ("shop/not-outside-deny", "source.ip", of_mute),
        "past the sidecar": ("shop/peer-allow", "source.ip", of_mute),
        "no workload": (
            "shop/peer-allow",
            "source.ip",
            of_client,
        ),
        "a client": ("edge/door-deny", "source.ip", of_client),
        "a client at the gateway": ("edge/door-deny", "source.ip", of_client),
        "through the gateway": ("edge/door-deny", "source.ip", of_mute),
        "the path of the rule": ("shop/paths-deny", "source.ip", of_mute),
        "the port of the rule": ("shop/ports-deny", "source.ip", of_mute),
        "the authorizer": ("shop/asked-custom", "source.ip", of_mute),
        "what stands for another address": (
            "shop/remote-allow",
            "remote.ip",
            "127.100.0.1 stands for another address here; write another in the case's headers.",
        ),
        "the pod itself": (
            "shop/inside-allow",
            "destination.ip",
            f"the address of shop/inside is not stated; {give}",
        ),
    }
    assert {outcome.state for outcome in found.values()} == {"not judged"}
    for name, (policy, kind, why) in asked.items():
        place, _, said = found[name].reasons[0].partition(": AuthorizationPolicy ")
        assert place.rpartition(":")[0] == str(MESH)
        assert said == f"{policy}: spec.rules[0]: depends on {kind}, and {why}"
    # The sidecar behind the gateway takes the client's address from what the gateway wrote.
    assert (
        found["a client"]
        .reasons[-1]
        .endswith(f"shop/remote-allow: spec.rules[0]: depends on remote.ip, and {of_client}")
    )
    assert found["through the gateway"].reasons[-1].endswith(f"depends on remote.ip, and {of_mute}")


def test_an_address_of_ipv6_is_in_ranges_of_ipv6_alone(bench: LocalBench) -> None:
    assert wrong(outcomes(bench, MESH, cases=SETUP + IPV6)) == {}


def test_manifests_state_addresses_too_and_the_case_file_wins(bench: LocalBench, tmp_path: Path) -> None:
    more = tmp_path / "more.yaml"
    more.write_text(OF_MANIFESTS)
    assert wrong(outcomes(bench, MESH, more, cases=CASES_OF_MANIFESTS)) == {}


def test_a_machine_with_one_loopback_address_judges_no_condition_on_addresses(
    bench: LocalBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mesh_run, "has_address", lambda address: address == "127.0.0.1")
    cases = (
        SETUP.replace("{ext: [{allow: false}]}", "{ext: [{allow: true}]}")
        + """
- {name: inside, from: near, request: GET http://peer.shop/, expect: 200 shop/peer}
- {name: outside, from: known, request: GET http://a.example/, expect: 200 shop/cart}
- {name: another, from: near, request: GET http://cart.shop/, expect: 200 shop/cart}
"""
    )
    found = outcomes(bench, MESH, cases=cases)
    assert {name: outcome.state for name, outcome in found.items()} == {
        "inside": "not judged",
        "outside": "not judged",
        "another": "passed",
    }
    assert "this machine cannot connect from 127.100.0.1" in found["inside"].reasons[0]
    assert "this machine cannot connect from 127.100.0.1" in found["outside"].reasons[0]
