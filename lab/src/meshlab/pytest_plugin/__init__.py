"""pytest plugin: each case of a case file as a test, `pytest --meshlab cases.yaml`.

pytest loads this module in every run of everyone who installs meshlab. So it only declares options; the rest is
imported where one of them names a case file. meshlab itself never imports it, and does not need pytest.

Each option has a setting for pytest's configuration file (`[tool.pytest.ini_options]` of a pyproject.toml), which the
command line replaces. `docs/ci.md` lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options and the settings of configuration files."""
    group = parser.getgroup("meshlab", "cases of an Istio mesh, on real Envoys (meshlab)")
    group.addoption(
        "--meshlab",
        action="append",
        default=[],
        metavar="PATH",
        help="a case file, or a directory of them: run each case as a test. May be repeated.",
    )
    group.addoption(
        "--meshlab-manifests",
        action="append",
        default=[],
        metavar="PATH",
        help="manifests of the mesh: a file, a directory or a kustomization. May be repeated.",
    )
    group.addoption(
        "--meshlab-env-file",
        action="append",
        default=[],
        metavar="FILE",
        help="KEY=VALUE lines; ${KEY} in case files is replaced by the value. May be repeated.",
    )
    group.addoption(
        "--meshlab-mesh-config",
        metavar="FILE",
        help="a MeshConfig, an IstioOperator or the ConfigMap istio.",
    )
    group.addoption("--meshlab-namespace", metavar="NAME", help="the namespace of objects that have none.")
    group.addoption(
        "--meshlab-allow-not-judged",
        action="store_true",
        help="skip cases that cross a proxy with settings that the compiler does not know; they fail otherwise.",
    )
    group.addoption(
        "--meshlab-coverage",
        action="store_true",
        help="also show which rules, conditions, routes and servers no case exercised.",
    )
    group.addoption(
        "--meshlab-coverage-min",
        type=float,
        metavar="PERCENT",
        help="fail where the cases exercise less; implies --meshlab-coverage.",
    )
    parser.addini("meshlab_cases", "case files and directories of them", "paths", default=[])
    parser.addini("meshlab_manifests", "as --meshlab-manifests", "paths", default=[])
    parser.addini("meshlab_env_files", "as --meshlab-env-file", "paths", default=[])
    parser.addini("meshlab_mesh_config", "as --meshlab-mesh-config", "paths", default=[])
    parser.addini("meshlab_namespace", "as --meshlab-namespace", default="default")
    parser.addini("meshlab_allow_not_judged", "as --meshlab-allow-not-judged", "bool", default=False)
    parser.addini("meshlab_coverage", "as --meshlab-coverage", "bool", default=False)
    parser.addini("meshlab_coverage_min", "as --meshlab-coverage-min", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Load the rest of the plugin where case files are named."""
    if config.getoption("meshlab") or config.getini("meshlab_cases"):
        from meshlab.pytest_plugin.plugin import register

        register(config)
