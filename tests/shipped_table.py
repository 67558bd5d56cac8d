"""The shipped table, as the official client creates it."""

from __future__ import annotations

import json
from pathlib import Path

from google.cloud import bigquery

_FOLDER = Path(__file__).parents[1] / "function" / "enrichment"


def shipped_table(name: str) -> bigquery.Table:
    """The columns of `table.json` with the layout beside them, under a name `PROJECT.DATASET.TABLE`."""
    resource = json.loads((_FOLDER / "table_layout.json").read_text())
    resource["schema"] = {"fields": json.loads((_FOLDER / "table.json").read_text())}
    resource["tableReference"] = bigquery.TableReference.from_string(name).to_api_repr()
    return bigquery.Table.from_api_repr(resource)
