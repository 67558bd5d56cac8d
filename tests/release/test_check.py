"""`make check` chooses the tests that a change can break, and says what it leaves out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import ROOT
from tools.check import __main__ as command
from tools.check import changes, choose, imports, measure
from tools.release import git

FILES = {
    "sdk/src/meshpass/__init__.py": "",
    "sdk/src/meshpass/_base.py": "VALUE = 1\n",
    "sdk/src/meshpass/_middle.py": "from meshpass._base import (\n    VALUE,\n)\n",
    "sdk/src/meshpass/_top.py": "def f():\n    import meshpass._middle\n",
    "tests/__init__.py": "",
    "tests/sdk/conftest.py": "from meshpass import _top\n",
    "tests/sdk/test_base.py": "from meshpass._base import VALUE\n",
    "tests/sdk/test_middle.py": "from meshpass import _middle\n",
    "tests/e2e/test_all.py": "import meshpass._base\n",
    "deploy/steps/__init__.py": "",
    "deploy/steps/one.py": "from . import two\n",
    "deploy/steps/two.py": '"""Text: import nothing that is no module.\n\nfrom here on there is prose.\n"""\n',
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "."],
        [*who, "commit", "--quiet", "-m", "x"],
    ):
        git.run(tmp_path, *arguments)
    return tmp_path


def test_a_changed_module_runs_the_tests_that_import_it_or_what_imports_it(repository: Path) -> None:
    choice = choose.choose(repository, ["sdk/src/meshpass/_base.py"])
    assert choice.tests == {
        "tests/sdk/test_base.py": "imports sdk/src/meshpass/_base.py",
        "tests/sdk/test_middle.py": "imports what imports sdk/src/meshpass/_base.py",
    }
    assert choice.left == ["tests/e2e/test_all.py"]
    assert choice.unknown == []


def test_the_nearest_tests_run_and_what_costs_more_than_a_minute_with_them_is_left(repository: Path) -> None:
    top = "sdk/src/meshpass/_middle.py"
    (repository / "tests/sdk/test_top.py").write_text("from meshpass import _top\n")
    (repository / "tests/sdk/test_middles.py").write_text("from meshpass import _top\n")
    (repository / "tests/sdk/conftest.py").write_text("")
    seconds = {"tests/sdk/test_middle.py": 30, "tests/sdk/test_middles.py": 20, "tests/sdk/test_top.py": 20}

    choice = choose.choose(repository, [top], seconds=seconds)

    assert choice.tests == {
        "tests/sdk/test_middle.py": f"imports {top}",
        "tests/sdk/test_middles.py": f"has the name of {top}",
    }
    assert choice.left == ["tests/sdk/test_top.py"]


def test_a_changed_test_runs_whatever_it_costs(repository: Path) -> None:
    choice = choose.choose(repository, ["tests/sdk/test_base.py"], seconds={"tests/sdk/test_base.py": 1_000})
    assert set(choice.tests) == {"tests/sdk/test_base.py"}


def test_no_change_of_one_source_file_chooses_tests_of_much_more_than_a_minute() -> None:
    map_, seconds = imports.importers(ROOT), measure.table()
    for path in (
        "sdk/src/meshpass/_call/retry.py",
        "lab/src/meshlab/errors.py",
        "infra/contract/src/meshcontract/__init__.py",
    ):
        chosen = choose.choose(ROOT, [path], map_, seconds).tests
        assert 0 < sum(seconds.get(test, 0) for test in chosen) <= choose.BUDGET_S


def test_a_measurement_replaces_what_the_table_said_of_the_same_files() -> None:
    assert measure.merged({"a": 9, "b": 7, "c": 5}, {"b": 3.4, "c": 0.4, "d": 2.6}) == {
        "a": 9,
        "b": 3,
        "d": 3,
    }


def test_a_server_that_still_runs_has_been_counted_with_what_its_own_children_used() -> None:
    work = "import time\nwhile time.process_time() < 0.3: pass\n"
    server = (
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {work!r}])\n"
        "print('done', flush=True)\ninput()"
    )
    began = measure.used_s()
    with subprocess.Popen(
        [sys.executable, "-c", server], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"done\n"
        while_it_runs = measure.used_s() - began
        running.communicate(b"\n")
    afterwards = measure.used_s() - began
    assert while_it_runs > 0.25 or not Path("/proc/self/stat").exists()
    assert max(0.25, while_it_runs) <= afterwards + 0.02  # each process is counted in hundredths


def test_a_changed_conftest_runs_all_tests_below_it_and_a_changed_test_itself(repository: Path) -> None:
    choice = choose.choose(repository, ["tests/sdk/conftest.py", "tests/e2e/test_all.py"])
    assert set(choice.tests) == {
        "tests/sdk/test_base.py",
        "tests/sdk/test_middle.py",
        "tests/e2e/test_all.py",
    }
    assert choice.tests["tests/e2e/test_all.py"] == "changed"


def test_imports_are_read_wherever_they_stand_and_prose_is_none(repository: Path) -> None:
    map_ = imports.importers(repository)
    assert map_["sdk/src/meshpass/_middle.py"] == {"sdk/src/meshpass/_top.py", "tests/sdk/test_middle.py"}
    assert map_["deploy/steps/two.py"] == {"deploy/steps/one.py"}


def test_a_file_without_a_known_test_is_named(repository: Path) -> None:
    choice = choose.choose(repository, ["deploy/steps/two.py", "some.bin"])
    assert choice.tests == {}
    assert choice.unknown == ["deploy/steps/two.py", "some.bin"]
    text = command.report("0" * 40, ["some.bin"], choice)
    assert "No test is known for these; run `make test`:\n  deploy/steps/two.py\n  some.bin\n" in text


def test_what_is_committed_changed_and_new_counts(repository: Path) -> None:
    git.run(repository, "switch", "--quiet", "-c", "work")
    (repository / "sdk/src/meshpass/_base.py").write_text("VALUE = 2\n")
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    git.run(repository, *who, "commit", "--quiet", "--all", "-m", "y")
    (repository / "new file.py").write_text("")
    (repository / "deploy/steps/two.py").unlink()
    assert changes.since(repository, changes.base(repository)) == [
        "deploy/steps/two.py", "new file.py", "sdk/src/meshpass/_base.py"
    ]  # fmt: skip


def test_the_map_of_this_project_names_only_tests_that_exist() -> None:
    named = [test for tests in choose._READ.values() for test in tests]
    assert [test for test in named if not (ROOT / test).exists()] == []


def test_types_and_tests_run_only_where_there_is_something_to_run() -> None:
    nothing = command.commands(["README.md"], choose.Choice())
    assert [Path(words[0]).name for words in nothing] == ["ruff", "ruff"]
    some = command.commands(
        ["sdk/src/meshpass/_token.py"], choose.Choice(tests={"tests/sdk/test_sdk_words.py": "x"})
    )
    assert some[2][1:] == ["sdk/src/meshpass/_token.py"]
    assert some[3][-1] == "tests/sdk/test_sdk_words.py"


def test_a_failure_of_one_part_is_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = iter([0, 1, 0])
    monkeypatch.setattr(changes, "base", lambda _: "0" * 40)
    monkeypatch.setattr(changes, "since", lambda *_: [])
    monkeypatch.setattr(choose, "choose", lambda *_: choose.Choice())
    monkeypatch.setattr(command, "commands", lambda *_: [["a"], ["b"], ["c"]])
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], next(ended)))
    assert command.main([]) == 1
