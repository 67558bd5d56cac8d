"""Reports of the real commands on real Envoys: what a click shows is what Envoy recorded."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.diff.git_repository import GitRepository
from tests.lab.kube import app, mesh_of, namespace, service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.conftest import Done

    Report = Callable[..., tuple[str, dict[str, Any]]]

POLICY = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  rules: [{to: [{operation: {methods: [GET]}}]}]
"""
MESH = mesh_of(namespace("shop"), app("cart", "shop"), service("cart", "shop"), POLICY)
CASES = """\
workloads: {shop/caller: {labels: {app: caller}}}
defaults: {from: {workload: shop/caller}}
cases:
  - {name: a read, request: GET http://cart.shop/, expect: 200 shop/cart}
  - {name: a write, request: POST http://cart.shop/, expect: 200 shop/cart}
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("meshes")
    (found / "mesh.yaml").write_text(MESH)
    (found / "cases.yaml").write_text(CASES)
    return found


@pytest.fixture
def report(directory: Path, real_command: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> Report:
    """Run a command with `--html`, and return its report and the panels of it, by their titles, as one text each."""

    def run(*arguments: str, code: int, folder: Path = directory) -> tuple[str, dict[str, Any]]:
        monkeypatch.chdir(folder)
        done = real_command(*arguments, "--html", "report.html")
        assert done.code == code, done.out + done.err
        page = (folder / "report.html").read_text(encoding="utf-8")
        (text,) = re.findall(r'id="data">(.*?)</script>', page)
        data = json.loads(text)
        return page, {
            panel["title"]: json.dumps(panel) for panel in (written(entry, data) for entry in data["entries"])
        }

    return run


def written(value: object, data: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Return an entry as the script of the page reads it: with its texts and steps in place of their numbers."""
    if isinstance(value, dict):
        steps = {"steps": [written(data["steps"][number], data) for number in value.get("steps", ())]}
        return {name: written(item, data) for name, item in value.items() if name != "steps"} | steps
    if isinstance(value, list):
        return [written(item, data) for item in value]
    return data["texts"][value] if isinstance(value, int) and not isinstance(value, bool) else value


def test_a_case_is_explained_by_what_envoy_recorded(report: Report) -> None:
    page, panels = report("test", "-f", "mesh.yaml", "cases.yaml", code=1)
    assert "<title>1 of 2 cases failed" in page
    assert 'aria-label="workload shop/caller: mTLS PERMISSIVE"' in page
    refused = panels["a write"]
    for words in (
        "ALLOW shop/readers",
        "rule 0",
        "mesh.yaml:",
        '["wants one of", "GET"]',
        '["saw", "\\"POST\\""]',
    ):
        assert words in refused
    assert '"heading": "what would let it in"' in refused
    assert "ALLOW shop/readers" in panels["a read"]
    assert "what would let it in" not in panels["a read"]


def test_who_reaches_what_is_explained_in_the_same_way(report: Report) -> None:
    page, panels = report("reach", "-f", "mesh.yaml", "--to", "shop/cart", code=0)
    assert re.search(r"<title>\d+ of \d+ requests get in", page)
    assert any("ALLOW shop/readers" in panel and '["saw"' in panel for panel in panels.values())
    assert re.search(r'class="cell allowed".*?allowed 200', page)
    assert re.search(r'class="cell refused".*?refused 403', page)


def test_a_comparison_shows_what_is_now_allowed_and_explains_both_sides(
    report: Report, tmp_path: Path
) -> None:
    repository = GitRepository.new(tmp_path / "repository")
    repository.commit({"mesh.yaml": MESH})
    repository.write({"mesh.yaml": MESH.replace("[GET]", "[GET, POST]")})
    page, panels = report("diff", "main..", "mesh.yaml", code=1, folder=repository.root)
    assert re.search(r"<title>\d+ requests? (is|are) now allowed", page)
    opened = [panel for panel in panels.values() if '"tone": "opened"' in panel]
    assert opened
    assert all("changed AuthorizationPolicy shop/readers" in panel for panel in opened)
    assert 'class="line passed' in page
    line = MESH[: MESH.index("kind: AuthorizationPolicy")].count("\n")
    for panel in opened:
        before, now = panel.split('"heading": "before, step by step"')[1].split(
            '"heading": "now, step by step"'
        )
        for words in (
            "403 by the proxy of shop/cart: no ALLOW policy matched",
            "ALLOW shop/readers: no rule matches",
            f"(main:mesh.yaml:{line})",
            '["wants one of", "GET"], ["saw", "\\"POST\\""]',
        ):
            assert words in before
        for words in (
            "200 by the application of shop/cart",
            "allowed by shop/readers, rule 0",
            f"(mesh.yaml:{line})",
            '["wants one of", "GET, POST"], ["saw", "\\"POST\\""]',
        ):
            assert words in now


def test_the_coverage_of_the_cases_is_in_the_report(report: Report) -> None:
    page, _ = report("test", "-f", "mesh.yaml", "cases.yaml", "-k", "write", "--coverage", code=1)
    assert "<h2>Coverage of the cases: 0 %, 0 of 2</h2>" in page
    assert '<td class="text">condition spec.rules[0].to[0].operation.methods: GET</td>' in page
    assert "mesh.yaml:" in page
