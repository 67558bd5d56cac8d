"""Small random policies, and requests that come near them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.lab.istio.oracle.facts import Facts, Mesh, Place, Token

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CALLERS = (
    "",
    "spiffe://cluster.local/ns/shop/sa/friend",
    "spiffe://cluster.local/ns/edge/sa/door",
    "spiffe://old.example/ns/shop/sa/friend",
    "spiffe://partner.example/ns/other/sa/stranger",
    "spiffe://partner.example.org/ns/other/sa/stranger",
)
ISSUERS = ("one.example", "two.example", "three.example")
"""Issuers of tokens; policies never name the last."""

HTTP_PORTS, TCP_PORTS = (8080, 8085), (9000,)


@dataclass(frozen=True)
class Example:
    """Some policies, the proxy that they are for, and what comes to it."""

    policies: Sequence[Mapping[str, Any]]
    mesh: Mesh
    place: Place
    requests: Sequence[Facts]


def examples(requests: int) -> st.SearchStrategy[Example]:
    """Policies with that many requests."""
    return st.builds(
        Example,
        policies=st.tuples(
            st.lists(_authorization_policies(), min_size=1, max_size=3),
            st.integers(0, 2).flatmap(
                lambda most: st.lists(_request_authentications(), min_size=most, max_size=2)
            ),
        ).map(lambda parts: [_named(policy, index) for index, policy in enumerate([*parts[0], *parts[1]])]),
        mesh=_MESHES,
        place=st.builds(Place, gateway=st.booleans()),
        requests=st.lists(_FACTS, min_size=requests, max_size=requests, unique_by=repr),
    )


_MESHES = st.builds(
    Mesh,
    trust_domain=st.sampled_from(["cluster.local", "partner.example"]),
    aliases=st.sampled_from([(), ("old.example",), ("cluster.local", "old.example")]),
    trusted_proxies=st.integers(0, 2),
)

_VALUES: Mapping[str, Sequence[str]] = {
    "principals": (
        "cluster.local/ns/shop/sa/friend",
        "old.example/ns/shop/sa/friend",
        "other.example/ns/shop/sa/friend",
        "cluster.local/ns/edge/sa/d*",
        "*/ns/shop/sa/friend",
        "*/sa/stranger",
        "partner.example/*",
        "*",
    ),
    "requestPrincipals": (
        "one.example/sub-1",
        "two.example/sub-2",
        "one.example/*",
        "*/sub-2",
        "*2",
        "one*",
        "*",
    ),
    "namespaces": ("shop", "edge", "oth*", "*op", "*"),
    "serviceAccounts": ("friend", "edge/door", "other/stranger", "door"),
    "trustDomains": ("cluster.local", "old.example", "*.example", "part*", "*"),
    "ipBlocks": ("127.0.0.1", "127.0.0.0/8", "10.0.0.0/8"),
    "remoteIpBlocks": ("127.0.0.1", "10.1.0.0/16", "10.2.3.4", "::1"),
    "hosts": ("cart.shop", "CART.*", "*.shop", "cart.shop:*", "other", "*"),
    "methods": ("GET", "POST", "P*", "*T", "get", "*"),
    "paths": (
        "/",
        "/a",
        "/a*",
        "*b",
        "/a/b",
        "/a/{*}",
        "/a/{*}/c",
        "/a/{**}",
        "/{**}/b",
        "/A",
        "*",
    ),
    "ports": ("8080", "8085", "9000", "1"),
}
_KEYS: Mapping[str, Sequence[str]] = {
    "source.principal": _VALUES["principals"],
    "source.namespace": _VALUES["namespaces"],
    "source.serviceAccount": _VALUES["serviceAccounts"],
    "source.trustDomain": _VALUES["trustDomains"],
    "source.ip": _VALUES["ipBlocks"],
    "remote.ip": _VALUES["remoteIpBlocks"],
    "request.auth.principal": _VALUES["requestPrincipals"],
    "request.auth.audiences": ("us", "them", "u*", "*"),
    "request.auth.presenter": ("app", "*"),
    "request.auth.claims[scope]": ("read", "write", "read write", "*"),
    "request.auth.claims[groups]": ("a", "b", "a b", "*"),
    "request.auth.claims[n][deep]": ("x", "y*", "*"),
    "request.auth.claims[level]": ("5", "true", "*"),
    "request.headers[x-a]": ("1", "2", "1*", "*2", "*"),
    "destination.ip": ("127.0.0.1", "10.0.0.0/8"),
    "destination.port": _VALUES["ports"],
    "connection.sni": ("cart.shop", "*.shop", "other", "*"),
}
_SOURCES = ("principals", "requestPrincipals", "namespaces", "trustDomains", "ipBlocks", "remoteIpBlocks")
_OPERATIONS = ("hosts", "methods", "paths", "ports")
_CLAIM_KEYS = tuple(key for key in _KEYS if key.startswith("request.auth."))
"""Drawn more often than others, as they matter only behind a good token."""

# CUSTOM is decided before tokens are verified, and may not ask for identities.
_CUSTOM_SOURCES = ("ipBlocks", "remoteIpBlocks")
_CUSTOM_KEYS = (
    "source.ip",
    "remote.ip",
    "request.headers[x-a]",
    "destination.ip",
    "destination.port",
    "connection.sni",
)


def _some(values: Sequence[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


@st.composite
def _parts(draw: st.DrawFn, fields: Sequence[str]) -> dict[str, list[str]]:
    part = {}
    for name in draw(st.lists(st.sampled_from(fields), min_size=1, max_size=2, unique=True)):
        negated = f"not{name[0].upper()}{name[1:]}"
        for key in draw(st.sampled_from([(name,), (name,), (negated,), (name, negated)])):
            part[key] = draw(_some(_VALUES[name]))
    return part


@st.composite
def _conditions(draw: st.DrawFn, keys: Sequence[str]) -> dict[str, Any]:
    key = draw(st.sampled_from(keys))
    condition: dict[str, Any] = {"key": key}
    for name in draw(st.sampled_from([("values",), ("notValues",), ("values", "notValues")])):
        condition[name] = draw(_some(_KEYS[key]))
    return condition


@st.composite
def _rules(draw: st.DrawFn, action: str) -> dict[str, Any]:
    custom = action == "CUSTOM"
    rule: dict[str, Any] = {}
    fields = _CUSTOM_SOURCES if custom else _SOURCES
    sources = st.one_of(_parts(fields), *([] if custom else [_parts(("serviceAccounts", "ipBlocks"))]))
    if draw(st.booleans()):
        rule["from"] = [{"source": source} for source in draw(st.lists(sources, min_size=1, max_size=2))]
    if draw(st.booleans()):
        rule["to"] = [
            {"operation": operation}
            for operation in draw(st.lists(_parts(_OPERATIONS), min_size=1, max_size=2))
        ]
    if draw(st.booleans()):
        keys = _CUSTOM_KEYS if custom else (*_KEYS, *_CLAIM_KEYS, *_CLAIM_KEYS)
        rule["when"] = draw(st.lists(_conditions(keys), min_size=1, max_size=2))
    return rule


@st.composite
def _authorization_policies(draw: st.DrawFn) -> dict[str, Any]:
    action = draw(st.sampled_from([*["ALLOW"] * 5, *["DENY"] * 3, "AUDIT", "CUSTOM"]))
    spec: dict[str, Any] = {"action": action}
    least = 0 if action in ("ALLOW", "AUDIT") else 1
    rules = draw(st.lists(_rules(action), min_size=least, max_size=3))
    if rules:
        spec["rules"] = rules
    if action == "CUSTOM":
        spec["provider"] = {"name": "missing"}
    annotations = {}
    if action in ("ALLOW", "DENY") and draw(st.integers(0, 7)) == 0:
        annotations["istio.io/dry-run"] = "true"
    return {
        "kind": "AuthorizationPolicy",
        "spec": {**draw(_SELECTORS), **spec},
        **_metadata(draw, annotations),
    }


@st.composite
def _jwt_rules(draw: st.DrawFn) -> dict[str, Any]:
    rule: dict[str, Any] = {"issuer": draw(st.sampled_from(ISSUERS[:2])), "jwksUri": "https://keys.example"}
    rule |= draw(
        st.sampled_from(
            [
                {},
                {},
                {"fromHeaders": [{"name": "x-token", "prefix": "T "}]},
                {"fromHeaders": [{"name": "x-token"}], "fromParams": ["t"]},
                {"fromCookies": ["session"]},
            ]
        )
    )
    rule |= draw(st.sampled_from([{}, {}, {"audiences": ["us"]}, {"audiences": ["them", "others"]}]))
    return rule | draw(
        st.sampled_from([{}, {"spaceDelimitedClaims": ["groups"]}, {"forwardOriginalToken": True}])
    )


@st.composite
def _request_authentications(draw: st.DrawFn) -> dict[str, Any]:
    spec = {**draw(_SELECTORS), "jwtRules": draw(st.lists(_jwt_rules(), min_size=1, max_size=2))}
    return {"kind": "RequestAuthentication", "spec": spec, **_metadata(draw, {})}


_SELECTORS = st.sampled_from(
    [
        {},
        {},
        {},
        {"selector": {"matchLabels": {"app": "cart"}}},
        {"selector": {"matchLabels": {"app": "other"}}},
    ]
)


def _metadata(draw: st.DrawFn, annotations: dict[str, str]) -> dict[str, Any]:
    namespace = draw(st.sampled_from([*["shop"] * 6, *["istio-system"] * 3, "other"]))
    return {"metadata": {"namespace": namespace, "annotations": annotations}}


def _named(policy: dict[str, Any], index: int) -> dict[str, Any]:
    metadata = {"name": f"p{index}", **policy["metadata"]}
    return {"apiVersion": "security.istio.io/v1", **policy, "metadata": metadata}


_CLAIMS = st.fixed_dictionaries(
    {"iss": st.sampled_from(ISSUERS)},
    optional={
        "sub": st.sampled_from(["sub-1", "sub-2"]),
        "aud": st.sampled_from(["us", "them", ["them", "us"], ["else"]]),
        "azp": st.sampled_from(["app", "other"]),
        "scope": st.sampled_from(["read", "read write", ["write"]]),
        "groups": st.sampled_from(["a", "a b", "a b", ["a", "b"]]),
        "n": st.sampled_from([{"deep": "x"}, {"deep": ["y1", "z"]}, {"other": "x"}, "x"]),
        "level": st.sampled_from([5, True, "5"]),
    },
)
_TOKENS = st.builds(
    lambda place, claims, good: Token(place[0], place[1], place[2], claims, good),
    st.sampled_from(
        [
            ("header", "authorization", "Bearer "),
            ("header", "authorization", "Bearer "),
            ("header", "x-token", "T "),
            ("header", "x-token", ""),
            ("param", "access_token", ""),
            ("param", "t", ""),
            ("cookie", "session", ""),
        ]
    ),
    _CLAIMS,
    st.sampled_from([*[True] * 5, False]),
)
_FORWARDED = st.lists(st.sampled_from(["10.1.1.1", "10.2.3.4", "192.168.1.1"]), max_size=3).map(tuple)
_HTTP_FACTS = st.builds(
    Facts,
    method=st.sampled_from(["GET", "GET", "POST", "PUT", "PATCH"]),
    path=st.sampled_from(
        [
            "/",
            "/a",
            "/a?b",
            "/a#b",
            "/a/b",
            "/a/b/c",
            "/a//b",
            "/a/",
            "/a/../b",
            "/a/./b",
            "/b",
            "/ab",
            "/a/x/..",
        ]
    ),
    host=st.sampled_from(["cart.shop", "Cart.Shop", "cart.shop:80", "other", "x.shop"]),
    headers=st.sampled_from([{}, {}, {"x-a": "1"}, {"x-a": "12"}, {"x-a": ""}]),
    caller=st.sampled_from(CALLERS),
    forwarded_for=_FORWARDED,
    port=st.sampled_from(HTTP_PORTS),
    sni=st.sampled_from(["", "cart.shop", "other"]),
    token=st.integers(0, 3).flatmap(lambda number: _TOKENS if number else st.none()),
).map(lambda facts: facts if facts.caller else _without_sni(facts))
_TCP_FACTS = st.builds(
    Facts, method=st.just(""), caller=st.sampled_from(CALLERS), port=st.sampled_from(TCP_PORTS)
)
_FACTS = st.integers(0, 9).flatmap(lambda number: _TCP_FACTS if number == 9 else _HTTP_FACTS)


def _without_sni(facts: Facts) -> Facts:
    return Facts(**{**vars(facts), "sni": ""})
