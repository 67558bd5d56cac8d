"""Two configurations that differ by one condition: a request that the one takes and the other does not is asked."""

from __future__ import annotations

import re
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from meshlab.battery.bases import bases
from meshlab.battery.clauses import Clause, Requirement, Stage, Way
from meshlab.battery.derive import derive
from meshlab.battery.paths import normalized
from meshlab.battery.patterns import Pattern
from meshlab.battery.policy_atoms import text_atom
from meshlab.battery.request_values import Text
from meshlab.battery.table import Table
from meshlab.bench.case import FromBypass, FromForeignMesh, FromOutside, HttpRequest

from tests.lab.battery.meshes import ROUTE, mesh, policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from meshlab.istio import Mesh

Match = dict[str, str]
"""A condition on a text as a VirtualService has it."""

WORDS = [
    {"exact": "yes"},
    {"exact": ".*"},
    {"prefix": "ye"},
    {"prefix": "yes"},
    {"regex": ".*"},
    {"regex": "yes|no"},
    {"regex": "[a-z]*"},
    {"regex": "[a-z]+"},
    {"regex": "y?"},
    {"exact": ""},
    {},
]
METHODS = [{"exact": "GET"}, {"exact": "POST"}, {"prefix": "P"}, {"regex": ".*"}, {"regex": "GET|POST"}]
PATHS = [
    {"exact": "/a"},
    {"prefix": "/a"},
    {"prefix": "/a/"},
    {"prefix": "/"},
    {"regex": ".*"},
    {"regex": "/a|/b"},
    {"regex": "/a/[^/]+"},
    {"regex": "/a/.*"},
]
AUTHORITIES = [
    {"exact": "shop.example"},
    {"prefix": "shop"},
    {"regex": ".*"},
    {"regex": "shop[.]example(:80)?"},
]
SENT = ["", "a", "yes", "no", "yesx", "xyes", "YES", "y", "ye", "12", ".*"]
"""Texts of headers and parameters."""


def fits(match: Match, text: str | None) -> bool:
    """Whether a text that is sent, or `None` for one that is not, meets a condition."""
    if text is None:
        return False
    for kind, value in match.items():
        return {
            "exact": text == value,
            "prefix": text.startswith(value),
            "regex": re.fullmatch(value, text) is not None,
        }[kind]
    return True


def fits_none(match: Match, text: str | None) -> bool:
    """The same for `withoutHeaders`: Envoy compares a header that is not sent as an empty one."""
    return not fits(match, text if text is not None or not match else "")


def header(request: HttpRequest) -> str | None:
    return next((value for name, value in request.headers if name == "x-a"), None)


def parameter(request: HttpRequest) -> str | None:
    return dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True)).get("a")


def path(request: HttpRequest) -> str:
    return normalized(urlsplit(request.url).path)


def host(request: HttpRequest) -> str:
    return next((value for name, value in request.headers if name == "host"), urlsplit(request.url).netloc)


def method(request: HttpRequest) -> str:
    return request.method


def route(match: Mapping[str, Any]) -> Mesh:
    """The mesh with a route for one match alone."""
    return mesh(
        ROUTE.partition("---")[0],
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": "cart", "namespace": "shop"},
            "spec": {
                "hosts": ["shop.example"],
                "gateways": ["edge/door"],
                "http": [
                    {
                        "match": [match],
                        "route": [{"destination": {"host": "cart.shop.svc.cluster.local"}}],
                    }
                ],
            },
        },
    )


def asked(meshes: Sequence[Mesh], *senders: type) -> list[HttpRequest]:
    return [
        question.case.request
        for question in derive(meshes).questions
        if isinstance(question.case.sender, senders) and isinstance(question.case.request, HttpRequest)
    ]


