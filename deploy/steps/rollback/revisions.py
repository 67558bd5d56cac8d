"""Revisions of a function: which serve, and which one a roll-back takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import RefusalError
from ..cloud import fields, names
from ..verify.finding import printable


@dataclass(frozen=True)
class Revision:
    """One revision.

    Attributes:
        name: Its name.
        created: When it was made, RFC 3339; such times sort as text.
        ready: Whether it can serve.
        percent: Its share of the traffic.
        data: The whole answer about it.
    """

    name: str
    created: str
    ready: bool
    percent: int
    data: Any


def listed(service: Any, revisions: Any) -> list[Revision]:  # noqa: ANN401 - JSON
    """Return the revisions, the newest first.

    Args:
        service: The answer about the Cloud Run service.
        revisions: The answer about its revisions.
    """
    latest = fields.text(service, "status", "latestReadyRevisionName")
    share: dict[str, int] = {}
    for target in fields.items(service, "status", "traffic"):
        name = fields.text(target, "revisionName") or latest
        percent = fields.value(target, "percent")
        share[name] = share.get(name, 0) + (percent if isinstance(percent, int) else 0)
    found = [
        Revision(
            name,
            fields.text(item, "metadata", "creationTimestamp"),
            any(
                fields.text(condition, "type") == "Ready" and fields.text(condition, "status") == "True"
                for condition in fields.items(item, "status", "conditions")
            ),
            share.get(name, 0),
            item,
        )
        for item in fields.items(revisions)
        if (name := fields.text(item, "metadata", "name"))
    ]
    return sorted(found, key=lambda revision: revision.created, reverse=True)


def chosen(revisions: list[Revision], wanted: str) -> Revision:
    """Return the revision to roll back to.

    Args:
        revisions: All, the newest first.
        wanted: A name, or "" for the newest ready one that is older than every one that serves.

    Raises:
        RefusalError: there is no such revision, or it cannot serve.
    """
    if wanted:
        found = next((revision for revision in revisions if revision.name == wanted), None)
        if found is None:
            known = ", ".join(
                revision.name for revision in revisions if names.is_name("revision", revision.name)
            )
            raise RefusalError(f"there is no revision {wanted!r}. There are: {known or 'none'}.")
        if not found.ready:
            raise RefusalError(f"the revision {wanted} is not ready, so it cannot serve. Choose another.")
    else:
        oldest = min((revision.created for revision in revisions if revision.percent), default="")
        older = [revision for revision in revisions if revision.ready and revision.created < oldest]
        if not older:
            raise RefusalError(
                "no ready revision is older than the one that serves. Deploy the commit before: check it out, "
                "deploy/package, deploy/deploy."
            )
        found = older[0]
    names.checked_name("revision", found.name)
    return found


def shown(revisions: list[Revision]) -> str:
    """Return the revisions as lines: name, time, state, share of the traffic."""
    lines = []
    for revision in revisions:
        name, created = printable(revision.name), printable(revision.created[:19])
        state = "ready" if revision.ready else "not ready"
        share = f"{revision.percent} %" if revision.percent else ""
        lines.append(f"{name:<50} {created:<20} {state:<10} {share}".rstrip())
    return "\n".join(lines) + "\n" if lines else "there are no revisions\n"
