"""Paths of expressions that sample documents do not have, and what they most likely should be."""

import json
import re
from collections.abc import Iterable, Sequence

from enrichment.settings.model import Column
from enrichment.settings.toml_section import suggestion

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def as_expression(path: Sequence[str]) -> str:
    """Return keys as JMESPath writes them: a key with other characters stands in double quotes."""
    return ".".join(key if _IDENTIFIER.fullmatch(key) else json.dumps(key) for key in path)


def missing_paths(
    columns: Iterable[Column], root: str, documents: Sequence[object], known: Iterable[tuple[str, ...]] = ()
) -> list[str]:
    """Return a sentence for each path below a root that no sample has.

    Args:
        columns: The columns whose expressions are looked at.
        root: The root, such as `event`.
        documents: What the root is in each sample.
        known: Paths that may well be missing, such as declared fields that are optional.
    """
    known = set(known)
    found: dict[str, None] = {}
    for column in columns:
        for path in column.expression.paths if column.expression else ():
            if path[0] == root and path[1:] not in known and (hint := _hint(path, documents)):
                found[f"column {column.name}: {hint}"] = None
    return list(found)


def _hint(path: tuple[str, ...], documents: Sequence[object]) -> str:
    """Why no sample has something under a path; empty if one has."""
    values = list(documents)
    for length in range(1, len(path)):
        objects = [value for value in values if isinstance(value, dict)]
        inside = [value[path[length]] for value in objects if path[length] in value]
        if not inside:
            return _of_step(path, length, objects, values)
        values = inside
    return ""


def _of_step(
    path: tuple[str, ...], length: int, objects: list[dict[str, object]], values: list[object]
) -> str:
    whole, outer, rest = ".".join(path), ".".join(path[:length]), ".".join(path[length:])
    if not objects:
        if any(isinstance(value, list) for value in values):
            if path[length].isdigit():
                inside = "".join(f".{key}" for key in path[length + 1 :])
                return f"{outer} is an array in the sample. Write {outer}[{path[length]}]{inside}."
            return f"{outer} is an array in the sample. Write {outer}[].{rest}, or {outer}[0].{rest} for the first."
        if any(isinstance(value, str) for value in values):
            return f"{outer} is a string in the sample. If it holds JSON, write from_json({outer}).{rest}"
        if all(value is None for value in values):
            return ""  # null: the sample does not say what else it may be
        return f"{outer} is no object in the sample, and has nothing inside."
    names = dict.fromkeys(name for document in objects for name in document)
    for end in range(len(path), length + 1, -1):
        if (key := ".".join(path[length:end])) in names:
            meant = as_expression((*path[:length], key, *path[end:]))
            return f"the sample has no {whole}. {json.dumps(key)} is one key with dots in it: write {meant}"
    meant = suggestion(path[length], names).removeprefix(" Did you mean ").removesuffix("?")
    advice = f" Did you mean {'.'.join((outer, meant, *path[length + 1 :]))}?" if meant else ""
    return f"the sample has no {whole}.{advice}"
