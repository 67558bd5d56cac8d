"""Tests of the manifests, given objects that a defect has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from meshlab.manifest import to_manifest

from tests.infra import test_egress_manifests, test_lambda_bridge
from tests.infra.access import test_admission, test_rbac
from tests.infra.access.admission import Admission
from tests.infra.access.admission_cases import cases
from tests.infra.networks import test_network_policies
from tests.infra.schemas import test_schemas

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.manifest import Manifest

    from tests.infra.defects.model import Body, Check

__all__ = [
    "admission", "bindings", "bridge", "egress", "ingress", "manifests", "network_policies", "newest_versions", "roles",
]  # fmt: skip


def ingress(test: Callable[[dict[tuple[str, str], Body]], None]) -> Check:
    """Return a test of `test_manifests` that takes the example overlay by kind and name."""
    return lambda bodies: test({(body["kind"], body["metadata"]["name"]): body for body in bodies})


def manifests(test: Callable[[list[Manifest]], None]) -> Check:
    """Return a test that takes manifests."""
    return lambda bodies: test(_manifests(bodies))


def newest_versions(bodies: list[Body]) -> None:
    """Ask for the newest version of Istio's kinds."""
    test_schemas.test_every_istio_object_is_of_the_newest_version(tuple(_manifests(bodies)))


def egress(test: Callable[..., None], *arguments: str) -> Check:
    """Return a test of `test_egress_manifests` with what it takes: `objects`, `pod` or both."""

    def check(bodies: list[Body]) -> None:
        objects = {
            (body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"]): body
            for body in bodies
        }
        known: dict[str, Any] = {
            "objects": objects,
            "manifests": _manifests(bodies),
            "pod": objects["Deployment", "istio-egress", "istio-egressgateway"]["spec"]["template"],
        }
        config = objects.get(("MeshConfig", "istio-system", "mesh"), {}).get("spec")
        with patch.object(test_egress_manifests, "mesh_config", lambda: config):
            test(**{name: known[name] for name in arguments or ("objects",)})

    return check


def bridge(test: Callable[..., None], *arguments: object) -> Check:
    """Return a test of `test_lambda_bridge` with its arguments."""

    def check(bodies: list[Body]) -> None:
        found = {(body["kind"], body["metadata"]["name"]): body for body in bodies}
        with patch.object(test_lambda_bridge, "objects", lambda _side: found):
            test(*arguments)

    return check


def network_policies(test: Callable[..., None], *arguments: object) -> Check:
    """Return a test of `test_network_policies` with its arguments."""

    def check(bodies: list[Body]) -> None:
        found = [body for body in bodies if body["kind"] == "NetworkPolicy"]
        with patch.object(test_network_policies, "EXAMPLE", found):
            test(*arguments)

    return check


def admission(rule: str) -> Check:
    """Return the test that each bad object of a rule is refused."""

    def check(bodies: list[Body]) -> None:
        judge = Admission(_manifests(bodies))
        for case in cases(rule, good=False):
            test_admission.test_a_bad_object_is_refused_by_its_rule_alone_and_says_why(case, judge)

    return check


def roles(group: str, kind: str) -> Check:
    """Return the test that only network administrators write a kind."""

    def check(bodies: list[Body]) -> None:
        bindings = [body for body in test_rbac.OBJECTS if body["kind"].endswith("Binding")]
        own = [body for body in bodies if body["kind"] == "ClusterRole"]
        with patch.object(test_rbac, "OBJECTS", [*own, *bindings]):
            test_rbac.test_only_network_administrators_write_a_kind_that_shapes_traffic(group, kind)

    return check


def bindings(bodies: list[Body]) -> None:
    """Ask that no binding gives a built-in role."""
    own = [body for body in test_rbac.OBJECTS if body["kind"] == "ClusterRole"]
    with patch.object(test_rbac, "OBJECTS", [*own, *bodies]):
        test_rbac.test_no_binding_gives_a_built_in_role()


def _manifests(bodies: list[Body]) -> list[Manifest]:
    return [to_manifest(body, "a defect") for body in bodies if body["kind"] != "MeshConfig"]
