"""A Kubernetes object as written: where it stands, and what it says."""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Any

from meshlab.quick_dataclass import dataclass
from meshlab.visible_text import one_line, shown_value
from meshlab.yaml_reader import LocatedDict, LocatedList, YamlError, parse_located, parse_strict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "Manifest",
    "ManifestError",
    "Problem",
    "documents_of",
    "parse_manifests",
    "parse_yaml",
    "to_manifest",
]


@dataclass(frozen=True)
class Problem:
    """One reason to refuse something.

    Attributes:
        source: The file.
        line: The line in it, from 1; 0 where it is not known.
        subject: The object, as `Kind namespace/name`; empty where there is none.
        path: The field, such as `spec.rules[0].to`; empty for the whole object.
        text: What is wrong and what to do.
        code: The lint rule that found it, such as `ML302`; empty where it is none of a rule.
    """

    source: str
    line: int
    subject: str
    path: str
    text: str
    code: str = field(default="", compare=False)

    def __str__(self) -> str:
        """Return `FILE:LINE: Kind namespace/name: field: text`."""
        place = f"{self.source}:{self.line}" if self.line else self.source
        return one_line(": ".join(part for part in (place, self.subject, self.path, self.text) if part))


class ManifestError(Exception):
    """Something was refused.

    The message has a line for each problem: the file, the object and the field, what is wrong and what to do.

    Attributes:
        problems: The problems, where they are known one by one.
    """

    def __init__(self, message: str | Problem | Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...]
        if isinstance(message, str):
            self.problems = ()
            super().__init__(message)
        else:
            self.problems = (message,) if isinstance(message, Problem) else tuple(message)
            super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True)
