"""Expectations and outcomes in words, alike in every report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case import HttpRequest, TlsRequest
from meshlab.visible_text import one_line

if TYPE_CHECKING:
    from meshlab.bench.case import Case, Expectation
    from meshlab.bench.verdicts.hop import Hop
    from meshlab.bench.verdicts.verdict import Outcome, Verdict

__all__ = [
    "ending",
    "expected",
    "hop_lines",
    "observed",
    "place",
    "printable",
    "reasons",
    "request",
    "wanted",
]

_MAX_TEXT = 300
_MAX_BODY = 120


def expected(expectation: Expectation | None) -> str:
    """Return what a case expects, such as `403 by the proxy of istio-ingress/gateway, saying 'access denied'`."""
    if expectation is None:
        return "nothing; the case asks what happens"
    parts = [wanted(expectation) + _by(expectation)]
    if expectation.subset is not None:
        parts.append(f"subset {expectation.subset}")
    if expectation.policy is not None:
        parts.append(_policy(expectation.policy, expectation.rule))
    if expectation.says:
        parts.append(f"saying {printable(expectation.says)!r}")
    if expectation.headers:
        parts.append("with " + ", ".join(_header(name, value) for name, value in expectation.headers.items()))
    if expectation.received is not None:
        parts.append("the request received as written in `received`")
    if expectation.certificate is not None:
        parts.append(f"with a certificate of {expectation.certificate}")
    return ", ".join(parts)


def observed(verdict: Verdict | None) -> str:
    """Return what happened: status or ending, who gave it and why, and the beginning of the body."""
    if verdict is None:
        return "nothing was sent"
    body = printable(verdict.reply.text, _MAX_BODY)
    return printable(verdict.summary) + (f", saying {body!r}" if body else "")


def wanted(expectation: Expectation) -> str:
    """Return the expected ending in one word: the status, `refused` or `answered`."""
    if expectation.status is not None:
        return str(expectation.status)
    return "refused" if expectation.refused else "answered"


def ending(verdict: Verdict | None) -> str:
    """Return how a request ended in one word: the status, `refused` or `answered`."""
    if verdict is None:
        return "nothing sent"
    if verdict.reply.status is not None:
        return str(verdict.reply.status)
    return "answered" if verdict.answered else "refused"


def request(case: Case) -> str:
    """Return what is sent, in one line."""
    sent = case.request
    if isinstance(sent, HttpRequest):
        return printable(f"{sent.method} {sent.url}")
    scheme = "tls" if isinstance(sent, TlsRequest) else "tcp"
    return printable(f"{scheme} {sent.host}:{sent.port}")


def place(case: Case) -> str:
    """Return `FILE:LINE` of a case; `FILE` alone for one without a line."""
    return one_line(f"{case.place.file}:{case.place.line}" if case.place.line else case.place.file)


def hop_lines(hop: Hop) -> list[str]:
    """Return one hop: who did what, then the way inside the proxy."""
    line = hop.line
    ways = [
        ("listener", line.listener),
        ("filter chain", line.chain.removeprefix("filter chain ")),  # the number of one without a name
        ("route", line.route),
        ("cluster", line.cluster),
        ("client certificate", line.peer),
        ("details", "" if line.details == "via_upstream" else line.details),
    ]
    return [printable(hop.summary), *(f"{word} {printable(value)}" for word, value in ways if value)]


def reasons(outcome: Outcome) -> tuple[str, ...]:
    """Return why an outcome is what it is; never empty for one that has not passed."""
    found = outcome.mismatches if outcome.state == "failed" else outcome.reasons
    return tuple(printable(str(reason)) for reason in found) or ("no reason was given",)


def printable(text: str, limit: int = _MAX_TEXT) -> str:
    """Return a text on one line without control characters and tokens, cut where it is long."""
    return one_line(text, limit)


def _by(expectation: Expectation) -> str:
    if expectation.apps:
        return f" by the application of {' or '.join(expectation.apps)}"
    return f" by the proxy of {expectation.proxy}" if expectation.proxy is not None else ""


def _policy(policy: str, rule: int | None) -> str:
    if policy == "none":
        return "because no ALLOW policy matched"
    return f"because of policy {policy}" + (f", rule {rule}" if rule is not None else "")


def _header(name: str, value: str | None) -> str:
    return f"no {name}" if value is None else f"{name}: {printable(value)}"
