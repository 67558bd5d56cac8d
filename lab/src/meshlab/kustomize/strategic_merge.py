"""Strategic merge patches, as kustomize applies them.

Maps merge field by field and null removes a field. Lists of Kubernetes' own kinds merge by key where their schema
says so, and new elements go first; every other list is replaced. The directive `$patch` deletes or replaces a map, a
list or an object. Where kustomize differs from the API server, this follows kustomize (kyaml/yaml/merge2 and walk).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.kustomize import keyed_lists
from meshlab.kustomize.keyed_lists import ABSENT
from meshlab.kustomize.merge_keys import NOTHING, Schema
from meshlab.kustomize.yaml_values import plain, text
from meshlab.manifest import ManifestError
from meshlab.quick_dataclass import dataclass
from meshlab.visible_text import shown_value

if TYPE_CHECKING:
    from meshlab.kustomize.merge_keys import SchemaOf

__all__ = ["strategic_merge"]

_DIRECTIVE = "$patch"
_ACTIONS = ("delete", "replace", "merge")
_OTHER_DIRECTIVES = ("$setElementOrder", "$deleteFrom", "$retainKeys")

Maybe = Any  # a YAML value, or ABSENT where nothing stands


def strategic_merge(
    body: dict[str, Any], patch: dict[str, Any], schema_of: SchemaOf, where: str
) -> dict[str, Any] | None:
    """Merge a patch into an object.

    Args:
        body: The object, which is changed.
        patch: The patch, which is used up.
        schema_of: Finds the schema of a kind.
        where: The patch's place, for messages.

    Returns:
        The merged object, or `None` where the patch deletes it.

    Raises:
        ManifestError: An unknown directive, a directive that would stay in the object, or a map where a list or a
            scalar stands.
    """
    if patch.get(_DIRECTIVE) == "replace":
        raise ManifestError(
            f"{where}: {_DIRECTIVE}: kustomize does not replace whole objects and ignores the patch; "
            "list the new object under resources instead."
        )
    merged = _Merger(schema_of).merge(body, patch, None, where)
    if merged is ABSENT:
        return None
    _refuse_directives(merged, where)
    found: dict[str, Any] = merged
    return found


@dataclass(frozen=True)
class _Merger:
    schema_of: SchemaOf

    def merge(self, old: Maybe, new: Maybe, schema: Schema | None, where: str) -> Maybe:
        shape = next((_shape(value) for value in (old, new) if not _missing(value)), dict)
        if any(not _missing(value) and _shape(value) is not shape for value in (old, new)):
            raise ManifestError(f"{where}: the patch has {_named(new)} where the object has {_named(old)}.")
        if shape is dict:
            return self._merge_maps(old, new, schema or self._own_schema(old, new), where)
        if shape is list and schema is not None and schema.keys is not None:
            return self._merge_keyed(old, new, schema, where)
        if new is None or new is ABSENT:
            return ABSENT if new is None else old
        # kustomize keeps the quotes of a scalar, which turn a number that replaces a quoted string into a string.
        return text(new) if isinstance(old, str) and shape is str and plain(old) != old else new

    def _merge_maps(self, old: Maybe, new: Maybe, schema: Schema | None, where: str) -> Maybe:
        if _missing(old) and new is ABSENT:
            # An explicit null of the object stays.
            return old
        if new is None:
            return ABSENT
        action = "merge" if new is ABSENT else _take_directive(new, where)
        if action == "delete":
            return ABSENT
        # A new map is merged with itself, which carries out the directives and removes the nulls in it.
        merged = new if _missing(old) or action == "replace" else old
        other: dict[str, Any] = {} if new is ABSENT else new
        for name in sorted({**merged, **other}):
            below = NOTHING if schema is None else schema.below(name)
            value = self.merge(
                merged.get(name, ABSENT),
                other.get(name, ABSENT),
                None if below is NOTHING else below,
                f"{where}: {name}",
            )
            if value is ABSENT:
                merged.pop(name, None)
            else:
                merged[name] = value
        return merged

    def _merge_keyed(self, old: Maybe, new: Maybe, schema: Schema, where: str) -> Maybe:
        if new is None or (_missing(old) and new is ABSENT):
            return ABSENT
        # In a list that is new as a whole, kustomize carries out no directive.
        action = "merge" if new is ABSENT or _missing(old) else _take_list_directive(new, where)
        if action == "delete":
            return ABSENT
        merged = new if _missing(old) or action == "replace" else old
        elements = Schema(None, schema.fields)

        def merge_elements(one: Maybe, other: Maybe) -> Maybe:
            return self.merge(one, other, elements, where)

        return keyed_lists.merge(merged, [] if new is ABSENT else new, schema.keys or (), merge_elements)

    def _own_schema(self, old: Maybe, new: Maybe) -> Schema | None:
        for value in (old, new):
            if isinstance(value, dict):
                found = self.schema_of(value.get("apiVersion"), value.get("kind"))
                if found is not None:
                    return found
        return None


def _take_directive(patch: dict[str, Any], where: str) -> str:
    return _known(patch.pop(_DIRECTIVE), where) if _DIRECTIVE in patch else "merge"


def _take_list_directive(patch: list[Any], where: str) -> str:
    directed = [item for item in patch if isinstance(item, dict) and _DIRECTIVE in item]
    if not directed or len(directed[0]) > 1:
        return "merge"
    action = _known(directed[0][_DIRECTIVE], where)
    # Elements with the same directive go too, even where it is meant for them alone, and so do empty ones.
    patch[:] = [item for item in patch if item and (item not in directed or item[_DIRECTIVE] != action)]
    return action


def _known(action: object, where: str) -> str:
    if action not in _ACTIONS:
        raise ManifestError(
            f"{where}: {_DIRECTIVE}: expected one of {', '.join(_ACTIONS)}, found {shown_value(action)}."
        )
    return str(action)


def _refuse_directives(value: Any, where: str) -> None:  # noqa: ANN401 - any YAML value
    if isinstance(value, list):
        for item in value:
            _refuse_directives(item, where)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == _DIRECTIVE or str(key).startswith(_OTHER_DIRECTIVES):
                raise ManifestError(
                    f"{where}: {key}: kustomize does not carry it out here and leaves it in the object; "
                    "use a JSON 6902 patch."
                )
            _refuse_directives(item, f"{where}: {key}")


def _missing(value: Maybe) -> bool:
    return value is None or value is ABSENT


def _shape(value: Maybe) -> type:
    if isinstance(value, dict):
        return dict
    return list if isinstance(value, list) else str


def _named(value: Maybe) -> str:
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else "a scalar"
