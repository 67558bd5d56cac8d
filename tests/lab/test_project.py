"""Finding a checkout and reading its contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from meshlab.env_file import read_env_file
from meshlab.errors import LabError
from meshlab.lab.project import Project

ROOT = Path(__file__).parents[2]


def test_the_project_is_found_from_anywhere_inside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "infra/mesh/ingress")
    assert Project.find().root == ROOT


def test_no_other_checkout_answers_for_a_directory_outside_of_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LabError, match=r"is not in a checkout of the project .*--project"):
        Project.find()


def test_an_overlay_is_a_name_or_a_directory(tmp_path: Path) -> None:
    assert Project.find(root=ROOT, overlay="plain-http").overlay == ROOT / "infra/mesh/overlays/plain-http"
    (tmp_path / "kustomization.yaml").touch()
    assert Project.find(root=ROOT, overlay=tmp_path).overlay == tmp_path


def test_an_unknown_overlay_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(LabError, match=r"no overlay 'prod'.*one of example, keyless, plain-http"):
        Project.find(root=ROOT, overlay="prod")


def test_a_checkout_without_overlays_has_none_to_name(tmp_path: Path) -> None:
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra/contract.env").touch()
    with pytest.raises(LabError, match=r"no overlay 'example' in .*one of none"):
        Project.find(root=tmp_path)


def test_a_directory_without_a_contract_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="--project"):
        Project.find(root=tmp_path)


def test_a_value_is_everything_after_the_first_equals_sign(tmp_path: Path) -> None:
    file = tmp_path / "contract.env"
    file.write_text("# a comment\n\nA=1\nB=x=y # z\nC=\n")
    assert read_env_file(file) == {"A": "1", "B": "x=y # z", "C": ""}


@pytest.mark.parametrize("line", ["A", "A B=1", "export A=1", "=1"])
def test_a_line_that_is_not_key_value_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    file = tmp_path / "contract.env"
    file.write_text(f"A=1\n{line}\n")
    with pytest.raises(LabError, match=r"contract\.env:2: expected KEY=VALUE"):
        read_env_file(file)
