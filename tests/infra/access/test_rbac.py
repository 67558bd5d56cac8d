"""Who may do what: the table of docs/access.md, tried verb by verb with Kubernetes' rules of access."""

from __future__ import annotations

import copy
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.istio.read import object_kinds
from meshlab.kustomize import build

from tests.infra.access.rbac import Access, Subject, allowed
from tests.infra.networks.world import ROOT, generated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BUILT = [*build(ROOT / "infra/mesh/access/roles"), *build(ROOT / "infra/mesh/access/bindings/example")]
OBJECTS = [dict(found.body) for found in _BUILT]

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
SPECIAL_VERBS = ("impersonate", "bind", "escalate", "approve", "sign", "attest", "use", "proxy", "*")
WORDS = {
    "-": frozenset[str](),
    "read": frozenset(VERBS[:3]),
    "read, delete": frozenset({*VERBS[:3], "delete"}),
    "all but delete": frozenset(VERBS[:6]),
    "all": frozenset(VERBS),
}
"""What a cell of the table means."""

MEMBER = Subject("x@example.com", ("team-x@example.com",))
ADMINISTRATOR = Subject("admin@example.com", ("network-administrators@example.com",))
COLUMNS = (
    (MEMBER, ("team-x",)),
    (ADMINISTRATOR, ("team-x", "team-y", "new", "kube-system", "")),
    (ADMINISTRATOR, ("istio-egress", "istio-ingress")),
    (ADMINISTRATOR, ("istio-system",)),
)
"""Whom a column of the table is about, and where."""

NAMESPACES = ("team-y", "istio-egress", "istio-ingress", "istio-system", "kube-system", "default", "new", "")


def _table() -> list[tuple[str, str, list[str]]]:
    """Return group, resource and cells of every row of the table."""
    _, _, page = (ROOT / "docs/access.md").read_text().partition("| API group | kinds |")
    rows = re.findall(r"^\| `([a-z0-9.]*)` \| (.+?) \| (.+) \|$", page.partition("\n\n")[0], re.MULTILINE)
    return [
        ("" if group == "core" else group, resource.strip("`"), [cell.strip() for cell in cells.split("|")])
        for group, resources, cells in rows
        for resource in resources.split(", ")
    ]


TABLE = _table()


def _cells() -> Iterator[tuple[str, Subject, tuple[str, ...], str, str, str]]:
    for group, resource, cells in TABLE:
        assert len(cells) == len(COLUMNS), resource
        for (subject, namespaces), cell in zip(COLUMNS, cells, strict=True):
            yield f"{subject.user} in {namespaces[0]}: {resource}", subject, namespaces, group, resource, cell


@pytest.mark.parametrize(
    ("name", "subject", "namespaces", "group", "resource", "cell"),
    list(_cells()),
    ids=lambda value: value if isinstance(value, str) and " in " in value else "",
)
def test_every_verb_on_every_kind_is_as_the_table_says(
    name: str, subject: Subject, namespaces: tuple[str, ...], group: str, resource: str, cell: str
) -> None:
    for namespace in namespaces:
        may = {
            verb
            for verb in (*VERBS, *SPECIAL_VERBS)
            if allowed(OBJECTS, subject, Access(verb, group, resource, namespace))
        }
        assert may == WORDS[cell], f"{name} ({namespace})"


