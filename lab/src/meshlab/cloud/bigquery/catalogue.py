"""Datasets, tables and views: what exists, what it is called, and the resource that describes it."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshlab.cloud.bigquery.defaults import check_defaults
from meshlab.cloud.bigquery.errors import (
    ApiError,
    duplicate,
    invalid,
    invalid_query,
    not_found,
    unsupported,
)
from meshlab.cloud.bigquery.insert_all import Deduplicator
from meshlab.cloud.bigquery.schema import Schema, parse_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshlab.cloud.bigquery.schema import Field
    from meshlab.cloud.bigquery.store import Store

LOCATION = "US"
# Where the service, too, keeps the results of queries: a dataset that lists do not show.
RESULTS_DATASET = "_results"

_NAME = re.compile(r"\w{1,1024}", re.ASCII)
_TABLE_NAME = re.compile(r"[\w-]{1,1024}")
_DATASET_KEYS = {
    "kind", "id", "etag", "selfLink", "datasetReference", "location", "description", "friendlyName", "labels",
    "access", "type",
}  # fmt: skip
_TABLE_KEYS = {
    "kind", "id", "etag", "selfLink", "tableReference", "type", "schema", "timePartitioning", "clustering",
    "description", "friendlyName", "labels", "location", "requirePartitionFilter", "tableConstraints",
}  # fmt: skip
_PATCHABLE = ("description", "friendlyName", "labels")
# What the service alone says; a client that sends back what it was given may send these, to no effect.
_OUTPUT_ONLY = {"creationTime", "lastModifiedTime", "numRows", "numBytes"}
_NO_KEYS = ("RECORD", "JSON", "GEOGRAPHY")
_PARTITIONABLE = ("TIMESTAMP", "DATE", "DATETIME")
_MAX_CLUSTERING_FIELDS = 4
_MAX_KEY_COLUMNS = 16


@dataclass(slots=True)
class Table:
    """A table: its resource, its schema, where its rows are, and the insertIds it has taken lately.

    A view is one without rows of its own, but with the query that gives them, in GoogleSQL.

    Attributes:
        created_at_s: When it was created, in seconds since the epoch.
        recreated: Whether another table had its name before.
        key: The columns of its primary key; empty for none.
    """

    resource: dict[str, Any]
    schema: Schema
    stored: str
    query: str = ""
    seen: Deduplicator = field(default_factory=Deduplicator)
    created_at_s: float = 0.0
    recreated: bool = False
    key: tuple[str, ...] = ()

    def partition_column(self) -> str | None:
        """Return the column that it is partitioned by; None where there is none."""
        return (self.resource.get("timePartitioning") or {}).get("field")


@dataclass(slots=True)
class Dataset:
    """A dataset with its tables by name."""

    resource: dict[str, Any]
    tables: dict[str, Table] = field(default_factory=dict)


class Catalogue:
    """All datasets of all projects.

    Args:
        store: Keeps the rows.
        now_s: The clock, in seconds since the epoch.
    """

    def __init__(self, store: Store, now_s: Callable[[], float]) -> None:
        self._store = store
        self._now_s = now_s
        self._datasets: dict[tuple[str, str], Dataset] = {}
        self._deleted: set[tuple[str, str, str]] = set()

    def create_dataset(self, project: str, body: Mapping[str, Any]) -> Dataset:
        """Create a dataset from the body of `datasets.insert`."""
        _refuse_unknown(body, _DATASET_KEYS, "a dataset")
        name = _reference(body, "datasetReference").get("datasetId")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise invalid(
                f"Invalid dataset ID {name!r}. Dataset IDs must be alphanumeric (plus underscores)."
            )
        if (project, name) in self._datasets:
            raise duplicate("Dataset", f"{project}:{name}")
        resource = {
            "location": LOCATION,
            **_given(body),
            "kind": "bigquery#dataset",
            "id": f"{project}:{name}",
            "datasetReference": {"projectId": project, "datasetId": name},
            **self._times(),
        }
        dataset = self._datasets[project, name] = Dataset(resource)
        return dataset

    def dataset(self, project: str, dataset: str) -> Dataset:
        """Find a dataset."""
        try:
            return self._datasets[project, dataset]
        except KeyError:
            raise not_found("Dataset", f"{project}:{dataset}") from None

    def datasets(self, project: str) -> list[Dataset]:
        """List a project's datasets by name."""
        return [
            dataset
            for (owner, name), dataset in sorted(self._datasets.items())
            if owner == project and name != RESULTS_DATASET
        ]

    def delete_dataset(self, project: str, dataset: str, *, delete_contents: bool) -> None:
        """Delete a dataset; one that has tables only with `delete_contents`."""
        tables = self.dataset(project, dataset).tables
        if tables and not delete_contents:
            raise ApiError(400, "resourceInUse", f"Dataset {project}:{dataset} is still in use")
        for table in list(tables):
            self.delete_table(project, dataset, table)
        del self._datasets[project, dataset]

    def create_table(self, project: str, dataset: str, body: Mapping[str, Any]) -> Table:
        """Create a table from the body of `tables.insert`."""
        tables = self.dataset(project, dataset).tables
        _refuse_unknown(body, _TABLE_KEYS, "a table")
        if body.get("requirePartitionFilter"):
            raise unsupported("requirePartitionFilter")
        name = _reference(body, "tableReference").get("tableId")
        if not isinstance(name, str) or not _TABLE_NAME.fullmatch(name):
            raise invalid(f"Invalid table ID {name!r}. Use letters, digits, underscores and dashes.")
        if name in tables:
            raise duplicate("Table", f"{project}:{dataset}.{name}")
        schema = parse_schema(body.get("schema"))
        check_defaults(schema)
        _check_layout(body, schema)
        key = _primary_key(body, schema)
        stored = self._store.create(schema, key)
        tables[name] = self._table((project, dataset, name), body, schema, stored)
        tables[name].key = key
        return tables[name]

    def patch_table(self, project: str, dataset: str, table: str, body: Mapping[str, Any]) -> Table:
        """Change a table as the body of `tables.patch` says: what it says of itself, or new columns."""
        found = self.table(project, dataset, table)
        if found.query:
            raise unsupported("changes of a view other than CREATE OR REPLACE VIEW")
        changed = _given({key: value for key, value in body.items() if found.resource.get(key) != value})
        unknown = sorted(changed.keys() - {*_PATCHABLE, "schema"})
        if unknown:
            raise unsupported(f"a change of {', '.join(unknown)} of a table")
        if "schema" in changed:
            schema = parse_schema(changed["schema"])
            check_defaults(schema)
            added = _added(found.schema, schema, f"{project}:{dataset}.{table}")
            self._store.extend(found.stored, schema, added)
            found.schema = schema
        now_ms = str(int(self._now_s() * 1000))
        found.resource |= changed | {"lastModifiedTime": now_ms, "etag": f'"{now_ms}"'}
        return found

    def create_view(
        self, name: tuple[str, str, str], query: str, schema: Schema, *, replace: bool, description: str
    ) -> bool:
        """Create a view.

        Args:
            name: Project, dataset and table.
            query: What it shows, in GoogleSQL.
            schema: The columns of that.
            replace: Whether it may take the place of another view.
            description: What it says of itself, empty if nothing.

        Returns:
            Whether it took the place of another view.
        """
        project, dataset, table = name
        tables = self.dataset(project, dataset).tables
        if not _TABLE_NAME.fullmatch(table):
            raise invalid(f"Invalid table ID {table!r}. Use letters, digits, underscores and dashes.")
        old = tables.get(table)
        if old and not replace:
            raise duplicate("Table", f"{project}:{dataset}.{table}")
        if old and not old.query:
            raise invalid_query(
                f"{project}:{dataset}.{table} is not allowed for this operation because it is currently a TABLE."
            )
        body = {"schema": schema.to_json(), "view": {"query": query, "useLegacySql": False}}
        view = self._table(name, body | ({"description": description} if description else {}), schema, "")
        view.resource["type"], view.query = "VIEW", query
        tables[table] = view
        return old is not None

    def add_result(self, project: str, name: str, schema: Schema, stored: str) -> Table:
        """Make a query's result readable as a table."""
        if (project, RESULTS_DATASET) not in self._datasets:
            self.create_dataset(project, {"datasetReference": {"datasetId": RESULTS_DATASET}})
        table = self._table((project, RESULTS_DATASET, name), {"schema": schema.to_json()}, schema, stored)
        self._datasets[project, RESULTS_DATASET].tables[name] = table
        return table

    def table(self, project: str, dataset: str, table: str) -> Table:
        """Find a table."""
        try:
            return self._datasets[project, dataset].tables[table]
        except KeyError:
            self.dataset(project, dataset)
            raise not_found("Table", f"{project}:{dataset}.{table}") from None

    def table_with_rows(self, project: str, dataset: str, table: str, *, to: str) -> Table:
        """Find a table that is no view.

        Raises:
            ApiError: There is no such table, or it is a view, of which the service says that it cannot do `to`.
        """
        found = self.table(project, dataset, table)
        if found.query:
            raise invalid(f"Cannot {to} a table of type VIEW.")
        return found

    def tables(self, project: str, dataset: str) -> list[Table]:
        """List a dataset's tables by name."""
        return [table for _, table in sorted(self.dataset(project, dataset).tables.items())]

    def delete_table(self, project: str, dataset: str, table: str) -> None:
        """Delete a table with its rows, or a view."""
        found = self.table(project, dataset, table)
        del self._datasets[project, dataset].tables[table]
        self._deleted.add((project, dataset, table))
        if not found.query:
            self._store.drop(found.stored)

    def _table(
        self, name: tuple[str, str, str], body: Mapping[str, Any], schema: Schema, stored: str
    ) -> Table:
        project, dataset, table = name
        resource = {
            **_given(body),
            "numRows": "0",
            "numBytes": "0",
            "kind": "bigquery#table",
            "id": f"{project}:{dataset}.{table}",
            "tableReference": {"projectId": project, "datasetId": dataset, "tableId": table},
            "type": "TABLE",
            "location": LOCATION,
            **self._times(),
        }
        recreated = name in self._deleted
        return Table(resource, schema, stored, created_at_s=self._now_s(), recreated=recreated)

    def _times(self) -> dict[str, str]:
        now_ms = str(int(self._now_s() * 1000))
        return {"creationTime": now_ms, "lastModifiedTime": now_ms, "etag": f'"{now_ms}"'}


