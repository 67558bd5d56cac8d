"""The pytest plugin: which case files pytest collects, and what it does where none are named. No Envoy runs here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.bench.fakes import FakeBench
from tests.lab.pytest_plugin.conftest import CASES

if TYPE_CHECKING:
    from tests.lab.bench.fakes import FakeMesh
    from tests.lab.pytest_plugin.conftest import Run

pytest_plugins = ["pytester"]

SETTINGS = "[pytest]\nmeshlab_cases = policy\nmeshlab_manifests = manifests\n"
MANIFESTS = ("--meshlab-manifests", "manifests")


def names(done: pytest.RunResult) -> list[str]:
    """The node ids that `--collect-only -q` prints."""
    return [line for line in done.outlines if "::" in line]


CASES_OF = {
    "cases.yaml": ["policy/cases.yaml::one", "policy/cases.yaml::two"],
    "more.yaml": ["policy/more.yaml::three", "policy/more.yaml::four"],
}
BOTH = [*CASES_OF["cases.yaml"], *CASES_OF["more.yaml"]]
CODE = ["test_code.py::test_code"]


def test_the_plugin_declares_options_and_loads_nothing_else_before_one_is_used(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing_is_loaded(request):
            loaded = {name for name in sys.modules if name.partition(".")[0] in ("meshlab", "yaml", "rich")}
            assert loaded == {"meshlab", "meshlab.pytest_plugin"}
            assert not request.config.pluginmanager.has_plugin("meshlab-cases")
        """
    )
    pytester.makefile(".yaml", cases=CASES)
    done = pytester.runpytest_subprocess(
        "-W", "error", "--strict-config", "--strict-markers", "-p", "no:meshpass"
    )
    done.assert_outcomes(passed=1)
    # pytest itself lists every installed plugin.
    assert [line for line in done.outlines if "meshlab" in line and not line.startswith("plugins: ")] == []


def test_the_options_and_settings_are_in_pytests_help(run: Run) -> None:
    help_of_pytest = run("--help").stdout.str()
    for word in ("--meshlab=PATH", "--meshlab-manifests=PATH", "--meshlab-allow-not-judged", "meshlab_cases"):
        assert word in help_of_pytest


def test_an_option_is_as_good_as_an_argument(run: Run) -> None:
    done = run("--co", "-q", "--meshlab", "policy/cases.yaml", *MANIFESTS)
    assert names(done) == CASES_OF["cases.yaml"]
    done = run("--co", "-q", "--meshlab", "policy/more.yaml", *MANIFESTS, "test_code.py")
    assert names(done) == [*CODE, *CASES_OF["more.yaml"]]


def test_a_directory_means_its_case_files_and_no_module_in_it(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "policy/test_other.py").write_text("def test_other(): pass")
    assert names(run("--co", "-q", "--meshlab", "policy", *MANIFESTS)) == BOTH


def test_the_option_may_be_repeated(run: Run) -> None:
    done = run("--co", "-q", "--meshlab", "policy/more.yaml", "--meshlab", "policy/cases.yaml", *MANIFESTS)
    assert sorted(names(done)) == sorted(BOTH)


