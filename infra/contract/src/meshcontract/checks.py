"""Checking of a contract: its lines, each value, and values together. All problems are found at once."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from meshcontract.between import RULES, needed
from meshcontract.env_file import read_lines
from meshcontract.errors import ContractError, Problem
from meshcontract.keys import KEYS, RENAMED, own_type

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from meshcontract.env_file import EnvFile

__all__ = [
    "PLACEHOLDER_PROJECT",
    "file_problems",
    "load",
    "placeholders",
    "read",
    "token_scope",
    "with_defaults",
]

PLACEHOLDER_PROJECT = "example-project"

_FOLLOWING = {
    "SUBSCRIPTION_NAME": ("FUNCTION_NAME", "", "FUNCTION_NAME"),
    "LOOKUP_FUNCTION_NAME": ("FUNCTION_NAME", "-lookup", "FUNCTION_NAME"),
    "PULL_WORKER_NAME": ("FUNCTION_NAME", "-worker", "PULL_WORKER_SERVICE_ACCOUNT"),
    "PULL_WORKER_SUBSCRIPTION": ("PULL_WORKER_NAME", "", "PULL_WORKER_SERVICE_ACCOUNT"),
    "DATAFLOW_JOB": ("FUNCTION_NAME", "-dataflow", "DATAFLOW_SERVICE_ACCOUNT"),
    "DATAFLOW_SUBSCRIPTION": ("DATAFLOW_JOB", "", "DATAFLOW_SERVICE_ACCOUNT"),
    "DATAFLOW_BUCKET": ("GOOGLE_CLOUD_PROJECT", "-dataflow", "DATAFLOW_SERVICE_ACCOUNT"),
}
"""Keys whose default follows from another key, in the order of filling: that key, what is written behind its value, and
the key without which the default stays empty."""


def load(path: Path, also: Collection[str] = (), *, before_terraform: bool = False) -> dict[str, str]:
    """Read and check a contract from which something is deployed.

    Args:
        path: The ``KEY=VALUE`` file.
        also: Optional keys that this deployment needs.
        before_terraform: Whether keys that Terraform gives back may be missing.

    Returns:
        Every key of ``KEYS``, defaults filled in, and every key that the file has beside them; an optional key that is
        absent is the empty string.

    Raises:
        ContractError: The file is unreadable, or values are missing or wrong; with all problems.
    """
    file = read_lines(path)
    _refuse(path, file_problems(file, also, complete=True, before_terraform=before_terraform))
    return with_defaults(file.values)


def read(path: Path) -> dict[str, str]:
    """Read a contract that may lack keys, such as one of a mesh alone, and check what it has.

    Args:
        path: The ``KEY=VALUE`` file.

    Returns:
        The values as they are written.

    Raises:
        ContractError: The file is unreadable, or values are wrong; with all problems.
    """
    file = read_lines(path)
    _refuse(path, file_problems(file))
    return file.values


def _refuse(path: Path, problems: Collection[Problem]) -> None:
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise ContractError(f"{path} cannot be used; correct these and run again:\n{listed}")


def file_problems(
    file: EnvFile, also: Collection[str] = (), *, complete: bool = False, before_terraform: bool = False
) -> list[Problem]:
    """Return every problem of a contract, in the order of its lines, and what is missing after them.

    Args:
        file: What its lines say.
        also: Optional keys that must be there.
        complete: Whether keys that are missing are problems.
        before_terraform: Whether keys that Terraform gives back may be missing.
    """
    found = [*(_specific(file, problem) for problem in file.problems), *_renamed(file), *_misspelt(file)]
    wrong = {problem.key for problem in found}
    found += [problem for problem in _values(file) if problem.key not in wrong]
    wrong |= {problem.key for problem in found}
    wrong |= {RENAMED[key] for key in wrong if key in RENAMED}
    wrong |= {_meant(file, key) for key in wrong}
    if complete:
        found += [
            problem
            for problem in _missing(file.values, also)
            if problem.key not in wrong and not (before_terraform and KEYS[problem.key].returned)
        ]
    found += _together(file, wrong, complete=complete)
    return sorted(dict.fromkeys(found), key=lambda problem: problem.line or len(file.lines) + 10**6)


def placeholders(values: Mapping[str, str]) -> list[str]:
    """Return the keys whose value still names the placeholder project of the repository."""
    return [key for key in KEYS if PLACEHOLDER_PROJECT in values.get(key, "")]


def token_scope(values: Mapping[str, str]) -> str:
    """Return the scope of the function's token, in which spaces separate scopes (RFC 6749, section 3.3)."""
    return " ".join([values["JWT_SCOPE"], *filter(None, values["JWT_FURTHER_SCOPES"].split(","))])


