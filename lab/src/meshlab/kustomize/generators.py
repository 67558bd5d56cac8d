"""`configMapGenerator`: ConfigMaps out of literals, env files and whole files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.kustomize import fields
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.kustomize.files import Files

__all__ = ["LOCAL_CONFIG", "config_map", "is_local_config"]

LOCAL_CONFIG = "config.kubernetes.io/local-config"
_OPTIONS = ("disableNameSuffixHash", "labels", "annotations")


def config_map(entry: object, defaults: object, directory: Path, files: Files, where: str) -> dict[str, Any]:
    """Generate one ConfigMap.

    Args:
        entry: The generator as written.
        defaults: The kustomization's `generatorOptions`.
        directory: The kustomization's.
        files: Where to read from.
        where: The generator's place, for messages.

    Raises:
        ManifestError: An unknown field, a key that occurs twice, or a name that would need a hash.
    """
    spec = fields.known(entry, ("name", "namespace", "literals", "envs", "files", "options"), where)
    common = fields.known(defaults, _OPTIONS, "generatorOptions")
    own = fields.known(spec.get("options"), _OPTIONS, f"{where}.options")
    annotations = _merged(common, own, "annotations", where)
    labels = _merged(common, own, "labels", where)
    metadata: dict[str, Any] = {"name": fields.string(spec.get("name"), f"{where}.name")}
    if "namespace" in spec:
        metadata["namespace"] = fields.string(spec["namespace"], f"{where}.namespace")
    metadata |= {"annotations": annotations} if annotations else {}
    metadata |= {"labels": labels} if labels else {}
    generated = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    stable = fields.boolean(
        own.get("disableNameSuffixHash", common.get("disableNameSuffixHash")),
        f"{where}.disableNameSuffixHash",
    )
    if not stable and not is_local_config(generated):
        problem = "the hash behind the name is not supported; set disableNameSuffixHash: true"
        raise ManifestError(f"{where}.options: {problem}.")
    return generated | {"data": _data(spec, directory, files, where)}


def is_local_config(body: dict[str, Any]) -> bool:
    """Whether an object is only meant for kustomize itself, never for the cluster."""
    annotations = (body.get("metadata") or {}).get("annotations") or {}
    return LOCAL_CONFIG in annotations and annotations[LOCAL_CONFIG] != "false"


def _merged(common: dict[str, Any], own: dict[str, Any], name: str, where: str) -> dict[str, str]:
    return {
        **fields.string_map(common.get(name), f"generatorOptions.{name}"),
        **fields.string_map(own.get(name), f"{where}.options.{name}"),
    }


def _data(spec: dict[str, Any], directory: Path, files: Files, where: str) -> dict[str, str]:
    pairs: list[tuple[str, str]] = []
    for index, reference in enumerate(fields.strings(spec.get("envs"), f"{where}.envs")):
        path = files.within(directory, reference, f"{where}.envs[{index}]")
        pairs += _env_pairs(files.read(path), reference)
    for index, reference in enumerate(fields.strings(spec.get("files"), f"{where}.files")):
        key, equals, target = reference.partition("=")
        path = files.within(directory, target if equals else reference, f"{where}.files[{index}]")
        pairs.append((key if equals else path.name, files.read(path)))
    for index, literal in enumerate(fields.strings(spec.get("literals"), f"{where}.literals")):
        key, equals, value = literal.partition("=")
        if not (key and equals):
            raise ManifestError(f"{where}.literals[{index}]: {literal!r} is not of the form key=value.")
        pairs.append((key, _unquoted(value)))
    data: dict[str, str] = {}
    for key, value in pairs:
        if key in data:
            raise ManifestError(f"{where}: the key {key} occurs twice.")
        data[key] = value
    return data


def _env_pairs(text: str, source: str) -> list[tuple[str, str]]:
    # kustomize strips blanks before the key alone, and takes the value as it stands (api/kv/kv.go).
    pairs = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.lstrip()
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not (key and equals):
            raise ManifestError(f"{source}: line {number}: expected KEY=VALUE.")
        pairs.append((key, value))
    return pairs


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
