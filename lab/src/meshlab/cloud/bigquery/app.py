"""The REST API v2 as an ASGI application.

Source: https://cloud.google.com/bigquery/docs/reference/rest
"""

from __future__ import annotations

import asyncio
import json
import sys
import zlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from meshlab.cloud.bigquery.api_rows import encode_row
from meshlab.cloud.bigquery.catalogue import LOCATION
from meshlab.cloud.bigquery.control import FAULTS_PATH, STATS_PATH
from meshlab.cloud.bigquery.errors import (
    ApiError,
    backend_error,
    invalid,
    not_found,
    refused,
    unsupported,
)
from meshlab.cloud.bigquery.faults import FaultKind, FaultPlan, Faults
from meshlab.cloud.bigquery.insert_all import (
    MAX_BODY_BYTES,
    Partitions,
    fail_rows,
    judge,
    parse_request,
    refuse_missing_defaults,
    too_large,
)
from meshlab.cloud.bigquery.jobs import Job, JobStore
from meshlab.cloud.bigquery.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from meshlab.cloud.bigquery.backend import Backend
    from meshlab.cloud.bigquery.catalogue import Table

MAX_PAGE_ROWS = 10_000

_PROJECT = "/bigquery/v2/projects/{project}"
_DATASET = _PROJECT + "/datasets/{dataset}"
_TABLE = _DATASET + "/tables/{table}"