def with_defaults(values: Mapping[str, str]) -> dict[str, str]:
    """Return the values with a default for every key of ``KEYS`` that is absent."""
    filled = {name: values.get(name) or key.default or "" for name, key in KEYS.items()}
    own = {name: value for name, value in values.items() if name not in KEYS}
    for name, (source, ending, switch) in _FOLLOWING.items():
        if not filled[name] and filled[source] and filled[switch]:
            filled[name] = f"{filled[source]}{ending}"
    return filled | own


def _specific(file: EnvFile, problem: Problem) -> Problem:
    """Return what a type says about a value in place of what is wrong with its characters."""
    key = problem.key
    of = KEYS[key].type if key in KEYS else own_type(key)
    if of is None or file.lines.get(key) != problem.line or not (what := of.reason(file.values[key])):
        return problem
    return Problem(key, what, problem.line)


def _renamed(file: EnvFile) -> Iterator[Problem]:
    for old, new in RENAMED.items():
        if old in file.values:
            yield Problem(old, f"is now {new}. Write {new}={KEYS[new].form}.", file.lines[old])


def _misspelt(file: EnvFile) -> Iterator[Problem]:
    """Yield keys that look like a known key that is absent."""
    for key in file.values:
        if meant := _meant(file, key):
            yield Problem(key, f"is not known; did you mean {meant}?", file.lines[key])


def _meant(file: EnvFile, key: str) -> str:
    if not key or key in KEYS or key in RENAMED:
        return ""
    absent = [name for name in KEYS if not file.values.get(name)]
    return next(iter(difflib.get_close_matches(key, absent, n=1, cutoff=0.8)), "")


def _values(file: EnvFile) -> Iterator[Problem]:
    for key, value in file.values.items():
        of = KEYS[key].type if key in KEYS else own_type(key)
        if not value and of is not None and (key not in KEYS or "mesh" in KEYS[key].readers):
            what = f"is empty, and a manifest would have nothing in its place. Write {of.form}, or leave the key out."
            yield Problem(key, what, file.lines[key])
        if value and of is not None and (problem := of.problem(value)):
            yield Problem(key, problem, file.lines[key])
    filled = with_defaults(file.values)
    for key, (source, *_) in _FOLLOWING.items():
        value = filled[key]
        # A value that follows from one that is wrong, or from another one that follows, has the same problem.
        if not value or file.values.get(key) or KEYS[source].type.problem(filled[source]):
            continue
        if problem := KEYS[key].type.problem(value):
            yield Problem(key, f"follows from {source} and {problem}")


def _missing(values: Mapping[str, str], also: Collection[str]) -> Iterator[Problem]:
    filled = with_defaults(values)
    wanted = {name: "" for name, key in KEYS.items() if key.default is None}
    for name, why in needed(filled, also):
        wanted.setdefault(name, why)
    for name, why in wanted.items():
        if not filled[name]:
            because = f"; {why}" if why else ""
            yield Problem(name, f"is missing{because}. Write {KEYS[name].form}.")


def _together(file: EnvFile, wrong: set[str], *, complete: bool) -> Iterator[Problem]:
    """Yield what values are together; a value that is wrong alone is left out, for its rules would only repeat it."""
    filled = with_defaults({key: value for key, value in file.values.items() if key not in wrong})
    for rule in RULES:
        for keys, what in rule(filled):
            if not wrong.intersection(keys) and (complete or keys[0] in file.values):
                yield Problem(keys[0], what, file.lines.get(keys[0], 0))
