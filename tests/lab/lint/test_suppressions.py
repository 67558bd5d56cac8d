"""Comments that suppress findings: where they count, and what is found of those that suppress nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.inputs import read_inputs
from meshlab.istio import load_mesh
from meshlab.lint.run import lint
from meshlab.lint.source_texts import text_of

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.lint.run import Linted

POLICY = """\
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata:
  name: tokens
  namespace: shop
spec:
  selector: # before the selector
    matchLabels: {app: cart}
  jwtRules:
    # before the rule
    - issuer: https://issuer.example # behind the rule
      jwksUri: https://issuer.example/keys
"""
"""Its selector fits nothing (ML302), and its rule names no audience (ML306)."""


def linted(path: Path) -> Linted:
    inputs = read_inputs([str(path)])
    return lint(inputs, load_mesh(inputs.manifests, inject_unknown_namespaces=True), text_of)


def written(tmp_path: Path, place: str, comment: str) -> Linted:
    """Write a comment in a place of the policy, and look for mistakes."""
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY.replace(f"# {place}\n", f"# {comment}\n"))
    return linted(file)


def codes(found: Linted) -> list[str]:
    return sorted(finding.rule.code for finding in found.counted)


@pytest.mark.parametrize("place", ["before the rule", "behind the rule"])
def test_a_comment_counts_for_its_line_or_for_the_next_one_where_it_stands_alone(
    tmp_path: Path, place: str
) -> None:
    found = written(tmp_path, place, "meshlab: ignore=ML306 the gateway checks the audience")
    assert codes(found) == ["ML302"]
    assert [each.suppressed for each in found.suppressed] == ["the gateway checks the audience"]


def test_a_comment_behind_a_value_does_not_count_for_the_next_line(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    comment = "# meshlab: ignore=ML306 the gateway checks it"
    file.write_text(
        POLICY.replace("  jwtRules:\n", f"  jwtRules: {comment}\n").replace("    # before the rule\n", "")
    )
    assert codes(linted(file)) == ["ML003", "ML302", "ML306"]


def test_several_codes_and_several_comments_count_for_one_line(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    first = "# meshlab: ignore=ML306, ML999 the gateway checks it\n"
    file.write_text(POLICY.replace("# before the rule\n", f"{first}    # another comment\n"))
    found = linted(file)
    assert codes(found) == ["ML003", "ML302"]
    (bad,) = [each for each in found.counted if each.rule.code == "ML003"]
    assert (bad.problem.line, bad.problem.text) == (10, "there is no rule ML999.")


@pytest.mark.parametrize(
    ("comment", "text"),
    [
        ("meshlab: ignore=ML306", "the comment gives no reason"),
        ("meshlab: ignore=ML306 too short", "the comment gives no reason"),
        ("meshlab: ignore the whole line please", "write `# meshlab: ignore=CODE reason`"),
        ("meshlab: ignore=all of them at once", "write `# meshlab: ignore=CODE reason`"),
        ("meshlab: ignore=ML998 there is no such rule", "there is no rule ML998."),
        ("meshlab: ignore=ML307 nothing of that here", "ML307 finds nothing here"),
    ],
)
def test_a_comment_that_suppresses_nothing_is_found(tmp_path: Path, comment: str, text: str) -> None:
    found = written(tmp_path, "before the rule", comment)
    assert codes(found) == ["ML003", "ML302", "ML306"]
    (bad,) = [each for each in found.counted if each.rule.code == "ML003"]
    assert bad.problem.line == 10
    assert bad.problem.text.startswith(text)


def test_a_comment_in_a_file_without_findings_is_found(tmp_path: Path) -> None:
    file = tmp_path / "namespace.yaml"
    file.write_text(
        "apiVersion: v1\nkind: Namespace\n"
        "# meshlab: ignore=ML508 said by another file\n"
        "metadata: {name: shop, labels: {istio-injection: enabled}}\n"
    )
    assert codes(linted(file)) == ["ML003"]


def test_a_comment_counts_in_what_kustomize_builds(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    comment = "# meshlab: ignore=ML306 the gateway checks the audience"
    (tmp_path / "base/policy.yaml").write_text(POLICY.replace("# before the rule", comment))
    (tmp_path / "base/kustomization.yaml").write_text("resources: [policy.yaml]\n")
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [base]\nnamePrefix: x-\ncommonLabels: {team: shop}\n"
    )
    found = linted(tmp_path)
    assert codes(found) == ["ML302"]
    (left,) = found.counted
    assert (left.problem.source, left.problem.line) == (str(tmp_path / "base/policy.yaml"), 7)
    (suppressed,) = found.suppressed
    assert (suppressed.problem.source, suppressed.problem.line) == (str(tmp_path / "base/policy.yaml"), 11)
    assert suppressed.problem.subject == "RequestAuthentication shop/x-tokens"
