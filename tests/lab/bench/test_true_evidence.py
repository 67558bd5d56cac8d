"""Verdicts rest on what happened: dead processes, ended connections and ports used twice prove nothing."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.bench.case import AppSpec
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.evidence.line import parse_line
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import BenchError, Setup, Sources
from meshlab.bench.verdicts.hop import Hop
from meshlab.istio import WorkloadRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from meshlab.bench.mesh_run import MeshRun
    from meshlab.bench.verdicts.verdict import Outcome

REF = WorkloadRef("shop", "cart")
RESET = "TLS_error:|33554536:system_library:OPENSSL_internal:Connection_reset_by_peer:TLS_error_end"

MESH = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec: {template: {metadata: {labels: {app: cart}}, spec: {serviceAccountName: cart, containers: [{name: c}]}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: redis, namespace: shop}
spec: {template: {metadata: {labels: {app: redis}}, spec: {containers: [{name: c, ports: [{containerPort: 6379}]}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: redis, namespace: shop}
spec: {selector: {app: redis}, ports: [{name: tcp-redis, port: 6379}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: redis, namespace: shop}
spec:
  selector: {matchLabels: {app: redis}}
  rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/cart]}}]}]
"""


class Bench:
    """A mesh that cases are sent to, one list at a time."""

    def __init__(self, directory: Path) -> None:
        file = directory / "mesh.yaml"
        file.write_text(MESH)
        self.bench = LocalBench()
        self.mesh = self.bench.load(Sources((str(file),)))

    def ask(
        self,
        cases: str,
        between: Callable[[MeshRun], None] | None = None,
        apps: tuple[AppSpec, ...] = (),
    ) -> list[Outcome]:
        """Send the cases; `between` is called when everything runs."""
        found = parse_case_file(f"cases:\n{cases}", "cases.yaml")
        with self.mesh.start(Setup(apps=apps), found.cases, jobs=2) as engine:
            if between:
                between(self.bench._runs[0])
            return list(engine.run(found.cases))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.bench.close()


TO_REDIS = "  - {name: a, from: {workload: shop/cart}, request: {tcp: 'redis.shop:6379'}, expect: %s}\n"
BYPASS = (
    "  - {name: a, from: {bypass: none, to: shop/redis}, request: {tcp: 'redis.shop:6379'}, expect: %s}\n"
)


def test_a_tcp_answer_through_two_sidecars_is_the_applications_every_time(bench: Bench) -> None:
    for _ in range(5):
        (outcome,) = bench.ask(TO_REDIS % "answered shop/redis")
        assert outcome.state == "passed", outcome.verdict


def test_a_policy_still_ends_a_tcp_connection_of_another_sender(bench: Bench) -> None:
    asked = TO_REDIS.replace("shop/cart", "shop/redis") % "{refused: true, proxy: shop/redis, policy: none}"
    (outcome,) = bench.ask(asked)
    assert outcome.state == "passed", outcome.mismatches


def kill(workload: str) -> Callable[[MeshRun], None]:
    def between(run: MeshRun) -> None:
        assert run._running is not None
        child = run._running._proxies._running[WorkloadRef.parse(workload)]._child
        assert child is not None
        os.kill(child.pid, signal.SIGKILL)
        child._process.wait()

    return between


@pytest.mark.parametrize("asked", [TO_REDIS, BYPASS], ids=["behind another proxy", "met first"])
def test_a_refusal_by_a_dead_proxy_is_an_error_and_never_a_pass(bench: Bench, asked: str) -> None:
    (outcome,) = bench.ask(asked % "refused", kill("shop/redis"))
    assert outcome.state == "error"
    assert "envoy-shop.redis ended with exit code -9" in outcome.reasons[0]


def test_a_refusal_by_a_dead_application_is_an_error_and_never_a_pass(bench: Bench) -> None:
    def between(run: MeshRun) -> None:
        assert run._running is not None
        echo = run._running._applications._echo
        assert echo is not None
        os.kill(echo.pid, signal.SIGKILL)
        echo._process.wait()

    (outcome,) = bench.ask(TO_REDIS % "refused", between)
    assert outcome.state == "error"
    assert "echo ended with exit code -9" in outcome.reasons[0]


def test_the_end_of_a_connection_is_no_refusal_and_a_failed_handshake_is() -> None:
    def reason(failure: str) -> str:
        fields: dict[str, Any] = {"scope": "tcp", "upstream": "127.0.0.1:1", "downstream_failure": failure}
        return Hop(REF, "inbound", 6379, parse_line(REF, json.dumps(fields))).reason

    assert reason(RESET) == ""
    # What the TLS inspector says of a client that speaks plaintext to a port that takes it.
    assert (
        reason("TLS_error|error:100000f7:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end")
        == ""
    )
    refused = (
        "TLS_error:|268435648:SSL_routines:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE:TLS_error_end"
    )
    assert reason(refused) == "TLS with the client failed: peer did not return a certificate"


def test_the_bench_keeps_its_own_header_to_itself(bench: Bench) -> None:
    (outcome,) = bench.ask(
        "  - {name: a, from: {workload: shop/cart}, expect: 200,\n"
        "     request: {url: 'http://redis.shop:6379/', headers: {X-Meshlab-Case: mine}}}\n"
    )
    assert outcome.state == "error"
    assert "x-meshlab-case is the bench's own" in outcome.reasons[0]


def test_a_command_that_ends_before_it_listens_says_so_and_what_it_should_do(bench: Bench) -> None:
    with pytest.raises(BenchError) as caught:
        bench.ask(TO_REDIS % "refused", apps=(AppSpec("shop/redis", command=("false",)),))
    message = str(caught.value)
    assert message.startswith("the application shop/redis cannot be asked: app-shop.redis-")
    assert "ended with exit code 1" in message
    assert "within" not in message
    assert "must listen on 127.0.0.1 at the port in PORT" in message


def test_what_an_application_says_about_itself_proves_nothing(bench: Bench) -> None:
    liar = (
        "import os, socket\n"
        "s = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))\n"
        "while True:\n"
        "    c, _ = s.accept()\n"
        '    c.sendall(b\'{"app": "shop/cart", "version": "v1"}\\n\')\n'
    )
    apps = (AppSpec("shop/redis", command=(sys.executable, "-c", liar)),)
    (outcome,) = bench.ask(TO_REDIS % "answered shop/cart", apps=apps)
    assert outcome.state == "failed"
    assert outcome.verdict is not None
    assert outcome.verdict.app == "shop/redis"
