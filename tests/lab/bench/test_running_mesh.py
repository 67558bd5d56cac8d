"""Running cases: which proxies start, changes while they run, applications, and cases that cannot be judged."""

from __future__ import annotations

import copy
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.bench.case import (
    AppSpec,
    Authorizer,
    AuthorizerRule,
    Expectation,
    FromBypass,
    FromOutside,
    FromWorkload,
    HttpRequest,
    TcpRequest,
    TokenSpec,
)
from meshlab.bench.running_mesh import RunningMesh
from meshlab.errors import LabError
from meshlab.istio import WorkloadRef
from meshlab.processes.envoy import Envoy
from meshlab.processes.ports import free_ports
from meshlab.processes.supervisor import Supervisor

from tests.lab.bench.conftest import case
from tests.lab.bench.mesh import CALLER, CART, DOOR, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshlab.bench.case import Case
    from meshlab.bench.mesh_addresses import Direction

OUTSIDE, IN_CALLER = FromOutside(DOOR), FromWorkload(CALLER)
UNKNOWN = WorkloadRef("a", "b")
SEEN = HttpRequest("http://cart.example/")
SERVE = """
import http.server, os
class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(203)
        self.send_header("content-length", "3")
        self.end_headers()
        self.wfile.write(b"own")
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"""


@pytest.fixture
def own() -> Iterator[tuple[Supervisor, World]]:
    """A mesh that a test may change."""
    with Supervisor() as supervisor:
        yield supervisor, World(supervisor.directory, free_ports())


def start(own: tuple[Supervisor, World], **options: object) -> RunningMesh:
    supervisor, world = own
    return RunningMesh(supervisor, world.mesh(), world.authorities, world.issuers, **options)  # type: ignore[arg-type]


def status(mesh: RunningMesh, *arguments: object) -> int | None:
    outcome = mesh.run_case(case(*arguments))  # type: ignore[arg-type]
    assert outcome.verdict is not None, outcome.reasons
    return outcome.verdict.reply.status


@pytest.mark.parametrize(
    ("cases", "started"),
    [
        ([case(OUTSIDE, "http://cart.example/")], {DOOR, CART}),
        ([case(OUTSIDE, "http://legacy.example/")], {DOOR}),
        ([case(OUTSIDE, "http://other.example/")], {DOOR}),
        (
            [case(OUTSIDE, HttpRequest("http://other.example/", headers=(("host", "cart.example"),)))],
            {DOOR, CART},
        ),
        ([case(OUTSIDE, HttpRequest("http://a.example/", target="http://cart.example/"))], {DOOR, CART}),
        ([case(IN_CALLER, "http://cart.shop/")], {CALLER, CART}),
        ([case(IN_CALLER, TcpRequest("redis.shop", 6379))], {CALLER}),
        ([case(FromBypass(None, CART, 8080, "plaintext"), "http://cart/")], {CART}),
        ([case(OUTSIDE, "no URL at all")], set()),
    ],
)
def test_only_the_proxies_that_cases_can_touch_are_started(
    own: tuple[Supervisor, World], cases: list[Case], started: set[WorkloadRef]
) -> None:
    with start(own) as mesh:
        mesh.start(cases)
        assert mesh.running == started


def test_a_proxy_that_was_not_foreseen_is_started_and_the_case_run_again(
    own: tuple[Supervisor, World],
) -> None:
    with start(own) as mesh:
        mesh.start([case(OUTSIDE, "http://legacy.example/")])
        assert mesh.running == {DOOR}
        assert status(mesh, OUTSIDE, "http://cart.example/") == 200
        assert mesh.running == {DOOR, CART}


