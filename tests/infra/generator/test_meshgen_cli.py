"""The command meshgen: what it writes, what it finds out of date, and what it refuses."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from meshgen.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.generator.conftest import Change

CALLER = "infra/mesh/callers/reports.yaml"
POLICY = "infra/mesh/services/orders/generated/caller-reports.yaml"


def test_check_finds_an_edited_file_and_writing_mends_it(
    root: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--project", str(root), "--check"]) == 0
    change(POLICY, "              - GET\n", "              - POST\n")
    assert main(["--project", str(root), "--check"]) == 1
    assert f"{root / POLICY} is out of date: run `make manifests`" in capsys.readouterr().err
    assert main(["--project", str(root)]) == 0
    assert f"wrote {root / POLICY}" in capsys.readouterr().out
    assert main(["--project", str(root)]) == 0
    assert "generated files are up to date" in capsys.readouterr().out


def test_the_files_of_a_caller_that_is_gone_are_removed(
    root: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / CALLER).unlink()
    change("infra/mesh/services/orders/service.yaml", "[reports, storefront]", "[storefront]")
    change("infra/mesh/services/user-profile/service.yaml", "[enrichment, reports]", "[enrichment]")
    assert main(["--project", str(root)]) == 0
    assert f"removed {root / POLICY}" in capsys.readouterr().out
    assert not (root / POLICY).exists()


def test_a_wrong_description_is_named_and_nothing_is_written(
    root: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (root / POLICY).read_text()
    change(CALLER, "subject: ${REPORTS_SUBJECT}", "subject: ${REPORT_SUBJECT}")
    change("infra/mesh/services/orders/service.yaml", "[reports, storefront]", "[storefront]")
    assert main(["--project", str(root)]) == 2
    shown = capsys.readouterr().err
    assert f"{root / CALLER}:4: ${{REPORT_SUBJECT}} is not in infra/contract.env" in shown
    assert f"{root / CALLER}:10: calls orders, but " in shown
    assert (root / POLICY).read_text() == before


def test_problems_of_all_meshes_are_reported_at_once(
    root: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    change(CALLER, "subject: ${REPORTS_SUBJECT}", "subject: a/b")
    change("infra/mesh/egress/teams/team-y.yaml", "[/status/418]", "[status/418]")
    change("infra/mesh/environments/example.yaml", "dataPlane: v2", "dataPlane: v3")
    assert main(["--project", str(root)]) == 2
    shown = capsys.readouterr().err
    for place in ("callers/reports.yaml:4: ", "teams/team-y.yaml:9: ", "environments/example.yaml:6: "):
        assert f"/{place}" in shown, shown


def test_a_range_that_is_none_is_refused(
    root: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    change("infra/mesh/environments/example.yaml", "[10.5.0.0/28]", "[10.5.0.300/28]")
    assert main(["--project", str(root)]) == 2
    assert "example.yaml:12: controlPlane.apiServer.0: Octet 300" in capsys.readouterr().err


def test_files_that_would_replace_each_other_are_refused(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    team = (root / "infra/mesh/egress/teams/team-y.yaml").read_text().replace("team-y", "team-z")
    (root / "infra/mesh/egress/teams/upstreams-of-another-name.yaml").write_text(team)
    assert main(["--project", str(root)]) == 2
    assert "upstreams-of-another-name.yaml: two descriptions write this file" in capsys.readouterr().err


def test_a_link_in_place_of_a_generated_file_is_replaced_and_not_followed(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, outside = (root / POLICY).read_text(), tmp_path / "outside.yaml"
    outside.write_text(text)
    (root / POLICY).unlink()
    (root / POLICY).symlink_to(outside)
    assert main(["--project", str(root), "--check"]) == 1
    assert main(["--project", str(root)]) == 0
    assert not (root / POLICY).is_symlink()
    assert ((root / POLICY).read_text(), outside.read_text()) == (text, text)


@pytest.mark.parametrize("kind", ["directory", "link to nothing"])
def test_what_only_looks_like_a_manifest_is_passed_over(root: Path, kind: str) -> None:
    odd = root / "infra/mesh/odd.yaml"
    if kind == "directory":
        odd.mkdir()
    else:
        odd.symlink_to(root / "nothing.yaml")
    assert main(["--project", str(root), "--check"]) == 0


@pytest.mark.parametrize("directory", ["callers", "services"])
def test_a_project_without_callers_or_services_is_no_crash(
    root: Path, directory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(root / "infra/mesh" / directory)
    assert main(["--project", str(root)]) == 2
    assert "known are none" in capsys.readouterr().err


def test_a_place_without_the_project_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--project", str(tmp_path)]) == 2
    assert "holds no infra/mesh" in capsys.readouterr().err