def test_the_table_has_every_kind_that_a_role_names() -> None:
    named = {
        (group, resource)
        for body in OBJECTS
        for rule in body.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert named <= {(group, resource) for group, resource, _ in TABLE}


def plural(kind: str) -> str:
    name = kind.lower()
    if name.endswith("y") and name[-2] not in "aeiou":
        return f"{name[:-1]}ies"
    return name + ("es" if name.endswith("ss") else "s")


ISTIO_KINDS = sorted(
    {
        (group, kind)
        for group, kind in (
            *object_kinds.READ,
            *object_kinds.REFUSED,
            *object_kinds.WITHOUT_TRAFFIC,
            *object_kinds.NOT_ENFORCED,
        )
        if group.endswith("istio.io") or group in ("gateway.networking.k8s.io", "networking.k8s.io")
    }
)
"""Every kind that shapes traffic, as the lab knows them."""


@pytest.mark.parametrize(("group", "kind"), ISTIO_KINDS)
def test_only_network_administrators_write_a_kind_that_shapes_traffic(group: str, kind: str) -> None:
    if group == "install.istio.io":
        return  # an input of istioctl, which no cluster serves
    resource = plural(kind)
    for verb in VERBS:
        access = Access(verb, group, resource, "team-x")
        assert allowed(OBJECTS, ADMINISTRATOR, access), access
        assert verb in VERBS[:3] or not allowed(OBJECTS, MEMBER, access), access


def test_a_team_member_has_nothing_outside_of_the_teams_namespace() -> None:
    for namespace in NAMESPACES:
        for group, resource, _ in TABLE:
            for verb in (*VERBS, *SPECIAL_VERBS):
                assert not allowed(OBJECTS, MEMBER, Access(verb, group, resource, namespace))


@pytest.mark.parametrize(
    "account",
    [
        Subject.account("team-x", "default"),
        Subject.account("team-x", "app"),
        Subject.account("istio-egress", "istio-egressgateway"),
        Subject.account("istio-egress", "default"),
        Subject("system:anonymous", ("system:unauthenticated",)),
        Subject("y@example.com", ("another-group@example.com",)),
    ],
    ids=lambda account: account.user,
)
def test_service_accounts_and_strangers_have_nothing(account: Subject) -> None:
    for namespace in ("team-x", *NAMESPACES):
        for group, resource, _ in TABLE:
            for verb in (*VERBS, *SPECIAL_VERBS):
                assert not allowed(OBJECTS, account, Access(verb, group, resource, namespace))


def test_no_role_holds_a_wildcard_or_is_given_to_the_built_in_ones() -> None:
    for body in OBJECTS:
        for rule in body.get("rules", ()):
            assert rule.keys() == {"apiGroups", "resources", "verbs"}
            assert not any("*" in value for values in rule.values() for value in values), body["metadata"]
        assert not body["metadata"].get("labels"), body["metadata"]
        assert "aggregationRule" not in body


def test_no_binding_gives_a_built_in_role() -> None:
    own = {body["metadata"]["name"] for body in OBJECTS if body["kind"] == "ClusterRole"}
    assert {body["roleRef"]["name"] for body in OBJECTS if "roleRef" in body} == own


def test_the_administrators_cannot_give_themselves_more() -> None:
    for namespace in ("team-x", *NAMESPACES):
        for resource in ("roles", "rolebindings", "clusterroles", "clusterrolebindings"):
            for verb in ("create", "update", "patch", "bind", "escalate"):
                access = Access(verb, "rbac.authorization.k8s.io", resource, namespace)
                assert not allowed(OBJECTS, ADMINISTRATOR, access)
        for resource in ("users", "groups", "serviceaccounts"):
            assert not allowed(OBJECTS, ADMINISTRATOR, Access("impersonate", "", resource, namespace))
        assert not allowed(OBJECTS, ADMINISTRATOR, Access("create", "", "serviceaccounts/token", namespace))


def test_secrets_are_the_administrators_in_gateway_namespaces_alone() -> None:
    for namespace in ("team-x", "team-y", "istio-system", "kube-system", ""):
        for verb in VERBS:
            assert not allowed(OBJECTS, ADMINISTRATOR, Access(verb, "", "secrets", namespace))


def _mutants() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Return the objects with one verb less, one binding less, or one binding for the whole cluster."""
    for number, body in enumerate(OBJECTS):
        name = f"{body['kind']} {body['metadata'].get('namespace', '')}/{body['metadata']['name']}"
        if "roleRef" in body:
            yield f"{name} taken away", [*OBJECTS[:number], *OBJECTS[number + 1 :]]
            everywhere = {**body, "kind": "ClusterRoleBinding"}
            if body["kind"] == "RoleBinding":
                yield f"{name} everywhere", [*OBJECTS[:number], everywhere, *OBJECTS[number + 1 :]]
            continue
        for place, rule in enumerate(body["rules"]):
            for resource in rule["resources"]:
                changed = copy.deepcopy(body)
                changed["rules"][place]["resources"].remove(resource)
                if changed["rules"][place]["resources"]:
                    yield f"{name} without {resource}", [*OBJECTS[:number], changed, *OBJECTS[number + 1 :]]


def _name(value: object) -> str:
    return value if isinstance(value, str) else ""


@cache
def _allowed_by_the_project(subject: Subject, access: Access) -> bool:
    return allowed(OBJECTS, subject, access)


@pytest.mark.parametrize(("name", "objects"), list(_mutants()), ids=_name)
def test_a_grant_that_is_taken_away_or_widened_is_noticed(name: str, objects: list[dict[str, Any]]) -> None:
    whom = (*COLUMNS, (Subject("y@example.com", ("team-y@example.com",)), ("team-y",)))
    assert any(
        allowed(objects, subject, access) != _allowed_by_the_project(subject, access)
        for group, resource, _ in TABLE
        for subject, namespaces in whom
        for verb in ("list", "delete")
        for access in (Access(verb, group, resource, place) for place in (*namespaces, "elsewhere"))
    ), name


def test_groups_come_from_the_environment(tmp_path: Path) -> None:
    objects = generated(tmp_path, administrators="net@corp.example", teamGroup="k8s-{namespace}@corp.example")
    subjects = {name: body["subjects"][0]["name"] for name, body in objects.items() if "subjects" in body}
    assert subjects == {
        "ClusterRoleBinding network-administrators": "net@corp.example",
        "RoleBinding istio-egress/network-administrators": "net@corp.example",
        "RoleBinding istio-ingress/network-administrators": "net@corp.example",
        "RoleBinding istio-system/network-administrators": "net@corp.example",
        "RoleBinding team-x/team-members": "k8s-team-x@corp.example",
        "RoleBinding team-y/team-members": "k8s-team-y@corp.example",
    }


# --- the evaluator itself ---


def _role(name: str, **rule: list[str]) -> dict[str, Any]:
    return {"kind": "ClusterRole", "metadata": {"name": name}, "rules": [rule]}


def _bound(kind: str, role: str, subject: dict[str, str], namespace: str = "") -> dict[str, Any]:
    metadata = {"name": role, **({"namespace": namespace} if namespace else {})}
    return {
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


_USER = {"kind": "User", "name": "u"}


@pytest.mark.parametrize(
    ("rule", "access", "expected"),
    [
        ({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}, Access("get", "", "pods", "a"), True),
        (
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
            Access("get", "", "pods/log", "a"),
            False,
        ),
        ({"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}, Access("get", "", "pods/log", "a"), True),
        (
            {"apiGroups": [""], "resources": ["*/log"], "verbs": ["get"]},
            Access("get", "", "pods/log", "a"),
            True,
        ),
        (
            {"apiGroups": [""], "resources": ["*/log"], "verbs": ["get"]},
            Access("get", "", "pods", "a"),
            False,
        ),
        ({"apiGroups": ["*"], "resources": ["pods"], "verbs": ["*"]}, Access("bind", "x", "pods", "a"), True),
        (
            {"apiGroups": ["apps"], "resources": ["pods"], "verbs": ["get"]},
            Access("get", "", "pods", "a"),
            False,
        ),
        (
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "resourceNames": ["p"]},
            Access("get", "", "pods", "a", "p"),
            True,
        ),
        (
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"], "resourceNames": ["p"]},
            Access("list", "", "pods", "a"),
            False,
        ),
        ({"nonResourceURLs": ["*"], "verbs": ["get"]}, Access("get", "", "pods", "a"), False),
    ],
)
def test_a_rule_grants_what_it_names(rule: dict[str, list[str]], access: Access, expected: bool) -> None:
    objects = [_role("r", **rule), _bound("ClusterRoleBinding", "r", _USER)]
    assert allowed(objects, Subject("u"), access) is expected
    assert not allowed(objects, Subject("other"), access)


def test_a_role_binding_holds_in_its_namespace_alone() -> None:
    role = _role("r", apiGroups=[""], resources=["pods"], verbs=["get"])
    objects = [role, _bound("RoleBinding", "r", _USER, "a")]
    assert allowed(objects, Subject("u"), Access("get", "", "pods", "a"))
    assert not allowed(objects, Subject("u"), Access("get", "", "pods", "b"))
    assert not allowed(objects, Subject("u"), Access("get", "", "pods"))


def test_a_service_account_is_found_by_name_and_by_its_groups() -> None:
    role = _role("r", apiGroups=[""], resources=["pods"], verbs=["get"])
    access = Access("get", "", "pods", "b")
    by_name = [
        role,
        _bound("ClusterRoleBinding", "r", {"kind": "ServiceAccount", "name": "s", "namespace": "a"}),
    ]
    assert allowed(by_name, Subject.account("a", "s"), access)
    assert not allowed(by_name, Subject.account("b", "s"), access)
    for group, expected in (("system:serviceaccounts:a", True), ("system:serviceaccounts:b", False)):
        objects = [role, _bound("ClusterRoleBinding", "r", {"kind": "Group", "name": group})]
        assert allowed(objects, Subject.account("a", "s"), access) is expected


def test_a_binding_to_a_role_that_is_missing_gives_nothing() -> None:
    objects = [_bound("ClusterRoleBinding", "r", _USER)]
    assert not allowed(objects, Subject("u"), Access("get", "", "pods", "a"))
