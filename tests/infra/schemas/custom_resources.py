"""What an API server says of an object of a CustomResourceDefinition, decided by its schema and its CEL rules.

An unknown field is an error, as with `kubectl apply --validate=strict`. Rules are evaluated by Google's CEL. Only what
Istio's definitions use is known; anything else is an error, so that no condition is passed over in silence. Sources:
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/ and
https://kubernetes.io/docs/reference/using-api/cel/.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jsonschema
import yaml
from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["CustomResources", "read_definitions"]

Schema = dict[str, Any]

_ABOUT_VALUES = {
    "type", "enum", "format", "pattern", "required", "nullable", "minimum", "maximum", "minLength", "maxLength",
    "minItems", "maxItems", "minProperties", "maxProperties", "allOf", "anyOf", "oneOf", "not",
}  # fmt: skip
_KNOWN = _ABOUT_VALUES | {
    "description", "properties", "items", "additionalProperties", "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-int-or-string", "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
}  # fmt: skip


def read_definitions(file: Path) -> list[dict[str, Any]]:
    """Read the CustomResourceDefinitions of a file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with file.open(encoding="utf-8") as text:
        return [found for found in yaml.load_all(text, loader) if found]


class CustomResources:
    """The kinds that some CustomResourceDefinitions define."""

    def __init__(self, definitions: Iterable[Mapping[str, Any]]) -> None:
        self._schemas: dict[tuple[str, str], tuple[Schema, bool]] = {}
        for found in definitions:
            spec = found["spec"]
            for version in spec["versions"]:
                if version["served"]:
                    key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                    schema = version["schema"]["openAPIV3Schema"]
                    self._schemas[key] = (schema, spec["scope"] == "Namespaced")
        self._validators: dict[tuple[str, str], jsonschema.Draft7Validator] = {}

    def problems(self, body: Mapping[str, Any]) -> list[str]:
        """Return why an object is refused, as `FIELD: REASON`; nothing for one that is accepted."""
        value = json.loads(json.dumps(body))
        key = (value["apiVersion"], value["kind"])
        if key not in self._schemas:
            return [f"{value['kind']}: {value['apiVersion']} has no such kind"]
        schema, namespaced = self._schemas[key]
        if bool(value["metadata"].get("namespace")) is not namespaced:
            return [f"metadata.namespace: {'needed' if namespaced else 'not allowed'}"]
        if key not in self._validators:
            self._validators[key] = jsonschema.Draft7Validator(_root(schema))
        errors = self._validators[key].iter_errors(value)
        found = [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]
        # As in an API server, rules are asked only about a value of the right shape.
        return found or list(_broken_rules(schema, value, ""))


def _root(schema: Schema) -> Schema:
    """Return the strict schema of a whole object, whose own fields the API server knows."""
    own = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    strict = _strict({**schema, "properties": {**schema["properties"], **own}})
    strict["properties"]["metadata"] = {"type": "object", "required": ["name"]}
    return strict


def _strict(schema: Schema) -> Schema:
    """Return JSON Schema for a structural schema, in which a field that is not written down is refused."""
    if unknown := schema.keys() - _KNOWN:
        raise NotImplementedError(", ".join(sorted(unknown)))
    strict = {key: value for key, value in schema.items() if key in _ABOUT_VALUES}
    kinds = [strict["type"]] if "type" in strict else []
    if not kinds and "properties" in schema:
        raise NotImplementedError("properties without a type")
    if schema.get("x-kubernetes-int-or-string"):
        kinds = ["integer", "string"]
    if strict.pop("nullable", False) and kinds:
        kinds.append("null")
    if kinds:
        strict["type"] = kinds
    if strict.pop("format", "") == "int32":
        strict["minimum"] = max(strict.get("minimum", -(2**31)), -(2**31))
        strict["maximum"] = min(strict.get("maximum", 2**31 - 1), 2**31 - 1)
    if "items" in schema:
        strict["items"] = _strict(schema["items"])
    if strict.get("type") and "object" in strict["type"]:
        strict["properties"] = {name: _strict(found) for name, found in schema.get("properties", {}).items()}
        more = schema.get("additionalProperties", schema.get("x-kubernetes-preserve-unknown-fields", False))
        strict["additionalProperties"] = _strict(more) if isinstance(more, dict) else more
    return strict


def _broken_rules(schema: Schema, value: object, path: str) -> Iterator[str]:
    if value is None:
        return
    for rule in schema.get("x-kubernetes-validations", ()):
        if unknown := rule.keys() - {"rule", "message"}:
            raise NotImplementedError(", ".join(sorted(unknown)))
        result = _compiled(rule["rule"]).eval(data={"self": value})
        if result.type() == cel.Type.ERROR or result.plain_value() is not True:
            yield f"{path}: {rule.get('message', rule['rule'])}"
    if isinstance(value, dict):
        more = schema.get("additionalProperties")
        for name, item in value.items():
            found = schema.get("properties", {}).get(name, more)
            if isinstance(found, dict):
                yield from _broken_rules(found, item, f"{path}.{name}".removeprefix("."))
    if isinstance(value, list) and "items" in schema:
        if schema.get("x-kubernetes-list-type") == "map":
            keys = [tuple(item.get(key) for key in schema["x-kubernetes-list-map-keys"]) for item in value]
            yield from (f"{path}: {key} twice" for key in sorted(set(keys), key=str) if keys.count(key) > 1)
        for index, item in enumerate(value):
            yield from _broken_rules(schema["items"], item, f"{path}.{index}")


def _url(text: str) -> str:
    """Return a URL that Kubernetes' `url` takes: it has a scheme, or it is an absolute path."""
    absolute = urlsplit(text).scheme or text.startswith("/")
    if not absolute or re.search("%(?![0-9A-Fa-f]{2})", text):
        raise ValueError(f"{text} is no URL")
    return text


def _is_url(text: str) -> bool:
    try:
        return bool(_url(text))
    except ValueError:
        return False


def _function(
    name: str, implementation: object, result: cel.Type, *, member: bool = False
) -> cel.FunctionDecl:
    overload = cel.Overload(
        f"{name}_string",
        return_type=result,
        parameters=[cel.Type.STRING],
        is_member=member,
        impl=implementation,
    )
    return cel.FunctionDecl(name, [overload])


_ENVIRONMENT = cel.NewEnv(
    variables={"self": cel.Type.DYN},
    extensions=[ext_strings.ExtStrings()],
    # Kubernetes' own library for URLs, as far as rules ask for the scheme: the URL stays a string.
    functions=[
        _function("url", _url, cel.Type.STRING),
        _function("isURL", _is_url, cel.Type.BOOL),
        _function("getScheme", lambda text: urlsplit(text).scheme, cel.Type.STRING, member=True),
    ],
)


@cache
def _compiled(rule: str) -> cel.Expression:
    return _ENVIRONMENT.compile(rule)
