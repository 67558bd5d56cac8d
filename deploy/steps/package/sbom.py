"""``deploy/sbom``: the software bill of materials of a package, in CycloneDX 1.5.

uv writes the components and their dependencies from ``uv.lock``. This module compares them with the package's own
``requirements.txt``, and adds what uv cannot know: the hashes of the wheels in the package, and which package it is.
https://cyclonedx.org/docs/1.5/json/
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
import uuid
from typing import TYPE_CHECKING, Any

from .. import ROOT, RefusalError, relative, uv
from ..arguments import file_to_write, folder_to_read
from . import bundle
from .kinds import DATAFLOW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_FUNCTION = "meshpass-function"

# The namespace of the serial number: the same package gets the same number, another package another one.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "meshpass.function.package")

# One line of requirements.txt, continued lines joined: `name==version ; marker --hash=sha256:...` or a wheel beside it.
_PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;]+)")
_WHEEL = re.compile(r"^\./(([\w.]+)-([\w.]+)-[\w.-]+\.whl)\s.*--hash=sha256:([0-9a-f]{64})", re.DOTALL)


def make(package: Path) -> dict[str, Any]:
    """Return the bill of materials of a package.

    It has no time stamp, so that the same package gives the same bytes.

    Args:
        package: a folder from ``deploy/package``.

    Returns:
        A CycloneDX 1.5 document.

    Raises:
        RefusalError: the package is missing or older than its sources, uv failed, or uv's components are not those of
            the package's requirements.
    """
    requirements_file = package / "requirements.txt"
    if not requirements_file.is_file():
        raise RefusalError(f"there is no package in {relative(package)}; run deploy/package")
    if bundle.kind_of(package) is DATAFLOW:
        raise RefusalError(
            f"{relative(package)} follows from the lock of beam/; run: "
            "uv export --project=beam --frozen --extra=dataflow --format=cyclonedx1.5"
        )
    if changed := bundle.changes_since_packaged(package):
        raise RefusalError(f"the package is older than {', '.join(changed)}; run deploy/package")
    pinned, wheels = _read_requirements(requirements_file.read_text(encoding="utf-8"))
    document: dict[str, Any] = json.loads(_export(set(pinned) | set(wheels)))
    _compare(document, {**pinned, **{name: wheel["version"] for name, wheel in wheels.items()}})
    return _describe(document, wheels, bundle.digest(package))


def _read_requirements(text: str) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Return the pinned versions by name, and the wheels of the package by name."""
    pinned: dict[str, str] = {}
    wheels: dict[str, dict[str, str]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if wheel := _WHEEL.match(line):
            file, name, version, digest = wheel.groups()
            wheels[_normalized(name)] = {"file": file, "version": version, "sha256": digest}
        elif pin := _PINNED.match(line):
            pinned[_normalized(pin[1])] = pin[2]
    return pinned, wheels


def _export(names: set[str]) -> str:
    # An extra belongs to the package where everything that it asks for is in the requirements.
    project = tomllib.loads((ROOT / "function" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [
        f"--extra={extra}"
        for extra, wanted in project.get("optional-dependencies", {}).items()
        if all(_normalized(re.split(r"[^\w.-]", one, maxsplit=1)[0]) in names for one in wanted)
    ]
    return uv.run(
        "export", "--frozen", f"--package={_FUNCTION}", "--no-dev", *extras,
        "--format=cyclonedx1.5", "--preview-features=sbom-export",
    )  # fmt: skip


def _compare(document: Mapping[str, Any], requirements: Mapping[str, str]) -> None:
    listed = {_normalized(component["name"]): component["version"] for component in document["components"]}
    if differ := sorted(
        name for name in listed.keys() | requirements.keys() if listed.get(name) != requirements.get(name)
    ):
        raise RefusalError(
            "the bill of materials and the package's requirements.txt differ in "
            + ", ".join(
                f"{name} ({listed.get(name, 'absent')} and {requirements.get(name, 'absent')})"
                for name in differ
            )
            + "; run deploy/package again, and compare deploy/steps/package/sbom.py with deploy/steps/package/bundle.py"
        )


def _describe(
    document: dict[str, Any], wheels: Mapping[str, Mapping[str, str]], digest: str
) -> dict[str, Any]:
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, digest)}"
    metadata = document["metadata"]
    metadata.pop("timestamp", None)
    metadata["component"]["type"] = "application"
    metadata["component"]["properties"] = [{"name": "meshpass:package", "value": digest}]
    for component in document["components"]:
        wheel = wheels.get(_normalized(component["name"]))
        if wheel is not None:
            component["hashes"] = [{"alg": "SHA-256", "content": wheel["sha256"]}]
            component["properties"] = [{"name": "meshpass:wheel", "value": wheel["file"]}]
    return document


def _normalized(name: str) -> str:
    """Return a package's name in the form in which names are compared.

    https://packaging.python.org/en/latest/specifications/name-normalization/
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def main(arguments: Sequence[str]) -> None:
    """Write the bill of materials; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="deploy/sbom",
        description="Writes the software bill of materials of the package, in CycloneDX 1.5: every Python package "
        "with version, hashes and what needs it. The same package gives the same bytes.",
    )
    parser.add_argument(
        "--source",
        type=folder_to_read,
        default=ROOT / "build" / "function",
        help="folder from deploy/package (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=file_to_write,
        help="file to write, or - for standard output (default: SOURCE.cdx.json)",
    )
    options = parser.parse_args(arguments)
    document = make(options.source)
    text = json.dumps(document, indent=2) + "\n"
    output = options.output or options.source.with_name(f"{options.source.name}.cdx.json")
    if str(output) == "-":
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RefusalError(f"cannot write {relative(output)}: {error.strerror}") from None
    sys.stdout.write(f"{relative(output)}: {len(document['components'])} components\n")
