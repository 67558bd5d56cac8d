"""Many inputs, each checked by itself: how many of a corpus are read, and why the others are not."""

from __future__ import annotations

import re
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from meshlab.bench.check.checked import check
from meshlab.bench.check.refusal_texts import reason
from meshlab.bench.protocol import Sources
from meshlab.errors import LabError
from meshlab.inputs import KUSTOMIZATIONS, manifest_files
from meshlab.istio.read.object_kinds import GATEWAY_API, ISTIO_GROUPS
from meshlab.istio.read.pods import TEMPLATES
from meshlab.manifest import ManifestError
from meshlab.named_files import read_bytes
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.manifest import Manifest, Problem

__all__ = ["CheckedInput", "State", "Totals", "check_each", "directories_of", "files_of", "totals"]

State = Literal["read", "refused", "template"]
_POLICIES = ("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication")
_ISTIO_TEXT = re.compile(
    r"^[\s-]*\"?apiVersion\"?\s*:\s*[\"']?(?:\w+\.istio\.io|gateway\.networking\.k8s\.io)/", re.MULTILINE
)
_POLICY_TEXT = re.compile(rf"^[\s-]*\"?kind\"?\s*:\s*[\"']?(?:{'|'.join(_POLICIES)})\b", re.MULTILINE)


@dataclass(frozen=True)
class CheckedInput:
    """One input with objects of Istio or the Gateway API.

    Attributes:
        name: The file or directory.
        state: Whether it is read as written. A template is refused because of a `{{` in it.
        objects: How many objects it holds; 0 where it cannot be read.
        has_policies: Whether one of them is an AuthorizationPolicy, a PeerAuthentication or a RequestAuthentication.
        is_application: Whether it holds workloads and Services beside them.
        problems: Why it is not read.
        notes: How many notes it has.
    """

    name: str
    state: State
    objects: int
    has_policies: bool
    is_application: bool
    problems: tuple[Problem, ...]
    notes: int


@dataclass(frozen=True)
class Totals:
    """How many of a corpus are read.

    Attributes:
        inputs: Count by state.
        policies: The same of those that hold policies.
        applications: The same of whole applications.
        reasons: Every reason with the number of inputs that it keeps from being read, the most frequent first. An input
            counts once, for its first problem.
    """

    inputs: Counter[State]
    policies: Counter[State]
    applications: Counter[State]
    reasons: tuple[tuple[str, int], ...]


def files_of(paths: Sequence[str], left_out: Sequence[str] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every file as an input of its own.

    Args:
        paths: Files and directories.
        left_out: Patterns of names to leave out, such as `*-invalid.yaml`.

    Raises:
        LabError: A path does not exist.
    """
    for name in paths:
        path = Path(name)
        if not path.exists():
            raise LabError(f"{name}: there is no such file or directory.")
        for file in manifest_files(path) if path.is_dir() else (path,):
            if file.name not in KUSTOMIZATIONS and not any(fnmatch(file.name, shape) for shape in left_out):
                yield (str(file),)


def directories_of(paths: Sequence[str], left_out: Sequence[str] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the files of every directory as one input, without those of the directories in it.

    Args:
        paths: Files and directories.
        left_out: Patterns of names to leave out.

    Raises:
        LabError: A path does not exist.
    """
    found: dict[Path, list[str]] = {}
    for (file,) in files_of(paths, left_out):
        found.setdefault(Path(file).parent, []).append(file)
    yield from map(tuple, found.values())


def check_each(inputs: Iterator[tuple[str, ...]], namespace: str = "default") -> Iterator[CheckedInput]:
    """Check inputs one by one; those without objects of Istio or the Gateway API are left out.

    Args:
        inputs: The files of each input.
        namespace: The namespace of objects that have none.
    """
    for files in inputs:
        text = "\n".join(read_bytes(Path(file)).decode(errors="replace") for file in files)
        if _ISTIO_TEXT.search(text) and (found := _check(files, text, namespace)):
            yield found


def totals(checked: Sequence[CheckedInput]) -> Totals:
    """Count what was checked."""
    reasons = Counter(reason(found.problems[0]) for found in checked if found.state == "refused")
    return Totals(
        inputs=Counter(found.state for found in checked),
        policies=Counter(found.state for found in checked if found.has_policies),
        applications=Counter(found.state for found in checked if found.is_application),
        reasons=tuple(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    )


def _check(files: tuple[str, ...], text: str, namespace: str) -> CheckedInput | None:
    objects: tuple[Manifest, ...] = ()
    notes = 0
    try:
        checked = check(Sources(files, namespace))
    except ManifestError as error:
        problems = error.problems
    except LabError:
        return None
    else:
        objects, problems, notes = checked.objects, checked.problems, len(checked.notes)
        if not problems and not any(found.group in (*ISTIO_GROUPS, GATEWAY_API) for found in objects):
            return None
    kinds = {(found.group, found.kind) for found in objects}
    is_policy = any(found.kind in _POLICIES for found in objects)
    return CheckedInput(
        name=files[0] if len(files) == 1 else str(Path(files[0]).parent),
        state=_state(problems, text),
        objects=len(objects),
        has_policies=is_policy or (bool(problems) and _POLICY_TEXT.search(text) is not None),
        is_application=bool(kinds & set(TEMPLATES)) and ("", "Service") in kinds,
        problems=tuple(problems),
        notes=notes,
    )


def _state(problems: Sequence[Problem], text: str) -> State:
    if not problems:
        return "read"
    # A document that is no YAML has no name; `{{` is legal inside of a string.
    in_braces = any(not problem.subject or "{{" in problem.text for problem in problems)
    return "template" if "{{" in text and in_braces else "refused"
