"""The kustomize and kubectl of the machine: how they are run, and what becomes of their failures."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from meshlab.kustomize import build, build_any, build_with_tool
from meshlab.manifest import ManifestError

from tests.lab.kustomizations import SERVICE, by_identity, write

if TYPE_CHECKING:
    from pathlib import Path

PATH = os.environ["PATH"]
KUSTOMIZATION = {"kustomization.yaml": "{resources: [all.yaml], namePrefix: a-}", "all.yaml": SERVICE}


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave one empty directory on the PATH, beside the shell, and return it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    return programs


def script(path: Path, text: str) -> None:
    """Write an executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_kustomize_is_asked_and_its_objects_are_read(tmp_path: Path, install: Path) -> None:
    script(install / "kustomize", f"echo \"$@\" > {tmp_path}/asked; echo '{SERVICE}'")

    manifests = build_with_tool(tmp_path)

    assert manifests is not None
    assert [str(manifest) for manifest in manifests] == [f"{tmp_path} (kustomize build):1: Service web"]
    assert (tmp_path / "asked").read_text() == f"build {tmp_path}\n"


def test_kubectl_is_asked_where_there_is_no_kustomize(tmp_path: Path, install: Path) -> None:
    script(install / "kubectl", f"echo \"$@\" > {tmp_path}/asked; echo '{SERVICE}'")

    build_with_tool(tmp_path)

    assert (tmp_path / "asked").read_text() == f"kustomize {tmp_path}\n"


def test_kustomize_comes_before_kubectl(tmp_path: Path, install: Path) -> None:
    script(install / "kubectl", "exit 1")
    script(install / "kustomize", f"echo '{SERVICE}'")

    assert build_with_tool(tmp_path)


def test_there_is_no_result_where_neither_is_installed(tmp_path: Path, install: Path) -> None:
    assert build_with_tool(tmp_path) is None


def test_the_message_of_the_tool_is_kept(tmp_path: Path, install: Path) -> None:
    script(install / "kustomize", "echo 'Error: no such' >&2; echo '  file' >&2; exit 1")

    with pytest.raises(ManifestError) as caught:
        build_with_tool(tmp_path)

    assert str(caught.value) == f"{tmp_path}: kustomize build: Error: no such file"


@pytest.mark.parametrize(
    "url", ["https://github.com/a/b/base?ref=v1", "github.com/a/b", "git@github.com:a/b"]
)
def test_a_remote_base_of_a_base_is_named_and_not_every_way_to_it(
    tmp_path: Path, install: Path, url: str
) -> None:
    error = (
        "Error: accumulating resources: accumulation err='accumulating resources from '../one': '/x/one' must resolve "
        "to a file': recursed accumulation of path '/x/one': accumulating resources from '../two': recursed "
        f"accumulation of path '/x/two': accumulating resources from '{url}': git fetch: transport not allowed"
    )
    (tmp_path / "error").write_text(f"# Warning: 'vars' is deprecated.\n{error}\n")
    script(install / "kustomize", f'while read -r line; do echo "$line"; done < {tmp_path}/error >&2; exit 1')

    with pytest.raises(ManifestError) as caught:
        build_with_tool(tmp_path)

    assert str(caught.value) == (
        f"{tmp_path}: kustomize build: in /x/two: {url} is remote, and nothing is fetched here; list a copy of it."
    )


def test_the_tool_cannot_fetch_anything(
    tmp_path: Path, install: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    monkeypatch.setenv("NO_PROXY", "*")
    script(
        install / "kustomize", 'echo "$GIT_ALLOW_PROTOCOL $HTTPS_PROXY $https_proxy $NO_PROXY" >&2; exit 1'
    )

    with pytest.raises(ManifestError, match=r"kustomize build: file http://127\.0\.0\.1:9"):
        build_with_tool(tmp_path)


def test_output_that_is_no_object_is_refused(tmp_path: Path, install: Path) -> None:
    script(install / "kustomize", "echo 'kind: Service'")

    with pytest.raises(ManifestError, match=r"\(kustomize build\):1: the object has no metadata"):
        build_with_tool(tmp_path)


def test_a_program_that_cannot_run_is_refused(tmp_path: Path, install: Path) -> None:
    (install / "kustomize").write_bytes(b"\x7fELF")
    (install / "kustomize").chmod(0o755)

    with pytest.raises(ManifestError, match=r"kustomize build: .*; run it by hand to see why"):
        build_with_tool(tmp_path)


def test_any_build_prefers_the_tool(tmp_path: Path, install: Path) -> None:
    script(install / "kustomize", f"echo '{SERVICE.replace('web', 'tool')}'")
    write(tmp_path, KUSTOMIZATION)

    assert [manifest.name for manifest in build_any(tmp_path)] == ["tool"]


def test_any_build_does_without_the_tool(tmp_path: Path, install: Path) -> None:
    write(tmp_path, KUSTOMIZATION)

    assert [manifest.name for manifest in build_any(tmp_path)] == ["a-web"]


@pytest.mark.parametrize("tool", ["kustomize", "kubectl"])
def test_the_real_tool_builds_the_same(tmp_path: Path, install: Path, tool: str) -> None:
    program = shutil.which(tool, path=PATH)
    if program is None:
        pytest.skip(f"{tool} is not installed; it would have shown that its output is read")
    (install / tool).symlink_to(program)
    write(tmp_path, KUSTOMIZATION)

    theirs = build_with_tool(tmp_path)

    assert theirs is not None
    assert by_identity([dict(manifest.body) for manifest in theirs]) == by_identity(
        [dict(manifest.body) for manifest in build(tmp_path)]
    )
