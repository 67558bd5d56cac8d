"""Control of the running fake by a test, beyond BigQuery's API: injected faults and counts of calls.

Two paths of its own on the same port, `POST /lab/faults` and `GET /lab/stats`: nothing of them touches `/bigquery/v2`.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.cloud.bigquery.faults import Faults

FAULTS_PATH = "/lab/faults"
STATS_PATH = "/lab/stats"


@dataclass(slots=True)
class Stats:
    """What came by insertAll and AppendRows since the start.

    Attributes:
        requests: Requests.
        rows: Rows in them.
        written: Rows that were new and are in their table, or in a stream that is not committed yet.
        unavailable: Requests that were answered 503 or UNAVAILABLE on order.
        partial: Requests that failed on order for a reason that will pass, with rows of them named by insertAll.
        lost_answers: Requests whose rows were written while their answer was lost on order.
        dropped: Rows that were acknowledged and went into a table that is no more, on order.
        aborted: Requests of which nothing was written, and whose connection was ended on order.
        appends: Those of the requests that came by AppendRows.
    """

    requests: int = 0
    rows: int = 0
    written: int = 0
    unavailable: int = 0
    partial: int = 0
    lost_answers: int = 0
    dropped: int = 0
    aborted: int = 0
    appends: int = 0


def order_faults(host: str, faults: Faults, *, timeout_s: float = 5.0) -> None:
    """Make insertAll and AppendRows of a running fake fail as described, in place of what was ordered before.

    Args:
        host: `http://127.0.0.1:PORT`, as in BIGQUERY_EMULATOR_HOST.
        faults: What shall go wrong; `Faults()` ends it all.
        timeout_s: How long to wait for the answer, in seconds.

    Raises:
        LabError: The fake refused the order.
        OSError: Nothing listens at `host`.
    """
    _ask(host, "POST", FAULTS_PATH, asdict(faults), timeout_s)


def stats(host: str, *, timeout_s: float = 5.0) -> Stats:
    """Ask a running fake what came by insertAll and AppendRows so far.

    Args:
        host: `http://127.0.0.1:PORT`, as in BIGQUERY_EMULATOR_HOST.
        timeout_s: How long to wait for the answer, in seconds.

    Raises:
        OSError: Nothing listens at `host`.
    """
    return Stats(**_ask(host, "GET", STATS_PATH, None, timeout_s))


def _ask(
    host: str, method: str, path: str, body: Mapping[str, object] | None, timeout_s: float
) -> dict[str, Any]:
    address = urlsplit(host)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout_s)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read() or b"{}")
    finally:
        connection.close()
    if response.status >= 400:
        raise LabError(f"the BigQuery fake refused {method} {path}: {answer['error']['message']}")
    return answer