def test_many_cases_at_once_get_their_own_verdicts(running: RunningMesh) -> None:
    cases = []
    for number in range(30):
        path = f"/{number}"
        app, refused = Expectation(status=200, app="shop/cart"), Expectation(status=403, proxy=CART)
        cases += [
            case(OUTSIDE, f"http://cart.example{path}", expect=app),
            case(
                OUTSIDE, HttpRequest(f"https://cart.example{path}", method="PUT", version="2"), expect=refused
            ),
            case(IN_CALLER, f"http://cart.shop{path}", expect=app),
            case(
                IN_CALLER, TcpRequest("redis.shop", 6379), expect=Expectation(answered=True, app="shop/redis")
            ),
        ]
    running.start(cases)
    outcomes = list(running.run(cases))
    assert [outcome.case for outcome in outcomes] == cases
    assert {outcome.state for outcome in outcomes} == {"passed"}
    for outcome in outcomes:
        verdict = outcome.verdict
        assert verdict is not None
        if verdict.received and isinstance(outcome.case.request, HttpRequest):
            assert outcome.case.request.url.endswith(verdict.received.target)


def test_a_run_can_end_with_its_first_failure(running: RunningMesh) -> None:
    wrong = case(OUTSIDE, "http://cart.example/", expect=Expectation(status=500))
    cases = [wrong, *[case(OUTSIDE, "http://cart.example/", expect=Expectation(status=200))] * 20]
    running.start(cases)
    (outcome,) = running.run(cases, jobs=1, stop_after_failure=True)
    assert outcome.state == "failed"
    assert str(outcome.mismatches[0]) == "status: expected 500, got 200 by the application of shop/cart (v1)"


def test_a_changed_policy_decides_once_the_update_is_over(own: tuple[Supervisor, World]) -> None:
    _, world = own
    opened = case(OUTSIDE, "http://cart.example/closed")
    posted = case(OUTSIDE, HttpRequest("http://cart.example/", method="POST"))
    with start(own) as mesh:
        mesh.start([opened, posted])
        assert [status(mesh, OUTSIDE, each.request) for each in (opened, posted)] == [403, 403]
        mesh.update(world.mesh(("/closed", "/shut"), ("methods: [GET]", "methods: [POST]")), [opened, posted])
        # GET is refused by the sidecar, over a connection that the gateway had before.
        assert [status(mesh, OUTSIDE, each.request) for each in (opened, posted)] == [403, 200]
        mesh.update(world.mesh(), [opened, posted])
        assert [status(mesh, OUTSIDE, each.request) for each in (opened, posted)] == [403, 403]


