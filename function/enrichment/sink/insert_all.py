"""insertAll by the SDK's own HTTP transport: credentials, one request, and its retries.

Google's client for BigQuery does the same in threads of its own, at several times the processor time, and loads 360
modules first. It is the reference in the tests: both send the same, and draw the same conclusions from each answer.
Bodies are not compressed, which would cost time and save bytes that are free (docs/decisions/writers.md).
See https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import meshpass
import msgspec
from meshpass._address import parse_origin

from enrichment import backoff
from enrichment.errors import (
    EnrichmentError,
    Stage,
    copy_error,
    failure,
    of_google_answer,
    of_unexpected_error,
    release_frames,
)
from enrichment.row import Row
from enrichment.sink.base import LastFailures
from enrichment.sink.insert_all_response import InsertErrors, Refusal, read_answer
from enrichment.sink.when_to_write import RefusedError

if TYPE_CHECKING:
    import ssl

    from meshpass._call.response import RawResponse
    from meshpass._http.endpoint import Endpoint
    from meshpass._tokens.google.access_token import AccessToken

    from enrichment.settings.model import TableField

BIGQUERY = "https://bigquery.googleapis.com"

ATTEMPT_TIMEOUT_S = 5.0
"""How long one attempt waits for its answer, in seconds, beside the time that its rows take on the way."""

CONNECT_TIMEOUT_S = 5.0
UPLOAD_BYTES_PER_S = 1_000_000
"""The slowest way out that large requests are still given time for."""

FIRST_DELAY_S = 0.1
MAX_DELAY_S = 1.0
"""Bounds of the delay between attempts, in seconds. The official client's own minute would outlast most outages."""

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""Largest answer that is read. One says something of each row, and quotes parts of it."""

_HEADERS = {
    "content-type": "application/json",
    "accept": "application/json",
    "user-agent": "meshpass-function",
}


class AccessTokens(Protocol):
    """Where access tokens come from. A source caches: it is asked for every request."""

    async def atoken(self) -> "AccessToken":
        """Return a token that is good for the next request; never block the event loop.

        Raises:
            MeshError: no token can be made.
        """

    def invalidate(self, token: "AccessToken", /) -> None:
        """Forget this token, because it was refused."""


class InsertAllClient:
    """Writes rows, for any number of tables and in any event loop.

    Access tokens are never sent in plaintext but to this machine and its own network, where BigQuery's emulators are.

    Args:
        url: Where BigQuery is; `BIGQUERY_EMULATOR_HOST` or Google's own endpoint when None.
        tokens: Where access tokens come from. When None, from the identity that the environment gives, found in the
            order of Google's clients, and renewed ahead of their end in a thread.

    Raises:
        ValueError: the URL is not `scheme://host[:port]`; the message completes the sentence "NAME ...".
    """

    def __init__(self, url: str | None = None, tokens: AccessTokens | None = None) -> None:
        self._url = url or os.environ.get("BIGQUERY_EMULATOR_HOST") or BIGQUERY
        parse_origin(self._url)
        self._tokens = tokens
        self._parts: tuple[Endpoint, AccessTokens] | None = None
        self._warming: asyncio.Task[None] | None = None
        self._failures = LastFailures()

    def warm_up(self) -> None:
        """Start to get a token and to open a connection, while the event's lookup is in flight."""
        if self._warming is None:
            self._warming = asyncio.get_running_loop().create_task(self._prepare())

    async def insert(self, table: str, rows: Sequence[Row], deadline: meshpass.Deadline) -> InsertErrors:
        """Write rows in one request, and try again while that may help. See `RowWriter`."""
        try:
            body = request_body(rows)
        except Exception as error:  # noqa: BLE001 - a row that no check foresaw must not keep its neighbours out
            raise RefusedError(of_unexpected_error(error, Stage.WRITE)) from None
        delays_s = retry_delays_s()
        found: InsertErrors | Refusal | meshpass.MeshError | None = None
        began_s, renewed = time.monotonic(), False
        while (left_s := deadline.left_s()) > 0:
            found = await self._attempt(table, body, left_s, fresh=isinstance(found, meshpass.MeshError))
            if isinstance(found, Refusal):
                if found.status == 401 and not renewed:  # the token was forgotten: with a new one, at once
                    renewed = True
                    continue
                if not found.retryable:
                    break
            elif not isinstance(found, meshpass.MeshError):
                self._failures.forget(table)
                return found
            elif not found.retryable:
                break
            if not isinstance(found, meshpass.MeshTimeout):
                self._failures.note(table, _decided(found, table))
            delay_s = next(delays_s)
            if delay_s >= deadline.left_s():
                break
            await asyncio.sleep(delay_s)
        earlier = None
        if found is None or isinstance(found, meshpass.MeshTimeout):
            earlier = self.failed_since(table, began_s)
        raise copy_error(earlier) if earlier is not None else _decided(found, table)

    def failed_since(self, table: str, began_s: float) -> EnrichmentError | None:
        """Return why a request of the table failed last. See `RowWriter`."""
        return self._failures.since(table, began_s)

    async def created_s(self, table: str, deadline: meshpass.Deadline) -> float | None:
        """Return when a table was created. One try: the write itself says more of what is wrong. See `RowWriter`."""
        target = f"{path_of(table)}?fields=creationTime&prettyPrint=false"
        left_s = min(deadline.left_s(), ATTEMPT_TIMEOUT_S)
        answer = await self._send("GET", target, b"", left_s, fresh=False) if left_s > 0 else None
        return None if answer is None or isinstance(answer, meshpass.MeshError) else read_created_s(answer)

    async def columns(self, table: str, deadline: meshpass.Deadline) -> "tuple[TableField, ...] | None":
        """Return the columns of the real table. One try, as in `created_s`. See `RowWriter`."""
        from enrichment.settings import table_file

        target = f"{path_of(table)}?fields=schema&prettyPrint=false"
        left_s = min(deadline.left_s(), ATTEMPT_TIMEOUT_S)
        answer = await self._send("GET", target, b"", left_s, fresh=False) if left_s > 0 else None
        if answer is None or isinstance(answer, meshpass.MeshError):
            raise _decided(answer, table)
        if answer.status == 200:
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                return table_file.of_resource(answer.content)
        found = read_answer(answer.status, answer.content)
        if answer.status == 403 and not (isinstance(found, Refusal) and found.retryable):
            return None
        raise failure(
            "bigquery_unavailable", f"the columns of {table} cannot be read: status {answer.status}"
        )

    async def aclose(self) -> None:
        """Close the connections, if there are any; a later request opens new ones."""
        warming, self._warming = self._warming, None
        if warming is not None:
            warming.cancel()
        if self._parts is not None:
            await self._parts[0].aclose()

    async def _attempt(
        self, table: str, body: bytes, left_s: float, *, fresh: bool
    ) -> "InsertErrors | Refusal | meshpass.MeshError":
        """Send a request once."""
        target = f"{path_of(table)}/insertAll?prettyPrint=false"
        answer = await self._send("POST", target, body, left_s, fresh=fresh)
        return (
            answer if isinstance(answer, meshpass.MeshError) else read_answer(answer.status, answer.content)
        )

    async def _send(
        self, method: str, target: str, body: bytes, left_s: float, *, fresh: bool
    ) -> "RawResponse | meshpass.MeshError":
        """Send a request with a token. An error is returned: a traceback would keep the frames that hold the token."""
        endpoint, tokens = self._connected()
        token = None
        headers, secrets = _HEADERS, {}
        if endpoint.takes_secrets:
            try:
                async with asyncio.timeout(left_s):
                    token = await tokens.atoken()
            except TimeoutError:
                return meshpass.MeshTimeout("There was no access token in time.", code="timeout_token")
            except meshpass.MeshError as error:
                return release_frames(error)
            headers = {**headers, **token.further}
            secrets = {"authorization": f"Bearer {token.value}"}
        wait_s = min(ATTEMPT_TIMEOUT_S, left_s)
        headers = {**headers, "x-server-timeout": str(wait_s)}
        timeout_s = min(wait_s + len(body) / UPLOAD_BYTES_PER_S, left_s)
        answer = await endpoint.send(method, target, headers, secrets, body, timeout_s, fresh=fresh)
        if not isinstance(answer, meshpass.MeshError) and answer.status == 401 and token is not None:
            tokens.invalidate(token)
        return answer

    async def _prepare(self) -> None:
        endpoint, tokens = self._connected()
        needs = [endpoint.open(), tokens.atoken()] if endpoint.takes_secrets else [endpoint.open()]
        await asyncio.gather(*needs, return_exceptions=True)  # the first write meets a failure again

    def _connected(self) -> "tuple[Endpoint, AccessTokens]":
        if self._parts is None:
            # Loaded here: at the start neither is needed, and both load an HTTP client.
            from meshpass._http.endpoint import Endpoint
            from meshpass._tokens.google.access_token import GoogleAccessToken

            endpoint = Endpoint(
                self._url,
                connect_timeout_s=CONNECT_TIMEOUT_S,
                max_response_bytes=MAX_ANSWER_BYTES,
                context=_context,
            )
            self._parts = endpoint, self._tokens or GoogleAccessToken()
        return self._parts