class Manifest:
    """One Kubernetes object.

    Attributes:
        api_version: `apiVersion` as written, such as `security.istio.io/v1`.
        kind: `kind` as written.
        name: `metadata.name`.
        namespace: `metadata.namespace`, or an empty string where there is none.
        body: The whole object. Treat it as read-only.
        source: The file it came from.
        line: Where it begins in that file, from 1; 0 where that is not known.
    """

    api_version: str
    kind: str
    name: str
    namespace: str
    body: Mapping[str, Any]
    source: str
    line: int = field(default=0, compare=False)

    @property
    def group(self) -> str:
        """The API group: an empty string for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """The version within the group, such as `v1`."""
        return self.api_version.rpartition("/")[2]

    @property
    def subject(self) -> str:
        """`Kind namespace/name`, as messages name it."""
        if not self.name:
            return self.kind
        qualified = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {qualified}"

    @property
    def created(self) -> str:
        """`metadata.creationTimestamp`, which exported objects carry; empty in files that people write."""
        return str((self.body.get("metadata") or {}).get("creationTimestamp") or "")

    def __str__(self) -> str:
        """Return the file, the line and the object."""
        place = f"{self.source}:{self.line}" if self.line else self.source
        return f"{place}: {self.subject}"

    def line_of(self, keys: Sequence[str | int]) -> int:
        """Return the line of the deepest known part of a path, or 0.

        Args:
            keys: The keys and list indices that lead to the field.
        """
        line, value = self.line, self.body
        for key in keys:
            lines = value.lines if isinstance(value, LocatedDict | LocatedList) else {}
            line = lines.get(key, line)  # type: ignore[arg-type]
            try:
                value = value[key]  # type: ignore[index]
            except (KeyError, IndexError, TypeError):
                break
        return line

    def problem(self, keys: Sequence[str | int], text: str, *, code: str = "") -> Problem:
        """Return the problem with a field of this object; `code` is the lint rule that found it."""
        path = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")
        return Problem(self.source, self.line_of(keys), self.subject, path, text, code)


def parse_manifests(text: str, source: str, *, namespace: str = "") -> list[Manifest]:
    """Read the objects of one YAML or JSON file, in their order.

    Args:
        text: The file's content; any number of documents. A `List` stands for its items.
        source: What to call the file in error messages.
        namespace: The namespace of objects that name none.

    Returns:
        One manifest per object.

    Raises:
        ManifestError: The text is not YAML, or a document is not a Kubernetes object.
    """
    return [
        to_manifest(document, source, line=line, namespace=namespace)
        for document, line in documents_of(text, source)
    ]


def documents_of(text: str, source: str) -> list[tuple[object, int]]:
    """Read the documents of a YAML or JSON text, each with its line, and the items of a `List` as documents.

    Args:
        text: Any number of documents; empty ones are left out.
        source: What to call the text in error messages.

    Raises:
        ManifestError: The text is not YAML.
    """
    try:
        documents = parse_located(text)
    except YamlError as error:
        raise _not_yaml(source, error) from None
    return [item for document, line in documents if document is not None for item in _items(document, line)]


_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.:]{0,252}")
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


def to_manifest(document: object, source: str, *, line: int = 0, namespace: str = "") -> Manifest:
    """Name a parsed object.

    Args:
        document: What the YAML said.
        source: What to call its origin in error messages.
        line: The line at which it begins, from 1; 0 where that is not known.
        namespace: Its namespace where it names none.

    Raises:
        ManifestError: It has no `apiVersion`, `kind` or `metadata.name`.
    """

    def refused(path: str, text: str) -> ManifestError:
        return ManifestError(Problem(source, line, "", path, text))

    if not isinstance(document, dict):
        raise refused("", f"expected a Kubernetes object, found {type(document).__name__}.")
    # istioctl takes an IstioOperator from a file, where it needs no name.
    nameless = document.get("kind") == "IstioOperator"
    metadata = document.get("metadata")
    if metadata is None and nameless:
        metadata = {}
    if not isinstance(metadata, dict):
        raise refused("", "the object has no metadata; give it a metadata.name.")
    named = {
        "apiVersion": document.get("apiVersion"),
        "kind": document.get("kind"),
        "metadata.name": metadata.get("name", "" if nameless else None),
        "metadata.namespace": metadata.get("namespace") or "",
    }
    for path, value in named.items():
        if not isinstance(value, str) or not (
            value or path == "metadata.namespace" or (nameless and path == "metadata.name")
        ):
            raise refused(path, f"expected a string, found {shown_value(value)}.")
    for path, pattern in (("metadata.name", _NAME), ("metadata.namespace", _NAMESPACE)):
        # Names stand in messages, in files' names and in the configuration of Envoy.
        if named[path] and not pattern.fullmatch(str(named[path])):
            raise refused(
                path, f"{named[path]!r} is not a name that Kubernetes takes; use letters, digits and -."
            )
    return Manifest(
        api_version=document["apiVersion"],
        kind=document["kind"],
        name=metadata.get("name") or "",
        namespace=metadata.get("namespace") or namespace,
        body=document,
        source=source,
        line=line,
    )


def parse_yaml(text: str, source: str) -> list[object]:
    """Read every document of a YAML text of the project's own formats.

    Args:
        text: The YAML.
        source: What to call it in error messages.

    Raises:
        ManifestError: Not YAML, a duplicate or non-string key, or a scalar that readers disagree on.
    """
    try:
        return parse_strict(text)
    except YamlError as error:
        raise _not_yaml(source, error) from None


def _items(document: object, line: int) -> Iterator[tuple[object, int]]:
    """Split a `List` (as `kubectl get -o yaml` prints) into its items."""
    if not (isinstance(document, dict) and isinstance(document.get("items"), list)):
        yield document, line
        return
    if not str(document.get("kind", "")).endswith("List"):
        yield document, line
        return
    items = document["items"]
    lines = items.lines if isinstance(items, LocatedList) else {}
    for index, item in enumerate(items):
        yield from _items(item, lines.get(index, line))


def _not_yaml(source: str, error: YamlError) -> ManifestError:
    return ManifestError(Problem(source, error.line, "", "", f"{error}."))
