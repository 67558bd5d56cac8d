"""Stories of policy tests: how a file is read, how its steps are run, and what is shown of them."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import pytest
from meshlab.demo import story_show
from meshlab.demo.story import StepRun, read_story, run_story
from meshlab.errors import LabError
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.table import Table

MESH = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: shop}
spec:
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
  egress: [{hosts: ["./*"]}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: known, namespace: shop}
spec:
  hosts: [known.example]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 80, name: http, protocol: HTTP}]
"""
PARTNER = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: partner, namespace: shop}
spec:
  hosts: [partner.example]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 80, name: http, protocol: HTTP}]
"""
CASES = """
workloads: {{shop/cart: {{}}}}
defaults: {{from: {{workload: shop/cart}}}}
cases:
  - {{name: cart to partner, request: "GET http://partner.example/", expect: {partner}}}
  - {{name: "cart to {host}", request: "GET http://{host}/", expect: 502 proxy shop/cart}}
"""
STORY = """
title: A partner
steps:
  - {name: before, title: nothing is registered, manifests: before}
  - {name: after, title: the partner is, manifests: after.yaml, cases: after-cases.yaml, meshConfig: config.yaml}
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("story")
    (found / "before").mkdir()
    (found / "before/mesh.yaml").write_text(MESH)
    (found / "before/cases.yaml").write_text(CASES.format(partner="502 proxy shop/cart", host="${HOST}"))
    (found / "after.yaml").write_text(MESH + PARTNER)
    (found / "after-cases.yaml").write_text(CASES.format(partner="200 partner.example", host="later.example"))
    (found / "config.yaml").write_text("outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n")
    (found / "story.yaml").write_text(STORY)
    return found


@pytest.fixture(scope="module")
def runs(directory: Path) -> list[StepRun]:
    return list(run_story(read_story(directory / "story.yaml"), {"HOST": "other.example"}))


def shown(table: Table) -> list[str]:
    """The rows of a table as text, with one space between cells."""
    on = Console(file=io.StringIO(), width=200)
    on.print(table)
    assert isinstance(on.file, io.StringIO)
    return [re.sub(r" *[│┃] *", "|", line).strip("|") for line in on.file.getvalue().splitlines()]


def test_the_files_of_a_step_are_found_beside_the_story(directory: Path) -> None:
    before, after = read_story(directory / "story.yaml").steps
    assert (before.manifests, before.cases) == (directory / "before", directory / "before/cases.yaml")
    assert before.mesh_config is None
    assert (after.cases, after.mesh_config) == (directory / "after-cases.yaml", directory / "config.yaml")


def test_each_step_is_run_on_its_own_manifests(runs: list[StepRun]) -> None:
    assert [(done.step.name, done.run.counts["passed"], len(done.run.outcomes)) for done in runs] == [
        ("before", 2, 2),
        ("after", 2, 2),
    ]


def test_steps_begin_in_order(directory: Path) -> None:
    began: list[str] = []
    steps: Iterator[StepRun] = run_story(
        read_story(directory / "story.yaml"), {"HOST": "other.example"}, lambda step: began.append(step.name)
    )
    next(steps)
    assert began == ["before"]
    list(steps)
    assert began == ["before", "after"]


def test_a_table_shows_who_got_where_after_each_step(runs: list[StepRun]) -> None:
    rows = shown(story_show.who_got_where(runs))
    assert "cart to partner|502 S|200" in rows
    assert "cart to later.example||502 S" in rows  # only the second step has this request
    assert "cart to other.example|502 S" in rows


def test_the_last_table_says_who_refused_and_why(runs: list[StepRun]) -> None:
    rows = shown(story_show.refusals(runs[-1]))
    why = "no Service or ServiceEntry that the proxy sees has this host (block_all)"
    assert f"cart to later.example|502|own sidecar|{why}" in rows
    assert not any("cart to partner" in row for row in rows)


def test_a_case_that_fails_is_marked(directory: Path, tmp_path: Path) -> None:
    cases = tmp_path / "cases.yaml"
    cases.write_text(CASES.format(partner="200 partner.example", host="other.example"))
    story = tmp_path / "story.yaml"
    story.write_text(f"title: t\nsteps: [{{name: s, manifests: {directory / 'before'}, cases: {cases}}}]\n")
    done = list(run_story(read_story(story), {}))
    assert "cart to partner|502 S, not expected" in shown(story_show.who_got_where(done))
    assert "1 s|s|1 of 2" in shown(story_show.steps(read_story(story), done))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("title: t", "a list of `steps`"),
        ("title: t\nsteps: []", "a list of `steps`"),
        ("title: t\nstep: []\nsteps: [{}]", "unknown word 'step' in the story"),
        ("title: t\nsteps: [{title: x}]", "a step needs `name`"),
        ("title: t\nsteps: [{name: x}]", "the step x needs `manifests`"),
        ("title: t\nsteps: [{name: x, manifests: nowhere}]", "nowhere, which does not exist"),
        ("title: t\nsteps: [{name: x, manifest: nowhere}]", "unknown word 'manifest' in a step"),
        ("title: t\nsteps: [{name: x, manifests: .}]", "cases.yaml, which does not exist"),
        ("steps: [{name: x, manifests: ., cases: story.yaml}]", "the story needs `title`"),
        ("- x", "expected a mapping for the story"),
        ("title: [", "story.yaml:2: the story cannot be read"),
    ],
)
def test_a_story_that_lacks_something_says_what(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "story.yaml"
    file.write_text(text)
    with pytest.raises(LabError, match=re.escape(says)) as error:
        read_story(file)
    assert str(error.value).startswith(str(file))


def test_a_story_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"none\.yaml: the story cannot be read"):
        read_story(tmp_path / "none.yaml")