@pytest.mark.parametrize(
    ("field", "matches", "texts", "read", "decide"),
    [
        ("headers", WORDS, [None, *SENT], header, fits),
        ("withoutHeaders", WORDS, [None, *SENT], header, fits_none),
        ("queryParams", WORDS, [None, *SENT], parameter, fits),
        ("method", METHODS, ["GET", "POST", "PUT"], method, fits),
        ("uri", PATHS, ["/", "/a", "/ab", "/a/", "/a/1", "/a/1/2", "/b", "/c"], path, fits),
        ("authority", AUTHORITIES, ["shop.example", "shop.example:80", "shop.example:81"], host, fits),
    ],
)
def test_what_one_match_takes_and_another_does_not_is_asked(
    field: str,
    matches: list[Match],
    texts: list[str | None],
    read: Callable[[HttpRequest], str | None],
    decide: Callable[[Match, str | None], bool],
) -> None:
    named = field in ("headers", "withoutHeaders", "queryParams")
    name = "a" if field == "queryParams" else "x-a"
    meshes = [route({field: {name: match} if named else match}) for match in matches]
    missed, decided = [], 0
    for one, other in combinations(range(len(matches)), 2):
        sent = [read(request) for request in asked([meshes[one], meshes[other]], FromOutside)]
        for old, new in permutations((matches[one], matches[other])):
            shows = [text for text in texts if decide(new, text) and not decide(old, text)]
            decided += bool(shows)
            if shows and not any(decide(new, text) and not decide(old, text) for text in sent):
                missed.append(f"{new} and not {old}, as {shows[0]!r} is")
    assert decided >= len(matches)
    assert missed == []


def test_an_empty_authority_that_a_match_asks_for_is_named_because_none_is_sent() -> None:
    found = derive([route({"authority": {"exact": ""}})])
    assert "An empty name of route shop/cart, rule 0" in found.not_covered


def test_the_search_for_what_almost_meets_a_route_begins_where_the_gateway_looks_at_something_else() -> None:
    def clause(name: str, dimension: str, value: str) -> Clause:
        return Clause(name, (Requirement(dimension, (text_atom(dimension, Pattern("exact", value)),)),))

    by_tier, by_path = clause("tier", "header:x-tier", "gold"), clause("path", "path", "/public")
    to_gold = clause("route", "header:x-tier", "gold")
    door = Stage("door", "edge/door", (by_tier, by_path), routes=((to_gold, Stage("cart", "shop/cart")),))
    tiers, paths = (Text(""), Text("gold"), Text("goldx")), (Text("/"), Text("/public"))
    way = Way("door", (door,), {"header:x-tier": tiers, "path": paths})
    begun = [
        (base.numbers["header:x-tier"], base.numbers["path"])
        for base in bases(way, Table(way))
        if "header:x-tier" in base.dimensions
    ]
    assert (1, 1) in begun


def test_a_host_of_a_wildcard_route_is_asked_that_no_narrower_route_takes() -> None:
    def routes(host: str) -> Mesh:
        wide, narrow = (
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "VirtualService",
                "metadata": {"name": name, "namespace": "shop"},
                "spec": {
                    "hosts": hosts,
                    "gateways": ["edge/door"],
                    "http": [
                        {
                            # Few values of each dimension would all be asked together.
                            "match": [
                                {"uri": {"exact": f"/{name}"}, "headers": {"x-a": {"regex": "a|b|c"}}},
                                {"uri": {"prefix": f"/{name}/"}, "method": {"exact": "POST"}},
                            ],
                            "route": [{"destination": {"host": "cart.shop.svc.cluster.local"}}],
                        }
                    ],
                },
            }
            for name, hosts in (("wide", [host]), ("narrow", ["api.shop.example"]))
        )
        door = ROUTE.partition("---")[0].replace("[shop.example]", '["*.shop.example"]')
        return mesh(door, wide, narrow)

    sent = asked([routes("www.shop.example"), routes("*.shop.example")], FromOutside)
    assert {host(each) for each in sent if path(each) == "/wide"} >= {"www.shop.example", "any.shop.example"}


