"""Inputs at git revisions: what is read, what messages call it, and what is said where it cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.diff.compared_input import InputPlace
from meshlab.diff.input_sources import places, read_both
from meshlab.errors import LabError
from meshlab.manifest import ManifestError

from tests.lab.diff.git_repository import GitRepository

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.diff.compared_input import ComparedInput

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {{name: {}, namespace: shop}}\nspec: {{ports: [{{port: 80}}]}}\n"
KUSTOMIZATION = "resources: [{}]\n"


def service(name: str) -> str:
    return SERVICE.format(name)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitRepository:
    found = GitRepository.new(tmp_path / "repository")
    monkeypatch.chdir(found.root)
    return found


def read(old: str, new: str) -> tuple[ComparedInput, ComparedInput]:
    return read_both(*places(old, new))


def names(given: ComparedInput) -> list[str]:
    return [manifest.name for manifest in given.inputs.manifests]


def test_a_revision_with_two_dots_is_compared_with_the_working_tree(repository: GitRepository) -> None:
    repository.commit({"mesh/a.yaml": service("before")})
    repository.write({"mesh/a.yaml": service("now")})
    old, new = read("main..", "mesh")
    assert (names(old), names(new)) == (["before"], ["now"])
    assert str(old.inputs.manifests[0]) == "main:mesh/a.yaml:1: Service shop/before"
    assert (old.name, new.name) == ("main:mesh", "mesh")


def test_two_revisions_are_compared_without_the_working_tree(repository: GitRepository) -> None:
    repository.commit({"mesh/a.yaml": service("before")})
    repository.git("switch", "--quiet", "--create=feature")
    repository.commit({"mesh/a.yaml": service("now")})
    repository.write({"mesh/a.yaml": service("uncommitted")})
    old, new = read("main..feature", "mesh")
    assert (names(old), names(new)) == (["before"], ["now"])


def test_with_three_dots_the_old_side_is_where_the_two_parted(repository: GitRepository) -> None:
    base = repository.commit({"mesh/a.yaml": service("before")})
    repository.git("switch", "--quiet", "--create=feature")
    repository.commit({"mesh/a.yaml": service("now")})
    repository.git("switch", "--quiet", "main")
    repository.commit({"mesh/a.yaml": service("moved-on")})
    old, new = read("main...feature", "mesh")
    assert (names(old), names(new)) == (["before"], ["now"])
    assert old.name == f"{base[:12]}:mesh"


def test_a_path_after_a_colon_counts_from_the_root_of_the_repository(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"mesh/a.yaml": service("before"), "docs/x.txt": ""})
    monkeypatch.chdir(repository.root / "docs")
    old, new = read("HEAD:mesh", "../mesh/a.yaml")
    assert names(old) == names(new) == ["before"]
    assert names(read("HEAD:./../mesh", "../mesh")[0]) == ["before"]


def test_a_range_names_its_path_from_where_the_command_runs(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"mesh/a.yaml": service("before")})
    monkeypatch.chdir(repository.root / "mesh")
    old, _ = read("main..", ".")
    assert (names(old), old.name) == (["before"], "main:mesh")
    monkeypatch.chdir(repository.root.parent)
    assert names(read("main..", "repository/mesh")[0]) == ["before"]


def test_a_kustomization_is_built_with_all_that_it_refers_to_at_that_revision(
    repository: GitRepository,
) -> None:
    repository.commit(
        {
            "base/kustomization.yaml": KUSTOMIZATION.format("a.yaml"),
            "base/a.yaml": service("before"),
            "overlays/one/kustomization.yaml": "resources: [../../base]\nnamePrefix: one-\n",
        }
    )
    repository.write({"base/a.yaml": service("now")})
    old, new = read("main..", "overlays/one")
    assert (names(old), names(new)) == (["one-before"], ["one-now"])
    assert old.inputs.manifests[0].source == "main:base/a.yaml"


def test_nothing_of_the_working_tree_or_the_index_is_touched(repository: GitRepository) -> None:
    repository.commit({"mesh/a.yaml": service("before")})
    repository.write({"mesh/a.yaml": service("now"), "mesh/b.yaml": service("new")})
    repository.git("add", "mesh/b.yaml")
    before = {path: path.stat().st_mtime_ns for path in repository.root.rglob("*") if path.is_file()}
    read("main..", "mesh")
    after = {path: path.stat().st_mtime_ns for path in repository.root.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("side", ["old", "new"])
def test_a_path_that_a_revision_does_not_have_is_an_empty_side(repository: GitRepository, side: str) -> None:
    repository.commit({"x.txt": ""})
    repository.git("tag", "without")
    repository.commit({"mesh/a.yaml": service("here")})
    arguments = ("without..main", "mesh") if side == "old" else ("main..without", "mesh")
    old, new = read(*arguments)
    empty, full = (old, new) if side == "old" else (new, old)
    assert (names(empty), names(full)) == ([], ["here"])
    assert empty.notes == ("without does not have mesh: that side is empty.",)


def test_a_path_that_is_gone_from_the_working_tree_is_an_empty_side(repository: GitRepository) -> None:
    repository.commit({"mesh/a.yaml": service("before")})
    (repository.root / "mesh/a.yaml").unlink()
    (repository.root / "mesh").rmdir()
    old, new = read("main..", "mesh")
    assert (names(old), names(new)) == (["before"], [])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("nowhere..", "mesh", "nowhere: the repository .* has no such revision"),
        ("main..nowhere", "mesh", "nowhere: the repository .* has no such revision"),
        ("nowhere:mesh", "mesh", "nowhere: the repository .* has no such revision"),
        ("nowhere..", "mesh", "Check its spelling, or fetch it with its history"),
        ("main..", "absent", "^absent: neither main nor the working tree has this path. Check its spelling"),
        ("main..main", "absent", "^absent: neither main nor main has this path"),
        ("main...", "absent", "^absent: neither [0-9a-f]{12} nor the working tree has this path"),
        (
            "main:absent",
            "main:missing",
            "^main:absent and main:missing: neither is there. Check its spelling",
        ),
        ("main", "mesh", "^main: there is no such file or directory. A git revision is written as `main..`"),
        ("mesh", "main", "^main: there is no such file or directory. A git revision is written as `main..`"),
        ("main:../mesh", "mesh", "lies outside of the repository"),
        (":mesh", "mesh", "write a revision before the colon, such as HEAD:mesh"),
        ("-x..", "mesh", "does not begin with -"),
        ("main..-x", "mesh", "does not begin with -"),
        ("--output=x:mesh", "mesh", "does not begin with -"),
        ("-", "-", "one of the two inputs, not both"),
        ("absent", "mesh", "absent: there is no such file"),
    ],
)
def test_what_cannot_be_read_is_said(repository: GitRepository, old: str, new: str, message: str) -> None:
    repository.commit({"mesh/a.yaml": service("before")})
    with pytest.raises(LabError, match=message):
        read(old, new)


def test_a_directory_that_is_in_no_repository_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "a.yaml").write_text(service("here"))
    with pytest.raises(LabError, match="not a git repository"):
        read("main..", "a.yaml")


def test_a_machine_without_git_is_said(repository: GitRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.commit({"mesh/a.yaml": service("before")})
    monkeypatch.setenv("PATH", str(repository.root))
    with pytest.raises(LabError, match="there is no git on the PATH"):
        read("main..", "mesh")


def test_messages_name_the_file_and_line_of_the_revision(repository: GitRepository) -> None:
    repository.commit({"mesh/a.yaml": service("before") + "---\nkind: [\n"})
    old, _ = read("main:mesh", "mesh")
    assert [str(problem).partition(" ")[0] for problem in old.inputs.unreadable] == ["main:mesh/a.yaml:7:"]
    repository.commit({"mesh/kustomization.yaml": KUSTOMIZATION.format("absent.yaml")})
    # The words are those of kubectl or kustomize, where one is installed.
    with pytest.raises(ManifestError, match=r"^main:mesh.*absent\.yaml") as error:
        read("main:mesh", "mesh")
    assert "meshlab-diff-" not in str(error.value)


def test_a_mesh_config_of_the_repository_is_read_at_the_revision(repository: GitRepository) -> None:
    repository.commit({"mesh/a.yaml": service("here"), "config.yaml": "trustDomain: before.example\n"})
    repository.write({"config.yaml": "trustDomain: now.example\n"})
    config = repository.root / "config.yaml"
    old, new = read_both(*places("main..", "mesh"), mesh_config=config)
    assert old.settings is not None
    assert new.settings is not None
    assert (old.settings.trust_domain, new.settings.trust_domain) == ("before.example", "now.example")


@pytest.mark.parametrize("path", ["../mesh", "a/..", "..", "./a..b"])
def test_what_looks_like_a_range_and_names_a_path_is_a_path(path: str) -> None:
    assert places(path, "x") == (InputPlace(path), InputPlace("x"))


def test_a_file_whose_name_looks_like_a_range_or_a_revision_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a..b", "c:d"):
        (tmp_path / name).write_text(service(name[0]))
    assert [names(given) for given in read("a..b", "c:d")] == [["a"], ["c"]]
