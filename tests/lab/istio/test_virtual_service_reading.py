"""VirtualService as an object: what is read, and what Istio's validation refuses is refused here."""

from __future__ import annotations

from typing import Any

import pytest
from meshlab.istio.read.re2 import regex_problem
from meshlab.istio.read.virtual_service import (
    Abort,
    Delay,
    HttpDestination,
    Redirect,
    Retries,
    TextMatch,
)

from tests.lab.istio.virtual_services import TO_CART, refused, rule, virtual_service


def match(fields: str) -> Any:  # noqa: ANN401 - any attribute of it is looked at
    return rule(f"match: [{{{fields}}}], {TO_CART}").matches[0]


def test_hosts_gateways_and_destinations_get_their_full_names() -> None:
    found = virtual_service(
        "[{route: [{destination: {host: cart}}], mirror: {host: copy.other.svc.cluster.local}}]",
        hosts="[cart, '*.example', 10.0.0.1]",
        more="gateways: [door, edge/wide, mesh, old.edge.svc.cluster.local], exportTo: [., other]",
    )

    assert found.hosts == ("cart.shop.svc.cluster.local", "*.example", "10.0.0.1")
    assert found.gateways == ("shop/door", "edge/wide", "mesh", "edge/old")
    assert found.export_to == ("shop", "other")
    (only,) = found.http
    assert only.destinations[0].destination.host == "cart.shop.svc.cluster.local"
    assert only.mirror is not None
    assert only.mirror.host == "copy.other.svc.cluster.local"


def test_without_gateways_it_is_for_sidecars() -> None:
    assert virtual_service(f"[{{{TO_CART}}}]").gateways == ("mesh",)


def test_without_hosts_it_is_a_delegate() -> None:
    assert virtual_service(f"[{{{TO_CART}}}]", hosts="").is_delegate
    assert not virtual_service(f"[{{{TO_CART}}}]").is_delegate


def test_every_condition_of_a_request_is_read() -> None:
    found = match(
        "name: one, uri: {prefix: /a}, ignoreUriCase: true, scheme: {exact: https}, method: {regex: 'G.*'}, "
        "authority: {prefix: cart}, headers: {x-a: {exact: b}, x-c: {}}, withoutHeaders: {x-d: {regex: '*'}}, "
        "queryParams: {q: {exact: ''}}, port: '8080', gateways: [edge/door], sourceLabels: {app: door}, "
        "sourceNamespace: edge, statPrefix: two"
    )

    assert (found.name, found.uri, found.ignore_uri_case) == ("one", TextMatch("prefix", "/a"), True)
    assert (found.scheme, found.method) == (TextMatch("exact", "https"), TextMatch("regex", "G.*"))
    assert found.authority == TextMatch("prefix", "cart")
    assert found.headers == {"x-a": TextMatch("exact", "b"), "x-c": TextMatch("present", "")}
    assert found.without_headers == {"x-d": TextMatch("present", "")}
    assert found.query_params == {"q": TextMatch("exact", "")}
    assert (found.port, found.gateways, found.stat_prefix) == (8080, ("edge/door",), "two")
    assert (found.source_labels, found.source_namespace) == ({"app": "door"}, "edge")


def test_numbers_may_be_written_as_strings_and_null_is_absence() -> None:
    found = rule(
        "route: [{destination: {host: a, port: {number: '80'}}, weight: '75'}, {destination: {host: b}, weight: 25}], "
        "redirect: null, mirror: {host: c}, mirrorPercentage: {value: '12.5'}"
    )

    first, second = found.destinations
    assert isinstance(first, HttpDestination)
    assert (first.weight, first.destination.port, second.weight) == (75, 80, 25)
    assert found.redirect is None
    assert [mirror.percentage for mirror in found.all_mirrors] == [12.5]


