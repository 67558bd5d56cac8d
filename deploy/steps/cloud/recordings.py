"""Recordings: a folder with the answers to every question, to check later, elsewhere or in a test.

    manifest.json      which questions were asked, how each ended, the digest of the package
    contract.env       the contract of that time
    jwks.json          the public keys of the mesh, if there were any
    answers/NAME.json  the answer to the question NAME

The manifest of a recording that differs little from another can name that one in ``extends``. It then lists the
differences: ``changes`` by the name of the question as JSON Patch, ``contract`` by key, and answers of its own.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import RefusalError, relative
from .answers import Answer, Outcome, Question, checked, one_line, outcome_of
from .patches import patched

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .scrub import Scrubber

_MANIFEST = "manifest.json"
_DEPTH = 4


@dataclass
class Recording:
    """A recording that was read.

    Attributes:
        contract: The lines of its contract by key.
        package: The digest of the package of that time, or "".
        jwks: The mesh's public keys, or None.
        answers: The recorded answers: data by question, or an exit code and an error.
    """

    contract: dict[str, str] = field(default_factory=dict)
    package: str = ""
    jwks: Any = None
    answers: dict[str, Any] = field(default_factory=dict)

    def __call__(self, question: Question) -> Answer:
        """Return the recorded answer."""
        if question.name not in self.answers:
            return Answer(Outcome.FAILED, error=f"the recording has no answer named {question.name}")
        entry = self.answers[question.name]
        if "error" in entry:
            error = one_line(str(entry["error"]))
            return Answer(outcome_of(error), error=error, exit_code=1)
        return checked(question, entry["data"])


def read(path: Path) -> Recording:
    """Return the recording in a folder, or the one whose manifest is this file.

    Raises:
        RefusalError: the folder has no recording, or it cannot be read.
    """
    try:
        return _read(
            path if path.is_dir() else path.parent, _DEPTH, path.name if path.is_file() else _MANIFEST
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RefusalError(
            f"there is no recording that can be read in {relative(path)}: {one_line(str(error))}. Make one with "
            "`deploy/verify --record FOLDER`."
        ) from None


def require_new(folder: Path) -> None:
    """Refuse a folder in which something is, before anything is asked.

    Raises:
        RefusalError: there is something in it, or it is no folder.
    """
    try:
        taken = any(folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise RefusalError(f"{relative(folder)} cannot be used for a recording: {error.strerror}.") from None
    if taken:
        raise RefusalError(
            f"{relative(folder)} is not empty, and a recording would write over its files. Name a new folder."
        )


def write(
    folder: Path,
    *,
    contract: Mapping[str, str],
    package: str,
    jwks: Any,  # noqa: ANN401 - JSON
    answers: Mapping[str, tuple[Question, Answer]],
    scrubber: Scrubber,
) -> None:
    """Write a recording.

    Args:
        folder: A folder that is new or empty.
        contract: The contract, by key.
        package: The digest of the local package, or "".
        jwks: The mesh's public keys, or None.
        answers: Each question with its answer, by name.
        scrubber: What removes the addresses of people and the values of unknown variables.

    Raises:
        RefusalError: the folder cannot be written, or there is something in it.
    """
    try:
        require_new(folder)
        (folder / "answers").mkdir(parents=True)
        listed: dict[str, Any] = {}
        for name, (question, answer) in sorted(answers.items()):
            entry: dict[str, Any] = {"command": [scrubber.text(word) for word in question.command]}
            if answer.ok:
                _write_json(folder / "answers" / f"{name}.json", scrubber.answer(answer.data))
            else:
                entry |= {"exit_code": answer.exit_code or 1, "error": scrubber.text(answer.error)}
            listed[name] = entry
        _write_json(folder / _MANIFEST, {"package": package, "answers": listed})
        if jwks is not None:
            _write_json(folder / "jwks.json", jwks)
        lines = "".join(f"{key}={scrubber.text(value)}\n" for key, value in contract.items() if value)
        (folder / "contract.env").write_text(lines, encoding="utf-8")
    except OSError as error:
        raise RefusalError(
            f"the recording cannot be written to {relative(folder)}: {error.strerror}. "
            "Name a folder that does not exist yet."
        ) from None


def _read(folder: Path, depth: int, file: str = _MANIFEST) -> Recording:
    if not depth:
        raise ValueError("each recording extends another one")
    manifest = json.loads((folder / file).read_text(encoding="utf-8"))
    recording = Recording()
    if "extends" in manifest:
        base = folder / manifest["extends"]
        whole = base.is_dir()
        recording = _read(base if whole else base.parent, depth - 1, _MANIFEST if whole else base.name)
    recording.package = manifest.get("package", recording.package)
    if (folder / "jwks.json").exists():
        recording.jwks = json.loads((folder / "jwks.json").read_text(encoding="utf-8"))
    recording.jwks = manifest.get("jwks", recording.jwks)
    recording.jwks = _changed(recording.jwks, manifest.get("jwks_changes"))
    if (folder / "contract.env").exists():
        recording.contract = _lines((folder / "contract.env").read_text(encoding="utf-8"))
    recording.contract = {
        key: value for key, value in {**recording.contract, **manifest.get("contract", {})}.items() if value
    }
    for name, entry in manifest.get("answers", {}).items():
        if not isinstance(entry, dict):
            raise ValueError(f"the answer {name!r} is no object")  # noqa: TRY004 - one kind of error for the caller
        recording.answers[name] = entry
        if "error" not in entry and "data" not in entry:
            if not re.fullmatch(r"[a-z0-9-]+", name):
                raise ValueError(f"{name!r} is not the name of a question")
            text = (folder / "answers" / f"{name}.json").read_text(encoding="utf-8")
            recording.answers[name] = {"data": json.loads(text)}
    for name, operations in manifest.get("changes", {}).items():
        recording.answers[name] = {"data": patched(recording.answers[name]["data"], operations)}
    return recording


def _changed(data: Any, operations: Any) -> Any:  # noqa: ANN401 - JSON
    return patched(data, operations) if operations else data


def _lines(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if line and not line.startswith("#"))
    return {key: value for key, _, value in pairs}


def _write_json(path: Path, data: Any) -> None:  # noqa: ANN401 - JSON
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
