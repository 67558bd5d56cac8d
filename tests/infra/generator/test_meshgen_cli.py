"""The command meshgen: what it writes, what it finds out of date, and what it refuses."""

from pathlib import Path

import pytest
from meshgen.cli import main

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


def test_a_place_without_the_project_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--project", str(tmp_path)]) == 2
    assert "holds no infra/mesh" in capsys.readouterr().err