def test_faults_retries_and_redirects_are_read() -> None:
    found = rule(
        f"{TO_CART}, fault: {{delay: {{percent: 10, fixedDelay: 2s}}, abort: {{grpcStatus: UNAVAILABLE}}}}, "
        "retries: {attempts: 2, perTryTimeout: 1s, retryOn: '5xx,503', retryIgnorePreviousHosts: false}"
    )

    assert found.fault is not None
    # A share that is not written is none at all.
    assert (found.fault.delay, found.fault.abort) == (Delay(10, 2.0), Abort(0.0, None, 14))
    assert found.retries == Retries(2, 1.0, "5xx,503", None, ignore_previous_hosts=False)
    assert rule("redirect: {uri: /b, derivePort: FROM_REQUEST_PORT}").redirect == Redirect(
        "/b", "", "", "", None, port_of_request=True, code=301
    )


@pytest.mark.parametrize(
    ("written", "shares"),
    [
        ("mirror: {host: c}", [None]),
        ("mirror: {host: c}, mirrorPercent: 20", [20]),
        ("mirror: {host: c}, mirror_percent: 20", [20]),
        ("mirror: {host: c}, mirrorPercent: 20, mirrorPercentage: {value: 0.5}", [0.5]),
        ("mirror: {host: c}, mirrorPercentage: {}", [0.0]),
        (
            "mirrors: [{destination: {host: c}}, {destination: {host: d}, percentage: {value: 3}}]",
            [None, 3.0],
        ),
    ],
)
def test_the_newest_way_to_write_a_share_of_copies_counts(written: str, shares: list[float | None]) -> None:
    assert [mirror.percentage for mirror in rule(f"{TO_CART}, {written}").all_mirrors] == shares