def _reference(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    reference = body.get(key)
    return reference if isinstance(reference, dict) else {}


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    return copy.deepcopy({key: value for key, value in body.items() if key not in _OUTPUT_ONLY})


def _refuse_unknown(body: Mapping[str, Any], known: set[str], of: str) -> None:
    known = known | _OUTPUT_ONLY
    unknown = sorted(key for key, value in body.items() if key not in known and value not in (None, {}, []))
    if unknown:
        raise unsupported(f"{', '.join(unknown)} of {of}")


def _primary_key(body: Mapping[str, Any], schema: Schema) -> tuple[str, ...]:
    """Return the columns of the primary key, which the service does not enforce either."""
    constraints = body.get("tableConstraints") or {}
    unknown = sorted(key for key, value in constraints.items() if key != "primaryKey" and value)
    if unknown:
        raise unsupported(f"{', '.join(unknown)} of tableConstraints")
    names = [str(name) for name in (constraints.get("primaryKey") or {}).get("columns", [])]
    if len(names) > _MAX_KEY_COLUMNS:
        raise invalid(f"Primary key has {len(names)} columns; the limit is {_MAX_KEY_COLUMNS}.")
    key = []
    for name in names:
        found = schema.by_name.get(name.lower())
        if found is None:
            raise invalid(f"Primary key column {name} is not found in the schema of the table.")
        if found.repeated or found.type in _NO_KEYS:
            raise invalid(f"The column {name}, of the type {found.type}, cannot be in a primary key.")
        key.append(found.name)
    return tuple(key)


def _added(old: Schema, new: Schema, table: str) -> list[Field]:
    """Return the columns that a schema adds to another.

    Raises:
        ApiError: It does something else than to add columns at the end that may be left out, or to let one be left
            out that was required.
    """
    for before in old.fields:
        after = new.by_name.get(before.name.lower())
        if after is None:
            raise invalid(
                f"Provided Schema does not match Table {table}. Field {before.name} is missing in new schema"
            )
        if after.type != before.type or after.repeated != before.repeated or after.required > before.required:
            raise invalid(
                f"Provided Schema does not match Table {table}. Field {before.name} has changed type from "
                f"{before.type} to {after.type} or mode from {before.mode} to {after.mode}"
            )
        if after.record != before.record:
            raise unsupported(f"a change of fields within a record ({before.name})")
    added = list(new.fields[len(old.fields) :])
    if [item.name for item in new.fields[: len(old.fields)]] != [item.name for item in old.fields]:
        raise unsupported("a change of a schema other than new columns at its end")
    for item in added:
        if item.required:
            raise invalid(
                f"Provided Schema does not match Table {table}. Cannot add required fields to an existing schema. "
                f"(field: {item.name})"
            )
    return added


def _check_layout(body: Mapping[str, Any], schema: Schema) -> None:
    """Check that what a table is partitioned and clustered by is there. It has no effect on how rows are kept."""
    column = (body.get("timePartitioning") or {}).get("field")
    if column is not None:
        found = schema.by_name.get(str(column).lower())
        if found is None:
            raise invalid("The field specified for partitioning cannot be found in the schema")
        if found.type not in _PARTITIONABLE or found.repeated:
            raise invalid(f"The field {column}, of the type {found.type}, cannot be used for partitioning.")
    fields = (body.get("clustering") or {}).get("fields", [])
    missing = [name for name in fields if str(name).lower() not in schema.by_name]
    if missing:
        raise invalid(f"The field specified for clustering cannot be found in the schema: {missing[0]}")
    if len(fields) > _MAX_CLUSTERING_FIELDS:
        raise invalid(f"Too many clustering fields: {len(fields)}; the limit is {_MAX_CLUSTERING_FIELDS}.")
