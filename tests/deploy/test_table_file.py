"""The table's columns are a file that bq takes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.harness import ROOT

TABLE = ROOT / "function" / "enrichment" / "table.json"

READ_SCHEMA = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/third_party"]
from clients import utils
print(*(field["name"] for field in utils.ReadSchema(sys.argv[2])))
"""


def test_bq_reads_the_columns_of_the_table() -> None:
    command = shutil.which("bq")
    sdk = Path(command).resolve().parents[1] if command else Path()
    python = sdk / "platform/bundledpythonunix/bin/python3"
    if not python.exists():
        pytest.skip(
            "bq with its own Python is not installed: this shows that `bq mk --schema` takes table.json"
        )
    done = subprocess.run(
        [str(python), "-c", READ_SCHEMA, str(sdk / "platform/bq"), str(TABLE)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [column["name"] for column in json.loads(TABLE.read_text())]


def test_the_command_of_the_page_has_the_layout_of_the_file() -> None:
    layout = json.loads(TABLE.with_name("table_layout.json").read_text())
    (command,) = [
        block
        for block in (ROOT / "docs/deploy.md").read_text().split("```")
        if "--schema=function/enrichment/table.json" in block
    ]
    partition = layout["timePartitioning"]
    assert f"--time_partitioning_type={partition['type']}" in command
    assert f"--time_partitioning_field={partition['field']}" in command
    assert f"--clustering_fields={','.join(layout['clustering']['fields'])}" in command
