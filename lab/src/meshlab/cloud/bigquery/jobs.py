"""Query jobs. A query is run when it is asked for; its result is kept as a table and read in pages.

A job may also create a view, which leaves no result.

Source: https://cloud.google.com/bigquery/docs/reference/rest/v2/Job
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from meshlab.cloud.bigquery.catalogue import LOCATION, RESULTS_DATASET, Catalogue, Table
from meshlab.cloud.bigquery.errors import ApiError, duplicate, invalid, invalid_query, not_found, unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlglot import exp

    from meshlab.cloud.bigquery.statements import CreateView
    from meshlab.cloud.bigquery.store import Store

# The service keeps a result for a day; here the oldest go when there are too many to keep in memory.
MAX_RESULTS = 500

_QUERY_KEYS = {
    "query", "useLegacySql", "queryParameters", "parameterMode", "defaultDataset", "useQueryCache", "priority",
    "maximumBytesBilled",
}  # fmt: skip
_REQUEST_KEYS = _QUERY_KEYS | {
    "kind", "maxResults", "timeoutMs", "formatOptions", "requestId", "location", "labels", "jobCreationMode",
    "preserveNulls", "jobTimeoutMs",
}  # fmt: skip
_UNKNOWN_NAME = re.compile(r'Referenced (?:column|table) "([^"]+)" not found')


@dataclass(frozen=True, slots=True)
class Job:
    """A statement that has been run; only a query has a result."""

    resource: dict[str, Any]
    result: Table | None


class JobStore:
    """The jobs of all projects.

    Args:
        catalogue: The tables that queries name.
        store: Runs the queries and keeps their results.
        now_s: The clock, in seconds since the epoch.
    """

    def __init__(self, catalogue: Catalogue, store: Store, now_s: Callable[[], float]) -> None:
        self._catalogue = catalogue
        self._store = store
        self._now_s = now_s
        self._jobs: dict[tuple[str, str], Job] = {}

    def insert(self, project: str, body: Mapping[str, Any]) -> Job:
        """Run the query of a `jobs.insert`.

        Raises:
            ApiError: The job is no query, exists already, or its query failed. The service reports a failed
                query in the job's status; here it fails the call, which the client raises all the same.
        """
        configuration = body.get("configuration") or {}
        if not isinstance(configuration.get("query"), dict):
            raise unsupported("jobs other than queries")
        if configuration.get("dryRun"):
            raise unsupported("dry runs")
        job_id = (body.get("jobReference") or {}).get("jobId") or f"job_{uuid.uuid4()}"
        query = configuration["query"]
        _refuse_unknown(query, _QUERY_KEYS)
        return self._run(project, str(job_id), query, configuration)

    def query(self, project: str, body: Mapping[str, Any]) -> Job:
        """Run the query of a `jobs.query`."""
        if body.get("dryRun"):
            raise unsupported("dry runs")
        _refuse_unknown(body, _REQUEST_KEYS)
        query = {key: value for key, value in body.items() if key in _QUERY_KEYS}
        return self._run(project, f"job_{uuid.uuid4()}", query, {"query": query})

    def get(self, project: str, job_id: str) -> Job:
        """Find a job."""
        try:
            return self._jobs[project, job_id]
        except KeyError:
            raise not_found("Job", f"{project}:{LOCATION}.{job_id}") from None

    def _run(
        self, project: str, job_id: str, query: Mapping[str, Any], configuration: Mapping[str, Any]
    ) -> Job:
        if (project, job_id) in self._jobs:
            raise duplicate("Job", f"{project}:{LOCATION}.{job_id}")
        # An absent useLegacySql means true in the API, whose clients always send it.
        if query.get("useLegacySql", True):
            raise unsupported("legacy SQL; set useLegacySql to false")
        if not isinstance(query.get("query"), str) or not query["query"].strip():
            raise invalid("Required parameter is missing: query", "query")
        from meshlab.cloud.bigquery.statements import CreateView, parse

        started_ms = str(int(self._now_s() * 1000))
        statement = parse(query["query"])
        default = query.get("defaultDataset") or {}
        where = (default.get("projectId") or project, default.get("datasetId"))
        result: Table | None = None
        if isinstance(statement, CreateView):
            described = self._create_view(statement, where)
        else:
            result = self._select(project, job_id, statement, query, where)
            described = {"statementType": "SELECT"}
        ended_ms = str(int(self._now_s() * 1000))
        destination = {"destinationTable": result.resource["tableReference"]} if result else {}
        resource = {
            "kind": "bigquery#job",
            "id": f"{project}:{LOCATION}.{job_id}",
            "jobReference": {"projectId": project, "jobId": job_id, "location": LOCATION},
            "configuration": {**configuration, "jobType": "QUERY", "query": {**query, **destination}},
            "status": {"state": "DONE"},
            "statistics": {
                "creationTime": started_ms,
                "startTime": started_ms,
                "endTime": ended_ms,
                "totalBytesProcessed": "0",
                "query": {**described, "cacheHit": False, "totalBytesProcessed": "0"},
            },
        }
        job = self._jobs[project, job_id] = Job(resource, result)
        self._forget_oldest()
        return job

    def _select(
        self,
        project: str,
        job_id: str,
        statement: exp.Query,
        query: Mapping[str, Any],
        where: tuple[str, str | None],
    ) -> Table:
        from meshlab.cloud.bigquery.sql import translate

        sql, parameters = translate(statement, query.get("queryParameters") or (), where, self._find)
        try:
            stored, schema = self._store.create_as(sql, parameters)
        except duckdb.Error as error:
            raise invalid_query(_reason(error)) from error
        return self._catalogue.add_result(project, f"anon_{job_id}", schema, stored)

    def _create_view(self, statement: CreateView, where: tuple[str, str | None]) -> dict[str, Any]:
        """Create a view that can be asked right away, and say so as the statistics of a job do."""
        from meshlab.cloud.bigquery.sql import translate_view
        from meshlab.cloud.bigquery.statements import full_name

        name = full_name(statement.name, where)
        sql = translate_view(statement.query, name, self._find)
        try:
            schema = self._store.describe(sql)
        except duckdb.Error as error:
            raise invalid_query(_reason(error)) from error
        replaced = self._catalogue.create_view(
            name, statement.query, schema, replace=statement.replace, description=statement.description
        )
        project, dataset, table = name
        return {
            "statementType": "CREATE_VIEW",
            "ddlOperationPerformed": "REPLACE" if replaced else "CREATE",
            "ddlTargetTable": {"projectId": project, "datasetId": dataset, "tableId": table},
        }

    def _find(self, name: tuple[str, str, str]) -> Table:
        try:
            return self._catalogue.table(*name)
        except ApiError as error:
            raise ApiError(
                error.code, error.reason, f"{error} was not found in location {LOCATION}"
            ) from error

    def _forget_oldest(self) -> None:
        while len(self._jobs) > MAX_RESULTS:
            project, job_id = next(iter(self._jobs))
            if self._jobs.pop((project, job_id)).result is not None:
                self._catalogue.delete_table(project, RESULTS_DATASET, f"anon_{job_id}")


def _reason(error: duckdb.Error) -> str:
    """Put DuckDB's words for a failed query into the service's where they are known."""
    text = str(error).splitlines()[0]
    unknown = _UNKNOWN_NAME.search(text)
    return f"Unrecognized name: {unknown[1]}" if unknown else text.partition(": ")[2] or text


def _refuse_unknown(query: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(key for key, value in query.items() if key not in known and value not in (None, {}, []))
    if unknown:
        raise unsupported(f"{', '.join(unknown)} in a query")