def test_only_proxies_with_another_configuration_are_given_one(
    own: tuple[Supervisor, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, world = own
    given: list[str] = []
    update = Envoy.update

    def noted(proxy: Envoy, config: dict[str, Any]) -> None:
        given.append(proxy.name)
        update(proxy, config)

    monkeypatch.setattr(Envoy, "update", noted)
    posted = case(OUTSIDE, HttpRequest("http://cart.example/", method="POST"))
    with start(own) as mesh:
        mesh.start([posted])
        mesh.update(world.mesh(), [posted])
        assert given == []
        mesh.update(world.mesh(("methods: [GET]", "methods: [POST]")), [posted])
        assert given == ["envoy-shop.cart"]
        assert status(mesh, OUTSIDE, posted.request) == 200


def test_proxies_that_no_case_touches_run_on_request(own: tuple[Supervisor, World]) -> None:
    with start(own) as mesh:
        mesh.start([], also=[CART])
        assert mesh.running == {CART}
        assert mesh.refused == {}


def test_changed_clusters_and_identities_are_followed_too(own: tuple[Supervisor, World]) -> None:
    _, world = own
    asked = case(OUTSIDE, "http://cart.example/")
    with start(own) as mesh:
        mesh.start([asked])
        assert status(mesh, OUTSIDE, SEEN) == 200
        # The route leads elsewhere: another cluster.
        mesh.update(
            world.mesh(("route: [{destination: {host: cart}}]", "route: [{destination: {host: legacy}}]")),
            [asked],
        )
        assert status(mesh, OUTSIDE, SEEN) == 200
        assert mesh.run_case(asked).verdict.app == "shop/legacy"  # type: ignore[union-attr]
        # Another account: another certificate, which takes a restart.
        mesh.update(world.mesh(("serviceAccountName: door", "serviceAccountName: default")), [asked])
        assert status(mesh, OUTSIDE, SEEN) == 403


def test_a_case_through_an_untrusted_proxy_is_not_judged(own: tuple[Supervisor, World]) -> None:
    supervisor, world = own
    asked: list[tuple[str, str, int]] = []

    def untrusted(ref: WorkloadRef, direction: Direction, host: str, port: int) -> list[str]:
        asked.append((direction, host, port))
        return ["an EnvoyFilter patches it"] if ref == CART else []

    cases = [
        case(OUTSIDE, "http://cart.example/", expect=Expectation(status=200)),
        case(OUTSIDE, "http://legacy.example/", expect=Expectation(status=200)),
        case(FromBypass(None, CART, 8080, "plaintext"), "http://cart/", expect=Expectation(refused=True)),
    ]
    with RunningMesh(supervisor, world.mesh(untrusted=untrusted), world.authorities, world.issuers) as mesh:
        mesh.start(cases)
        through, around, refused = mesh.run(cases, jobs=1)
    assert (through.state, through.reasons) == ("not judged", ("an EnvoyFilter patches it",))
    assert around.state == "passed"
    assert refused.state == "not judged"
    assert ("gateway", "cart.example", 8080) in asked
    assert ("inbound", "cart.example", 8080) in asked


def test_a_case_that_finds_no_listener_is_not_judged_where_its_proxy_is_untrusted(
    own: tuple[Supervisor, World],
) -> None:
    supervisor, world = own
    asked: list[tuple[WorkloadRef, str, str, int]] = []

    def untrusted(*proxy: object) -> list[str]:
        asked.append(proxy)  # type: ignore[arg-type]
        return ["its listener could not be compiled"]

    mesh = world.mesh(untrusted=untrusted)
    with RunningMesh(supervisor, mesh, world.authorities, world.issuers) as running:
        for lost in (
            case(OUTSIDE, "http://cart.example:81/"),
            case(IN_CALLER, "http://unknown.shop/"),
            case(FromBypass(None, CART, 1, "plaintext"), "http://cart/"),
        ):
            outcome = running.run_case(lost)
            assert (outcome.state, outcome.reasons) == ("not judged", ("its listener could not be compiled",))
    assert asked[0] == (DOOR, "gateway", "cart.example", 81)
    assert (CALLER, "outbound", "unknown.shop", 80) in asked
    assert asked[-1] == (CART, "inbound", "cart", 1)


def test_a_case_to_a_proxy_without_a_configuration_cannot_be_run(own: tuple[Supervisor, World]) -> None:
    supervisor, world = own
    mesh = world.mesh()
    lacking = replace(
        mesh, bootstraps={ref: config for ref, config in mesh.bootstraps.items() if ref != CART}
    )
    cases = [
        case(OUTSIDE, "http://cart.example/", expect=Expectation(status=503)),
        case(FromBypass(None, CART, 8080, "plaintext"), "http://cart/", expect=Expectation(refused=True)),
    ]
    with RunningMesh(supervisor, lacking, world.authorities, world.issuers) as running:
        running.start(cases)
        for outcome in running.run(cases):
            assert outcome.state == "error"
            assert outcome.reasons == ("the proxy of shop/cart has no configuration",)


@pytest.mark.parametrize("when", ["at the start", "while it runs"])
def test_a_proxy_that_refuses_its_configuration_silences_no_other(
    own: tuple[Supervisor, World], when: str
) -> None:
    supervisor, world = own
    good = world.mesh()
    bootstraps = copy.deepcopy(dict(good.bootstraps))
    bootstraps[CART]["staticResources"]["listeners"][0]["filterChains"][0]["filters"][0]["name"] = ""
    del bootstraps[CART]["staticResources"]["listeners"][0]["filterChains"][0]["filters"][0]["typedConfig"]
    bad = replace(good, bootstraps=bootstraps)
    through = case(OUTSIDE, "http://cart.example/", expect=Expectation(status=503))
    around = case(OUTSIDE, "http://legacy.example/", expect=Expectation(status=200))
    with RunningMesh(
        supervisor, bad if when == "at the start" else good, world.authorities, world.issuers
    ) as mesh:
        mesh.start([through, around])
        if when == "while it runs":
            assert status(mesh, OUTSIDE, SEEN) == 200
            mesh.update(bad, [through, around])
        silenced, judged = mesh.run([through, around])
        assert (silenced.state, judged.state) == ("error", "passed")
        assert silenced.reasons[0].startswith("the proxy of shop/cart does not run: envoy-shop.cart refused")
        mesh.update(good, [through, around])
        assert status(mesh, OUTSIDE, SEEN) == 200


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (case(OUTSIDE, "ftp://cart.example/"), "needs http:// or https://"),
        (case(OUTSIDE, "http://cart.example:x/"), "cannot be read"),
        (
            case(FromWorkload(WorkloadRef("a", "b")), "http://cart.shop/"),
            "there is no workload a/b; the mesh has edge/door",
        ),
        (case(FromOutside(WorkloadRef("a", "b")), "http://cart.shop/"), "there is no workload a/b"),
        (case(OUTSIDE, "http://cart.example:81/"), "no Service of the gateway edge/door has port 81"),
        (case(IN_CALLER, "http://unknown.shop/"), "unknown.shop does not resolve for shop/caller"),
        (
            case(FromBypass(None, CART, 1, "tls"), "http://cart/"),
            "nothing of shop/cart listens on port 1; the pod has: 8080",
        ),
        (case(FromBypass(None, CART, None, "mtls"), "http://cart/"), "mtls needs a workload"),
        (case(OUTSIDE, SEEN, TokenSpec(flaw="unheard of")), "there is no flaw 'unheard of'"),
        (case(OUTSIDE, HttpRequest("http://cart.example/", headers=(("x", "a\nb"),))), "line break"),
    ],
)
def test_what_a_case_cannot_mean_is_an_error_with_its_reason(
    running: RunningMesh, asked: Case, words: str
) -> None:
    running.start([asked])
    outcome = running.run_case(asked)
    assert outcome.state == "error"
    assert words in outcome.reasons[0]