def test_rules_for_connections_are_read() -> None:
    found = virtual_service(
        more="tls: [{match: [{sniHosts: [a.cart.example], destinationSubnets: [10.0.0.0/8, 'fd00::1']}], "
        "route: [{destination: {host: cart}, weight: 1}, {destination: {host: b, subset: v2}, weight: 2}]}], "
        "tcp: [{match: [{port: 9000, sourceLabels: {app: a}, sourceNamespace: b, gateways: [mesh]}], "
        "route: [{destination: {host: cart, port: {number: 80}}}]}, {route: [{destination: {host: c}}]}]",
        hosts="['*.cart.example']",
    )

    (tls,), (first, second) = found.tls, found.tcp
    assert tls.matches[0].sni_hosts == ("a.cart.example",)
    assert tls.matches[0].destination_subnets == ("10.0.0.0/8", "fd00::1")
    assert [(entry.destination.subset, entry.weight) for entry in tls.destinations] == [("", 1), ("v2", 2)]
    assert (first.matches[0].port, first.matches[0].gateways) == (9000, ("mesh",))
    assert second.matches == ()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("", "route: missing; write route, redirect, directResponse or delegate"),
        ("route: [{weight: 1}]", "destination: missing"),
        ("route: [{destination: {}}]", "host: missing"),
        ("route: [{destination: {host: '*'}}]", "host: '*' is not a host"),
        ("route: [{destination: {host: a_b}}]", "host: 'a_b' is not a host"),
        ("route: [{destination: {host: a, subset: V_1}}]", "subset: 'V_1' cannot be the name"),
        ("route: [{destination: {host: a, port: {}}}]", "port.number: missing"),
        ("route: [{destination: {host: a, port: {number: 70000}}}]", "expected a port from 1 to 65535"),
        ("route: [{destination: {host: a}, weight: -1}]", "weight: cannot be negative"),
        ("route: [{destination: {host: a}, weight: 1.5}]", "weight: expected a whole number"),
        ("route: [{destination: {host: a}, weight: true}]", "weight: expected a whole number"),
        ("route: [{destination: {host: a}}, {destination: {host: b}}]", "the weights add up to 0"),
        (f"{TO_CART}, redirect: {{uri: /b}}", "has redirect and route"),
        (f"{TO_CART}, directResponse: {{status: 200}}", "has directResponse and route"),
        ("redirect: {uri: /b}, directResponse: {status: 200}", "has redirect and directResponse"),
        ("redirect: {uri: /b}, rewrite: {uri: /c}", "has redirect and rewrite"),
        ("directResponse: {status: 200}, fault: {abort: {httpStatus: 500}}", "has directResponse and fault"),
        (f"{TO_CART}, delegate: {{name: x}}", "route: stands beside delegate"),
        ("delegate: {}", "name: missing"),
        (
            f"{TO_CART}, mirror: {{host: a}}, mirrors: [{{destination: {{host: b}}}}]",
            "has mirror and mirrors",
        ),
        (f"{TO_CART}, mirror: {{host: a}}, mirrorPercent: 101", "from 0 to 100, found 101"),
        (f"{TO_CART}, mirror: {{host: a}}, mirrorPercentage: {{value: -1}}", "a number from 0 to 100"),
        (f"{TO_CART}, mirrors: [{{}}]", "destination: missing"),
        (f"{TO_CART}, timeout: soon", "timeout: 'soon' is not a duration"),
        (f"{TO_CART}, timeout: 3", "timeout: expected a string"),
        (f"{TO_CART}, timeout: 0s", "timeout: '0s' is refused by Istio"),
        (f"{TO_CART}, timeout: 1500us", "write whole milliseconds"),
        (f"{TO_CART}, retries: {{attempts: -1}}", "attempts: cannot be negative"),
        (f"{TO_CART}, retries: {{retryOn: 5xx}}", "attempts: 0 or missing turns retries off"),
        (f"{TO_CART}, retries: {{attempts: 1, retryOn: 'reset, 503'}}", "' 503' is no condition"),
        (f"{TO_CART}, retries: {{attempts: 1, retryOn: always}}", "'always' is no condition"),
        (f"{TO_CART}, retries: {{attempts: 1, retryOn: '999'}}", "'999' is no condition"),
        (f"{TO_CART}, rewrite: {{}}", "rewrites nothing"),
        (
            f"{TO_CART}, rewrite: {{uri: /a, uriRegexRewrite: {{match: a, rewrite: b}}}}",
            "has uri and uriRegexRewrite",
        ),
        (f"{TO_CART}, rewrite: {{uriRegexRewrite: {{match: a}}}}", "rewrite: missing"),
        (f"{TO_CART}, rewrite: {{uriRegexRewrite: {{match: '(', rewrite: b}}}}", "is not closed"),
        (f"{TO_CART}, fault: {{}}", "injects nothing"),
        (f"{TO_CART}, fault: {{abort: {{http2Error: x}}}}", "http2Error: is refused by Istio"),
        (f"{TO_CART}, fault: {{abort: {{grpcStatus: BAD}}}}", "grpcStatus: 'BAD' is not supported"),
        (f"{TO_CART}, fault: {{abort: {{httpStatus: 600}}}}", "from 200 to 599, found 600"),
        (
            f"{TO_CART}, fault: {{abort: {{percentage: {{value: '0.00001'}}, httpStatus: 500}}}}",
            "less than 0.0001",
        ),
        (f"{TO_CART}, fault: {{delay: {{exponentialDelay: 1s}}}}", "exponentialDelay: is refused"),
        (f"{TO_CART}, corsPolicy: {{allowMethods: [get]}}", "'get' is none of GET"),
        (f"{TO_CART}, corsPolicy: {{allowOrigins: [{{}}]}}", "needs one of exact, prefix and regex"),
        (f"{TO_CART}, corsPolicy: {{allowOrigins: [{{exact: ''}}]}}", "needs one of exact, prefix and regex"),
        (f"{TO_CART}, corsPolicy: {{allowHeaders: ['a b']}}", "'a b' is not the name of a header"),
        (f"{TO_CART}, corsPolicy: {{maxAge: 1500ms}}", "whole seconds only"),
        (f"{TO_CART}, headers: {{request: {{set: {{':path': a}}}}}}", ":path cannot be changed here"),
        (f"{TO_CART}, headers: {{request: {{remove: [host]}}}}", "host cannot be changed here"),
        (f"{TO_CART}, headers: {{response: {{set: {{Host: a}}}}}}", "Host cannot be changed here"),
        (f"{TO_CART}, headers: {{request: {{set: {{x-a: 10%}}}}}}", "has a lone %"),
        (
            f"{TO_CART}, headers: {{request: {{set: {{host: a}}}}}}, rewrite: {{authority: b}}",
            "changes the authority twice",
        ),
        ("redirect: {}", "changes nothing"),
        ("redirect: {uri: /a, prefixRewrite: /b}", "has uri and prefixRewrite"),
        ("redirect: {port: 80, derivePort: FROM_REQUEST_PORT}", "has port and derivePort"),
        ("redirect: {uri: /a, scheme: ftp}", "'ftp' is not http or https"),
        ("redirect: {uri: /a, redirectCode: 305}", "305 is not one of 301"),
        (
            "match: [{uri: {exact: /a}}], redirect: {prefixRewrite: /b}",
            "needs uri matches by prefix only",
        ),
        ("directResponse: {}", "from 200 to 599, found None"),
        ("directResponse: {status: 200, body: {string: a, bytes: YQ==}}", "has string and bytes"),
        ("directResponse: {status: 200, body: {bytes: '!'}}", "is not base64"),
        (f"match: [], {TO_CART}", "match: an empty list"),
        (f"match: [{{uri: {{exact: /a, prefix: /b}}}}], {TO_CART}", "only one of them can count"),
        (f"match: [{{uri: {{glob: /a}}}}], {TO_CART}", "this field is not known"),
        (f"match: [{{uri: {{regex: '(?!a)b'}}}}], {TO_CART}", "RE2 has no lookaround"),
        (f"match: [{{uri: {{regex: '*'}}}}], {TO_CART}", "nothing stands before *"),
        (f"match: [{{headers: {{x-a: {{regex: '*'}}}}}}], {TO_CART}", "For any value, write {}."),
        (f"match: [{{headers: {{x-a: null}}}}], {TO_CART}", "is null, which Istio refuses"),
        (f"match: [{{headers: {{x-a: {{prefix: ''}}}}}}], {TO_CART}", "an empty prefix is refused"),
        (f"match: [{{headers: {{'x a': {{}}}}}}], {TO_CART}", "is not the name of a header"),
        (f"match: [{{headers: {{'@request.auth.claims': {{}}}}}}], {TO_CART}", "is not the name of a header"),
        (f"match: [{{headers: {{'@request.auth.claims[a]': {{}}}}}}], {TO_CART}", "a claim needs exact"),
        (f"match: [{{headers: {{'@request.auth.claims..a': {{exact: b}}}}}}], {TO_CART}", "without a name"),
        (f"match: [{{queryParams: {{q: {{prefix: ''}}}}}}], {TO_CART}", "an empty prefix is refused"),
        (f"match: [{{port: 65536}}], {TO_CART}", "expected a port"),
        (f"match: [{{sourceNamespace: a.b}}], {TO_CART}", "'a.b' cannot be a namespace"),
        (f"match: [{{sourceLabels: {{app: 'a b'}}}}], {TO_CART}", "cannot be a label"),
        (f"match: [{{gateways: [./door]}}], {TO_CART}", "'./door' is not a gateway"),
    ],
)
def test_a_rule_that_istio_refuses_is_refused(fields: str, says: str) -> None:
    assert says in refused(f"[{{{fields}}}]")


