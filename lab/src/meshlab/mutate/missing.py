"""Cases that would have caught a survivor: what to expect, and the words of a case file."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING

from meshlab.bench.case import (
    Case,
    Expectation,
    FromBypass,
    FromForeignMesh,
    FromOutside,
    FromWorkload,
    Received,
)
from meshlab.bench.case_file import CaseFileError, parse_case_file
from meshlab.bench.case_file.write_case import setup_words
from meshlab.bench.case_file.write_expect import case_lines, flow_text
from meshlab.bench.protocol import Setup
from meshlab.bench.verdicts.compare_expected import compare
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.bench.verdicts.verdict import ReceivedByApp, Verdict
    from meshlab.diff.effect import Effect

__all__ = ["MissingCase", "expectation_of", "is_readable", "lacking", "setup_text"]

_RECEIVED = ("method", "path", "host", "identity", "sni")


@dataclass(frozen=True)
class MissingCase:
    """A case that passes today and fails on a mutant.

    Attributes:
        case: The case, with today's verdict as its expectation.
        effect: What the mutant makes of its request, such as `now allowed`.
        setup: What the case file must hold beside it.
    """

    case: Case
    effect: str
    setup: Setup = field(default_factory=Setup)

    @property
    def text(self) -> str:
        """The case in the words of a case file, as an entry of `cases`."""
        return case_lines(self.case)

    @property
    def needs(self) -> str:
        """What the case file must hold beside it, as YAML; empty for nothing."""
        return setup_text(self.setup)


def expectation_of(today: Verdict, then: Verdict | None, old: Effect, new: Effect) -> Expectation | None:
    """Return an expectation that a verdict of today meets and one on a mutant does not.

    Args:
        today: The verdict on the unchanged mesh.
        then: The verdict on the mutant; `None` where nothing was sent.
        old: What became of the request today, without what differs from run to run.
        new: The same on the mutant.

    Returns:
        The expectation; `None` where no word of a case file says the difference.
    """
    base = _ending(today)
    if then is None or compare(base, then):
        return base
    further = replace(
        base,
        headers=_headers(dict(old.returned), dict(new.returned)),
        subset=today.subset if today.app and today.subset != then.subset else None,
        received=_received(today.received, then.received, old, new),
    )
    return further if not compare(further, today) and compare(further, then) else None


def is_readable(case: Case, needed: Setup) -> bool:
    """Return whether a case file can hold a case, so that the reader makes the same case of it.

    Args:
        case: The case.
        needed: What the file must hold beside it.
    """
    try:
        (found,) = parse_case_file(f"{setup_text(needed)}cases:\n{case_lines(case)}", case.place.file).cases
    except (CaseFileError, ValueError):
        return False
    return replace(found, place=case.place) == case


def setup_text(setup: Setup) -> str:
    """Return what a case file holds for a setup, as YAML."""
    return "".join(f"{word}: {flow_text(value)}\n" for word, value in setup_words(setup).items())


def lacking(case: Case, setup: Setup, present: Setup) -> Setup:
    """Return what a case file must hold for a case, beyond what the files at hand hold.

    Args:
        case: The case.
        setup: What there is around it.
        present: What the case files have.
    """
    apps = tuple(app for app in setup.apps if app not in present.apps)
    named = _named(case) | {app.certificate.authority for app in apps if app.certificate}
    return Setup(
        apps=apps,
        workloads={
            ref: one for ref, one in setup.workloads.items() if ref in named - present.workloads.keys()
        },
        authorities=tuple(
            name for name in setup.authorities if name in named.difference(present.authorities)
        ),
        addresses={ref: ip for ref, ip in setup.addresses.items() if ref in named - present.addresses.keys()},
    )


def _named(case: Case) -> set[object]:
    """Return the workloads and certificate authorities that a case names."""
    match case.sender:
        case FromOutside(gateway=gateway, certificate=certificate):
            return {gateway, certificate.authority if certificate else None}
        case FromWorkload(workload=workload):
            return {workload}
        case FromBypass(workload=bypassing, to=to):
            return {bypassing, to}
        case FromForeignMesh(authority=authority, to=to):
            return {authority, to}


def _ending(today: Verdict) -> Expectation:
    status, answered = today.reply.status, today.answered
    app = today.app or None
    proxy = None if app else today.proxy
    if status is not None:
        return Expectation(status=status, app=app, proxy=proxy)
    if answered:
        return Expectation(answered=True, app=app)
    return Expectation(refused=True, proxy=today.proxy)


def _received(
    today: ReceivedByApp | None, then: ReceivedByApp | None, old: Effect, new: Effect
) -> Received | None:
    if today is None or then is None or old.received is None or new.received is None:
        return None
    parts: dict[str, str] = {}
    for name in _RECEIVED:
        was, now = _part(today, name), _part(then, name)
        if was and was != now:
            parts[name] = was
    headers = _headers(dict(old.received.headers), dict(new.received.headers))
    if not _part(today, "identity") and _part(then, "identity"):
        headers["x-forwarded-client-cert"] = None
    if not parts and not headers:
        return None
    return Received(
        method=parts.get("method"),
        path=parts.get("path"),
        host=parts.get("host"),
        identity=parts.get("identity"),
        sni=parts.get("sni"),
        headers=headers,
    )


def _part(received: ReceivedByApp, name: str) -> str:
    value = received.target if name == "path" else getattr(received, name)
    return str(value)


def _headers(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str | None]:
    """Return the headers that differ, as they are today. What belongs to one run cannot be written down."""
    found: dict[str, str | None] = {}
    for name in (*old, *(name for name in new if name not in old)):
        was = old.get(name)
        if was != new.get(name) and (was is None or "<" not in was) and name != "x-forwarded-client-cert":
            found[name] = was
    return found
