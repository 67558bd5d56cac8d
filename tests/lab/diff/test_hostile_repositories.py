"""A repository from elsewhere: nothing of it is run, nothing is hidden by it, and nothing is written outside."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from meshlab.diff.checkout import write
from meshlab.diff.input_sources import places, read_both
from meshlab.diff.repository import Repository
from meshlab.errors import LabError
from meshlab.manifest import ManifestError

from tests.lab.diff.git_repository import GitRepository

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = (
    "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: {ports: [{port: 80}]}\n"
)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitRepository:
    found = GitRepository.new(tmp_path / "repository")
    monkeypatch.chdir(found.root)
    return found


def read(old: str, new: str) -> list[str]:
    given, _ = read_both(*places(old, new))
    return [manifest.name for manifest in given.inputs.manifests]


def test_no_program_that_the_repository_names_is_run(repository: GitRepository, tmp_path: Path) -> None:
    repository.commit(
        {
            "mesh/a.yaml": SERVICE,
            ".gitattributes": "*.yaml filter=evil diff=evil\n",
            ".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ext::sh -c evil\n\tupdate = !evil\n',
        }
    )
    evil, proof = tmp_path / "evil", tmp_path / "it-was-run"
    evil.write_text(f"#!/bin/sh\ntouch {proof}\ncat\n")
    evil.chmod(evil.stat().st_mode | stat.S_IXUSR)
    for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc"):
        hook = repository.root / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(evil.read_text())
        hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    for key in (
        "core.fsmonitor",
        "core.pager",
        "pager.ls-tree",
        "pager.cat-file",
        "core.sshCommand",
        "core.editor",
        "core.alternateRefsCommand",
        "diff.external",
        "diff.evil.textconv",
        "filter.evil.smudge",
        "filter.evil.clean",
        "filter.evil.process",
        "credential.helper",
        "alias.ls-tree",
        "alias.cat-file",
    ):
        repository.git("config", key, f"!{evil}" if key.startswith("alias") else str(evil))
    repository.git("config", "filter.evil.required", "true")
    assert read("main..", "mesh") == ["cart"]
    assert not proof.exists()


def test_a_partial_clone_does_not_fetch_what_it_lacks_by_a_command(
    repository: GitRepository, tmp_path: Path
) -> None:
    repository.commit({"mesh/a.yaml": SERVICE})
    proof = tmp_path / "it-was-run"
    oid = repository.git("rev-parse", "main:mesh/a.yaml")
    repository.git("config", "core.repositoryFormatVersion", "1")
    repository.git("config", "extensions.partialClone", "origin")
    repository.git("config", "remote.origin.promisor", "true")
    repository.git("config", "protocol.ext.allow", "always")
    repository.git("config", "remote.origin.url", f"ext::sh -c touch% {proof}")
    lost = repository.root / ".git/objects" / oid[:2] / oid[2:]
    lost.unlink()
    with pytest.raises(LabError, match=r"git does not hold the content of mesh/a\.yaml"):
        read("main:mesh", "mesh")
    assert not proof.exists()


def test_the_environment_of_git_leads_to_no_other_repository(
    repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"mesh/a.yaml": SERVICE})
    other = GitRepository.new(tmp_path / "other")
    other.commit({"mesh/a.yaml": SERVICE.replace("cart", "other")})
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "/bin/false")
    assert read("main..", "mesh") == ["cart"]


@pytest.mark.parametrize("attribute", ["export-ignore", "export-subst", "ident", "text=auto eol=crlf"])
def test_attributes_neither_hide_nor_change_a_manifest(repository: GitRepository, attribute: str) -> None:
    text = SERVICE.replace("name: cart", 'name: cart, labels: {at: "$Format:%H$ $Id$"}')
    repository.commit({"mesh/a.yaml": text, ".gitattributes": f"*.yaml {attribute}\n"})
    repository.write({".git/info/attributes": f"*.yaml {attribute}\n"})
    given, _ = read_both(*places("main:mesh", "mesh"))
    (manifest,) = given.inputs.manifests
    assert manifest.body["metadata"]["labels"] == {"at": "$Format:%H$ $Id$"}


def test_a_replaced_object_is_read_as_it_was_committed(repository: GitRepository) -> None:
    first = repository.commit({"mesh/a.yaml": SERVICE})
    second = repository.commit({"mesh/a.yaml": SERVICE.replace("cart", "other")})
    repository.git("replace", second, first)
    assert read("main:mesh", "mesh") == ["other"]


@pytest.mark.parametrize("target", ["/etc", "../../outside", "../mesh/../../outside"])
def test_a_link_that_leaves_the_repository_is_refused(
    repository: GitRepository, tmp_path: Path, target: str
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/a.yaml").write_text(SERVICE)
    repository.commit({"mesh/a.yaml": SERVICE})
    (repository.root / "mesh/more.yaml").symlink_to(f"{target}/a.yaml")
    (repository.root / "linked").symlink_to(target)
    repository.commit()
    with pytest.raises(LabError, match=r"main:mesh/more\.yaml: it is a symbolic link that leads out"):
        read("main:mesh", "mesh/a.yaml")
    with pytest.raises(LabError, match="main:linked: it is a symbolic link that leads out"):
        read("main:linked", "mesh/a.yaml")


def test_links_that_leave_only_together_are_refused_together(repository: GitRepository) -> None:
    up = repository.blob(b"..")
    out = repository.blob(b"deep/up/../../outside.yaml")
    cart = repository.blob(SERVICE.encode())
    deep = repository.tree(("120000", "up", up))
    commit = repository.commit_tree(
        repository.tree(("100644", "a.yaml", cart), ("40000", "deep", deep), ("120000", "out.yaml", out))
    )
    repository.write({"a.yaml": SERVICE})
    with pytest.raises(LabError, match=r"out\.yaml: it is a symbolic link that leads out"):
        read(f"{commit}:.", "a.yaml")


def test_a_link_that_stays_inside_is_followed(repository: GitRepository) -> None:
    repository.commit({"real/a.yaml": SERVICE})
    (repository.root / "current").symlink_to("real")
    repository.commit()
    assert read("main:current", "real") == ["cart"]


def test_a_link_that_leads_in_a_circle_is_left_out(repository: GitRepository) -> None:
    repository.commit({"mesh/a.yaml": SERVICE})
    (repository.root / "circle").symlink_to("circle")
    repository.commit()
    assert read("main:mesh", "mesh") == ["cart"]
    with pytest.raises(LabError):
        read("main:circle", "mesh")


@pytest.mark.parametrize("name", ["..", ".git", "../x", "/etc/x", "a/../../x", "."])
def test_a_tree_with_a_name_that_leads_elsewhere_is_refused(
    repository: GitRepository, tmp_path: Path, name: str
) -> None:
    blob = repository.blob(SERVICE.encode())
    inner = repository.tree(("100644", "x", blob))
    entry = ("40000", name, inner) if name in ("..", ".git", ".") else ("100644", name, blob)
    commit = repository.commit_tree(repository.tree(("100644", "a.yaml", blob), entry))
    repository.write({"a.yaml": SERVICE})
    before = sorted(tmp_path.rglob("*.yaml"))
    with pytest.raises(LabError, match="would be written elsewhere"):
        read(f"{commit}:.", "a.yaml")
    assert sorted(tmp_path.rglob("*.yaml")) == before


def test_a_file_below_a_link_is_refused(repository: GitRepository, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    blob, link = repository.blob(SERVICE.encode()), repository.blob(str(tmp_path / "outside").encode())
    inner = repository.tree(("100644", "a.yaml", blob))
    commit = repository.commit_tree(repository.tree(("120000", "x", link), ("40000", "x", inner)))
    repository.write({"a.yaml": SERVICE})
    with pytest.raises(LabError):
        read(f"{commit}:.", "a.yaml")
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_kustomization_that_leaves_the_repository_is_refused(
    repository: GitRepository, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kustomization.yaml").write_text("resources: [a.yaml]\n")
    (outside / "a.yaml").write_text(SERVICE)
    repository.commit({"mesh/a.yaml": SERVICE, "mesh/kustomization.yaml": f"resources: [{outside}]\n"})
    with pytest.raises((LabError, ManifestError), match=r"outside|absolute|no such|cannot be read"):
        read("main:mesh", "mesh/a.yaml")


def test_a_pointer_of_git_lfs_is_not_taken_for_a_manifest(repository: GitRepository) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    repository.commit({"mesh/a.yaml": SERVICE, "mesh/b.yaml": pointer})
    with pytest.raises(LabError, match=r"main:mesh/b\.yaml: it is a pointer of Git LFS"):
        read("main:mesh", "mesh/a.yaml")


def test_a_submodule_is_said(repository: GitRepository) -> None:
    commit = repository.commit({"mesh/a.yaml": SERVICE})
    tree = repository.tree(("160000", "sub", commit))
    outer = repository.commit_tree(tree)
    with pytest.raises(LabError, match="sub: it is a submodule"):
        read(f"{outer}:sub", "mesh")


def test_a_revision_that_is_too_large_is_said(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repository.commit({"mesh/a.yaml": SERVICE})
    monkeypatch.setattr("meshlab.diff.checkout._MOST_BYTES", 10)
    found = Repository.of(repository.root)
    with pytest.raises(LabError, match="more than the limit"):
        write(found, found.entries(found.tree("main")), tmp_path)
