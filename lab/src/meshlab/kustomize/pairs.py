"""The keys and values of a generated ConfigMap or Secret: literals, env files and whole files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.env_schema import schema_of, schema_problems
from meshlab.kustomize import fields
from meshlab.kustomize.file_access import name
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.kustomize.kustomization import Kustomization

__all__ = ["read_pairs"]


def read_pairs(spec: dict[str, Any], kustomization: Kustomization, where: str) -> dict[str, bytes]:
    """Return what `envs`, `env`, `literals` and `files` of a generator say.

    Args:
        spec: The generator.
        kustomization: The kustomization.
        where: The generator's place, for messages.

    Raises:
        ManifestError: A source is malformed or cannot be read, a key occurs twice, or the schema beside an env file
            refuses a value.
    """
    pairs: list[tuple[str, bytes]] = []
    envs = fields.string_list(spec.get("envs"), f"{where}.envs")
    if "env" in spec:
        envs = [*envs, fields.string(spec["env"], f"{where}.env")]
    for reference in envs:
        found = _env_pairs(kustomization.load(reference, f"{where}.envs"), reference)
        _check(kustomization, reference, f"{where}.envs", found)
        pairs += found
    for index, literal in enumerate(fields.string_list(spec.get("literals"), f"{where}.literals")):
        key, equals, value = literal.partition("=")
        if not (key and equals):
            raise ManifestError(f"{where}.literals[{index}]: {literal!r} is not of the form key=value.")
        pairs.append((key, _unquoted(value).encode()))
    for index, reference in enumerate(fields.string_list(spec.get("files"), f"{where}.files")):
        key, target = _file_source(reference, f"{where}.files[{index}]")
        path = kustomization.files.within(kustomization.directory, target, f"{where}.files[{index}]")
        pairs.append((key, kustomization.files.read_bytes(path)))
    data: dict[str, bytes] = {}
    for key, content in pairs:
        if key in data:
            raise ManifestError(f"{where}: the key {key} occurs twice.")
        data[key] = content
    return data


def _env_pairs(text: str, source: str) -> list[tuple[str, bytes]]:
    # kustomize strips blanks before the key alone, and takes the value as it stands (api/kv/kv.go).
    pairs = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = line.removesuffix("\r").lstrip()
        if not line or line.startswith("#"):
            continue
        key, _, value = line.partition("=")
        if not key:
            raise ManifestError(f"{source}: line {number}: expected KEY=VALUE.")
        pairs.append((key, value.encode()))
    return pairs


def _check(
    kustomization: Kustomization, reference: str, where: str, pairs: Iterable[tuple[str, bytes]]
) -> None:
    """Check an env file against the schema beside it, which kustomize does not know of."""
    path = kustomization.files.within(kustomization.directory, reference, where)
    if (schema := schema_of(path)) is None:
        return
    try:
        values = {key: value.decode() for key, value in pairs}
        problems = schema_problems(kustomization.files.read(schema), values)
    except ValueError as error:
        raise ManifestError(f"{name(schema)}: {error}.") from None
    if problems:
        raise ManifestError("\n".join(f"{name(path)}: {problem}" for problem in problems))


def _file_source(reference: str, where: str) -> tuple[str, str]:
    key, equals, target = reference.partition("=")
    if not equals:
        return reference.rpartition("/")[2], reference
    if not key or not target or "=" in target:
        raise ManifestError(f"{where}: {reference!r} is neither a file nor of the form key=file.")
    return key, target


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
