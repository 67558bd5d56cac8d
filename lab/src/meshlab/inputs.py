"""Manifests that a user names on the command line: files, directories, kustomizations, standard input."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.errors import LabError
from meshlab.kustomize import build_any
from meshlab.manifest import Manifest, ManifestError, Problem, documents_of, to_manifest
from meshlab.named_files import STANDARD_INPUT, read_bytes, read_stream
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TextIO

__all__ = ["KUSTOMIZATIONS", "Inputs", "PassedOver", "manifest_files", "read_inputs"]

_SUFFIXES = (".yaml", ".yml", ".json")
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
"""Names of files that tell kustomize what to build."""
_STDIN = "-"


@dataclass(frozen=True)
class PassedOver:
    """A file of a directory that holds no manifests, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Inputs:
    """What was read.

    Attributes:
        manifests: The objects, in the order of the files' names.
        passed_over: Files without manifests.
        unreadable: Files that may hold manifests and could not be read.
        files: Every file that was looked at, for a watch.
        standard_input: The text of standard input, where that was read.
    """

    manifests: tuple[Manifest, ...]
    passed_over: tuple[PassedOver, ...]
    unreadable: tuple[Problem, ...]
    files: tuple[Path, ...]
    standard_input: str = ""


def read_inputs(paths: Sequence[str], *, namespace: str = "default", stdin: TextIO | None = None) -> Inputs:
    """Read manifests from anything that a user may name.

    A directory with a kustomization is built. Any other directory is read recursively; what is no Kubernetes YAML in
    it is passed over, and a kustomization further down is passed over as a file, while the manifests beside it count.

    Args:
        paths: Files, directories, or `-` for standard input.
        namespace: The namespace of objects that name none and need one.
        stdin: Standard input.

    Raises:
        LabError: A path does not exist or cannot be read, or nothing is read at all.
        ManifestError: A kustomization cannot be built.
    """
    reader = _Reader(namespace)
    for path in paths:
        reader.read(path, stdin)
    if not reader.manifests and not reader.unreadable:
        raise LabError(
            f"{', '.join(paths)}: it holds no Kubernetes object. Name files or directories of manifests."
        )
    return Inputs(
        tuple(reader.manifests),
        tuple(reader.passed_over),
        tuple(reader.unreadable),
        tuple(reader.files),
        reader.standard_input,
    )


def manifest_files(directory: Path) -> Iterator[Path]:
    """Yield the files of a directory that may hold manifests, sorted; nothing that is hidden."""
    for path in sorted(directory.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(directory).parts)
        if path.suffix in _SUFFIXES and path.is_file() and not hidden:
            yield path


class _Reader:
    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self.manifests: list[Manifest] = []
        self.passed_over: list[PassedOver] = []
        self.unreadable: list[Problem] = []
        self.files: dict[Path, None] = {}
        self.standard_input = ""

    def read(self, name: str, stdin: TextIO | None) -> None:
        if name == _STDIN:
            if stdin is None or stdin.isatty():
                raise LabError(
                    "standard input is a terminal: pipe manifests into it, or name files in place of -"
                )
            self.standard_input = read_stream(stdin)
            self._text(self.standard_input, STANDARD_INPUT, named=True)
            return
        path = Path(name)
        if path.is_dir():
            if any((path / file).is_file() for file in KUSTOMIZATIONS):
                self._kustomization(path)
            else:
                self._directory(path)
        elif path.name in KUSTOMIZATIONS and path.is_file():
            self._kustomization(path.parent)
        elif path.exists():
            self._file(path, named=True)
        else:
            raise LabError(f"{name}: there is no such file or directory.")

    def _kustomization(self, directory: Path) -> None:
        self.files.update(dict.fromkeys(path for path in sorted(directory.rglob("*")) if path.is_file()))
        self._add(build_any(directory))

    def _directory(self, directory: Path) -> None:
        for path in manifest_files(directory):
            if path.name in KUSTOMIZATIONS:
                self.passed_over.append(
                    PassedOver(
                        str(path), "a kustomization below a directory is not built; name its directory"
                    )
                )
            else:
                self._file(path, named=False)

    def _file(self, path: Path, *, named: bool) -> None:
        self.files[path] = None
        try:
            text = read_bytes(path).decode("utf-8-sig")
        except UnicodeDecodeError:
            self._unusable(
                str(path), Problem(str(path), 0, "", "", "not UTF-8 text."), named=named, manifest=False
            )
            return
        self._text(text, str(path), named=named)

    def _text(self, text: str, source: str, *, named: bool) -> None:
        looks = _looks_like_manifests(text)
        try:
            documents = documents_of(text, source)
        except ManifestError as error:
            if looks and "{{" in text and not named:
                reason = "a template; render it first, for instance with helm template"
                self.passed_over.append(PassedOver(source, reason))
            else:
                self._unusable(source, error.problems[0], named=named, manifest=looks)
            return
        if not documents:
            self.passed_over.append(PassedOver(source, "it holds no object"))
        for document, line in documents:
            if not _names_a_kind(document):
                reason = "no Kubernetes object: no apiVersion and kind"
                self.passed_over.append(PassedOver(f"{source}:{line}", reason))
                continue
            try:
                self._add([to_manifest(document, source, line=line)])
            except ManifestError as error:
                self.unreadable += error.problems

    def _unusable(self, source: str, problem: Problem, *, named: bool, manifest: bool) -> None:
        if manifest or named:
            self.unreadable.append(problem)
        else:
            self.passed_over.append(PassedOver(source, problem.text.rstrip(".")))

    def _add(self, found: Iterable[Manifest]) -> None:
        self.manifests += (_placed(manifest, self._namespace) for manifest in found)


def _placed(manifest: Manifest, namespace: str) -> Manifest:
    """Put an object that names no namespace where `kubectl apply` would put it."""
    if manifest.namespace or (manifest.group, manifest.kind) in _CLUSTER_WIDE:
        return manifest
    return Manifest(
        manifest.api_version,
        manifest.kind,
        manifest.name,
        namespace,
        manifest.body,
        manifest.source,
        manifest.line,
    )


_CLUSTER_WIDE = frozenset(
    {
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("cert-manager.io", "ClusterIssuer"),
        ("gateway.networking.k8s.io", "GatewayClass"),
        ("kyverno.io", "ClusterPolicy"),
        ("networking.k8s.io", "IngressClass"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "StorageClass"),
    }
)
"""(group, kind) of objects that have no namespace."""


def _names_a_kind(document: object) -> bool:
    return isinstance(document, dict) and "apiVersion" in document and "kind" in document


def _looks_like_manifests(text: str) -> bool:
    return bool(
        re.search(r"^\s*\"?apiVersion\"?\s*:", text, re.MULTILINE)
        and re.search(r"^\s*\"?kind\"?\s*:", text, re.MULTILINE)
    )
