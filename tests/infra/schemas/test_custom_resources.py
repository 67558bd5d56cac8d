"""The reader of CustomResourceDefinitions, on made-up ones: it accepts and refuses what an API server would."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.schemas.custom_resources import CustomResources

_PORT = {"type": "integer", "minimum": 0, "maximum": 4294967295}
_ITEM = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "port": _PORT},
    "x-kubernetes-validations": [
        {"rule": "!has(self.port) || self.port > 9", "message": "a port has two digits"}
    ],
}
_SPEC = {
    "type": "object",
    "description": "All of it.",
    "properties": {
        "items": {
            "type": "array",
            "items": _ITEM,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
        "labels": {
            "type": "object",
            "additionalProperties": {"type": "string", "x-kubernetes-validations": [{"rule": "self != '*'"}]},
            "x-kubernetes-validations": [
                {"rule": "self.all(key, key.size() != 0)", "message": "an empty key"}
            ],
        },
        "wait": {"type": "string", "x-kubernetes-validations": [{"rule": "duration(self) > duration('0s')"}]},
        "from": {
            "type": "string",
            "x-kubernetes-validations": [{"rule": "url(self).getScheme() in ['http', 'https']"}],
        },
        "image": {"type": "string", "x-kubernetes-validations": [{"rule": "isURL(self)"}]},
        "anything": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "none": {"type": "object", "nullable": True},
        "small": {"type": "integer", "format": "int32"},
        "either": {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
        },
    },
    "oneOf": [{"not": {"anyOf": [{"required": ["wait"]}]}}, {"required": ["wait"]}],
    "x-kubernetes-validations": [
        {
            "rule": "(has(self.wait) ? 1 : 0) + (has(self.from) ? 1 : 0) <= 1",
            "message": "one of wait and from",
        }
    ],
}


def _definition(spec: dict[str, Any], *, scope: str = "Namespaced", served: bool = True) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"spec": spec, "status": {"type": "object"}}}
    version = {"name": "v1", "served": served, "schema": {"openAPIV3Schema": schema}}
    return {"spec": {"group": "a.example", "names": {"kind": "A"}, "scope": scope, "versions": [version]}}


def _problems(spec: object, definition: dict[str, Any] | None = None, namespace: str = "n") -> list[str]:
    metadata = {"name": "a", "labels": {"any": "label"}, **({"namespace": namespace} if namespace else {})}
    body = {"apiVersion": "a.example/v1", "kind": "A", "metadata": metadata, "spec": spec}
    return CustomResources([definition or _definition(_SPEC)]).problems(body)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"items": [{"name": "a", "port": 10}, {"name": "b"}]},
        {"labels": {"a": "b"}},
        {"wait": "1h0.5s"},
        {"from": "https://a.example/keys"},
        {"image": "oci://a"},
        {"image": "/a/path"},
        {"anything": {"at": {"all": [1]}}},
        {"none": None},
        {"small": 2147483647},
        {"either": 1},
        {"either": "1"},
    ],
)
def test_what_the_schema_and_the_rules_allow_is_accepted(spec: object) -> None:
    assert _problems(spec) == []


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"item": []}, "spec: Additional properties are not allowed ('item' was unexpected)"),
        (
            {"items": [{"name": "a", "ports": 1}]},
            "spec.items.0: Additional properties are not allowed ('ports' was unexpected)",
        ),
        ({"none": {"a": 1}}, "spec.none: Additional properties are not allowed ('a' was unexpected)"),
        ({"items": [{"port": 10}]}, "spec.items.0: 'name' is a required property"),
        ({"items": {"name": "a"}}, "spec.items: {'name': 'a'} is not of type 'array'"),
        ({"items": None}, "spec.items: None is not of type 'array'"),
        ({"small": 2147483648}, "spec.small: 2147483648 is greater than the maximum of 2147483647"),
        ({"items": [{"name": "a", "port": 9}]}, "spec.items.0: a port has two digits"),
        ({"items": [{"name": "a"}, {"name": "a"}]}, "spec.items: ('a',) twice"),
        ({"labels": {"a": "*"}}, "spec.labels.a: self != '*'"),
        ({"labels": {"": "a"}}, "spec.labels: an empty key"),
        ({"wait": "0s"}, "spec.wait: duration(self) > duration('0s')"),
        ({"wait": "soon"}, "spec.wait: duration(self) > duration('0s')"),
        ({"wait": "1s", "from": "http://a"}, "spec: one of wait and from"),
        ({"from": "ftp://a"}, "spec.from: url(self).getScheme() in ['http', 'https']"),
        ({"from": "a.example"}, "spec.from: url(self).getScheme() in ['http', 'https']"),
        ({"image": "a.example/b"}, "spec.image: isURL(self)"),
        ({"image": "http://a.example/%b$"}, "spec.image: isURL(self)"),
    ],
)
def test_what_they_refuse_is_refused_with_its_place(spec: object, problem: str) -> None:
    assert _problems(spec) == [problem]


def test_a_field_beside_spec_is_refused() -> None:
    body = {
        "apiVersion": "a.example/v1",
        "kind": "A",
        "metadata": {"name": "a", "namespace": "n"},
        "rules": [],
    }
    (problem,) = CustomResources([_definition(_SPEC)]).problems(body)
    assert "'rules' was unexpected" in problem


def test_the_scope_counts() -> None:
    assert _problems({}, namespace="") == ["metadata.namespace: needed"]
    cluster = _definition(_SPEC, scope="Cluster")
    assert _problems({}, cluster) == ["metadata.namespace: not allowed"]
    assert _problems({}, cluster, namespace="") == []


def test_a_version_that_is_not_served_is_unknown() -> None:
    assert _problems({}, _definition(_SPEC, served=False)) == ["A: a.example/v1 has no such kind"]


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "object", "properties": {"a": {"type": "string", "default": "b"}}},
        {
            "type": "object",
            "x-kubernetes-validations": [{"rule": "self == oldSelf", "optionalOldSelf": True}],
        },
    ],
)
def test_a_word_that_the_reader_does_not_know_is_an_error(spec: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError, match=r"default|optionalOldSelf"):
        _problems({}, _definition(spec))
