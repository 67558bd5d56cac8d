"""Running policy tests against the proxies: send, then ask the proxies themselves who answered."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from meshlab.bench.cases import Answerer, Case, Client, Target
from meshlab.bench.probe import Answer, Connector, Request, send
from meshlab.bench.tokens import Tokens
from meshlab.processes.envoy import Envoy

_T = TypeVar("_T")

_LOG_TIMEOUT_S = 2.0
_POLL_S = 0.01
# Envoy's counters for connections that it ended before any request.
_REFUSALS = r"(ssl.connection_error|ssl.fail_verify_[a-z_]+|no_filter_chain_match)"


@dataclass(frozen=True)
class Result:
    """What became of a case.

    Attributes:
        case: The case.
        answer: What came back.
        by: Who answered according to the proxies' own access logs and counters, or None when none of them
            knows of the request.
    """

    case: Case
    answer: Answer
    by: Answerer | None

    @property
    def broken(self) -> str | None:
        """The broken promise in words, or None when the case met its expected fate."""
        expect = self.case.expect
        as_expected = (
            self.by == expect.by and self.answer.status == expect.status and expect.says in self.answer.text
        )
        if as_expected:
            return None
        wanted = "a refused connection" if expect.refused else f"{expect.status} {expect.says}".strip()
        got = (
            self.answer.text
            if self.answer.status is None
            else f"{self.answer.status} {self.answer.text[:80]}"
        )
        return (
            f"{self.case.name}: expected {wanted} by {expect.by}, got {got.strip()} by {self.by or 'nobody'}"
        )


class PolicyRunner:
    """Sends cases and finds out who answered.

    Args:
        proxies: The two proxies.
        connectors: How to reach a proxy as a given client.
        tokens: Makes the bearer tokens.
        host: The Host header where a case names none.
    """

    def __init__(
        self,
        proxies: Mapping[Target, Envoy],
        connectors: Callable[[Target, Client], Connector],
        tokens: Tokens,
        host: str,
    ) -> None:
        self._proxies = proxies
        self._connectors = connectors
        self._tokens = tokens
        self._host = host

    def run(self, case: Case) -> Result:
        """Send one case's request and return its fate."""
        mark = f"meshlab-policy/{uuid.uuid4().hex}"
        refused_before = self._refusals(case.to)
        answer = send(self._connectors(case.to, case.client), self._request(case, mark))
        if answer.status is None:
            return Result(case, answer, self._refused_by(case.to, refused_before))
        return Result(case, answer, self._answered_by(case.to, mark))

    def _request(self, case: Case, mark: str) -> Request:
        host = case.host or self._host
        headers = {"Host": f"{host}:{case.host_port}" if case.host_port else host, "User-Agent": mark}
        if case.token != "none":  # noqa: S105 - a name
            headers["Authorization"] = f"Bearer {self._tokens.make(case.token)}"
        target = case.path
        if case.query_token != "none":  # noqa: S105 - a name
            target = f"{target}?access_token={self._tokens.make(case.query_token)}"
        return Request(case.method, target, headers)

    def _answered_by(self, target: Target, mark: str) -> Answerer | None:
        """Follow the request from proxy to proxy by its mark until one answered it itself."""
        if target == "gateway" and not _passed_on(self._logged("gateway", mark)):
            return "gateway" if self._logged("gateway", mark) else None
        line = self._logged("sidecar", mark)
        if line is None:
            return None
        return "app" if _passed_on(line) else "sidecar"

    def _logged(self, proxy: Target, mark: str) -> str | None:
        return _poll(lambda: next((line for line in self._proxies[proxy].access_log() if mark in line), None))

    def _refused_by(self, target: Target, before: int) -> Answerer | None:
        return _poll(lambda: target if self._refusals(target) > before else None)

    def _refusals(self, target: Target) -> int:
        return self._proxies[target].counter(_REFUSALS)


def _passed_on(line: str | None) -> bool:
    """Whether an access log line says that the answer came from upstream (`%RESPONSE_CODE_DETAILS%`)."""
    return line is not None and " via_upstream " in line


def _poll(look: Callable[[], _T | None]) -> _T | None:
    deadline = time.monotonic() + _LOG_TIMEOUT_S
    while (found := look()) is None and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return found
