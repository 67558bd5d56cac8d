"""Objects that are read many times: what a reader made of them is taken again, and a changed one is read anew."""

from __future__ import annotations

from dataclasses import replace

from meshlab.istio import load_mesh
from meshlab.istio.model.load import KnownReads
from meshlab.manifest import parse_manifests

from tests.lab.mutate.shop import shop

WRONG = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: wrong, namespace: shop}
spec: {mtls: {mode: SOMETIMES}}
"""


def test_a_mesh_of_known_objects_is_the_same_mesh() -> None:
    manifests = (*shop().manifests, *parse_manifests(WRONG, "wrong.yaml"))
    known = KnownReads(manifests)
    first, again = (load_mesh(manifests, known=known) for _ in range(2))
    assert first == again == load_mesh(manifests)
    assert [str(problem) for refusal in again.refusals for problem in refusal.problems] != []
    assert again.authorization_policies[0] is first.authorization_policies[0]


def test_a_changed_object_is_read_anew_and_is_not_kept() -> None:
    manifests = shop().manifests
    known = KnownReads(manifests)
    load_mesh(manifests, known=known)
    policy = next(one for one in manifests if one.kind == "AuthorizationPolicy")
    others = tuple(one for one in manifests if one is not policy)
    for method in ("PUT", "POST"):
        rules = [{"to": [{"operation": {"methods": [method]}}]}]
        changed = replace(policy, body={**policy.body, "spec": {"rules": rules}})
        mesh = load_mesh((*others, changed), known=known)
        assert mesh.authorization_policies[0].rules[0].operations[0]["methods"].any_of == (method,)
    assert load_mesh(manifests, known=known) == load_mesh(manifests)
