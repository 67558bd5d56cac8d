"""Contents of artefacts: what each must have, and what must not leave this machine."""

from __future__ import annotations

import email
import email.message
import email.policy
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tools import ROOT
from tools.release import artefacts
from tools.release.packages import OWN_NAMES, project

if TYPE_CHECKING:
    from tools.release.artefacts import Built

_TESTS = re.compile(r"(^|/)(tests?|conftest\.py|test_[^/]+\.py)(/|$)")
_LEFTOVERS = re.compile(r"(^|/)(__pycache__|\.venv|\.git|\.env|dist|build)(/|$)|\.(py[co]|pem|key|log)$")
_METADATA = ("Summary", "Description-Content-Type", "License-Expression", "License-File", "Keywords",
             "Requires-Python")  # fmt: skip
_URLS = ("Homepage", "Documentation", "Changelog", "Issues", "Source")
_RELATIVE_LINK = re.compile(r"\]\((?!https://|mailto:|#)([^)]+)\)")


def problems(built: Built) -> list[str]:
    """Return what is wrong with the artefacts of one package, one sentence each."""
    found = []
    for artefact in (built.wheel, built.sdist):
        content_of = artefacts.files(artefact)
        found += [
            f"{artefact.name} lacks {name}" for name in _wanted(built, artefact) if name not in content_of
        ]
        found += [
            f"{artefact.name} has {name}, which does not belong there"
            for name in content_of
            if (_TESTS.search(name) and not _is_test_kit(name)) or _LEFTOVERS.search(name)
        ]
        found += [
            f"{artefact.name} names a folder of this machine in {name}"
            for name, content in content_of.items()
            if any(path in content for path in _local_paths())
        ]
    metadata = read_metadata(built)
    return found + _metadata_problems(built, metadata) + _requirement_problems(built, metadata)


def read_metadata(built: Built) -> email.message.EmailMessage:
    """Return the metadata of a wheel; the payload is the README."""
    raw = artefacts.files(built.wheel)[f"{_info(built)}/METADATA"]
    return email.message_from_bytes(raw, policy=email.policy.EmailPolicy(utf8=True))


def _wanted(built: Built, artefact: Path) -> tuple[str, ...]:
    module = built.package.module
    if artefact.suffix == ".whl":
        return f"{module}/__init__.py", f"{module}/py.typed", f"{_info(built)}/licenses/LICENSE"
    return (
        f"src/{module}/__init__.py",
        f"src/{module}/py.typed",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "PKG-INFO",
    )


def _info(built: Built) -> str:
    return "-".join(built.wheel.name.split("-")[:2]) + ".dist-info"


def _is_test_kit(name: str) -> bool:
    # Commands and fixtures for the user's own tests.
    return name.removeprefix("src/").startswith(("meshpass/testing/", "meshlab/cli/", "meshlab/bench/"))


def _local_paths() -> set[bytes]:
    return {str(path).encode() for path in (ROOT, Path.home()) if len(path.parts) > 2}


def _metadata_problems(built: Built, metadata: email.message.EmailMessage) -> list[str]:
    name = built.wheel.name
    found = [f"{name} has no {field} in its metadata" for field in _METADATA if not metadata.get(field)]
    urls = {str(url).partition(",")[0] for url in metadata.get_all("Project-URL", [])}
    found += [f"{name} has no URL {url}" for url in _URLS if url not in urls]
    text = str(metadata.get_payload())
    found += [f"the README in {name} has the relative link {link}" for link in _RELATIVE_LINK.findall(text)]
    if "not published in a registry yet" in text:
        found.append(f"the README in {name} says that the package is not published")
    return found


def _requirement_problems(built: Built, metadata: email.message.EmailMessage) -> list[str]:
    """Return requirements by which another project's package, or another version of ours, would be installed."""
    published = str(metadata["Version"])
    found = []
    for requirement in metadata.get_all("Requires-Dist", []):
        pinned = re.match(r"([\w.-]+)(?:\[[^]]*\])?(.*?)(?:;|$)", str(requirement))
        if pinned and pinned[1] in OWN_NAMES and pinned[2].strip() != f"=={published}":
            found.append(f"{built.wheel.name} needs {pinned[1]} without =={published}")
        if pinned and pinned[1] in OWN_NAMES and _is_private(pinned[1]):
            found.append(f"{built.wheel.name} needs {pinned[1]}, which is not published")
    return found


def _is_private(name: str) -> bool:
    folders = {"meshpass-function": "function", "meshgen": "infra/generator", "meshpass-beam": "beam"}
    return name in folders and bool(project(folders[name]))