@pytest.mark.parametrize(
    ("more", "hosts", "says"),
    [
        ("http: []", "[cart.example]", "http: an empty list"),
        ("gateways: [door]", "[cart.example]", "needs http, tls or tcp"),
        (f"http: [{{{TO_CART}}}]", "['*']", "* is refused by Istio for sidecars"),
        (f"gateways: [door], http: [{{{TO_CART}}}]", "['a.*.b']", "'a.*.b' is not a host"),
        (f"gateways: [door], http: [{{{TO_CART}}}]", "[a_b.example]", "'a_b.example' is not a host"),
        (f"gateways: [door], http: [{{{TO_CART}}}]", "[a.1]", "its last label is a number"),
        (f"gateways: [door], http: [{{{TO_CART}}}]", "['*.a.example', b.a.example]", "keep one"),
        (f"gateways: [a/b/c], http: [{{{TO_CART}}}]", "[a.example]", "'a/b/c' is not a gateway"),
        (f"exportTo: ['*', a], http: [{{{TO_CART}}}]", "[a.example]", "has * beside others"),
        (f"exportTo: ['~'], http: [{{{TO_CART}}}]", "[a.example]", "'~' is refused by Istio"),
        (f"exportTo: [., shop], http: [{{{TO_CART}}}]", "[a.example]", "'shop' stands here twice"),
        (f"gateways: [door], http: [{{{TO_CART}}}]", "", "is a delegate and has no gateways"),
        ("tcp: [{route: [{destination: {host: a}}]}]", "", "is a delegate and has no tcp"),
        ("http: [{delegate: {name: b}}]", "", "a delegate cannot delegate further"),
        ("tls: [{route: [{destination: {host: a}}]}]", "[a.example]", "match: missing"),
        (
            "tls: [{match: [{port: 443}], route: [{destination: {host: a}}]}]",
            "[a.example]",
            "sniHosts: missing",
        ),
        ("tls: [{match: [{sniHosts: [b.example]}]}]", "[a.example]", "lies in none of the hosts a.example"),
        ("tls: [{match: [{sniHosts: [a.example]}]}]", "[a.example]", "route: missing"),
        ("tcp: [{}]", "[a.example]", "route: missing"),
        ("tcp: [{match: [{destinationSubnets: [10.0.0.0/33]}]}]", "[a.example]", "not a range of addresses"),
        (
            "tcp: [{route: [{destination: {host: a}}, {destination: {host: b}}]}]",
            "[a.example]",
            "the weights add up to 0",
        ),
    ],
)
def test_an_object_that_istio_refuses_is_refused(more: str, hosts: str, says: str) -> None:
    assert says in refused(more=more, hosts=hosts)


