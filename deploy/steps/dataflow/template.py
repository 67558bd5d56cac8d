"""Parameters of the flex template: what each job may be given, checked by the metadata that Dataflow checks it by.

The metadata lies in ``beam/template``: one file for each mode, because Dataflow shows a template's parameters to those
who run it, and the two modes share few.
https://cloud.google.com/dataflow/docs/guides/templates/configuring-flex-templates#metadata
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .. import ROOT, RefusalError, relative

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FOLDER = ROOT / "beam" / "template"
MODES = ("stream", "backfill")

SET_HERE = frozenset(
    {"mode", "environment", "gateway_ca_secret", "sdk_container_image", "subscription", "journal"}
)
"""Parameters that follow from the contract and are no user's to set."""

# gcloud's syntax ^DELIMITER^ replaces the comma between parameters, which a query or a pattern of files may hold.
# https://cloud.google.com/sdk/gcloud/reference/topic/escaping
_DELIMITERS = ("|", "~~", "@@@", ";;;;")


def metadata_file(mode: str) -> Path:
    """Return the file that describes the parameters of a mode."""
    return FOLDER / f"metadata-{mode}.json"


def metadata(mode: str) -> dict[str, dict[str, Any]]:
    """Return the parameters of a mode by their names."""
    listed: list[dict[str, Any]] = json.loads(metadata_file(mode).read_text(encoding="utf-8"))["parameters"]
    return {parameter["name"]: parameter for parameter in listed}


def given(mode: str, settings: Iterable[str]) -> dict[str, str]:
    """Return parameters that a user gave as ``NAME=VALUE``.

    Raises:
        RefusalError: one of them is none of the template's, or is set by the contract; with all problems.
    """
    known = metadata(mode)
    found: dict[str, str] = {}
    problems = []
    for setting in settings:
        name, equals, value = setting.partition("=")
        name = name.replace("-", "_")
        if not equals:
            problems.append(f"--set {setting}: write NAME=VALUE")
        elif name in SET_HERE:
            problems.append(f"--set {name}: it follows from the contract; change the contract")
        elif name not in known:
            offered = ", ".join(sorted(known.keys() - SET_HERE))
            problems.append(f"--set {name}: no parameter of the template; it has {offered}")
        elif name in found:
            problems.append(f"--set {name}: it is set twice")
        else:
            found[name] = value
    if problems:
        raise RefusalError("\n  ".join(problems))
    return found


def problems(mode: str, parameters: Mapping[str, str]) -> list[str]:
    """Return why Dataflow would refuse parameters, one sentence for each reason."""
    known = metadata(mode)
    found = [
        f"the template needs the parameter {name}: {parameter['helpText']}"
        for name, parameter in known.items()
        if not parameter.get("isOptional") and not parameters.get(name)
    ]
    for name, value in parameters.items():
        if name == "sdk_container_image":
            continue  # an option of Beam's own, which every template takes
        if not value and known[name].get("isOptional"):
            continue
        if not all(re.fullmatch(expression, value) for expression in known[name].get("regexes", ())):
            found.append(f"the parameter {name} is not as it must be: {known[name]['helpText']}")
    return found


def flag(parameters: Mapping[str, str]) -> str:
    """Return parameters as one flag of gcloud.

    Raises:
        RefusalError: no delimiter is left that no value holds.
    """
    pairs = [f"{name}={value}" for name, value in parameters.items() if value]
    delimiter = next((one for one in _DELIMITERS if not any(one in pair for pair in pairs)), None)
    if delimiter is None:
        raise RefusalError(f"a parameter holds each of {' '.join(_DELIMITERS)}; leave one of them out")
    return f"--parameters=^{delimiter}^{delimiter.join(pairs)}"


def require_files() -> None:
    """Refuse where the template's files are not there.

    Raises:
        RefusalError: a file is missing.
    """
    for path in (FOLDER / "Dockerfile", *map(metadata_file, MODES)):
        if not path.is_file():
            raise RefusalError(f"{relative(path)} is missing")
