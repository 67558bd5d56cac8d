"""Pods and ReplicaSets that a cluster makes of what the manifests hold, too.

An export of a cluster has a Deployment, its ReplicaSets and their Pods. Only the Deployment is a workload.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshlab.istio.read.pods import Pod

    _Key = tuple[str, str, str]

__all__ = ["without_owned"]

_HASH = "pod-template-hash"
"""The label by which a Deployment knows its ReplicaSets, and the end of their names."""


def without_owned(pods: Sequence[Pod]) -> list[Pod]:
    """Return the templates that no other of them makes. The address of an only Pod becomes that of its template.

    Args:
        pods: The pod templates of the manifests.
    """
    known = {(pod.kind, pod.ref.namespace, pod.ref.name): pod for pod in pods}
    addresses: dict[_Key, list[str]] = defaultdict(list)
    owned: set[_Key] = set()
    for key, pod in known.items():
        if (root := _root(key, known)) != key:
            owned.add(key)
            addresses[root] += [pod.address] if pod.address else []
    return [
        replace(pod, address=found[0])
        if not pod.address and len(found := addresses[pod.kind, pod.ref.namespace, pod.ref.name]) == 1
        else pod
        for pod in pods
        if (pod.kind, pod.ref.namespace, pod.ref.name) not in owned
    ]


def _root(key: _Key, known: Mapping[_Key, Pod]) -> _Key:
    """Return what makes a template at last; itself where nothing does."""
    seen = {key}
    while (owner := _owner(known[key], known)) and owner not in seen:
        seen.add(owner)
        key = owner
    return key


def _owner(pod: Pod, known: Mapping[_Key, Pod]) -> _Key | None:
    metadata: Mapping[str, Any] = pod.where.manifest.body.get("metadata") or {}
    references = metadata.get("ownerReferences")
    for reference in references if isinstance(references, list) else ():
        if not isinstance(reference, dict):
            continue
        kind, name = str(reference.get("kind")), str(reference.get("name"))
        # The ReplicaSet between a Deployment and its Pods is seldom exported.
        behind = name.removesuffix(f"-{pod.labels.get(_HASH, '')}")
        for key in ((kind, pod.ref.namespace, name), ("Deployment", pod.ref.namespace, behind)):
            if key in known and (key[0] == kind or (kind == "ReplicaSet" and behind != name)):
                return key
    return None
