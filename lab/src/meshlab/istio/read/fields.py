"""Strict reader of manifest fields: each value with its place, and no field that is not asked for."""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from meshlab.istio.read.recording import Watched, current_recording
from meshlab.manifest import ManifestError, Problem
from meshlab.quick_dataclass import dataclass
from meshlab.visible_text import shown_value
from meshlab.yaml_reader import Ambiguous

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from meshlab.manifest import Manifest

__all__ = [
    "REVISION",
    "Fields",
    "Where",
    "collected_problems",
    "refuse_istio_keys",
    "require_namespace",
    "spec_of",
]

_TYPE_NAMES = {
    dict: "a mapping",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "a whole number",
}

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|ms|s|m|h))+")
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Where:
    """A place in a manifest: the keys and list indices that lead to it."""

    manifest: Manifest
    keys: tuple[str | int, ...] = ()

    def key(self, *names: str) -> Where:
        """Return the field of that name below this place."""
        return Where(self.manifest, (*self.keys, *names))

    def item(self, index: int) -> Where:
        """Return the element at that index of the list at this place."""
        return Where(self.manifest, (*self.keys, index))

    def error(self, problem: str) -> ManifestError:
        """Return the refusal of this place: file, line, object, field, then the problem."""
        return ManifestError(self.manifest.problem(self.keys, problem))

    def report(self, problem: str) -> None:
        """Refuse this place and go on reading where refusals are collected.

        Raises:
            ManifestError: The refusal, outside of `collected_problems`.
        """
        collected = _COLLECTED.get()
        if collected is None:
            raise self.error(problem)
        collected.append(self.manifest.problem(self.keys, problem))


_COLLECTED: ContextVar[list[Problem] | None] = ContextVar(
    "problems of the object that is being read", default=None
)


@contextmanager
def collected_problems() -> Iterator[list[Problem]]:
    """Collect what is wrong with an object, so that all of it can be shown at once.

    A problem that a reader can step over is collected where it is found. One that it cannot ends the reading, and is
    collected as the last.
    """
    problems: list[Problem] = []
    token = _COLLECTED.set(problems)
    try:
        yield problems
    except ManifestError as error:
        problems.extend(error.problems)
    finally:
        _COLLECTED.reset(token)


