"""Wheels and source distributions have what they must, and nothing else."""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.steps import RefusalError
from tests.docs.pages import anchors
from tools import ROOT
from tools.release import artefacts, bill, contents, dist, installed
from tools.release.artefacts import Built
from tools.release.packages import OWN_NAMES, PUBLISHED, project

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [package.name for package in PUBLISHED]


@pytest.mark.parametrize("name", NAMES)
def test_an_artefact_has_what_it_must_and_nothing_else(built: dict[str, Built], name: str) -> None:
    assert contents.problems(built[name]) == []


def test_the_package_index_can_render_every_readme(built: dict[str, Built]) -> None:
    assert dist.twine_problems([file for one in built.values() for file in (one.wheel, one.sdist)]) == []


def test_a_second_build_from_the_sources_has_the_same_bytes(built: dict[str, Built]) -> None:
    # One package stands for all: they have one build backend, and `make dist` compares each.
    assert artefacts.differences(built["meshpass-contract"]) == []


def test_other_bytes_are_found(
    built: dict[str, Built], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = built["meshpass-contract"]
    changed = tmp_path / one.wheel.name
    changed.write_bytes(one.wheel.read_bytes() + b"\0")

    def build(_: Path, into: Path, *_kinds: str) -> None:
        for file in (one.wheel, one.sdist):
            shutil.copy(file, into)

    monkeypatch.setattr(artefacts, "_uv_build", build)
    assert artefacts.differences(Built(one.package, changed, one.sdist)) == [
        f"{one.wheel.name} has other bytes when it is built again"
    ]


def test_a_wheel_works_in_an_environment_of_its_own(built: dict[str, Built], dist: Path) -> None:
    # The two others are installed by tests/lab/test_wheel.py and `make dist`.
    assert installed.problems(built["meshpass-contract"], dist) == []


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("meshcontract/tests/test_x.py", "", "has meshcontract/tests/test_x.py, which does not belong there"),
        ("meshcontract/key.pem", "", "has meshcontract/key.pem, which does not belong there"),
        (
            "meshcontract/where.py",
            f"HERE = {str(ROOT)!r}",
            "names a folder of this machine in meshcontract/where.py",
        ),
    ],
)
def test_what_must_not_be_published_is_found(
    built: dict[str, Built], tmp_path: Path, name: str, content: str, problem: str
) -> None:
    one = built["meshpass-contract"]
    wheel = tmp_path / one.wheel.name
    wheel.write_bytes(one.wheel.read_bytes())
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(name, content)
    assert contents.problems(Built(one.package, wheel, one.sdist)) == [f"{wheel.name} {problem}"]


def test_what_is_missing_and_another_projects_package_are_found(
    built: dict[str, Built], tmp_path: Path
) -> None:
    one = built["meshpass-contract"]
    wheel, sdist = tmp_path / one.wheel.name, tmp_path / one.sdist.name
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in artefacts.files(one.wheel).items():
            if name.endswith("/METADATA"):
                more = b"Requires-Dist: meshlab>=0.1\nRequires-Dist: meshgen==0.1.0\nKeywords"
                archive.writestr(name, content.replace(b"Keywords", more, 1))
            elif not name.endswith("/LICENSE"):
                archive.writestr(name, content)
    with tarfile.open(sdist, "w:gz") as made:
        made.addfile(tarfile.TarInfo(f"{sdist.name.removesuffix('.tar.gz')}/README.md"), io.BytesIO())
    found = contents.problems(Built(one.package, wheel, sdist))
    assert f"{wheel.name} lacks meshpass_contract-0.1.0.dist-info/licenses/LICENSE" in found
    assert f"{sdist.name} lacks LICENSE" in found
    assert f"{wheel.name} needs meshlab without ==0.1.0" in found
    assert f"{wheel.name} needs meshgen, which is not published" in found


@pytest.mark.parametrize("name", NAMES)
def test_the_links_of_a_readme_lead_to_files_and_headings_of_the_repository(
    built: dict[str, Built], name: str
) -> None:
    text = str(contents.read_metadata(built[name]).get_payload())
    version = project("")["version"]
    links = re.findall(
        rf"\]\(https://github\.com/OWNER/meshpass/blob/v{re.escape(version)}/([^)#]+)(?:#([^)]+))?\)", text
    )
    assert len(links) >= 3
    for path, anchor in links:
        assert (ROOT / path).exists(), path
        assert not anchor or anchor in anchors(path), f"{path}#{anchor}"


def test_on_the_index_a_readme_installs_by_name(built: dict[str, Built]) -> None:
    for name in ("meshpass", "meshlab"):
        text = str(contents.read_metadata(built[name]).get_payload())
        assert f"pip install {name}" in text
        assert "./" not in "".join(re.findall(r"pip install .*", text))


@pytest.mark.parametrize("name", NAMES)
def test_a_bill_of_materials_names_the_wheel_and_all_that_it_needs(
    built: dict[str, Built], name: str
) -> None:
    one = built[name]
    document = bill.make(one)
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(json.dumps(document)) is None
    component = document["metadata"]["component"]
    assert component["purl"] == f"pkg:pypi/{name}@{project('')['version']}"
    assert component["hashes"] == [{"alg": "SHA-256", "content": artefacts.digest(one.wheel)}]
    listed = {each["name"] for each in document.get("components", [])}
    needed = {
        re.split(r"[^\w.-]", str(each), maxsplit=1)[0].lower()
        for each in contents.read_metadata(one).get_all("Requires-Dist", [])
    }
    assert needed - listed == set()
    assert bill.text(bill.make(one)) == bill.text(document)


def test_only_what_is_published_may_be_uploaded() -> None:
    published = {package.name for package in PUBLISHED}
    folders = ("sdk", "lab", "function", "infra/contract", "infra/generator")
    private = {
        project(folder)["name"]
        for folder in folders
        if "Private :: Do Not Upload" in project(folder)["classifiers"]
    }
    assert private == set(OWN_NAMES) - published - {"meshpass-workspace", "meshpass-beam"}


def test_a_folder_with_other_files_is_not_cleared(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(RefusalError, match="has files that are not of `make dist`"):
        dist._clear(tmp_path)
    (tmp_path / dist.SUMS).write_text("")
    dist._clear(tmp_path)
    assert list(tmp_path.iterdir()) == []
