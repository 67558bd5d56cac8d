"""Comparison of an expectation with a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case_file.format_words import NONE
from meshlab.bench.verdicts.verdict import Mismatch
from meshlab.istio.read.hosts import is_subset

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.bench.case import Expectation, Received
    from meshlab.bench.verdicts.verdict import ReceivedByApp, Verdict

__all__ = ["compare"]

_SHOWN_CHARACTERS = 120


def compare(expect: Expectation, verdict: Verdict, asked: str = "") -> list[Mismatch]:
    """Return every part of the expectation that the verdict does not meet.

    Args:
        expect: The expectation; only what it states is compared.
        verdict: The outcome of the request.
        asked: The host that was asked for. Where a ServiceEntry lists it by a wildcard, the host may be expected, too.
    """
    found = list(_ending(expect, verdict))
    found += _answerer(expect, verdict, asked)
    found += _policy(expect, verdict)
    found += _words(expect, verdict)
    if expect.headers:
        found += _headers("headers", expect.headers, verdict.reply.headers)
    if expect.received:
        found += _received(expect.received, verdict)
    if expect.certificate and not _covers(verdict.reply.certificate, expect.certificate):
        shown = ", ".join(verdict.reply.certificate) or "no certificate"
        found.append(Mismatch("certificate", expect.certificate, shown))
    return found


def _ending(expect: Expectation, verdict: Verdict) -> Iterator[Mismatch]:
    reply = verdict.reply
    if expect.status is not None and reply.status != expect.status:
        yield Mismatch("status", str(expect.status), verdict.summary)
    if expect.refused and verdict.answered:
        yield Mismatch("refused", "a connection that ends without an answer", verdict.summary)
    if expect.answered and not (reply.answered and verdict.app):
        yield Mismatch("answered", "an answer of an application", verdict.summary)


def _answerer(expect: Expectation, verdict: Verdict, asked: str) -> Iterator[Mismatch]:
    app = verdict.app or ""
    names = {app, asked} if is_subset(asked, app) else {app}  # the asked host of a wildcard
    if expect.apps and not names & set(expect.apps):
        wanted = f"the application of {' or '.join(expect.apps)}"
        yield Mismatch("app", wanted, verdict.missing or verdict.summary)
    if expect.proxy is not None and verdict.proxy != expect.proxy:
        yield Mismatch("proxy", f"the proxy of {expect.proxy}", verdict.missing or verdict.summary)
    chosen = [name for name in dict.fromkeys((verdict.version, verdict.subset)) if name] or [NONE]
    if expect.subset is not None and expect.subset not in chosen:
        yield Mismatch("subset", expect.subset, " or ".join(chosen))


def _policy(expect: Expectation, verdict: Verdict) -> Iterator[Mismatch]:
    decisive = verdict.decisive
    policy = decisive.policy if decisive else None
    if expect.policy is not None and (policy is None or policy.name != expect.policy):
        yield Mismatch("policy", expect.policy, str(policy) if policy else f"no policy: {verdict.summary}")
    if expect.rule is not None and (policy is None or policy.rule != expect.rule):
        yield Mismatch("rule", str(expect.rule), str(policy) if policy else f"no policy: {verdict.summary}")


def _words(expect: Expectation, verdict: Verdict) -> Iterator[Mismatch]:
    if not expect.says:
        return
    reply = verdict.reply
    said = "; ".join(filter(None, (reply.text if reply.answered else reply.failure, verdict.reason)))
    if expect.says not in said:
        shown = said if len(said) <= _SHOWN_CHARACTERS else f"{said[:_SHOWN_CHARACTERS]}…"
        yield Mismatch("says", repr(expect.says), repr(shown))


def _received(expect: Received, verdict: Verdict) -> Iterator[Mismatch]:
    got = verdict.received
    if got is None:
        why = "an application that records nothing" if verdict.app else f"nothing: {verdict.summary}"
        yield Mismatch("received", "a request at the application", why)
        return
    yield from _received_parts(expect, got, got.identity or _peer(verdict))
    yield from _headers("received.headers", expect.headers, got.headers)


def _peer(verdict: Verdict) -> str:
    """Return the identity that the application's own proxy saw of a connection; empty for none, and for HTTP."""
    last = verdict.hops[-1] if verdict.hops else None
    if last is None or last.line.scope == "http" or last.direction == "outbound":
        return ""
    return last.line.peer.partition(",")[0] if str(last.workload) == verdict.app else ""


def _received_parts(expect: Received, got: ReceivedByApp, identity: str) -> Iterator[Mismatch]:
    parts = (
        ("method", expect.method, got.method),
        ("path", expect.path, got.target),
        ("host", expect.host, got.host),
        ("identity", expect.identity, identity or NONE),
        ("sni", expect.sni, got.sni),
    )
    for name, wanted, found in parts:
        if wanted is not None and wanted != found:
            yield Mismatch(f"received.{name}", wanted, found or NONE)


def _headers(
    part: str, wanted: Mapping[str, str | None], got: tuple[tuple[str, str], ...]
) -> Iterator[Mismatch]:
    for name, value in wanted.items():
        found = [text for key, text in got if key.lower() == name.lower()]
        shown = repr(",".join(found)) if found else "no such header"
        if value is None and found:
            yield Mismatch(f"{part}.{name}", "no such header", shown)
        elif value is not None and (not found or value != ",".join(found)):
            yield Mismatch(f"{part}.{name}", repr(value), shown)


def _covers(names: tuple[str, ...], wanted: str) -> bool:
    """Return whether a certificate has the name, itself or as a wildcard for its first label (RFC 9525, 6.3)."""
    _, _, parent = wanted.partition(".")
    return wanted in names or (bool(parent) and f"*.{parent}" in names)
