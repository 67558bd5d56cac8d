"""YAML is read as kubectl reads it, or not at all."""

from __future__ import annotations

import pytest
from meshlab.manifest import ManifestError, parse_manifests, parse_yaml

OBJECT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: b}\n"


def test_an_object_is_known_by_group_version_kind_and_name() -> None:
    (manifest,) = parse_manifests(OBJECT, "f.yaml")

    assert (manifest.group, manifest.version, manifest.kind) == ("apps", "v1", "Deployment")
    assert str(manifest) == "f.yaml: Deployment b/a"


def test_several_documents_are_counted_and_empty_ones_passed_over() -> None:
    manifests = parse_manifests(f"---\n---\n{OBJECT}---\n# nothing\n---\n{OBJECT}", "f.yaml")

    assert [manifest.source for manifest in manifests] == ["f.yaml#1", "f.yaml#2"]


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
    with pytest.raises(ManifestError, match=r"f\.yaml: line 1: .* read differently .* quote it"):
        parse_yaml(f"a: {text}", "f.yaml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\na: 2\n", "line 2: the key a stands here twice"),
        ("1: a\n", "the key 1 is not a string"),
        ("on: a\n", "quote it"),
        ("a: &b {c: 1}\nd:\n  <<: *b\n", "merge key"),
        ("a: [1\n", "line 2"),
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
        ("metadata: {name: a}\napiVersion: v1\nkind: List\n", "kind: List is not read"),
    ],
)
def test_what_is_no_object_is_refused(text: str, says: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifests(text, "f.yaml")

    assert str(caught.value).startswith("f.yaml: ")
    assert says in str(caught.value)
