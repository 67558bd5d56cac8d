"""JSON Patch (RFC 6902), as kustomize applies it."""

from __future__ import annotations

from typing import Any

from meshlab.kustomize import fields
from meshlab.kustomize.yaml_values import clone, forget_lines
from meshlab.manifest import ManifestError

__all__ = ["json_patch"]

_OPERATIONS = ("add", "replace", "remove", "move", "copy", "test")


def json_patch(body: dict[str, Any], operations: list[object], where: str) -> None:
    """Apply operations on an object, in place and in their order.

    Raises:
        ManifestError: An unknown operation, a path that leads nowhere, or a test that fails.
    """
    for index, operation in enumerate(operations):
        _operate(body, operation, f"{where}: operation {index}")


def _operate(body: dict[str, Any], operation: object, where: str) -> None:
    spec = fields.known(operation, ("op", "path", "value", "from"), where)
    action = fields.one_of(spec.get("op"), _OPERATIONS, f"{where}.op")
    target = _Pointer(spec.get("path"), f"{where}.path", body)
    if action in ("add", "replace", "test") and "value" not in spec:
        raise ManifestError(f"{where}: needs a value.")
    match action:
        case "add":
            target.add(clone(spec["value"]))
        case "replace":
            target.replace(clone(spec["value"]))
        case "remove":
            target.remove()
        case "test":
            if target.read() != spec["value"]:
                raise ManifestError(
                    f"{where}: {target.written}: the test fails; its value is {target.read()!r}."
                )
        case _:
            source = _Pointer(spec.get("from"), f"{where}.from", body)
            value = clone(source.read())
            if action == "move":
                source.remove()
            target.add(value)


class _Pointer:
    """A place in an object, by a JSON pointer (RFC 6901)."""

    def __init__(self, written: object, where: str, body: dict[str, Any]) -> None:
        self.written = fields.string(written, where)
        self._where = where.rpartition(".")[0]
        if not self.written.startswith("/"):
            raise ManifestError(
                f"{where}: {self.written}: needs a path below the root, which begins with a slash."
            )
        self._parts = [part.replace("~1", "/").replace("~0", "~") for part in self.written.split("/")[1:]]
        self._body = body

    def read(self) -> Any:  # noqa: ANN401 - any YAML value
        container = self._container()
        return container[self._key(container, self._parts[-1])]

    def add(self, value: object) -> None:
        container, part = self._container(), self._parts[-1]
        forget_lines(container)
        if isinstance(container, list):
            container.insert(len(container) if part == "-" else self._key(container, part, past_end=1), value)
        else:
            container[part] = value

    def replace(self, value: object) -> None:
        container, part = self._container(), self._parts[-1]
        # A field that is missing is added, which the RFC forbids and kustomize does.
        container[part if isinstance(container, dict) else self._key(container, part)] = value

    def remove(self) -> None:
        container = self._container()
        forget_lines(container)
        del container[self._key(container, self._parts[-1])]

    def _container(self) -> Any:  # noqa: ANN401 - any YAML value
        container: Any = self._body
        for part in self._parts[:-1]:
            container = container[self._key(container, part)]
        if not isinstance(container, dict | list):
            raise self._error("leads through a value that is neither a mapping nor a list")
        return container

    def _key(self, container: Any, part: str, past_end: int = 0) -> Any:  # noqa: ANN401 - any YAML value
        if isinstance(container, dict) and part in container:
            return part
        if isinstance(container, list) and part.removeprefix("-").isdigit():
            # A negative index counts from the end, which the RFC does not know and kustomize does.
            length = len(container) + past_end
            index = int(part) + (length if part.startswith("-") else 0)
            if 0 <= index < length:
                return index
        raise self._error(f"there is no {part}")

    def _error(self, problem: str) -> ManifestError:
        return ManifestError(f"{self._where}: {self.written}: {problem}; correct the path.")