def create_app(backend: Backend) -> Starlette:
    """Make the REST API of a BigQuery.

    Args:
        backend: What it works on.
    """
    api = _Api(backend)

    # Streaming inserts are answered at once, on the event loop. All else may take its time or change what there
    # is, so one worker does it, one call after the other.
    def route(method: str, path: str, handle: Callable[[Request, Any], Any]) -> Route:
        async def answer(request: Request) -> object:
            body = await _body(request) if method in ("POST", "PATCH") else None
            return await asyncio.get_running_loop().run_in_executor(backend.worker, handle, request, body)

        return Route(path, _answering(answer), methods=[method])

    routes = [
        # The one that must be quick stands first.
        Route(_TABLE + "/insertAll", _answering(api.insert_all), methods=["POST"]),
        route("GET", _TABLE + "/data", api.list_rows),
        route("POST", _PROJECT + "/queries", api.query),
        route("GET", _PROJECT + "/queries/{job}", api.get_query_results),
        route("POST", _PROJECT + "/jobs", api.insert_job),
        route("GET", _PROJECT + "/jobs/{job}", api.get_job),
        route("POST", _PROJECT + "/datasets", api.insert_dataset),
        route("GET", _PROJECT + "/datasets", api.list_datasets),
        route("GET", _DATASET, api.get_dataset),
        route("DELETE", _DATASET, api.delete_dataset),
        route("POST", _DATASET + "/tables", api.insert_table),
        route("GET", _DATASET + "/tables", api.list_tables),
        route("GET", _TABLE, api.get_table),
        route("PATCH", _TABLE, api.patch_table),
        route("DELETE", _TABLE, api.delete_table),
        Route(FAULTS_PATH, _answering(api.order_faults), methods=["POST"]),
        Route(STATS_PATH, _answering(api.get_stats), methods=["GET"]),
        Route("/{rest:path}", _answering(_not_offered), methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]
    return Starlette(routes=routes)


class _Api:
    """One method per call of the API: a request and its body in, a resource out."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._now_s = backend.now_s
        self._store = backend.store
        self._catalogue = backend.catalogue
        self._jobs = JobStore(self._catalogue, self._store, self._now_s)
        self._stats = backend.stats

    async def insert_all(self, request: Request) -> dict[str, Any] | Response:
        wanted = parse_request(await _body(request))
        self._stats.requests += 1
        self._stats.rows += len(wanted.rows)
        plan = self._backend.plan
        fault = plan.next(len(wanted.rows), self._now_s())
        if delay_s := plan.faults.delay_s:
            await asyncio.sleep(delay_s)
        if fault.kind is FaultKind.UNAVAILABLE:
            self._stats.unavailable += 1
            raise backend_error()
        if fault.kind is FaultKind.ABORTED:
            self._stats.aborted += 1
            return _CutResponse()
        if refusal := plan.faults.refusal:
            raise refused(refusal)
        table = self._catalogue.table_with_rows(**request.path_params, to="add rows to")
        now_s = self._now_s()
        verdict = judge(wanted, table.schema, Partitions.of(table, now_s))
        refuse_missing_defaults(verdict, table.schema)
        unknown = now_s - table.created_at_s < plan.faults.lag_s
        if unknown and not table.recreated:
            raise not_found("Table", table.resource["id"])
        if fault.kind is FaultKind.PARTIAL and not verdict.insert_errors:
            self._stats.partial += 1
            verdict = fail_rows(fault.bad_rows, len(wanted.rows))
        if unknown:
            self._stats.dropped += len(verdict.accepted)
            return {"kind": "bigquery#tableDataInsertAllResponse"}
        rows = [row for insert_id, row in verdict.accepted if table.seen.admit(insert_id, now_s)]
        self._store.append(table.stored, rows)
        self._stats.written += len(rows)
        if fault.kind in (FaultKind.ANSWER_REPLACED, FaultKind.ANSWER_CUT):
            self._stats.lost_answers += 1
            if fault.kind is FaultKind.ANSWER_CUT:
                return _CutResponse()
            raise backend_error()
        answer: dict[str, Any] = {"kind": "bigquery#tableDataInsertAllResponse"}
        return answer | {"insertErrors": verdict.insert_errors} if verdict.insert_errors else answer

    async def order_faults(self, request: Request) -> None:
        try:
            faults = Faults.from_json(await _body(request))
        except ValueError as error:
            raise invalid(str(error)) from error
        self._backend.plan = FaultPlan(faults, self._now_s())

    async def get_stats(self, _: Request) -> dict[str, Any]:
        return asdict(self._stats)

    def list_rows(self, request: Request, _: None) -> dict[str, Any]:
        options = request.query_params
        table = self._catalogue.table_with_rows(**request.path_params, to="list")
        page = self._page(table, options, options.get("selectedFields"))
        return {"kind": "bigquery#tableDataList", **page}

    def query(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        job = self._jobs.query(request.path_params["project"], body)
        options = {"maxResults": body.get("maxResults")}
        if (body.get("formatOptions") or {}).get("useInt64Timestamp"):
            options["formatOptions.useInt64Timestamp"] = "true"
        return {"kind": "bigquery#queryResponse", **self._result_page(job, options)}

    def get_query_results(self, request: Request, _: None) -> dict[str, Any]:
        page = self._result_page(self._job(request), request.query_params)
        return {"kind": "bigquery#getQueryResultsResponse", **page}

    def insert_job(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        return self._jobs.insert(request.path_params["project"], body).resource

    def get_job(self, request: Request, _: None) -> dict[str, Any]:
        return self._job(request).resource

    def insert_dataset(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        return self._catalogue.create_dataset(request.path_params["project"], body).resource

    def get_dataset(self, request: Request, _: None) -> dict[str, Any]:
        return self._catalogue.dataset(**request.path_params).resource

    def list_datasets(self, request: Request, _: None) -> dict[str, Any]:
        found = [item.resource for item in self._catalogue.datasets(**request.path_params)]
        return {"kind": "bigquery#datasetList", **_list_page(found, "datasets", request.query_params)}

    def delete_dataset(self, request: Request, _: None) -> None:
        contents = request.query_params.get("deleteContents", "false") == "true"
        self._catalogue.delete_dataset(**request.path_params, delete_contents=contents)

    def insert_table(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        return self._catalogue.create_table(**request.path_params, body=body).resource

    def get_table(self, request: Request, _: None) -> dict[str, Any]:
        table = self._catalogue.table(**request.path_params)
        return table.resource | ({} if table.query else {"numRows": str(self._store.count(table.stored))})

    def list_tables(self, request: Request, _: None) -> dict[str, Any]:
        tables = self._catalogue.tables(**request.path_params)
        found = [{key: item.resource[key] for key in item.resource if key != "schema"} for item in tables]
        page = _list_page(found, "tables", request.query_params)
        return {"kind": "bigquery#tableList", "totalItems": len(found), **page}

    def patch_table(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        return self._catalogue.patch_table(**request.path_params, body=body).resource

    def delete_table(self, request: Request, _: None) -> None:
        self._catalogue.delete_table(**request.path_params)

    def _job(self, request: Request) -> Job:
        return self._jobs.get(request.path_params["project"], request.path_params["job"])

    def _result_page(self, job: Job, options: Mapping[str, Any]) -> dict[str, Any]:
        answer = {
            "jobReference": job.resource["jobReference"],
            "jobComplete": True,
            "cacheHit": False,
            "totalBytesProcessed": "0",
            "location": LOCATION,
        }
        if job.result is None:
            return answer
        return answer | {"schema": job.result.schema.to_json(), **self._page(job.result, options)}

    def _page(self, table: Table, options: Mapping[str, Any], selected: str | None = None) -> dict[str, Any]:
        total = self._store.count(table.stored)
        start = _number(options, "pageToken" if options.get("pageToken") else "startIndex", 0)
        limit = min(_number(options, "maxResults", MAX_PAGE_ROWS), MAX_PAGE_ROWS)
        int64 = str(options.get("formatOptions.useInt64Timestamp", "")).lower() == "true"
        schema, wanted = _select(table.schema, selected)
        rows = self._store.read(table.stored, start, limit) if limit else []
        encoded = [encode_row([row[index] for index in wanted], schema.fields, int64) for row in rows]
        page: dict[str, Any] = {"totalRows": str(total)}
        if encoded:
            page["rows"] = encoded
        if start + limit < total:
            page["pageToken"] = str(start + limit)
        return page


class _CutResponse(Response):
    """An answer of which the client gets the head alone: the server closes the connection in its middle."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        head = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": head})