def request_body(rows: Sequence[Row]) -> bytes:
    """Return the body of a request: UTF-8, without blanks."""
    return msgspec.json.encode({"rows": [{"json": row.columns, "insertId": row.insert_id} for row in rows]})


def path_of(table: str) -> str:
    """Return the path of a table, `project.dataset.table`, in BigQuery's API."""
    project, dataset, name = table.rsplit(".", 2)
    return f"/bigquery/v2/projects/{project}/datasets/{dataset}/tables/{name}"


def read_created_s(answer: "RawResponse") -> float | None:
    """Return the time of creation in a table's resource, in seconds since the epoch; None where there is none."""
    if answer.status != 200:
        return None
    try:
        return int(msgspec.json.decode(answer.content, type=_Table).creation_time) / 1000
    except (msgspec.DecodeError, ValueError):
        return None


class _Table(msgspec.Struct, rename="camel"):
    creation_time: str


def retry_delays_s() -> Iterator[float]:
    """Return the delays between attempts, in seconds, without an end."""
    return backoff.delays_s(FIRST_DELAY_S, MAX_DELAY_S)


def refused(refusal: Refusal, table: str) -> EnrichmentError | RefusedError:
    """Return the error that a request's refusal means."""
    if refusal.status == 413:
        return RefusedError(failure("row_too_large", "BigQuery calls the row too large", Stage.WRITE))
    if refusal.status < 400:  # also a redirect, which no API of Google's answers
        return failure(
            "bigquery_unavailable",
            f"the answer for {table}, with status {refusal.status}, is none that BigQuery gives, so no row counts as "
            "written. To do: see whether a proxy answers in its place",
        )
    decided = of_google_answer(
        refusal.status, refusal.reasons, refusal.message, Stage.WRITE, "bigquery", table
    )
    return RefusedError(decided) if refusal.status == 400 else decided


def _decided(found: "InsertErrors | Refusal | meshpass.MeshError | None", table: str) -> Exception:
    if isinstance(found, Refusal):
        return refused(found, table)
    if isinstance(found, meshpass.IdentityError) and not found.retryable:
        return failure("bigquery_no_credentials", f"no access token for {table}: {found}")
    why = f": {found}" if isinstance(found, meshpass.MeshError) else " in time"
    return failure("bigquery_unavailable", f"no answer for {table}{why}")


def _context() -> "ssl.SSLContext":
    import httpx

    return httpx.create_ssl_context()  # the CAs that Google's own clients trust: certifi's
