"""`configMapGenerator` and `secretGenerator`: objects out of literals, env files and whole files."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from meshlab.kustomize import fields
from meshlab.kustomize.pairs import read_pairs
from meshlab.kustomize.resource import Resource
from meshlab.kustomize.resource_list import append, by_any_id
from meshlab.manifest import ManifestError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.kustomize.kustomization import Kustomization

__all__ = ["generate"]

_OPTIONS = ("disableNameSuffixHash", "labels", "annotations", "immutable")
_FIELDS = ("name", "namespace", "behavior", "literals", "envs", "env", "files", "options")
_BEHAVIORS = ("merge", "replace")  # any other text means create, as in kustomize
_BASE64_LINE = 70  # characters


def generate(
    kind: str, entry: object, resources: list[Resource], kustomization: Kustomization, where: str
) -> None:
    """Generate one object, and add it to the others or merge it into one of them, in place.

    Args:
        kind: ConfigMap or Secret.
        entry: The generator as written.
        resources: The objects so far.
        kustomization: The kustomization, of which `generatorOptions` count too.
        where: The generator's place, for messages.

    Raises:
        ManifestError: An unknown field, a malformed source, or an object that the behavior does not allow for.
    """
    known = (*_FIELDS, "type") if kind == "Secret" else _FIELDS
    spec = fields.known(entry, known, where)
    generated = _make(kind, spec, kustomization, where)
    pairs = read_pairs(spec, kustomization, where)
    generated.body |= _secret_data(spec, pairs, where) if kind == "Secret" else _config_map_data(pairs)
    behavior = fields.optional(spec.get("behavior"), f"{where}.behavior")
    _absorb(generated, behavior, resources, where)


def _make(kind: str, spec: dict[str, Any], kustomization: Kustomization, where: str) -> Resource:
    options = _Options(
        fields.known(
            kustomization.spec.get("generatorOptions"), _OPTIONS, f"{kustomization.path}: generatorOptions"
        ),
        fields.known(spec.get("options"), _OPTIONS, f"{where}.options"),
        where,
    )
    metadata: dict[str, Any] = {"name": fields.string(spec.get("name"), f"{where}.name")}
    namespace = fields.optional(spec.get("namespace"), f"{where}.namespace")
    metadata |= {"namespace": namespace} if namespace else {}
    for name in ("annotations", "labels"):
        pairs = options.pairs(name)
        metadata |= {name: pairs} if pairs else {}
    body: dict[str, Any] = {"apiVersion": "v1", "kind": kind, "metadata": metadata}
    if options.either("immutable"):
        body["immutable"] = True
    return Resource(body, where, needs_hash=not options.either("disableNameSuffixHash"))


@dataclass(frozen=True)
class _Options:
    """Options of all generators of a kustomization, and of one of them."""

    common: dict[str, Any]
    own: dict[str, Any]
    where: str

    def either(self, name: str) -> bool:
        # An option of generatorOptions cannot be taken back by a generator.
        both = [
            fields.boolean(options.get(name), f"{self.where}.options.{name}")
            for options in (self.common, self.own)
        ]
        return any(both)

    def pairs(self, name: str) -> dict[str, str]:
        place = f"{self.where}.options.{name}"
        return {
            **fields.string_map(self.common.get(name), place),
            **fields.string_map(self.own.get(name), place),
        }


def _config_map_data(pairs: dict[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, content in pairs.items():
        try:
            found.setdefault("data", {})[key] = content.decode()
        except UnicodeDecodeError:
            found.setdefault("binaryData", {})[key] = _base64(content)
    return found


def _secret_data(spec: dict[str, Any], pairs: dict[str, bytes], where: str) -> dict[str, Any]:
    kind = fields.optional(spec.get("type"), f"{where}.type") or "Opaque"
    return {"type": kind, "data": {key: _base64(content) for key, content in pairs.items()}}


def _base64(content: bytes) -> str:
    # Long values are broken into lines, each with a line feed (kyaml/yaml/datamap.go). The hash depends on it.
    written = base64.b64encode(content).decode()
    if len(written) < _BASE64_LINE:
        return written
    lines = (written[start : start + _BASE64_LINE] for start in range(0, len(written), _BASE64_LINE))
    return "".join(f"{line}\n" for line in lines)


def _absorb(generated: Resource, behavior: str, resources: list[Resource], where: str) -> None:
    found = by_any_id(resources, lambda identity: identity == generated.current_id)
    if behavior not in _BEHAVIORS:
        if found:
            raise ManifestError(
                f"{where}.behavior: {found[0]}: exists already; set behavior: merge or replace, or rename one."
            )
        append(resources, [generated])
        return
    if len(found) != 1:
        raise ManifestError(
            f"{where}.behavior: {len(found)} objects are {generated.current_id}; {behavior} needs exactly one."
        )
    if behavior == "merge" and found[0].body.get("stringData"):
        raise ManifestError(
            f"{where}.behavior: {found[0]}: has stringData, which releases of kustomize merge differently; "
            "write it as data."
        )
    _take_over(generated, found[0], merge=behavior == "merge")
    resources[resources.index(found[0])] = generated


def _take_over(generated: Resource, old: Resource, *, merge: bool) -> None:
    metadata, before = generated.body["metadata"], old.body["metadata"]
    for name in ("labels", "annotations"):
        both = {**(before.get(name) or {}), **metadata.get(name, {})}
        if both:
            metadata[name] = both
    metadata["name"] = old.name
    metadata.pop("namespace", None)
    if old.namespace:
        metadata["namespace"] = old.namespace
    for name in ("data", "binaryData") if merge else ():
        both = {**(old.body.get(name) or {}), **(generated.body.get(name) or {})}
        generated.body.pop(name, None)
        if both:
            generated.body[name] = both
    # What is merged into a plain object gets no hash, because the plain object has none.
    generated.needs_hash = generated.needs_hash and old.needs_hash
    generated.former, generated.prefixes, generated.suffixes = old.former, old.prefixes, old.suffixes
    generated.variables = old.variables