def test_what_one_of_two_rules_lets_in_alone_is_asked_though_most_of_it_is_let_in_by_the_other() -> None:
    operation = {"ports": ["8080"], "hosts": ["cart", "cart.shop*"], "notMethods": ["DELETE"]}
    source = {"trustDomains": ["cluster.local"], "notServiceAccounts": ["shop/cart"]}
    broad, of_mesh = {"to": [{"operation": operation}]}, {"from": [{"source": source}]}
    elsewhere = {**of_mesh, "to": [{"operation": {"ports": ["9000"]}}]}
    shown = [
        question.case.name
        for question in derive([mesh(policy(broad, elsewhere)), mesh(policy(broad, of_mesh))]).questions
        for request in [question.case.request]
        if question.target == "shop/cart" and isinstance(request, HttpRequest)
        if question.caller in ("stranger/stranger", "mTLS as spiffe://cluster.local/ns/default/sa/default")
        if method(request) == "DELETE" or host(request) == "cart:8080"
    ]
    assert shown


Rule = tuple[str, str]
"""One value that is asked for and one that is left out; empty for none."""


def glob(value: str, text: str | None) -> bool:
    if text is None:
        return False
    if value == "*":
        return True
    words = re.escape(value).replace(r"\{\*\*\}", ".*").replace(r"\{\*\}", "[^/]+")
    return re.fullmatch(words if "{" in value else words.replace(r"\*", ".*"), text) is not None


def takes(rule: Rule, text: str | None) -> bool:
    wanted, refused = rule
    return (not wanted or glob(wanted, text)) and not (refused and glob(refused, text))


def rules_of(values: Sequence[str]) -> Iterator[Rule]:
    for value in values:
        yield value, ""
        yield "", value
    for wanted in values[:2]:
        for refused in values[-2:]:
            yield wanted, refused


@pytest.mark.parametrize(
    ("field", "values", "texts", "read"),
    [
        ("methods", ["P*", "GET", "*", "*T"], ["GET", "POST", "PUT", "DELETE"], method),
        (
            "paths",
            ["/a/*", "/a/{*}", "/a", "/a*", "/a/{**}", "/a/{*}/b", "*.php"],
            ["/", "/a", "/ab", "/a/1", "/a/1/2", "/a/1/b", "/a/1.php", "/1.php"],
            path,
        ),
        ("paths", ["/a*", "/b", "*/a/h", "/a/h"], ["/", "/a", "/b", "/a/h", "/x/a/h", "/ax/a/h"], path),
        (
            "hosts",
            ["shop.*", "shop.example", "*", "*.example"],
            ["shop.example", "shop.any", "any.example", "x"],
            host,
        ),
        ("request.headers[x-a]", ["ye*", "yes", "*", "*es"], [None, "", "yes", "yex", "xes", "x"], header),
    ],
)
def test_what_one_rule_of_a_policy_takes_and_another_does_not_is_asked(
    field: str, values: list[str], texts: list[str | None], read: Callable[[HttpRequest], str | None]
) -> None:
    def written(rule: Rule) -> dict[str, Any]:
        wanted, refused = ([value] if value else [] for value in rule)
        if field.startswith("request."):
            return {"when": [{"key": field, "values": wanted, "notValues": refused}]}
        return {"to": [{"operation": {field: wanted, f"not{field.capitalize()}": refused}}]}

    rules = list(rules_of(values))
    meshes = [mesh(policy(written(rule))) for rule in rules]
    missed, decided = [], 0
    for one, other in combinations(range(len(rules)), 2):
        sent = [read(request) for request in asked([meshes[one], meshes[other]], FromBypass, FromForeignMesh)]
        for old, new in permutations((rules[one], rules[other])):
            shows = [text for text in texts if takes(new, text) and not takes(old, text)]
            decided += bool(shows)
            if shows and not any(takes(new, text) and not takes(old, text) for text in sent):
                missed.append(f"{new} and not {old}, as {shows[0]!r} is")
    assert decided >= len(rules)
    assert missed == []
