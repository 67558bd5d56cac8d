"""YAML is read as kubectl reads it, or not at all."""

from __future__ import annotations

import pytest
from meshlab.manifest import ManifestError, parse_manifests, parse_yaml, to_manifest
from meshlab.yaml_reader import Ambiguous

OBJECT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: b}\n"


def test_an_object_is_known_by_group_version_kind_and_name() -> None:
    (manifest,) = parse_manifests(OBJECT, "f.yaml")

    assert (manifest.group, manifest.version, manifest.kind) == ("apps", "v1", "Deployment")
    assert str(manifest) == "f.yaml:1: Deployment b/a"


def test_several_documents_are_known_by_their_lines_and_empty_ones_passed_over() -> None:
    manifests = parse_manifests(f"---\n---\n{OBJECT}---\n# nothing\n---\n{OBJECT}", "f.yaml")

    assert [(manifest.source, manifest.line) for manifest in manifests] == [("f.yaml", 3), ("f.yaml", 9)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("True", True),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("0440", 0o440),
        ("0x1f", 31),
        ("1.5", 1.5),
        ("2024-01-02", "2024-01-02"),
        ("12:30:45", "12:30:45"),
        ("127.0.0.1", "127.0.0.1"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("=", "="),
        ("'yes'", "yes"),
        ('"0o17"', "0o17"),
        ("nobody", "nobody"),
        ("1.2.3", "1.2.3"),
        ("300m", "300m"),
    ],
)
def test_a_scalar_has_kubernetes_type(text: str, value: object) -> None:
    assert parse_yaml(f"a: {text}", "f.yaml") == [{"a": value}]


@pytest.mark.parametrize(
    "text", ["yes", "No", "on", "OFF", "y", "N", "0o17", "0b11", "1_000", "089", "1e3", ".inf", ".nan"]
)
def test_a_scalar_that_readers_disagree_on_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match=r"f\.yaml:1: .* read differently .* quote it"):
        parse_yaml(f"a: {text}", "f.yaml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\na: 2\n", "f.yaml:2: the key a stands here twice"),
        ("1: a\n", "the key 1 is not a string"),
        ("on: a\n", "quote it"),
        ("a: &b {c: 1}\nd:\n  <<: *b\n", "merge key"),
        ("a: [1\n", "f.yaml:2: "),
        ("a: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
        ("a: \x00", "not YAML"),
    ],
)
def test_what_could_hide_something_is_refused(text: str, says: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_yaml(text, "f.yaml")

    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a\n", "expected a Kubernetes object"),
        ("kind: A\n", "no metadata"),
        ("metadata: {name: a}\nkind: A\n", "apiVersion: expected a string"),
        ("metadata: {name: a}\napiVersion: v1\n", "kind: expected a string"),
        ("metadata: {namespace: a}\napiVersion: v1\nkind: A\n", "metadata.name: expected a string"),
        (
            "metadata: {name: a, namespace: 1}\napiVersion: v1\nkind: A\n",
            "metadata.namespace: expected a string",
        ),
    ],
)
def test_what_is_no_object_is_refused(text: str, says: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifests(text, "f.yaml")

    assert str(caught.value).startswith("f.yaml:1: ")
    assert says in str(caught.value)


def test_a_list_stands_for_its_items_each_with_its_line() -> None:
    text = """
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: a, namespace: b}
- apiVersion: v1
  kind: ServiceList
  items:
  - apiVersion: v1
    kind: Service
    metadata: {name: c, namespace: b}
"""
    manifests = parse_manifests(text, "f.yaml")

    assert [(manifest.name, manifest.line) for manifest in manifests] == [("a", 5), ("c", 11)]


def test_an_object_without_a_namespace_gets_the_one_that_the_reader_is_given() -> None:
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
    (manifest,) = parse_manifests(text, "f.yaml", namespace="shop")

    assert manifest.namespace == "shop"


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("spec: {ports: {8080: a, true: b}}", {"ports": {"8080": "a", "true": "b"}}),
        ("spec:\n  <<: {a: 1, b: 2}\n  b: 3\n", {"a": 1, "b": 3}),
        ("spec:\n  b: 3\n  <<: [{a: 1}, {a: 2, b: 2}]\n", {"a": 1, "b": 3}),
        ("spec: {on: yes}", {"on": "yes"}),
    ],
)
def test_the_manifests_of_other_people_are_read_as_kubectl_reads_them(text: str, body: object) -> None:
    (manifest,) = parse_manifests(f"{OBJECT}{text}\n", "f.yaml")

    assert manifest.body["spec"] == body


def test_an_ambiguous_scalar_is_marked_and_a_key_that_stands_twice_is_known() -> None:
    (manifest,) = parse_manifests(f"{OBJECT}spec:\n  a: yes\n  b: 1\n  b: 2\n", "f.yaml")

    assert isinstance(manifest.body["spec"]["a"], Ambiguous)
    assert manifest.body["spec"].duplicates == {"b": 7}


def test_a_field_is_found_by_its_line() -> None:
    (manifest,) = parse_manifests(f"{OBJECT}spec:\n  rules:\n  - a\n  - b: 1\n    c: 2\n", "f.yaml")

    assert manifest.line_of(("spec", "rules", 1, "c")) == 8
    assert manifest.line_of(("spec", "rules", 1, "missing")) == 7
    assert str(manifest.problem(("spec", "rules", 1, "c"), "wrong.")) == (
        "f.yaml:8: Deployment b/a: spec.rules[1].c: wrong."
    )


def test_aliases_that_unfold_to_billions_are_refused() -> None:
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    with pytest.raises(ManifestError, match="aliases unfold to too much"):
        parse_manifests(f"a0: &a0 [1]\n{levels}", "f.yaml")


def test_a_text_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(ManifestError, match="nested too deeply"):
        parse_manifests(f"a: {'[' * 5_000}{']' * 5_000}", "f.yaml")


@pytest.mark.parametrize("nested", ["[" * 90_000 + "]" * 90_000, "{a: " * 90_000, "\n" + "- " * 5_000 + "x"])
def test_what_is_nested_without_end_is_refused_before_it_is_read(nested: str) -> None:
    with pytest.raises(ManifestError, match=r"mesh\.yaml:\d.*nested too deeply"):
        parse_manifests(f"spec: {nested}\n", "mesh.yaml")


@pytest.mark.parametrize("name", ["../../x", "..", "a b", "a\nb", "\x1b[31ma", "a/b", "x" * 254])
def test_a_name_that_could_leave_a_directory_or_paint_a_terminal_is_refused(name: str) -> None:
    body = {"apiVersion": "v1", "kind": "Service"}
    for metadata in ({"name": name}, {"name": "a", "namespace": name}):
        with pytest.raises(ManifestError) as caught:
            to_manifest({**body, "metadata": metadata}, "mesh.yaml")
        assert "is not a name that Kubernetes takes" in str(caught.value)
        assert str(caught.value).isprintable()


def test_a_name_of_another_kind_may_hold_colons_and_dots() -> None:
    metadata = {"name": "system:node.v1_x"}
    assert (
        to_manifest({"apiVersion": "v1", "kind": "X", "metadata": metadata}, "a").name == "system:node.v1_x"
    )
