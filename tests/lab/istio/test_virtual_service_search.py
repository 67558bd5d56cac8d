"""Random VirtualServices and requests: real Envoy follows the same rule as the evaluator of the documentation.

The ordinary run sends a few hundred requests; `MESHLAB_SEARCH_REQUESTS=10000` sends that many.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meshlab.istio.envoy.routes import block_all
from meshlab.istio.read.virtual_service import read_virtual_service
from meshlab.manifest import parse_manifests

from tests.lab.istio.oracle.virtual_service import Caller, Request, at_gateway, at_sidecar
from tests.lab.istio.route_walk import RouteWalk, route_walk
from tests.lab.istio.virtual_services import at_gateway as gateway_hosts
from tests.lab.istio.virtual_services import at_sidecar as sidecar_hosts
from tests.lab.istio.virtual_services import routed_service, server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.read.virtual_service import VirtualService

REQUESTS = int(os.environ.get("MESHLAB_SEARCH_REQUESTS", "400"))
PER_EXAMPLE = 20
GATEWAY = "shop/door"
CALLER = Caller("shop", {"app": "door", "version": "v1"}, 80)
SERVICES = ("cart.shop.svc.cluster.local", "cart.other.svc.cluster.local", "pay.example")

SEARCH = settings(
    max_examples=max(1, REQUESTS // PER_EXAMPLE // 2),
    deadline=None,
    derandomize=REQUESTS <= 1000,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

PATHS = ("/", "/a", "/A", "/a/b", "/ab", "/b", "/d/x")
QUERIES = ("", "?", "?q=1", "?q=", "?q", "?q=2&q=1", "?r=1&q=12")
HEADERS = ("x-a", "x-b")
VALUES = ("", "1", "2", "12")


def texts(values: tuple[str, ...], patterns: tuple[str, ...]) -> st.SearchStrategy[dict[str, str]]:
    """Conditions on a text."""
    return st.one_of(
        st.builds(lambda value: {"exact": value}, st.sampled_from(values)),
        st.builds(lambda value: {"prefix": value}, st.sampled_from([value for value in values if value])),
        st.builds(lambda value: {"regex": value}, st.sampled_from(patterns)),
        st.just({}),
    )


URIS = texts(PATHS, (".*", "/a.*", "/[ab]", "/a/b|/b", "/(?i:a)"))
TEXTS = texts(VALUES, (".*", "1", "1+2?", "[12]*", ".+"))
MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "uri": URIS,
        "ignoreUriCase": st.booleans(),
        "method": texts(("GET", "POST", "PUT"), ("G.*", "[A-Z]+")),
        "authority": texts(("cart.example", "a.cart.example", "cart"), (".*example", "cart.*")),
        "scheme": texts(("http", "https"), ("http.*",)),
        "headers": st.dictionaries(st.sampled_from(HEADERS), TEXTS, min_size=1, max_size=2),
        "withoutHeaders": st.dictionaries(st.sampled_from(HEADERS), TEXTS, min_size=1, max_size=2),
        "queryParams": st.dictionaries(st.sampled_from(("q", "r")), TEXTS, min_size=1, max_size=1),
        "port": st.sampled_from((80, 81)),
        "gateways": st.lists(
            st.sampled_from(("door", "other/gate", "mesh")), min_size=1, max_size=2, unique=True
        ),
        "sourceLabels": st.sampled_from(({"app": "door"}, {"app": "cart"}, {"app": "door", "version": "v1"})),
        "sourceNamespace": st.sampled_from(("shop", "other")),
    },
)
# Mostly few conditions, so that many requests are taken by some rule.
SIMPLE = st.builds(lambda uri: {"uri": uri}, URIS) | MATCHES
RULES = st.lists(st.lists(SIMPLE, max_size=2), min_size=1, max_size=3)
EXPORTS = st.sampled_from((None, None, ["*"], ["."], ["shop"], ["shop", "other"], ["other"]))
HOSTS = {
    "gateway": (
        ["cart.example"],
        ["*.example"],
        ["a.cart.example", "pay.example"],
        ["*"],
        ["*.cart.example"],
    ),
    "sidecar": (
        ["cart"],
        ["cart.other.svc.cluster.local"],
        ["*.example"],
        ["pay.example", "cart"],
        ["*.other.svc.cluster.local"],
        ["outside.test"],
        ["*.svc.cluster.local"],
    ),
}


def virtual_services(at: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """One to three VirtualServices, one of them perhaps with a delegate."""
    single = st.tuples(
        st.sampled_from(("shop", "other")), st.sampled_from(HOSTS[at]), EXPORTS, RULES, st.none() | RULES
    )
    return st.lists(single, min_size=1, max_size=3).map(lambda drawn: _objects(at, drawn))


def _objects(at: str, drawn: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    found = []
    for index, (namespace, hosts, export_to, rules, delegate) in enumerate(drawn):
        http = [_rule(f"{index}.{number}", matches) for number, matches in enumerate(rules)]
        if delegate is not None:
            # The root's condition is one that contradicts none of the delegate's.
            outer = {"name": f"{index}.to", "match": [{"sourceLabels": {"app": "door"}}]}
            http.insert(0, {**outer, "delegate": {"name": f"inner-{index}"}})
            inner = [_rule(f"inner{number}", _agreeing(matches)) for number, matches in enumerate(delegate)]
            found.append(_object(f"inner-{index}", namespace, {"http": inner}))
        spec: dict[str, Any] = {"hosts": hosts, "http": http}
        spec["gateways"] = [GATEWAY] if at == "gateway" else ["mesh", GATEWAY]
        if export_to is not None:
            spec["exportTo"] = export_to
        found.append(_object(f"v{index}", namespace, spec))
    return found


def _object(name: str, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def _rule(name: str, matches: list[dict[str, Any]]) -> dict[str, Any]:
    action = {"directResponse": {"status": 200, "body": {"string": name}}}
    return {"name": name, **({"match": matches} if matches else {}), **action}


def _agreeing(matches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what could contradict the root: other labels of the caller, and another rule for case."""
    return [
        {
            key: value
            for key, value in match.items()
            if key not in ("sourceLabels", "ignoreUriCase", "gateways")
        }
        for match in matches
    ]


