"""Explanations of hostile manifests, requests and tokens: values are plain text, and no token is shown."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.report.terminal import SafeConsole
from meshlab.explain.as_json import explanations_as_text
from meshlab.explain.printed_explanation import print_explanation

from tests.lab.explain.town import rule, town

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.explain.explanation import Explanation

PASSWORD = "correct-horse-battery"
CASES = f"""
callers:
  internet: {{outside: edge/door}}
tokens:
  alice: {{issuer: "https://customers.example", claims: {{sub: "\\u001b[31mred\\u202e<b>"}}}}
defaults: {{from: internet}}
cases:
- name: "a hostile \\u001b[2J<script>name</script>"
  token: alice
  request:
    method: PUT
    url: "https://shop.example/cart/%1b[31m<script>?x=1"
    headers: {{x-tier: "<img src=x onerror=alert(1)> \\u202e", cookie: "session={PASSWORD}"}}
  expect: 403
- name: a literal
  token: {{literal: {PASSWORD}}}
  request: GET https://shop.example/cart
  expect: 401
- {{name: a token in the URL, request: "GET https://shop.example/cart?x=1&access_token=SECRET", expect: 401}}
- name: a token where none belongs
  token: [alice, {{use: alice, name: x-tier, prefix: ""}}]
  request: PUT https://shop.example/cart
  expect: 403
"""


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Explanation]]:
    with town(tmp_path_factory.mktemp("town")) as mesh:
        yield list(mesh.explain(CASES, changes=True).values())


def shown(explained: list[Explanation], *, verbose: bool) -> str:
    output = io.StringIO()
    console = SafeConsole(file=output, width=120, markup=False, highlight=False, emoji=False)
    for each in explained:
        print_explanation(each, console, verbose=verbose)
    return output.getvalue()


@pytest.mark.parametrize("verbose", [False, True])
def test_no_control_character_and_no_token_is_printed(explained: list[Explanation], *, verbose: bool) -> None:
    text = shown(explained, verbose=verbose)
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "eyJ" not in text
    assert PASSWORD not in text
    assert "SECRET" not in text


def test_the_document_holds_no_token_and_only_ascii(explained: list[Explanation]) -> None:
    text = explanations_as_text(explained)
    assert text.isascii()
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "eyJ" not in text
    assert PASSWORD not in text
    assert "SECRET" not in text
    assert json.loads(text)["version"] == 1


def test_hostile_values_are_quoted_as_they_are(explained: list[Explanation]) -> None:
    found = {
        condition.attribute: condition.saw for condition in rule(explained[0], "shop/customers").conditions
    }
    assert json.loads(found["paths"]) == "/cart/%1b[31m%3Cscript%3E"
    assert "<img src=x onerror=alert(1)>" in found["request.headers[x-tier]"]
    assert json.loads(found["requestPrincipals"]).startswith("https://customers.example/")


def test_a_header_that_holds_a_token_is_not_shown(explained: list[Explanation]) -> None:
    found = {
        condition.attribute: condition.saw for condition in rule(explained[3], "shop/customers").conditions
    }
    assert found["request.headers[x-tier]"] == "a header that is not shown"
