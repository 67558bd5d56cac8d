"""`patches`, `patchesStrategicMerge` and `patchesJson6902`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshlab.kustomize import fields
from meshlab.kustomize.json_patch import json_patch
from meshlab.kustomize.object_ids import checked, object_id
from meshlab.kustomize.resource_list import refuse_duplicates, the_one
from meshlab.kustomize.selectors import Selector, read_selector
from meshlab.kustomize.strategic_merge import strategic_merge
from meshlab.kustomize.yaml_values import clone, text
from meshlab.manifest import ManifestError, documents_of

if TYPE_CHECKING:
    from meshlab.kustomize.kustomization import Kustomization
    from meshlab.kustomize.merge_keys import SchemaOf
    from meshlab.kustomize.resource import Resource

__all__ = ["patch", "patch_json", "patch_strategically"]

_OPTIONS = ("allowNameChange", "allowKindChange")


def patch(
    entry: object, resources: list[Resource], kustomization: Kustomization, schema_of: SchemaOf, where: str
) -> None:
    """Apply one entry of `patches`, in place.

    A target that matches no object is no error, as in kustomize. A patch without a target names its object.

    Raises:
        ManifestError: It is neither kind of patch, its own object is missing, or it touches what is not there.
    """
    spec = fields.known(entry, ("patch", "path", "target", "options"), where)
    options = fields.known(spec.get("options"), _OPTIONS, f"{where}.options")
    allowed = {name for name in _OPTIONS if fields.boolean(options.get(name), f"{where}.options.{name}")}
    written = _text(spec, kustomization, where)
    documents = _documents(written, where)
    target = None
    if spec.get("target") is not None:
        target = read_selector(spec["target"], f"{where}.target", patterns=True)
    if len(documents) == 1 and isinstance(documents[0], list):
        _patch_targets(documents[0], target, resources, where, remember=True)
        return
    changes = [_identified(document, where, named=target is None) for document in documents]
    if target is None:
        for change in changes:
            _merge_into(_own_target(change, resources, where), change, resources, allowed, schema_of, where)
        return
    if len(changes) > 1:
        raise ManifestError(
            f"{where}.target: goes with one patch, found {len(changes)}; write an entry for each."
        )
    for change in changes:
        for resource in [resource for resource in resources if target.selects(resource)]:
            _merge_into(resource, _with_text_metadata(change), resources, allowed, schema_of, where)
        refuse_duplicates(resources, where)


def patch_strategically(
    resources: list[Resource], kustomization: Kustomization, schema_of: SchemaOf, where: str
) -> None:
    """Apply `patchesStrategicMerge`, in place. An entry is a file or the patch itself.

    Raises:
        ManifestError: An entry is no patch, its object is missing, or it contradicts the shape of the object; or all
            entries are empty.
    """
    references = kustomization.strings("patchesStrategicMerge")
    changes = []
    for reference in references:
        is_inline = "\n" in reference or reference.lstrip().startswith("{")
        written = reference if is_inline else kustomization.load(reference, where)
        changes += [_identified(document, where, named=True) for document in _documents(written, where)]
    if references and not changes:
        raise ManifestError(f"{where}: holds no patch; write one or remove the field.")
    for change in changes:
        target = _own_target(change, resources, where)
        _merge_into(target, _with_text_metadata(change), resources, set(), schema_of, where)
        refuse_duplicates(resources, where)


def patch_json(entry: object, resources: list[Resource], kustomization: Kustomization, where: str) -> None:
    """Apply one entry of `patchesJson6902`, in place.

    Raises:
        ManifestError: It has no operations or no target with a name, or touches what is not there.
    """
    spec = fields.known(entry, ("patch", "path", "target", "options"), where)
    target = read_selector(spec.get("target"), f"{where}.target", patterns=True)
    if "name" not in target.written:
        raise ManifestError(f"{where}.target.name: missing; patchesJson6902 needs it, patches does not.")
    documents = _documents(_text(spec, kustomization, where), where)
    if len(documents) != 1 or not isinstance(documents[0], list) or not documents[0]:
        raise ManifestError(
            f"{where}: expected one list of operations; write a strategic merge under patches."
        )
    _patch_targets(documents[0], target, resources, where, remember=False)


def _text(spec: dict[str, Any], kustomization: Kustomization, where: str) -> str:
    inline, path = (fields.optional(spec.get(name), f"{where}.{name}") for name in ("patch", "path"))
    if bool(inline.strip()) == bool(path):
        raise ManifestError(f"{where}: needs either patch or path.")
    return inline.strip() or kustomization.load(path, f"{where}.path")


def _documents(written: str, where: str) -> list[Any]:
    if written.startswith("["):
        _check_json(written, where)
    # The lines of a patch would be taken for lines of the file that it patches.
    return [clone(document) for document, _ in documents_of(written, where)]


def _check_json(written: str, where: str) -> None:
    try:
        json.loads(written)
    except ValueError:
        raise ManifestError(
            f"{where}: kustomize reads a patch that begins with [ as JSON, and it is none; begin it with a dash."
        ) from None


def _identified(document: object, where: str, *, named: bool) -> dict[str, Any]:
    # kustomize asks for kind and name even where a target is named, and for apiVersion where none is.
    if isinstance(document, dict) and not named:
        document = {"apiVersion": "any", **document}
    return checked(document, where)


def _own_target(change: dict[str, Any], resources: list[Resource], where: str) -> Resource:
    metadata = change["metadata"]
    wanted = object_id(
        change["apiVersion"], change["kind"], metadata["name"], str(metadata.get("namespace") or "")
    )
    return the_one(resources, wanted, where)


def _patch_targets(
    operations: list[object],
    target: Selector | None,
    resources: list[Resource],
    where: str,
    *,
    remember: bool,
) -> None:
    if target is None:
        raise ManifestError(f"{where}.target: missing; a JSON 6902 patch does not say what it patches.")
    for resource in [resource for resource in resources if target.selects(resource)]:
        if remember:
            resource.remember()
        if resource.former:
            # kustomize records former names in annotations, so that a path below them leads somewhere.
            metadata = resource.body["metadata"]
            metadata["annotations"] = metadata.get("annotations") or {}
        json_patch(resource.body, operations, f"{where}: {resource}")
        resource.check()


def _merge_into(
    resource: Resource,
    change: dict[str, Any],
    resources: list[Resource],
    allowed: set[str],
    schema_of: SchemaOf,
    where: str,
) -> None:
    name, namespace, kind = resource.name, resource.namespace, resource.kind
    place = f"{where}: {resource}"
    own = clone(change)
    own["apiVersion"] = resource.api_version
    if allowed:
        resource.remember()
    merged = strategic_merge(resource.body, own, schema_of, place)
    if merged is None:
        resources.remove(resource)
        return
    resource.body = merged
    metadata = merged.setdefault("metadata", {})
    if "allowKindChange" not in allowed:
        merged["kind"] = kind
    if "allowNameChange" not in allowed:
        metadata["name"] = name
    metadata.pop("namespace", None)
    if namespace:
        metadata["namespace"] = namespace
    resource.check()


def _with_text_metadata(change: dict[str, Any]) -> dict[str, Any]:
    # A patch that kustomize copies to its targets has texts alone as labels and annotations: null becomes "null".
    metadata = dict(change["metadata"])
    for name in ("labels", "annotations"):
        pairs = metadata.pop(name, None)
        if isinstance(pairs, dict) and pairs:
            metadata[name] = {key: "null" if value is None else text(value) for key, value in pairs.items()}
    return {**change, "metadata": metadata}
