"""Questions made fit for comparison: both meshes are sent the same, with the same around them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.bench.run_secrets import client_authorities
from meshlab.istio.read.hosts import is_subset

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshlab.battery.battery import Question
    from meshlab.bench.case import TokenSpec
    from meshlab.bench.local_bench import LocalMesh
    from meshlab.bench.protocol import Setup
    from meshlab.istio import Mesh

__all__ = ["pinned", "setup_for", "shared_setup"]


def pinned(questions: Iterable[Question], meshes: Sequence[Mesh]) -> list[Question]:
    """Return questions that send the same to every mesh: the issuer and audience of a token are written down.

    A token without them takes them from the manifests, and would change with these. The first mesh that knows the
    issuer says its audience: a caller goes on with the tokens that it has.

    Args:
        questions: The questions.
        meshes: The meshes, the old one first.
    """
    by_mesh = [_audiences(mesh) for mesh in meshes]
    # A token without an issuer has the only one of the first mesh that knows any.
    issuers = next((tuple(known) for known in by_mesh if known), ())
    only = issuers[0] if len(issuers) == 1 else None
    audiences = {issuer: audience for known in reversed(by_mesh) for issuer, audience in known.items()}
    found = []
    for question in questions:
        tokens = tuple(_pinned_token(spec, only, audiences) for spec in question.case.tokens)
        found.append(replace(question, case=replace(question.case, tokens=tokens, expect=None)))
    return found


def shared_setup(setup: Setup, meshes: Iterable[Mesh]) -> Setup:
    """Return a setup that serves all meshes alike, so that proxies can run on from the one to the other.

    Args:
        setup: What the questions need around them.
        meshes: The meshes.
    """
    names = [*setup.authorities, *(name for mesh in meshes for name in client_authorities(mesh))]
    return replace(setup, authorities=tuple(dict.fromkeys(names)))


def setup_for(setup: Setup, loaded: LocalMesh, mesh: Mesh) -> Setup:
    """Return a setup without the applications and authorizers that a mesh has no place for.

    Args:
        setup: What the questions need around them.
        loaded: The mesh as read.
        mesh: The same with the workloads of the setup.
    """
    names = loaded.names
    served = {str(workload.ref) for workload in mesh.workloads if workload.ports}
    apps = tuple(
        app
        for app in setup.apps
        if app.target in served or any(is_subset(app.target, host) for host in names.hosts)
    )
    authorizers = tuple(each for each in setup.authorizers if each.provider in mesh.usable_authorizers)
    return replace(setup, apps=apps, authorizers=authorizers)


def _audiences(mesh: Mesh) -> dict[str, str]:
    """Return the audience that a token of each issuer gets by itself; empty for none."""
    found: dict[str, str] = {}
    for policy in mesh.request_authentications:
        for rule in policy.rules:
            found[rule.issuer] = found.get(rule.issuer) or next(iter(rule.audiences), "")
    return found


def _pinned_token(spec: TokenSpec, only: str | None, audiences: Mapping[str, str]) -> TokenSpec:
    if spec.literal is not None:
        return spec
    issuer = only if spec.issuer is None else spec.issuer
    if issuer is None or "aud" in spec.claims or issuer not in audiences:
        return replace(spec, issuer=issuer)
    # `None` leaves the claim out, as a token without a rule that names audiences has it.
    return replace(spec, issuer=issuer, claims={**spec.claims, "aud": audiences[issuer] or None})
