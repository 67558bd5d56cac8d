"""Changes that let a refused request in: each was made and tried before it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.explain.town import MESH, SETUP, town

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshlab.explain.explanation import SuggestedChange


CASES = (
    SETUP
    + """\
cases:
- name: another method
  token: alice
  request: {method: PUT, url: "https://shop.example/cart/1", headers: {x-tier: gold}}
  expect: 403
- name: no token
  request: {url: "https://shop.example/cart/1", headers: {x-tier: gold}}
  expect: 403
- {name: a DELETE, token: alice, request: DELETE https://shop.example/cart, expect: 403}
- {name: another identity, from: {workload: shop/cart}, request: GET http://ledger.bank/, expect: 403}
- name: plaintext
  from: {bypass: shop/web, to: bank/ledger, mode: plaintext}
  request: GET http://ledger.bank/
  expect: refused
- name: an expired token
  token: {use: alice, flaw: expired}
  request: {url: "https://shop.example/cart/1", headers: {x-tier: gold}}
  expect: 401
- name: a wrong audience
  token: {use: alice, flaw: wrong audience}
  request: {url: "https://shop.example/cart/1", headers: {x-tier: gold}}
  expect: 403
- name: another path
  token: alice
  request: {url: "https://shop.example/other", headers: {x-tier: gold}}
  expect: 404
- {name: a connection, from: {workload: shop/cart}, request: {tcp: "db.bank:6379"}, expect: refused}
- name: another host
  token: alice
  request: {url: "https://empty.example/cart/1", headers: {x-tier: gold}}
  expect: 404
- name: another server name
  token: alice
  request: {url: "https://shop.example/cart/1", sni: stranger.example, headers: {x-tier: gold}}
  expect: refused
- name: no certificate
  request: GET https://mutual.example/
  expect: refused
- {name: an unknown host, from: {workload: shop/web}, request: GET http://stranger.example/, expect: 502}
- {name: a slip in a host, from: {workload: shop/web}, request: GET http://ledgr.bank/, expect: 502}
- {name: the server's certificate, from: {workload: shop/web}, request: GET http://partner.example/, expect: 503}
- {name: let in, from: {workload: shop/web}, request: GET http://ledger.bank/, expect: 200}
"""
)

NO_TOKEN = f"""{SETUP}
cases:
- name: no token
  request: {{url: "https://shop.example/cart/1", headers: {{x-tier: gold}}}}
  expect: 403
"""


@pytest.fixture(scope="module")
def changes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[SuggestedChange, ...]]]:
    with town(tmp_path_factory.mktemp("town")) as mesh:
        found = mesh.explain(CASES, changes=True)
        yield {name: each.changes for name, each in found.items()}


def parts(change: SuggestedChange) -> list[tuple[str, str]]:
    return [(part.place.path if part.place else part.text, part.value) for part in change.parts]


def test_the_smallest_edit_adds_the_value_that_was_seen(
    changes: dict[str, tuple[SuggestedChange, ...]],
) -> None:
    first, *_ = changes["another method"]
    assert first.verified
    assert parts(first) == [("spec.rules[0].to[0].operation.methods", "- PUT")]


def test_a_rule_for_the_request_alone_is_the_narrower_edit(
    changes: dict[str, tuple[SuggestedChange, ...]],
) -> None:
    own = changes["another method"][-1]
    assert own.verified
    ((path, value),) = parts(own)
    assert path == "spec.rules"
    assert "paths:\n      - /cart/1" in value
    assert "requestPrincipals:\n      - https://customers.example/alice" in value


def test_a_caller_without_a_token_needs_one(changes: dict[str, tuple[SuggestedChange, ...]]) -> None:
    texts = [part.text for change in changes["no token"] for part in change.parts if change.verified]
    assert "the caller sends a valid token of https://customers.example with sub someone" in texts


def test_a_deny_rule_is_made_to_leave_the_request_out_and_the_next_obstacle_is_removed_too(
    changes: dict[str, tuple[SuggestedChange, ...]],
) -> None:
    first, *_ = changes["a DELETE"]
    assert first.verified
    paths = [path for path, _ in parts(first)]
    # Without the denial no rule of an ALLOW policy matches a DELETE, nor the missing tier.
    assert "spec.rules[0].to[0].operation.methods" in paths or paths[0] == "spec.rules[0].from"
    assert len(paths) >= 2


def test_an_identity_is_added_to_those_that_a_deny_rule_leaves_out(
    changes: dict[str, tuple[SuggestedChange, ...]],
) -> None:
    first, *_ = changes["another identity"]
    assert first.verified
    assert parts(first) == [("spec.rules[0].from[0].source.notPrincipals", "- cluster.local/ns/shop/sa/cart")]


def test_plaintext_needs_mutual_tls_or_a_permissive_port(
    changes: dict[str, tuple[SuggestedChange, ...]],
) -> None:
    found = changes["plaintext"]
    assert found[0].parts[0].text == (
        "the caller uses mutual TLS with the certificate of shop/web, as its sidecar does"
    )
    assert found[0].verified


@pytest.mark.parametrize("case", ["an expired token", "a wrong audience"])
def test_a_refused_token_has_to_be_a_valid_one(
    changes: dict[str, tuple[SuggestedChange, ...]], case: str
) -> None:
    texts = [part.text for change in changes[case] for part in change.parts if change.verified]
    assert "the caller sends a valid token of https://customers.example" in texts


def test_an_audience_can_be_added(changes: dict[str, tuple[SuggestedChange, ...]]) -> None:
    assert ("spec.jwtRules[0].audiences", "- another-service") in [
        part for change in changes["a wrong audience"] for part in parts(change)
    ]


def test_a_path_without_a_route_gets_one_and_passes_the_policies_behind_it(
    changes: dict[str, tuple[SuggestedChange, ...]],
) -> None:
    first, *_ = changes["another path"]
    assert first.verified
    assert parts(first) == [
        ("spec.http[1].match", "- uri:\n    exact: /other"),
        ("spec.rules[0].to[0].operation.paths", "- /other"),
    ]


def test_a_connection_gets_its_identity_into_the_rule(
    changes: dict[str, tuple[SuggestedChange, ...]],
) -> None:
    first, *_ = changes["a connection"]
    assert first.verified
    assert parts(first) == [("spec.rules[0].from[0].source.principals", "- cluster.local/ns/shop/sa/cart")]


def test_what_nothing_was_found_for_and_what_is_let_in_has_no_change(
    changes: dict[str, tuple[SuggestedChange, ...]],
) -> None:
    assert changes["let in"] == ()
    assert changes["the server's certificate"] == ()


def test_a_host_without_a_route_gets_into_the_virtual_service(
    changes: dict[str, tuple[SuggestedChange, ...]],
) -> None:
    first, *_ = changes["another host"]
    assert first.verified
    assert parts(first) == [("spec.hosts", "- empty.example")]


def test_a_server_name_or_a_certificate_is_up_to_the_caller(
    changes: dict[str, tuple[SuggestedChange, ...]],
) -> None:
    (name,) = changes["another server name"]
    assert (name.verified, [part.text for part in name.parts]) == (
        True,
        ["the caller asks for the server name shop.example"],
    )
    certificate, *_ = changes["no certificate"]
    # The server has no route, so the certificate alone is not enough.
    assert certificate.parts[0].text == (
        "the caller shows a client certificate of the authority partner-tls with the name partner.example"
    )
    assert "404" in certificate.next_obstacle


def test_a_host_that_no_object_names_gets_a_service_entry(
    changes: dict[str, tuple[SuggestedChange, ...]],
) -> None:
    (entry,) = changes["an unknown host"]
    assert entry.verified
    ((text, value),) = parts(entry)
    assert text == "add the ServiceEntry shop/stranger-example"
    assert "hosts:\n  - stranger.example" in value


def test_a_host_that_is_almost_one_of_the_mesh_is_that_one(
    changes: dict[str, tuple[SuggestedChange, ...]],
) -> None:
    (meant,) = changes["a slip in a host"]
    assert meant.verified
    assert [part.text for part in meant.parts] == ["the caller asks for ledger.bank, a host of the mesh"]


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ('fromHeaders: [{name: x-token, prefix: "Tok "}]', "in the header x-token"),
        ("fromParams: [tok]", "in the parameter tok"),
        ("fromCookies: [session]", "in the cookie session"),
    ],
)
def test_a_proposed_token_is_sent_where_the_rule_looks_for_it(tmp_path: Path, places: str, said: str) -> None:
    where = 'jwksUri: "https://customers.example/keys"'
    with town(tmp_path, MESH.replace(where, f"{where}, {places}")) as mesh:
        found = mesh.explain(NO_TOKEN, changes=True)["no token"].changes
    texts = [part.text for change in found for part in change.parts if change.verified]
    assert f"the caller sends a valid token of https://customers.example {said} with sub someone" in texts
