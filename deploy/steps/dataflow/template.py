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
from ..gcloud import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FOLDER = ROOT / "beam" / "template"
MODES = ("stream", "backfill")

SET_HERE = frozenset(
    {"mode", "environment", "gateway_ca_secret", "sdk_container_image", "subscription", "journal", "workers"}
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


def given(mode: str, settings: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Return parameters that a user gave as ``NAME=VALUE``, and what is wrong with them, one sentence for each reason.

    What is none of the template's, or follows from the contract, is not among the parameters.
    """
    known = metadata(mode)
    found: dict[str, str] = {}
    wrong = []
    for setting in settings:
        name, equals, value = setting.partition("=")
        name = name.replace("-", "_")
        if not equals:
            wrong.append(f"--set {setting}: write NAME=VALUE")
        elif name in SET_HERE:
            wrong.append(f"--set {name}: it follows from the contract; change the contract")
        elif name not in known:
            offered = ", ".join(sorted(known.keys() - SET_HERE))
            wrong.append(f"--set {name}: no parameter of the template; it has {offered}")
        elif name in found:
            wrong.append(f"--set {name}: it is set twice")
        else:
            found[name] = value
    return found, wrong


def problems(mode: str, parameters: Mapping[str, str]) -> list[str]:
    """Return why Dataflow would refuse parameters, one sentence for each reason."""
    known = metadata(mode)
    found = [
        f"the template needs the parameter {name}: {parameter['helpText']}"
        for name, parameter in known.items()
        if not parameter.get("isOptional") and not parameters.get(name)
    ]
    for name, value in parameters.items():
        if not value and known[name].get("isOptional"):
            continue
        if not all(re.fullmatch(expression, value) for expression in known[name].get("regexes", ())):
            found.append(f"the parameter {name} is not as it must be: {known[name]['helpText']}")
    return found


def together(parameters: Mapping[str, str]) -> list[str]:
    """Return which parameters of a backfill do not go together: the pipeline would refuse them after the launch."""
    inputs = ("files", "bigquery_table", "bigquery_query", "dead_letters")
    given_inputs = [name for name in inputs if parameters.get(name)]
    found = []
    if len(given_inputs) != 1:
        found.append(
            f"a backfill has exactly one input: --set NAME=VALUE with one of {', '.join(inputs)}; "
            f"given: {', '.join(given_inputs) or 'none'}"
        )
    loads = parameters.get("write") == "load-files"
    if loads and not parameters.get("output"):
        found.append("write=load-files needs output, the folder for its files")
    if parameters.get("output") and not loads:
        found.append("output is for write=load-files alone")
    if parameters.get("dead_letters") and loads:
        found.append(
            "dead_letters do not go with write=load-files, which makes no row that they could be acknowledged by"
        )
    if parameters.get("dead_letters") and parameters.get("dry_run") == "true":
        found.append("dead_letters do not go with dry_run; use `python -m enrichment redrive --dry-run`")
    return found


def flag(parameters: Mapping[str, str], image: str) -> Value:
    """Return parameters as one flag of gcloud, with the image of the workers by its digest, the value ``image``.

    Args:
        parameters: the others.
        image: the name of the image, without a tag.

    Raises:
        RefusalError: no delimiter is left that no value holds.
    """
    pairs = [
        *(f"{name}={value}" for name, value in parameters.items() if value),
        f"sdk_container_image={image}@",
    ]
    # By what gcloud reads of it: the end of one value and a delimiter may make the delimiter one place earlier.
    delimiter = next((one for one in _DELIMITERS if one.join(pairs).split(one) == pairs), None)
    if delimiter is None:
        raise RefusalError(f"a parameter holds each of {' '.join(_DELIMITERS)}; leave one of them out")
    return Value("image", before=f"--parameters=^{delimiter}^{delimiter.join(pairs)}")


def require_files() -> None:
    """Refuse where the template's files are not there.

    Raises:
        RefusalError: a file is missing.
    """
    for path in (FOLDER / "Dockerfile", *map(metadata_file, MODES)):
        if not path.is_file():
            raise RefusalError(f"{relative(path)} is missing")
