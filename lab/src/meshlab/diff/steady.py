"""Meshes and questions made fit for comparison: nothing depends on what was sent before, or on one side alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshlab.bench.run_secrets import client_authorities

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshlab.battery.battery import Question
    from meshlab.bench.case import Case, TokenSpec
    from meshlab.bench.local_bench import LocalMesh
    from meshlab.bench.protocol import Setup
    from meshlab.inputs import Inputs
    from meshlab.istio import Mesh

__all__ = ["pinned", "setup_for", "shared_setup", "without_outlier_detection"]


def without_outlier_detection(inputs: Inputs) -> Inputs:
    """Return manifests without what remembers requests: a server that fails once would stay ejected for the next.

    Args:
        inputs: The manifests.
    """
    pruned = tuple(
        replace(manifest, body=_pruned(manifest.body)) if manifest.kind == "DestinationRule" else manifest
        for manifest in inputs.manifests
    )
    return inputs if pruned == inputs.manifests else replace(inputs, manifests=pruned)


def pinned(questions: Iterable[Question], meshes: Sequence[Mesh]) -> list[Question]:
    """Return questions that send the same to every mesh: the issuer and audience of a token are written down.

    A token without them takes them from the manifests, and would change with these. The first mesh that knows the
    issuer says its audience: a caller goes on with the tokens that it has.

    Args:
        questions: The questions.
        meshes: The meshes, the old one first.
    """
    audiences = _audiences(meshes)
    return [
        replace(question, case=replace(question.case, tokens=_tokens(question.case, audiences), expect=None))
        for question in questions
    ]


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
    known = names.hosts | {str(workload.ref) for workload in mesh.workloads if workload.ports}
    apps = tuple(app for app in setup.apps if app.target in known)
    authorizers = tuple(each for each in setup.authorizers if each.provider in mesh.usable_authorizers)
    return replace(setup, apps=apps, authorizers=authorizers)


def _pruned(value: Any) -> Any:  # noqa: ANN401 - any value of a manifest
    if isinstance(value, dict):
        return {key: _pruned(inner) for key, inner in value.items() if key != "outlierDetection"}
    return [_pruned(inner) for inner in value] if isinstance(value, list) else value


def _audiences(meshes: Iterable[Mesh]) -> dict[str, str]:
    """Return the audience that a token of each issuer gets; empty for none."""
    found: dict[str, str] = {}
    for mesh in meshes:
        here: dict[str, str] = {}
        for policy in mesh.request_authentications:
            for rule in policy.rules:
                first = next(iter(rule.audiences), "")
                here[rule.issuer] = here.get(rule.issuer) or first
        found = {**here, **found}
    return found


def _tokens(case: Case, audiences: Mapping[str, str]) -> tuple[TokenSpec, ...]:
    return tuple(_pinned_token(spec, audiences) for spec in case.tokens)


def _pinned_token(spec: TokenSpec, audiences: Mapping[str, str]) -> TokenSpec:
    if spec.literal is not None:
        return spec
    issuer = next(iter(audiences)) if spec.issuer is None and len(audiences) == 1 else spec.issuer
    if issuer is None or "aud" in spec.claims or issuer not in audiences:
        return replace(spec, issuer=issuer)
    # `None` leaves the claim out, as a token without a rule that names audiences has it.
    return replace(spec, issuer=issuer, claims={**spec.claims, "aud": audiences[issuer] or None})
