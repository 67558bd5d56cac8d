"""The bill of materials says what is in the package, no more and no less."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.steps import RefusalError, run_script, uv
from deploy.steps.package import bundle, sbom

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def document(package: Path) -> dict[str, Any]:
    return sbom.make(package)


def test_it_is_cyclonedx_by_the_schema_of_cyclonedx(document: dict[str, Any]) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_5)
    assert validator.validate_str(json.dumps(document)) is None
    broken = {**document, "components": [{"nmae": "anyio"}]}
    assert validator.validate_str(json.dumps(broken)) is not None


def test_its_components_are_the_packages_that_pip_installs(document: dict[str, Any], package: Path) -> None:
    requirements = (package / "requirements.txt").read_text()
    pinned = set(re.findall(r"^([a-z0-9-]+)==(\S+)", requirements, re.MULTILINE))
    wheels = set(re.findall(r"^\./([a-z_]+)-([\w.]+)-", requirements, re.MULTILINE))
    wheels = {(name.replace("_", "-"), version) for name, version in wheels}
    assert {(one["name"], one["version"]) for one in document["components"]} == pinned | wheels


def test_every_component_has_a_hash_and_the_wheel_of_the_package_its_own(
    document: dict[str, Any], package: Path
) -> None:
    components = {one["name"]: one for one in document["components"]}
    (wheel,) = package.glob("meshpass-*.whl")
    sdk = components.pop("meshpass")
    assert sdk["hashes"] == [
        {"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()},
    ]
    assert {"name": "meshpass:wheel", "value": wheel.name} in sdk["properties"]
    for component in components.values():
        if component.get("purl"):
            hashes = [found for place in component["externalReferences"] for found in place["hashes"]]
            assert hashes, component["name"]
            assert all(found["alg"] == "SHA-256" for found in hashes)


def test_it_names_the_package_and_every_dependency(document: dict[str, Any], package: Path) -> None:
    assert document["metadata"]["component"]["type"] == "application"
    assert {"name": "meshpass:package", "value": bundle.digest(package)} in document["metadata"]["component"][
        "properties"
    ]
    references = {one["bom-ref"] for one in document["components"]}
    references.add(document["metadata"]["component"]["bom-ref"])
    for dependency in document["dependencies"]:
        assert {dependency["ref"], *dependency.get("dependsOn", [])} <= references


def test_the_same_package_gives_the_same_bytes(document: dict[str, Any], package: Path) -> None:
    assert json.dumps(sbom.make(package)) == json.dumps(document)
    assert "timestamp" not in document["metadata"]


def test_a_component_too_many_one_missing_and_another_version_are_all_refused_at_once(
    document: dict[str, Any],
) -> None:
    requirements = {one["name"]: one["version"] for one in document["components"]}
    sbom._compare(document, requirements)
    changed = copy.deepcopy(document)
    changed["components"] = [one for one in changed["components"] if one["name"] != "anyio"]
    with pytest.raises(RefusalError) as refusal:
        sbom._compare(changed, {**requirements, "httpx": "0.0.1", "left-pad": "1.0"})
    for part in ("anyio (absent and ", "httpx (", " and 0.0.1)", "left-pad (absent and 1.0)"):
        assert part in str(refusal.value)


def test_an_extra_is_in_it_where_the_package_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def run(*arguments: str) -> str:
        asked.append(arguments)
        return "{}"

    monkeypatch.setattr(uv, "run", run)
    sbom._export({"httpx"})
    sbom._export({"httpx", "fastavro"})
    assert "--extra=avro" not in asked[0]
    assert "--extra=avro" in asked[1]
    assert not {"--extra=cli", "--extra=reference"} & {*asked[0], *asked[1]}


def test_a_package_that_is_missing_or_stale_is_refused(package: Path, tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match=r"there is no package in .*; run deploy/package"):
        sbom.make(tmp_path)
    stale = tmp_path / "function"
    shutil.copytree(package, stale)
    inputs = package.with_name("function.inputs").read_text()
    stale.with_name("function.inputs").write_text(inputs.replace("uv.lock", "uv.lick"))
    with pytest.raises(RefusalError, match=r"the package is older than uv\.lick, uv\.lock"):
        sbom.make(stale)


def test_the_script_writes_beside_the_package_or_to_standard_output(
    document: dict[str, Any],
    package: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sbom, "make", lambda _: document)
    sbom.main([f"--source={package}"])
    written = package.with_name("function.cdx.json")
    assert json.loads(written.read_text()) == document
    assert f"{len(document['components'])} components" in capsys.readouterr().out
    sbom.main([f"--source={package}", "--output=-"])
    assert json.loads(capsys.readouterr().out) == document
    monkeypatch.setattr("sys.argv", ["deploy/sbom", f"--source={package}", f"--output={tmp_path}"])
    assert run_script("deploy/sbom", sbom.main) == 1
    assert capsys.readouterr().err == f"deploy/sbom: cannot write {tmp_path}: Is a directory\n"
