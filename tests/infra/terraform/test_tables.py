"""The tables of inputs and outputs in the READMEs follow the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshgen.terraform.__main__ import main
from meshgen.terraform.tables import BEGIN, END

from tests.infra.terraform.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

VARIABLES = """
variable "name" {
  description = "Its name, a|b."
  type        = string
}

variable "sizes" {
  description = "Its sizes."
  type = object({
    least = optional(number, 1)
    words = list(string)
  })
  default = { words = ["x"], on = true, none = null }
}
"""

TABLES = """| input | type | default | meaning |
| --- | --- | --- | --- |
| `name` | `string` | needed | Its name, a\\|b. |
| `sizes` | `object({least = optional(number, 1), words = list(string)})` | `{ words = ["x"], on = true, none = null }` | Its sizes. |

| output | meaning |
| --- | --- |
| `id` | Its id. |
"""  # noqa: E501


@pytest.fixture
def module(tmp_path: Path) -> Path:
    folder = tmp_path / "infra/terraform/modules/example"
    folder.mkdir(parents=True)
    (folder / "variables.tf").write_text(VARIABLES)
    (folder / "outputs.tf").write_text(
        'output "id" {\n  description = "Its id."\n  value       = var.name\n}\n'
    )
    (folder / "README.md").write_text(f"# example\n\n{BEGIN}\n{END}\n\nAfter.\n")
    return folder


def test_tables_are_written_and_the_rest_is_kept(module: Path, tmp_path: Path) -> None:
    assert main(["--project", str(tmp_path)]) == 0
    assert (module / "README.md").read_text() == f"# example\n\n{BEGIN}\n\n{TABLES}\n{END}\n\nAfter.\n"
    assert main(["--project", str(tmp_path), "--check"]) == 0


def test_a_stale_table_is_named(module: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--project", str(tmp_path), "--check"]) == 1
    assert f"{module / 'README.md'} is out of date: run `make manifests`" in capsys.readouterr().err


def test_a_file_that_is_wrong_is_named(
    module: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (module / "variables.tf").write_text("variable {")
    assert main(["--project", str(tmp_path)]) == 2
    assert "variables.tf is no HCL" in capsys.readouterr().err
    (module / "variables.tf").write_text(VARIABLES)
    (module / "README.md").write_text(BEGIN)
    assert main(["--project", str(tmp_path)]) == 2
    assert "has no line" in capsys.readouterr().err


def test_the_projects_tables_are_up_to_date() -> None:
    assert main(["--project", str(ROOT), "--check"]) == 0
    for readme in (ROOT / "infra/terraform/modules").glob("*/README.md"):
        assert BEGIN in readme.read_text(), f"{readme} has no tables"
