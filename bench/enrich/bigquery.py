"""The table that rows go to: insertAll alone, at BigQuery's pace, for the official client.

It keeps what a check needs: which event each row is of, and whether it was joined with its own user's profile.
"""

import time
from typing import TypedDict

import msgspec

from bench.enrich import wire, workload

_DONE = wire.response(200, b'{"kind": "bigquery#tableDataInsertAllResponse"}')
_UNKNOWN = wire.response(
    404,
    b'{"error": {"code": 404, "message": "insertAll is all there is", "errors": [{"reason": "notFound"}]}}',
)


class Report(TypedDict):
    """What came since the last report.

    Attributes:
        requests: Calls of insertAll.
        event_ids: The event of each row, in their order.
        mismatched: Rows that hold another user's profile or account, or no profile.
        last_at_s: When the last of them was answered, by the machine's monotonic clock; 0 without one.
    """

    requests: int
    event_ids: list[str]
    mismatched: int
    last_at_s: float


class _Columns(msgspec.Struct):
    event_id: str
    user_id: str
    profile: str
    account: str | None = None


class _Row(msgspec.Struct):
    json: _Columns


class _InsertAll(msgspec.Struct):
    rows: list[_Row]


class _Profile(msgspec.Struct):
    user_id: str


class _Account(msgspec.Struct):
    account_id: str


class Table:
    """Takes rows."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_InsertAll).decode
        self._forget()

    def _forget(self) -> None:
        self._rows: list[_Row] = []
        self._requests = 0
        self._last_at_s = 0.0

    def report(self) -> Report:
        """What came since the last report."""
        seen = Report(
            requests=self._requests,
            event_ids=[row.json.event_id for row in self._rows],
            mismatched=sum(not _is_joined(row.json) for row in self._rows),
            last_at_s=self._last_at_s,
        )
        self._forget()
        return seen

    def answer(self, head: bytes, body: bytes) -> wire.Answer:
        """Answer one request."""
        if b"/insertAll" not in head.partition(b"\r\n")[0]:
            return 0.0, _UNKNOWN
        self._rows += self._decode(body).rows
        self._requests += 1
        self._last_at_s = time.monotonic() + workload.INSERT_S
        return workload.INSERT_S, _DONE


def _is_joined(columns: _Columns) -> bool:
    if msgspec.json.decode(columns.profile, type=_Profile).user_id != columns.user_id:
        return False
    if columns.account is None:
        return True
    account = msgspec.json.decode(columns.account, type=_Account)
    return account.account_id.removeprefix("a-") == columns.user_id.removeprefix("u-")


if __name__ == "__main__":
    table = Table()
    wire.serve(table.answer, table.report)
