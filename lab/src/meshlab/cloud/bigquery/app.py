"""The REST API v2 as an ASGI application.

Source: https://cloud.google.com/bigquery/docs/reference/rest
"""

from __future__ import annotations

import functools
import json
import sys
import zlib
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from meshlab.cloud.bigquery.catalogue import LOCATION, Catalogue
from meshlab.cloud.bigquery.errors import ApiError, invalid, unsupported
from meshlab.cloud.bigquery.insert_all import MAX_BODY_BYTES, judge, parse_request, too_large
from meshlab.cloud.bigquery.jobs import Job, Jobs
from meshlab.cloud.bigquery.schema import Schema
from meshlab.cloud.bigquery.store import Store
from meshlab.cloud.bigquery.wire import encode_row

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from meshlab.cloud.bigquery.catalogue import Table

MAX_PAGE_ROWS = 10_000

_PROJECT = "/bigquery/v2/projects/{project}"
_DATASET = _PROJECT + "/datasets/{dataset}"
_TABLE = _DATASET + "/tables/{table}"


def create_app(now_s: Callable[[], float]) -> Starlette:
    """Make an empty BigQuery.

    Args:
        now_s: The clock, in seconds since the epoch.
    """
    api = _Api(now_s)
    routes = [
        # The one that must be quick stands first.
        _route("POST", _TABLE + "/insertAll", api.insert_all),
        _route("GET", _TABLE + "/data", api.list_rows),
        _route("POST", _PROJECT + "/queries", api.query),
        _route("GET", _PROJECT + "/queries/{job}", api.get_query_results),
        _route("POST", _PROJECT + "/jobs", api.insert_job),
        _route("GET", _PROJECT + "/jobs/{job}", api.get_job),
        _route("POST", _PROJECT + "/datasets", api.insert_dataset),
        _route("GET", _PROJECT + "/datasets", api.list_datasets),
        _route("GET", _DATASET, api.get_dataset),
        _route("DELETE", _DATASET, api.delete_dataset),
        _route("POST", _DATASET + "/tables", api.insert_table),
        _route("GET", _DATASET + "/tables", api.list_tables),
        _route("GET", _TABLE, api.get_table),
        _route("DELETE", _TABLE, api.delete_table),
        Route("/{rest:path}", _answering(_not_offered), methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]
    return Starlette(routes=routes)


class _Api:
    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._store = Store()
        self._catalogue = Catalogue(self._store, now_s)
        self._jobs = Jobs(self._catalogue, self._store, now_s)

    async def insert_all(self, request: Request) -> dict[str, Any]:
        table = self._table(request)
        verdict = judge(parse_request(await _body(request)), table.schema)
        now_s = self._now_s()
        rows = [row for insert_id, row in verdict.accepted if table.seen.admit(insert_id, now_s)]
        self._store.append(table.stored, rows)
        answer: dict[str, Any] = {"kind": "bigquery#tableDataInsertAllResponse"}
        return answer | {"insertErrors": verdict.insert_errors} if verdict.insert_errors else answer

    async def list_rows(self, request: Request) -> dict[str, Any]:
        table = self._table(request)
        selected = request.query_params.get("selectedFields")
        page = await run_in_threadpool(self._page, table, request.query_params, selected)
        return {"kind": "bigquery#tableDataList", **page}

    async def query(self, request: Request) -> dict[str, Any]:
        body = await _body(request)
        job = await run_in_threadpool(self._jobs.query, request.path_params["project"], body)
        options = {"maxResults": body.get("maxResults")} if body.get("maxResults") is not None else {}
        if (body.get("formatOptions") or {}).get("useInt64Timestamp"):
            options["formatOptions.useInt64Timestamp"] = "true"
        page = await run_in_threadpool(self._result_page, job, options)
        return {"kind": "bigquery#queryResponse", "queryId": job.resource["jobReference"]["jobId"], **page}

    async def get_query_results(self, request: Request) -> dict[str, Any]:
        job = self._jobs.get(request.path_params["project"], request.path_params["job"])
        page = await run_in_threadpool(self._result_page, job, request.query_params)
        return {"kind": "bigquery#getQueryResultsResponse", **page}

    async def insert_job(self, request: Request) -> dict[str, Any]:
        body = await _body(request)
        job = await run_in_threadpool(self._jobs.insert, request.path_params["project"], body)
        return job.resource

    async def get_job(self, request: Request) -> dict[str, Any]:
        return self._jobs.get(request.path_params["project"], request.path_params["job"]).resource

    async def insert_dataset(self, request: Request) -> dict[str, Any]:
        return self._catalogue.create_dataset(request.path_params["project"], await _body(request)).resource

    async def get_dataset(self, request: Request) -> dict[str, Any]:
        return self._catalogue.dataset(
            request.path_params["project"], request.path_params["dataset"]
        ).resource

    async def list_datasets(self, request: Request) -> dict[str, Any]:
        found = [item.resource for item in self._catalogue.datasets(request.path_params["project"])]
        return {"kind": "bigquery#datasetList", **_list_page(found, "datasets", request.query_params)}

    async def delete_dataset(self, request: Request) -> None:
        contents = request.query_params.get("deleteContents", "false") == "true"
        path = request.path_params
        delete = functools.partial(self._catalogue.delete_dataset, delete_contents=contents)
        await run_in_threadpool(delete, path["project"], path["dataset"])

    async def insert_table(self, request: Request) -> dict[str, Any]:
        path, body = request.path_params, await _body(request)
        create = self._catalogue.create_table
        table = await run_in_threadpool(create, path["project"], path["dataset"], body)
        return table.resource

    async def get_table(self, request: Request) -> dict[str, Any]:
        table = self._table(request)
        rows = await run_in_threadpool(self._store.count, table.stored)
        return table.resource | {"numRows": str(rows)}

    async def list_tables(self, request: Request) -> dict[str, Any]:
        tables = self._catalogue.tables(request.path_params["project"], request.path_params["dataset"])
        found = [{key: item.resource[key] for key in item.resource if key != "schema"} for item in tables]
        page = _list_page(found, "tables", request.query_params)
        return {"kind": "bigquery#tableList", "totalItems": len(found), **page}

    async def delete_table(self, request: Request) -> None:
        path = request.path_params
        await run_in_threadpool(self._catalogue.delete_table, path["project"], path["dataset"], path["table"])

    def _table(self, request: Request) -> Table:
        path = request.path_params
        return self._catalogue.table(path["project"], path["dataset"], path["table"])

    def _result_page(self, job: Job, options: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "jobReference": job.resource["jobReference"],
            "jobComplete": True,
            "cacheHit": False,
            "totalBytesProcessed": "0",
            "location": LOCATION,
            "schema": job.result.schema.to_json(),
            **self._page(job.result, options),
        }

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


def _route(method: str, path: str, handle: Callable[[Request], Awaitable[Any]]) -> Route:
    return Route(path, _answering(handle), methods=[method])


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
        return Response(json.dumps(result), code, media_type="application/json")

    return answer


async def _not_offered(request: Request) -> None:
    raise unsupported(f"{request.method} {request.url.path}")


async def _body(request: Request) -> Any:  # noqa: ANN401 - any JSON value
    data = bytearray()
    unzip = zlib.decompressobj(wbits=31) if request.headers.get("content-encoding") == "gzip" else None
    try:
        async for chunk in request.stream():
            data += unzip.decompress(chunk, MAX_BODY_BYTES + 1) if unzip else chunk
            if len(data) > MAX_BODY_BYTES:
                raise too_large(MAX_BODY_BYTES)
        return json.loads(data)
    except (ValueError, zlib.error) as error:
        raise invalid("The body of the request is not JSON.") from error
