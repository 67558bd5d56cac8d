"""What Kubernetes' role-based access control allows, decided by the rules of its API.

Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/. Rules only ever add. A RoleBinding gives what its
Role or ClusterRole holds inside of its namespace, a ClusterRoleBinding everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["Access", "Subject", "allowed"]

Body = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """Who asks.

    Attributes:
        user: The user's name.
        groups: The groups that the user is in, beside those that Kubernetes adds.
    """

    user: str
    groups: tuple[str, ...] = ()

    @classmethod
    def account(cls, namespace: str, name: str) -> Subject:
        """Return a ServiceAccount as a subject."""
        return cls(
            f"system:serviceaccount:{namespace}:{name}",
            ("system:serviceaccounts", f"system:serviceaccounts:{namespace}"),
        )

    @property
    def all_groups(self) -> frozenset[str]:
        """The groups of the user with the one of everybody who is authenticated."""
        return frozenset({*self.groups, "system:authenticated"})


@dataclass(frozen=True)
class Access:
    """What is asked for.

    Attributes:
        verb: What is to be done.
        group: The API group.
        resource: The resource, with its subresource behind a slash.
        namespace: Where; empty for a resource of the cluster, or for all namespaces.
        name: The object's name, where the verb has one.
    """

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""


def allowed(objects: Iterable[Mapping[str, Any]], subject: Subject, access: Access) -> bool:
    """Whether roles and bindings let a subject do something."""
    return any(_grants(rule, access) for rule in _rules(list(objects), subject, access.namespace))


def _rules(
    objects: Sequence[Mapping[str, Any]], subject: Subject, namespace: str
) -> Iterator[Mapping[str, Any]]:
    """Return the rules that a subject's bindings give it in a namespace."""
    for binding in objects:
        kind = binding["kind"]
        if kind == "RoleBinding":
            home = binding["metadata"]["namespace"]
            if not namespace or home != namespace:
                continue
        elif kind == "ClusterRoleBinding":
            home = ""
        else:
            continue
        if any(_is(found, subject, home) for found in binding.get("subjects") or ()):
            reference = binding["roleRef"]
            place = home if reference["kind"] == "Role" else ""
            wanted = (reference["kind"], place, reference["name"])
            # A missing role gives nothing.
            role: Mapping[str, Any] = next((body for body in objects if _key(body) == wanted), {})
            if "aggregationRule" in role:
                raise NotImplementedError("aggregationRule")
            yield from role.get("rules") or ()


def _key(body: Mapping[str, Any]) -> tuple[str, str, str]:
    return body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"]


def _is(found: Mapping[str, str], subject: Subject, namespace: str) -> bool:
    match found["kind"]:
        case "User":
            return found["name"] == subject.user
        case "Group":
            return found["name"] in subject.all_groups
        case "ServiceAccount":
            home = found.get("namespace", namespace)
            return subject.user == f"system:serviceaccount:{home}:{found['name']}"
    raise NotImplementedError(found["kind"])


def _grants(rule: Mapping[str, Any], access: Access) -> bool:
    if "resources" not in rule:
        return False  # nonResourceURLs
    names = rule.get("resourceNames") or ()
    return (
        _has(rule["verbs"], access.verb)
        and _has(rule["apiGroups"], access.group)
        and _covers(rule["resources"], access.resource)
        and (not names or access.name in names)
    )


def _has(values: Iterable[str], value: str) -> bool:
    return bool({"*", value} & set(values))


def _covers(resources: Iterable[str], resource: str) -> bool:
    _, slash, subresource = resource.partition("/")
    return bool({"*", resource, f"*/{subresource}" if slash else "*"} & set(resources))
