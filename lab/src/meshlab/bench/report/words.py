"""Expectations and outcomes in words, alike in every report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case import HttpRequest, TlsRequest

if TYPE_CHECKING:
    from meshlab.bench.case import Case, Expectation
    from meshlab.bench.outcome import Hop, Observed, Outcome

__all__ = ["expected", "hop_lines", "observed", "place", "printable", "request", "verdict"]

_MAX_TEXT = 200


def expected(expectation: Expectation | None) -> str:
    """Return what a case expects, such as `403 from proxy istio-ingress/gateway, saying 'RBAC: access denied'`."""
    if expectation is None:
        return "anything"
    parts = [_ending(expectation) + _by(expectation.app, expectation.proxy)]
    if expectation.subset is not None:
        parts.append(f"subset {expectation.subset}")
    if expectation.policy is not None:
        parts.append(_policy(expectation.policy, expectation.rule))
    if expectation.says:
        parts.append(f"saying {printable(expectation.says)!r}")
    if expectation.headers:
        parts.append("with " + ", ".join(_header(name, value) for name, value in expectation.headers.items()))
    if expectation.received is not None:
        parts.append("with the request as `received` says")
    if expectation.certificate is not None:
        parts.append(f"with a certificate of {expectation.certificate}")
    return ", ".join(parts)


def observed(found: Observed | None) -> str:
    """Return what happened, such as `403 from proxy istio-ingress/gateway, policy none: 'RBAC: access denied'`."""
    if found is None:
        return "nothing was sent"
    parts = [verdict(found) + _by(found.app, found.proxy)]
    if found.subset is not None:
        parts.append(f"subset {found.subset}")
    if found.policy is not None:
        parts.append(_policy(found.policy, found.rule))
    text = ", ".join(parts)
    return f"{text}: {printable(found.text)!r}" if printable(found.text) else text


def verdict(found: Observed | None) -> str:
    """Return the outcome in one word: the status, `refused` or `answered`."""
    if found is None:
        return "nothing"
    return _ending(found)


def request(case: Case) -> str:
    """Return what is sent, in one line."""
    sent = case.request
    if isinstance(sent, HttpRequest):
        return printable(f"{sent.method} {sent.url}")
    scheme = "tls" if isinstance(sent, TlsRequest) else "tcp"
    return printable(f"{scheme} {sent.host}:{sent.port}")


def place(case: Case) -> str:
    """Return `FILE:LINE` of a case."""
    return f"{case.place.file}:{case.place.line}"


def hop_lines(hop: Hop) -> list[str]:
    """Return one hop: who and with which result, then the way inside the proxy."""
    result = " ".join(filter(None, [str(hop.status or ""), printable(hop.details)]))
    lines = [f"{hop.proxy} ({hop.side}){f': {result}' if result else ''}"]
    if hop.policy:
        lines.append(_policy(hop.policy, hop.rule))
    way = [
        f"{word} {printable(value)}"
        for word, value in (
            ("listener", hop.listener),
            ("route", hop.route),
            ("cluster", hop.cluster),
            ("upstream", hop.upstream),
            ("client", hop.peer),
        )
        if value
    ]
    return [*lines, *way]


def printable(text: str) -> str:
    """Return a text on one line without control characters, cut where it is long.

    What a proxy or an application answers is shown on a terminal, which must not obey it.
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= _MAX_TEXT else f"{line[: _MAX_TEXT - 1]}…"


def reasons(outcome: Outcome) -> tuple[str, ...]:
    """Return why an outcome is what it is; never empty for one that has not passed."""
    found = outcome.mismatches if outcome.status == "failed" else outcome.reasons
    return tuple(printable(reason) for reason in found) or ("no reason was given",)


def _ending(found: Expectation | Observed) -> str:
    if found.status is not None:
        return str(found.status)
    return "refused" if found.refused else "answered" if found.answered else "no answer"


def _by(app: str | None, proxy: object) -> str:
    if app is not None:
        return f" from app {app}"
    return f" from proxy {proxy}" if proxy is not None else ""


def _policy(policy: str, rule: int | None) -> str:
    if policy == "none":
        return "no rule of an ALLOW policy matched"
    return f"policy {policy}" + (f", rule {rule}" if rule is not None else "")


def _header(name: str, value: str | None) -> str:
    return f"no {name}" if value is None else f"{name}: {printable(value)}"