def _select(schema: Schema, selected: str | None) -> tuple[Schema, list[int]]:
    if not selected:
        return schema, list(range(len(schema.fields)))
    names = selected.lower().split(",")
    if not set(names) <= set(schema.by_name):
        raise invalid(f"selectedFields must name columns of the table: {selected}", "selectedFields")
    wanted = [index for index, item in enumerate(schema.fields) if item.name.lower() in names]
    return Schema(tuple(schema.fields[index] for index in wanted)), wanted


def _list_page(found: list[Any], key: str, options: Mapping[str, Any]) -> dict[str, Any]:
    start = _number(options, "pageToken", 0)
    end = start + _number(options, "maxResults", MAX_PAGE_ROWS)
    page = {key: found[start:end]}
    return page | {"nextPageToken": str(end)} if end < len(found) else page


def _number(options: Mapping[str, Any], key: str, default: int) -> int:
    value = options.get(key)
    text = str(default if value in (None, "") else value)
    if not text.isdecimal():
        raise invalid(f"Invalid value for {key}: {text}", key)
    return int(text)


def _answering(
    handle: Callable[[Request], Awaitable[Any]],
) -> Callable[[Request], Awaitable[Response]]:
    """Turn results and errors into the API's JSON."""

    async def answer(request: Request) -> Response:
        try:
            result, code = await handle(request), 200
        except ApiError as error:
            result, code = error.to_json(), error.code
        except Exception as error:  # noqa: BLE001 - a plain 500 would be tried again for ten minutes
            sys.stderr.write(f"{request.method} {request.url.path} failed: {error!r}\n")
            result, code = unsupported(f"this request: it failed with {type(error).__name__}").to_json(), 501
        if result is None:
            return Response(status_code=204)
        if isinstance(result, Response):
            return result
        return Response(json.dumps(result), code, media_type="application/json")

    return answer


async def _not_offered(request: Request) -> None:
    raise unsupported(f"{request.method} {request.url.path}")


async def _body(request: Request) -> dict[str, Any]:
    data = bytearray()
    unzip = zlib.decompressobj(wbits=31) if request.headers.get("content-encoding") == "gzip" else None
    try:
        async for chunk in request.stream():
            data += unzip.decompress(chunk, MAX_BODY_BYTES + 1) if unzip else chunk
            if len(data) > MAX_BODY_BYTES:
                raise too_large(MAX_BODY_BYTES)
        body = json.loads(data)
    except (ValueError, RecursionError, zlib.error) as error:
        raise invalid("The body of the request is not JSON.") from error
    if not isinstance(body, dict):
        raise invalid("The body of the request is not a JSON object.")
    return body
