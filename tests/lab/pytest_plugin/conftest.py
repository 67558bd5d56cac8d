"""pytest in this process, with the plugin and a fake mesh."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

# pytester forgets modules that a run imports first: with them here each run is faster, and one of them is patched.
from meshlab import pytest_plugin
from meshlab.pytest_plugin import mesh_session, plugin

from tests.lab.bench.fakes import FakeBench, FakeMesh

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]

CASES = """\
defaults: {from: {workload: shop/cart}}
cases:
  - {name: one, request: 'http://orders.orders/', expect: 200 orders/orders}
  - {name: two, request: 'http://orders.orders/2', expect: 200 orders/orders}
"""
OTHER = CASES.replace("name: one", "name: three").replace("name: two", "name: four")


@pytest.fixture
def mesh() -> FakeMesh:
    return FakeMesh()


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, mesh: FakeMesh) -> Run:
    """Run pytest in this process, in a directory with two case files and a module; the mesh is a fake."""
    FakeBench.loaded.clear()
    FakeBench.closed = 0
    monkeypatch.setattr(FakeBench, "load_mesh", staticmethod(lambda _: mesh), raising=False)
    monkeypatch.setattr(mesh_session, "LocalBench", FakeBench)
    # The plugin is named here: pytest looks into every installed package where it finds plugins by itself.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    assert plugin.__name__ in sys.modules
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(test_code="def test_code(): pass")
    (pytester.mkdir("policy") / "cases.yaml").write_text(CASES)
    (pytester.path / "policy/more.yaml").write_text(OTHER)
    return lambda *arguments: pytester.runpytest_inprocess(*arguments, plugins=[pytest_plugin])