def test_a_clients_address_is_what_the_gateway_sees(own: tuple[Supervisor, World]) -> None:
    sender = FromOutside(DOOR, address="198.51.100.9")
    with start(own) as mesh:
        cases = [case(sender, "http://cart.example/"), case(OUTSIDE, "http://cart.example/")]
        mesh.start(cases)
        with_address, without = (outcome.verdict for outcome in mesh.run(cases))
    assert with_address is not None
    assert without is not None
    assert with_address.hops[0].line.source.startswith("198.51.100.9:")
    assert without.hops[0].line.source.startswith("127.0.0.1:")


def test_a_program_of_the_users_own_answers(own: tuple[Supervisor, World], tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(SERVE)
    app = AppSpec("shop/legacy", command=(sys.executable, str(program)))
    asked = case(OUTSIDE, "http://legacy.example/")
    with start(own, apps=[app]) as mesh:
        mesh.start([asked])
        verdict = mesh.run_case(asked).verdict
    assert verdict is not None
    assert (verdict.reply.status, verdict.reply.text, verdict.app) == (203, "own", "shop/legacy")
    assert verdict.received is None


@pytest.mark.parametrize(
    ("app", "words"),
    [
        (AppSpec("shop/nothing", body=""), "`apps` names shop/nothing"),
        (AppSpec("shop/legacy", command=("/no/such/program",)), "cannot be started: /no/such/program"),
        (AppSpec("shop/legacy", command=(sys.executable, "-c", "raise SystemExit('broken')")), "broken"),
    ],
)
def test_an_application_that_cannot_serve_ends_the_run(
    own: tuple[Supervisor, World], app: AppSpec, words: str
) -> None:
    with start(own, apps=[app]) as mesh, pytest.raises(LabError, match=words):
        mesh.start([])


def test_a_script_for_an_authorizer_that_the_mesh_lacks_ends_the_run(own: tuple[Supervisor, World]) -> None:
    script = Authorizer("unknown", (AuthorizerRule(allow=True),))
    with (
        start(own, authorizers=[script]) as mesh,
        pytest.raises(LabError, match="`authorizers` names unknown"),
    ):
        mesh.start([])