@pytest.mark.parametrize(("gateways", "is_refused"), [("[door]", False), ("[door, mesh]", True), ("", True)])
def test_claims_choose_routes_at_gateways_only(gateways: str, is_refused: bool) -> None:
    http = f"[{{match: [{{headers: {{'@request.auth.claims.group': {{exact: a}}}}}}], {TO_CART}}}]"
    more = f"gateways: {gateways}" if gateways else ""

    if is_refused:
        assert "routes by claims are for gateways only" in refused(http, more=more)
    else:
        assert virtual_service(http, more=more).http


@pytest.mark.parametrize(
    "pattern",
    [
        r"/a/[^/]+(?:/b)?",
        r"(?i)abc|d{2,3}",
        r"\d+\.\w*?",
        r"[[:alpha:]_-]+",
        r"(?P<name>a)\pL\p{Greek}",
        r"\Q*(\E",
        "a{b}",
        "[]a]",
        r"^$\z",
        r"\x41\x{1F600}",
    ],
)
def test_expressions_of_re2_are_accepted(pattern: str) -> None:
    assert regex_problem(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a)",
        "(?<!a)b",
        r"(a)\1",
        "a**",
        "+a",
        "(a",
        "a)",
        "[a",
        "a\\",
        "a{1001}",
        "[z-a]",
        r"\y",
        "",
        "a" * 1025,
    ],
)
def test_expressions_that_re2_does_not_have_are_refused(pattern: str) -> None:
    assert regex_problem(pattern)