def requests(hosts: tuple[str, ...]) -> st.SearchStrategy[list[Request]]:
    """The requests of an example."""
    single = st.builds(
        Request,
        path=st.builds(lambda path, query: path + query, st.sampled_from(PATHS), st.sampled_from(QUERIES)),
        method=st.sampled_from(("GET", "POST")),
        host=st.sampled_from(hosts),
        headers=st.dictionaries(st.sampled_from(HEADERS), st.sampled_from(VALUES), max_size=2),
    )
    return st.lists(single, min_size=PER_EXAMPLE, max_size=PER_EXAMPLE)


def read(objects: list[dict[str, Any]]) -> list[VirtualService]:
    return [
        read_virtual_service(manifest)
        for body in objects
        for manifest in parse_manifests(json.dumps(body), "search.yaml")
    ]


@pytest.fixture(scope="module")
def walk() -> Iterator[RouteWalk]:
    """An Envoy without services: every rule answers itself, with its name."""
    with route_walk(()) as running:
        yield running


def followed(walk: RouteWalk, request: Request) -> str:
    """What a request met: the name of a rule, `no rule`, or `unknown host`."""
    reply = walk.send(request.path, method=request.method, host=request.host, headers=request.headers.items())
    by_status = {404: "no rule", 502: "unknown host", 503: "a service"}
    return by_status.get(reply.status, reply.body)


def named(answer: str) -> str:
    """The evaluator's answer in the words of `followed`: a rule of a delegate answers with its own name."""
    if answer in SERVICES:
        return "a service"
    return answer.rpartition("-")[2] if "inner" in answer else answer


@SEARCH
@given(
    objects=virtual_services("gateway"),
    offered=st.sampled_from((["*"], ["*.example"], ["cart.example", "a.cart.example"])),
    sent=requests(("cart.example", "a.cart.example", "cart.example:8080", "pay.example", "else.test")),
)
def test_a_gateway_follows_the_documented_rule(
    walk: RouteWalk, objects: list[dict[str, Any]], offered: list[str], sent: list[Request]
) -> None:
    walk.serve(list(gateway_hosts(*read(objects), servers=[server(*offered)]).values()))

    for request in sent:
        expected = named(at_gateway(objects, offered, GATEWAY, CALLER, request))
        assert followed(walk, request) == expected, request


@SEARCH
@given(
    objects=virtual_services("sidecar"),
    sent=requests(
        (
            "cart",
            "cart.shop",
            "cart.other",
            "cart.other.svc.cluster.local",
            "pay.example",
            "outside.test",
            "else.test",
        )
    ),
)
def test_a_sidecar_follows_the_documented_rule(
    walk: RouteWalk, objects: list[dict[str, Any]], sent: list[Request]
) -> None:
    services = [
        routed_service("cart"),
        routed_service("cart", namespace="other"),
        routed_service("pay.example"),
    ]
    walk.serve([*sidecar_hosts(*read(objects), services=services).values(), block_all()])

    for request in sent:
        expected = named(at_sidecar(objects, SERVICES, CALLER, request))
        assert followed(walk, request) == expected, request