class Fields:
    """A mapping of a manifest whose every key must be known to the reader.

    Args:
        value: What stands there; `None` reads as an empty mapping.
        where: Where it stands.
        known: The keys that the reader understands.
        refused: Keys that Istio has and the lab does not, each with the reason and what to do.
        passed_over: Keys that cannot change the outcome of a request and are not read, each with the reason.
    """

    def __init__(
        self,
        value: object,
        where: Where,
        known: Collection[str],
        refused: Mapping[str, str] | None = None,
        passed_over: Mapping[str, str] | None = None,
    ) -> None:
        self.where = where
        self._values: Mapping[str, Any] = _typed({} if value is None else value, dict, where)
        if recording := current_recording():
            visited = recording.visited(where, known, refused, passed_over)
            self._values = Watched(self._values, visited.read)
        accepted = {*known, *(passed_over or ())}
        for key in self._values:
            if refused and key in refused:
                where.key(key).report(refused[key])
                continue
            if key not in accepted:
                choice = ", ".join(sorted(accepted))
                where.key(key).report(f"this field is not known; known are {choice}.")

    def __contains__(self, name: str) -> bool:
        return name in self._values

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that are written."""
        return tuple(self._values)

    def raw(self, name: str) -> object:
        """Return the value as it stands, `None` where the field is absent."""
        return self._values.get(name)

    def string(self, name: str, default: str = "") -> str:
        """Return the text of a string field, `default` where the field is absent."""
        value: str = _typed(self._values.get(name, default), str, self.where.key(name))
        return value

    def required(self, name: str) -> str:
        """Return the text of a field that must be present and not empty."""
        if not (value := self.string(name)):
            raise self.where.key(name).error("missing; it must be a string that is not empty.")
        return value

    def choice(self, name: str, allowed: Collection[str], default: str) -> str:
        """Return the text of a field that allows a fixed set of values."""
        value = self.string(name, default)
        if value not in allowed:
            raise self.where.key(name).error(f"{value!r} is not supported; use one of {', '.join(allowed)}.")
        return value

    def boolean(self, name: str) -> bool:
        """Return a boolean, false where the field is absent."""
        value: bool = _typed(self._values.get(name, False), bool, self.where.key(name))
        return value

    def integer(self, name: str) -> int | None:
        """Return a whole number, `None` where the field is absent."""
        if name not in self._values:
            return None
        value: int = _typed(self._values[name], int, self.where.key(name))
        return value

    def port(self, name: str) -> int:
        """Return the port number of a field that must be present."""
        value = self.integer(name)
        if value is None or not 0 < value < 65536:
            raise self.where.key(name).error(f"expected a port from 1 to 65535, found {value}.")
        return value

    def strings(self, name: str) -> tuple[str, ...]:
        """Return a list of strings; absent reads as empty.

        A list that is present and empty is refused: Istio reads it as absent, so it restricts nothing, which is
        seldom what was meant.
        """
        if name not in self._values:
            return ()
        where = self.where.key(name)
        found = tuple(_typed(value, str, where.item(index)) for index, value in enumerate(self._list(name)))
        for index, value in enumerate(found):
            if not value:
                raise where.item(index).error("an empty string matches nothing; remove it or write a value.")
        return found

    def string_map(self, name: str) -> dict[str, str]:
        """Return a mapping of strings to strings, such as labels; absent reads as empty."""
        where = self.where.key(name)
        if recording := current_recording():
            recording.free(where)
        values = _typed(self._map(name), dict, where)
        return {key: _typed(value, str, where.key(key)) for key, value in values.items()}

    def string_keys(self, name: str) -> tuple[str, ...]:
        """Return the keys of the mapping below a field, where they are free."""
        if recording := current_recording():
            recording.free(self.where.key(name))
        return tuple(_typed(self._map(name), dict, self.where.key(name)))

    def mapping(
        self,
        name: str,
        known: Collection[str],
        refused: Mapping[str, str] | None = None,
        passed_over: Mapping[str, str] | None = None,
    ) -> Fields:
        """Return the mapping below a field; absent reads as empty."""
        return Fields(self._values.get(name), self.where.key(name), known, refused, passed_over)

    def items(
        self,
        name: str,
        known: Collection[str],
        refused: Mapping[str, str] | None = None,
        passed_over: Mapping[str, str] | None = None,
    ) -> tuple[Fields, ...]:
        """Return the mappings of a list; absent reads as empty, an empty list is refused as in `strings`."""
        if name not in self._values:
            return ()
        where = self.where.key(name)
        return tuple(
            Fields(value, where.item(index), known, refused, passed_over)
            for index, value in enumerate(self._list(name))
        )

    def duration_s(self, name: str) -> float | None:
        """Return a duration such as `1.5s` or `2m30s` in seconds, `None` where the field is absent."""
        if name not in self._values:
            return None
        text = self.string(name)
        if not _DURATION.fullmatch(text):
            raise self.where.key(name).error(f"{text!r} is not a duration; write it like 2s or 500ms.")
        parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)", text)
        return sum(float(number) * _UNIT_S[unit] for number, unit in parts)

    def _map(self, name: str) -> object:
        value = self._values.get(name)
        return {} if value is None else value

    def _list(self, name: str) -> list[object]:
        where = self.where.key(name)
        values: list[object] = _typed(self._values[name], list, where)
        if not values:
            raise where.error("an empty list counts as absent and restricts nothing; fill it or remove it.")
        return values


def spec_of(
    manifest: Manifest,
    known: Collection[str],
    refused: Mapping[str, str] | None = None,
    annotations: Collection[str] = (),
    labels: Collection[str] = (),
    passed_over: Mapping[str, str] | None = None,
    *,
    namespaced: bool = True,
) -> Fields:
    """Return the `spec` of an object, after a check of everything around it.

    Args:
        manifest: The object.
        known: The fields of `spec` that the caller reads.
        refused: Those that Istio has and the compiler does not, each with the reason and what to do.
        annotations: Istio's annotations that the caller reads.
        labels: Istio's labels that the caller reads.
        passed_over: The fields of `spec` that cannot change the outcome of a request, each with the reason.
        namespaced: Whether the kind has namespaces.

    Raises:
        ManifestError: An unknown field beside or in `spec`, a label or annotation of Istio's, or no namespace.
    """
    top = Fields(manifest.body, Where(manifest), ("apiVersion", "kind", "metadata", "spec", "status"))
    metadata = top.mapping("metadata", _METADATA)
    for place, allowed in (("labels", (REVISION, *labels)), ("annotations", annotations)):
        refuse_istio_keys(metadata.string_keys(place), allowed, metadata.where.key(place))
    if namespaced:
        require_namespace(manifest)
    return top.mapping("spec", known, refused, passed_over)


def require_namespace(manifest: Manifest) -> None:
    """Refuse an object without a namespace.

    Raises:
        ManifestError: It has none.
    """
    if not manifest.namespace:
        problem = "missing; kubectl would take the namespace of the person who applies it. Write it down."
        raise Where(manifest).key("metadata", "namespace").error(problem)


_METADATA = (
    "annotations", "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers",
    "generateName", "generation", "labels", "managedFields", "name", "namespace", "ownerReferences",
    "resourceVersion", "selfLink", "uid",
)  # fmt: skip
REVISION = "istio.io/rev"
"""The label that says which istiod reads an object; `read.revisions` decides on it before the object is read."""
_HARMLESS = ("operator.istio.io/", "install.operator.istio.io/", "internal.istio.io/")
"""Labels and annotations that choose a control plane or describe an installation."""


def refuse_istio_keys(found: Collection[str], known: Collection[str], where: Where) -> None:
    """Refuse labels or annotations of Istio's that the reader does not know.

    Raises:
        ManifestError: There is one, and what it changes would be lost.
    """
    if recording := current_recording():
        recording.istio_keys(where, known)
    for key in found:
        if key.partition("/")[0].endswith("istio.io") and key not in known and not key.startswith(_HARMLESS):
            where.key(key).report("what this changes is not known; remove it.")


def _typed(value: Any, expected: type, where: Where) -> Any:  # noqa: ANN401 - the caller names the type
    if isinstance(value, Ambiguous):
        raise where.error(f"{value} is read differently by different YAML readers; quote it.")
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise where.error(f"expected {_TYPE_NAMES[expected]}, found {shown_value(value)}.")
    return value
