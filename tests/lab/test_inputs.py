"""Anything that a user names is read: files, directories, kustomizations, standard input."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from meshlab.errors import LabError
from meshlab.inputs import read_inputs

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: NAME}\nspec: {ports: [{port: 80}]}\n"


def service(name: str, namespace: str = "") -> str:
    text = SERVICE.replace("NAME", name)
    return text.replace("}\nspec", f", namespace: {namespace}}}\nspec") if namespace else text


def write(directory: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(directory)


def names(inputs: object) -> list[str]:
    return [f"{manifest.namespace}/{manifest.name}" for manifest in inputs.manifests]  # type: ignore[attr-defined]


def test_a_directory_is_read_recursively_and_what_is_no_manifest_is_named(tmp_path: Path) -> None:
    directory = write(
        tmp_path,
        {
            "b.yaml": service("b"),
            "deep/a.yml": service("a", "shop"),
            "deep/c.json": '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "c"}}',
            "values.yaml": "replicas: 2\n",
            "empty.yaml": "# nothing\n",
            "chart/templates/x.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: {{ .Values.name }}}\n",
            "readme.md": "apiVersion: v1",
            ".hidden/d.yaml": service("d"),
        },
    )

    found = read_inputs([directory])

    assert names(found) == ["default/b", "shop/a", "default/c"]
    reasons = {passed.file.removeprefix(f"{directory}/"): passed.reason for passed in found.passed_over}
    assert set(reasons) == {"values.yaml:1", "empty.yaml", "chart/templates/x.yaml"}
    assert "helm template" in reasons["chart/templates/x.yaml"]
    assert found.unreadable == ()


def test_a_file_may_hold_manifests_beside_other_documents(tmp_path: Path) -> None:
    directory = write(tmp_path, {"a.yaml": f"replicas: 2\n---\n{service('a')}"})

    found = read_inputs([directory])

    assert names(found) == ["default/a"]
    assert [passed.file for passed in found.passed_over] == [f"{directory}/a.yaml:1"]


def test_a_directory_with_a_kustomization_is_built(tmp_path: Path) -> None:
    kustomization = "kind: Kustomization\nnamespace: shop\nresources: [a.yaml]\n"
    directory = write(
        tmp_path, {"kustomization.yaml": kustomization, "a.yaml": service("a"), "b.yaml": service("b")}
    )

    assert names(read_inputs([directory])) == ["shop/a"]
    assert names(read_inputs([f"{directory}/kustomization.yaml"])) == ["shop/a"]


def test_a_kustomization_further_down_is_not_built_and_named(tmp_path: Path) -> None:
    files = {"base/kustomization.yaml": "resources: [a.yaml]\n", "base/a.yaml": service("a")}
    found = read_inputs([write(tmp_path, files)])

    assert names(found) == ["default/a"]
    assert "name its directory" in found.passed_over[0].reason


def test_standard_input_is_read_and_a_list_stands_for_its_items(tmp_path: Path) -> None:
    items = "".join(f"- {service(name)}".replace("\n", "\n  ").rstrip(" ") for name in ("a", "b"))
    text = f"apiVersion: v1\nkind: List\nitems:\n{items}"

    assert names(read_inputs(["-"], stdin=io.StringIO(text), namespace="shop")) == ["shop/a", "shop/b"]


def test_what_has_no_namespace_in_kubernetes_gets_none(tmp_path: Path) -> None:
    text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"

    assert names(read_inputs(["-"], stdin=io.StringIO(text))) == ["/shop"]


def test_a_manifest_that_cannot_be_read_is_kept_as_a_problem(tmp_path: Path) -> None:
    directory = write(
        tmp_path, {"a.yaml": service("a"), "b.yaml": f"{service('b')}\n  x: [", "c.yaml": "a: [1\n"}
    )

    found = read_inputs([directory])

    assert names(found) == ["default/a"]
    (problem,) = found.unreadable
    assert str(problem).startswith(f"{directory}/b.yaml:")
    assert [passed.file for passed in found.passed_over] == [f"{directory}/c.yaml"]


def test_a_file_that_was_named_must_be_yaml(tmp_path: Path) -> None:
    directory = write(tmp_path, {"c.yaml": "a: [1\n"})

    assert len(read_inputs([f"{directory}/c.yaml"]).unreadable) == 1


def test_an_object_without_a_name_is_kept_as_a_problem(tmp_path: Path) -> None:
    text = "apiVersion: v1\nkind: Service\nmetadata: {generateName: a-}\n"

    (problem,) = read_inputs(["-"], stdin=io.StringIO(text)).unreadable
    assert "metadata.name: expected a string" in str(problem)


@pytest.mark.parametrize(
    ("files", "path", "says"),
    [({}, "nothing", "there is no such file"), ({"a.txt": "x"}, "", "holds no Kubernetes object")],
)
def test_a_path_that_leads_to_nothing_is_refused(
    tmp_path: Path, files: dict[str, str], path: str, says: str
) -> None:
    with pytest.raises(LabError, match=says):
        read_inputs([f"{write(tmp_path, files)}/{path}"])
