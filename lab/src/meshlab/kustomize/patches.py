"""`patches`: JSON 6902 operations, or a merge of maps."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from meshlab.kustomize import fields
from meshlab.kustomize.selectors import Selector, read_selector
from meshlab.manifest import Manifest, ManifestError, parse_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.kustomize.files import Files

__all__ = ["patch"]


def patch(entry: object, objects: list[Manifest], directory: Path, files: Files, where: str) -> None:
    """Carry out one patch, in place.

    Raises:
        ManifestError: It is neither kind of patch, matches nothing, or touches what is not there.
    """
    spec = fields.known(entry, ("patch", "path", "target"), where)
    if ("patch" in spec) == ("path" in spec):
        raise ManifestError(f"{where}: needs either patch or path.")
    text = spec.get("patch")
    if text is None:
        reference = fields.string(spec["path"], f"{where}.path")
        text = files.read(files.within(directory, reference, f"{where}.path"))
    documents = [
        document for document in parse_yaml(fields.string(text, f"{where}.patch"), where) if document
    ]
    if len(documents) != 1:
        raise ManifestError(f"{where}: holds {len(documents)} documents; write one per patch.")
    change = documents[0]
    own = None if isinstance(change, list) else _own_target(change, where)
    target = read_selector(spec["target"], f"{where}.target") if "target" in spec else own
    if target is None:
        raise ManifestError(f"{where}.target: missing; a JSON 6902 patch does not say what it patches.")
    chosen = [manifest for manifest in objects if target.matches(manifest)]
    if not chosen:
        raise ManifestError(f"{where}: {target}: no object matches.")
    for manifest in chosen:
        body = fields.mapping(manifest.body, where)
        if isinstance(change, list):
            for index, operation in enumerate(change):
                _operate(body, operation, f"{where}: operation {index}")
        else:
            _merge(
                body, _without_identity(fields.mapping(change, where)), where, listless=_is_built_in(manifest)
            )


def _own_target(change: object, where: str) -> Selector:
    # kubectl asks for the identity even where a target is named.
    body = fields.mapping(change, where)
    metadata = fields.mapping(body.get("metadata"), f"{where}.metadata")
    group, _, version = fields.string(body.get("apiVersion"), f"{where}.apiVersion").rpartition("/")
    return Selector(
        group=group,
        version=version,
        kind=fields.string(body.get("kind"), f"{where}.kind"),
        name=fields.string(metadata.get("name"), f"{where}.metadata.name"),
        namespace=metadata.get("namespace", ""),
    )


def _without_identity(change: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in (change.get("metadata") or {}).items() if key not in _IDENTITY}
    rest = {key: value for key, value in change.items() if key not in ("apiVersion", "kind", "metadata")}
    return rest | ({"metadata": metadata} if metadata else {})


_IDENTITY = ("name", "namespace")


def _is_built_in(manifest: Manifest) -> bool:
    return "." not in manifest.group or manifest.group.endswith(".k8s.io")


def _merge(body: dict[str, Any], change: dict[str, Any], where: str, *, listless: bool) -> None:
    for key, value in change.items():
        below = f"{where}: {key}"
        if key.startswith("$"):
            raise ManifestError(f"{below}: patch directives are not supported; use a JSON 6902 patch.")
        if value is None:
            body.pop(key, None)
        elif isinstance(value, dict):
            if not isinstance(body.get(key), dict):
                body[key] = {}
            _merge(body[key], value, below, listless=listless)
        elif isinstance(value, list) and listless:
            problem = (
                "lists of Kubernetes' own kinds merge by key, which is not supported; use a JSON 6902 patch"
            )
            raise ManifestError(f"{below}: {problem}.")
        else:
            body[key] = copy.deepcopy(value)


def _operate(body: dict[str, Any], operation: object, where: str) -> None:
    spec = fields.known(operation, ("op", "path", "value"), where)
    pointer = fields.string(spec.get("path"), f"{where}.path")
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    if not parts or (spec.get("op") != "remove" and "value" not in spec):
        raise ManifestError(f"{where}: needs a path below the root, and a value.")
    container: Any = body
    for part in parts[:-1]:
        container = _child(container, part, where, pointer)
    match spec.get("op"):
        case "add":
            _add(container, parts[-1], copy.deepcopy(spec["value"]), where, pointer)
        case "replace":
            _child(container, parts[-1], where, pointer)
            container[_key(container, parts[-1], where, pointer)] = copy.deepcopy(spec["value"])
        case "remove":
            _child(container, parts[-1], where, pointer)
            del container[_key(container, parts[-1], where, pointer)]
        case other:
            raise ManifestError(f"{where}.op: {other!r} is not supported; use add, replace or remove.")


def _add(container: Any, part: str, value: object, where: str, pointer: str) -> None:  # noqa: ANN401 - YAML
    if isinstance(container, list):
        index = len(container) if part == "-" else _key(container, part, where, pointer, past_end=1)
        container.insert(index, value)
    elif isinstance(container, dict):
        container[part] = value
    else:
        raise ManifestError(
            f"{where}: {pointer}: leads through a value that is neither a mapping nor a list."
        )


def _child(container: Any, part: str, where: str, pointer: str) -> Any:  # noqa: ANN401 - YAML
    key = _key(container, part, where, pointer)
    if isinstance(container, dict) and key not in container:
        raise ManifestError(f"{where}: {pointer}: there is no {part}.")
    return container[key]


def _key(container: Any, part: str, where: str, pointer: str, past_end: int = 0) -> Any:  # noqa: ANN401 - YAML
    if isinstance(container, dict):
        return part
    if isinstance(container, list) and part.isdigit() and int(part) < len(container) + past_end:
        return int(part)
    raise ManifestError(f"{where}: {pointer}: there is no {part}.")