def test_case_files_of_the_configuration_belong_to_a_run_without_arguments(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makeini(SETTINGS)
    assert sorted(names(run("--co", "-q"))) == sorted([*CODE, *BOTH])
    assert names(run("--co", "-q", "test_code.py")) == CODE
    assert FakeBench.loaded[-1].paths == ("manifests",)


def test_the_settings_stand_in_a_pyproject_too(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml(
        '[tool.pytest.ini_options]\nmeshlab_cases = ["policy/more.yaml"]\nmeshlab_manifests = ["manifests", "extra"]\n'
        'meshlab_namespace = "team"\nmeshlab_mesh_config = "mesh.yaml"\n'
    )
    assert names(run("--co", "-q", "-k", "three")) == ["policy/more.yaml::three"]
    (sources,) = FakeBench.loaded
    assert (sources.paths, sources.namespace, str(sources.mesh_config)) == (
        ("manifests", "extra"),
        "team",
        "mesh.yaml",
    )


def test_the_command_line_replaces_the_settings(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini(SETTINGS + "meshlab_namespace = team\n")
    arguments = (
        "--meshlab-manifests",
        "other",
        "--meshlab-namespace",
        "mine",
        "--meshlab-mesh-config",
        "m.yaml",
    )
    done = run("--co", "-q", "--meshlab", "policy/more.yaml", *arguments)
    assert names(done) == CASES_OF["more.yaml"]
    (sources,) = FakeBench.loaded
    assert (sources.paths, sources.namespace, str(sources.mesh_config)) == (("other",), "mine", "m.yaml")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["policy/cases.yaml::two"], ["policy/cases.yaml::two"]),
        (["policy/more.yaml"], CASES_OF["more.yaml"]),
        (["policy"], BOTH),
        (["-k", "one or code"], ["test_code.py::test_code", "policy/cases.yaml::one"]),
        (["-m", "meshlab"], BOTH),
        (["-m", "not meshlab"], CODE),
        (["--deselect", "policy/more.yaml", "policy"], CASES_OF["cases.yaml"]),
    ],
)
def test_cases_are_chosen_as_any_other_test(
    run: Run, pytester: pytest.Pytester, arguments: list[str], expected: list[str]
) -> None:
    pytester.makeini(SETTINGS)
    assert sorted(names(run("--co", "-q", *arguments))) == sorted(expected)


def test_a_node_id_below_an_option_chooses_one_case(run: Run) -> None:
    done = run("--co", "-q", "--meshlab", "policy", *MANIFESTS, "policy/cases.yaml::two")
    assert names(done) == ["policy/cases.yaml::two"]


def test_names_of_cases_become_node_ids_that_choose_them(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "policy/more.yaml").write_text(
        "defaults: {from: {workload: shop/cart}, request: 'http://orders.orders/'}\n"
        "cases:\n"
        '  - {name: "a::b [x] / c", expect: 200 orders/orders}\n'
        '  - {name: "a: :b [x] / c", expect: 200 orders/orders}\n'
        '  - {name: "red \\e[31m", expect: 200 orders/orders}\n'
    )
    found = names(run("--co", "-q", "--meshlab", "policy/more.yaml", *MANIFESTS))
    assert found == [
        "policy/more.yaml::a: :b [x] / c",
        "policy/more.yaml::a: :b [x] / c (2)",
        "policy/more.yaml::red \N{REPLACEMENT CHARACTER}[31m",
    ]
    for each in found:
        assert names(run("--co", "-q", "--meshlab", "policy", *MANIFESTS, each)) == [each]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--meshlab", "policy"], "name them with --meshlab-manifests PATH"),
        (["--meshlab", "absent.yaml", *MANIFESTS], "absent.yaml: no such file or directory"),
        (["--meshlab", "policy", "--meshlab-manifests", "-"], "pytest has no standard input"),
        (["--meshlab", "policy", *MANIFESTS, "--meshlab-env-file", "absent"], "absent"),
        (["--meshlab", "policy", *MANIFESTS, "--meshlab-coverage-min", "101"], "a percentage from 0 to 100"),
        (["--meshlab", "policy", *MANIFESTS, "--meshlab-coverage-min", "nan"], "a percentage from 0 to 100"),
    ],
)
def test_wrong_options_end_the_run_with_a_sentence(run: Run, arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in done.errlines if line.startswith("ERROR: ")]
    assert message in line
    assert FakeBench.loaded == []


def test_values_of_env_files_reach_the_cases(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "policy/cases.yaml").write_text(CASES.replace("name: one", "name: '${WHO}'"))
    (pytester.path / "a.env").write_text("WHO=alice\n")
    done = run("--co", "-q", "--meshlab", "policy/cases.yaml", *MANIFESTS, "--meshlab-env-file", "a.env")
    assert names(done) == ["policy/cases.yaml::alice", "policy/cases.yaml::two"]


def test_nothing_starts_for_a_list_of_tests(run: Run, mesh: FakeMesh) -> None:
    run("--co", "-q", "--meshlab", "policy", *MANIFESTS)
    assert mesh.started == []
    assert FakeBench.closed == 1
