"""`meshlab test --html`: a report beside what is printed, after every run."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from meshlab.istio import load_mesh
from meshlab.manifest import parse_manifests

from tests.lab.bench.fakes import FakeMesh, refused
from tests.lab.html_report.samples import MESH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.conftest import Done

    Command = Callable[..., Done]

CASES = """\
defaults: {from: {workload: shop/cart}}
cases:
  - {name: one, request: 'http://orders.orders/', expect: 200 orders/orders}
matrix:
  - name: reads
    rows: {cart: {from: {workload: shop/cart}}}
    columns: {first: 'http://orders.orders/1', second: 'http://orders.orders/2'}
    expect: {cart: [200 orders/orders, '-']}
"""


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    file = tmp_path / "cases.yaml"
    file.write_text(CASES)
    return file


def failing() -> FakeMesh:
    return FakeMesh({"one": refused(403)}, mesh=load_mesh(parse_manifests(MESH, "mesh.yaml")))


def test_the_report_holds_the_run_its_tables_and_the_mesh(
    command: Command, cases: Path, tmp_path: Path
) -> None:
    done = command("test", "-f", "manifests", cases, "--html", tmp_path / "report.html", mesh=failing())
    assert (done.code, "1 failed, 1 passed" in done.out) == (1, True)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<title>1 of 2 cases failed · meshlab</title>" in page
    assert "<caption>reads</caption>" in page
    assert 'data-node="bank/ledger"' in page
    assert re.search(r"<li>\d{1,2} \w{3} \d{4} \d\d:\d\d UTC</li>", page)
    assert "<li>meshlab test</li><li>manifests</li>" in page


def test_the_report_is_written_beside_json_and_junit(command: Command, cases: Path, tmp_path: Path) -> None:
    files = ("--html", tmp_path / "r.html", "--junit", tmp_path / "r.xml", "--json")
    done = command("test", "-f", "manifests", cases, *files, mesh=failing())
    assert json.loads(done.out)["counts"]["failed"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cases.yaml", "r.html", "r.xml"]


def test_a_report_that_cannot_be_written_is_an_error(command: Command, cases: Path, tmp_path: Path) -> None:
    file = tmp_path / "missing/report.html"
    done = command("test", "-f", "manifests", cases, "--html", file)
    assert done.code == 2
    assert done.err == f"meshlab: {file}: the HTML file cannot be written: No such file or directory\n"
    assert done.out.startswith("2 passed in ")


def test_a_watch_writes_the_report_after_each_run(
    command: Command, cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = []

    def wait() -> None:
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        titles.append(re.findall(r"<title>(.*?) ·", page)[0])
        if len(titles) == 2:
            raise KeyboardInterrupt
        cases.write_text(CASES.replace("200 orders/orders}", "403 orders/orders}", 1))

    monkeypatch.setattr("meshlab.cli._watch.wait", wait)
    command("test", "-f", "manifests", cases, "--html", tmp_path / "report.html", "--watch")
    assert titles == ["All 2 cases passed", "1 of 2 cases failed"]


def test_the_help_of_the_command_names_it(command: Command) -> None:
    done = command("test", "--help")
    assert "--html" in done.out
    assert "meshlab test -f manifests/ tests/ --html report.html" in done.out
