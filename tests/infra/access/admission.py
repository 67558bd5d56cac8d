"""What ValidatingAdmissionPolicies do with a request, decided by Google's CEL and the rules of Kubernetes' API.

Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/. Only what the policies of
`infra/mesh/access/admission` use is known; anything else is an error, so that no field is passed over in silence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from cel_expr_python import cel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshlab.manifest import Manifest

__all__ = ["Admission", "Refusal", "Request", "compiled", "expressions"]

Body = dict[str, Any]

_ENVIRONMENT = cel.NewEnv(
    variables=dict.fromkeys(("object", "oldObject", "request", "namespaceObject", "variables"), cel.Type.DYN)
)


@dataclass(frozen=True)
class Request:
    """One request to the API server, after mutation.

    Attributes:
        group: The API group of the resource.
        resource: The resource, without its subresource.
        body: The object.
        namespace: Where it is sent.
        operation: CREATE or UPDATE.
        subresource: The subresource, if any.
        user: Who sends it.
        old: The object as it was before an update.
        labels: The namespace's labels, beside the one that the API server sets; None for a namespace without any.
    """

    group: str
    resource: str
    body: Body = field(hash=False)
    namespace: str
    operation: str = "CREATE"
    subresource: str = ""
    user: str = "system:serviceaccount:kube-system:replicaset-controller"
    old: Body | None = field(default=None, hash=False)
    labels: Body | None = field(default_factory=lambda: {"istio-injection": "enabled"}, hash=False)

    @property
    def namespace_labels(self) -> dict[str, str]:
        """The namespace's labels, with the one that the API server sets."""
        return {"kubernetes.io/metadata.name": self.namespace, **(self.labels or {})}

    @property
    def namespace_object(self) -> Body:
        """The namespace, as expressions see it."""
        labels = {} if self.labels is None else {"labels": self.namespace_labels}
        return {"metadata": {"name": self.namespace, **labels}}


@dataclass(frozen=True, order=True)
class Refusal:
    """Why a request is refused.

    Attributes:
        policy: Which policy refuses it.
        message: What its author reads.
    """

    policy: str
    message: str


class Admission:
    """The policies and bindings of one cluster."""

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        found = [manifest.body for manifest in manifests]
        self.policies = {body["metadata"]["name"]: body for body in found if body["kind"] == _POLICY}
        self.bindings = [body for body in found if body["kind"] == f"{_POLICY}Binding"]

    def refusals(self, request: Request) -> list[Refusal]:
        """Return every refusal of a request, sorted; an expression that fails refuses as well."""
        facts = _Facts(request)
        return sorted({found for binding in self.bindings for found in self._by_binding(binding, facts)})

    def _by_binding(self, binding: Mapping[str, Any], facts: _Facts) -> list[Refusal]:
        spec = binding["spec"]
        _only(spec, "policyName", "validationActions", "matchResources")
        resources = spec.get("matchResources", {})
        _only(resources, "namespaceSelector")
        if "Deny" not in spec["validationActions"]:
            return []
        policy = self.policies[spec["policyName"]]
        if not _selects(resources.get("namespaceSelector", {}), facts.request.namespace_labels):
            return []
        return _refusals(policy, facts)


_POLICY = "ValidatingAdmissionPolicy"


def expressions(policy: Mapping[str, Any]) -> list[str]:
    """Return every CEL expression of a policy."""
    spec = policy["spec"]
    parts = (*spec.get("matchConditions", ()), *spec.get("variables", ()), *spec["validations"])
    return [part["expression"] for part in parts]


class _Facts:
    """What expressions know of one request. Policies that define the same variables share their values."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._known: Body = {
            "object": request.body,
            "oldObject": request.old,
            "namespaceObject": request.namespace_object,
            "request": {
                "operation": request.operation,
                "subResource": request.subresource,
                "namespace": request.namespace,
                "userInfo": {"username": request.user},
            },
        }
        self._variables: dict[tuple[tuple[str, str], ...], Body] = {}

    def with_variables(self, defined: Sequence[Mapping[str, str]]) -> Body:
        """Return everything that an expression knows.

        In Kubernetes a variable is evaluated when an expression uses it; here, when it is defined.
        """
        key = tuple((variable["name"], variable["expression"]) for variable in defined)
        if key not in self._variables:
            values: Body = {}
            for name, expression in key:
                values = {**values, name: _evaluate(expression, {**self._known, "variables": values})}
            self._variables[key] = values
        return {**self._known, "variables": self._variables[key]}


def _refusals(policy: Mapping[str, Any], facts: _Facts) -> list[Refusal]:
    name, spec = policy["metadata"]["name"], policy["spec"]
    _only(spec, "failurePolicy", "matchConstraints", "matchConditions", "variables", "validations")
    if not _matches(spec["matchConstraints"], facts.request):
        return []
    try:
        known = facts.with_variables(())
        if not all(_evaluate(found["expression"], known) for found in spec.get("matchConditions", ())):
            return []
        known = facts.with_variables(spec.get("variables", ()))
        return [
            Refusal(name, validation["message"])
            for validation in spec["validations"]
            if _evaluate(validation["expression"], known) is not True
        ]
    except ExpressionError as error:
        return [Refusal(name, f"error: {error}")] if spec["failurePolicy"] == "Fail" else []


class ExpressionError(Exception):
    """An expression could not be evaluated."""


def _evaluate(expression: str, known: Body) -> object:
    result = compiled(expression).eval(data=known)
    if result.type() == cel.Type.ERROR:
        raise ExpressionError(str(result.value()))
    return result.plain_value()


@cache
def compiled(expression: str) -> cel.Expression:
    """Return an expression as CEL's checker takes it; raise RuntimeError for one that it refuses."""
    return _ENVIRONMENT.compile(expression)


def _matches(constraints: Mapping[str, Any], request: Request) -> bool:
    _only(constraints, "namespaceSelector", "resourceRules")
    if not _selects(constraints.get("namespaceSelector", {}), request.namespace_labels):
        return False
    resource = request.resource + (f"/{request.subresource}" if request.subresource else "")
    return any(
        request.group in rule["apiGroups"]
        and request.operation in rule["operations"]
        and resource in rule["resources"]
        for rule in constraints["resourceRules"]
    )


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    _only(selector, "matchExpressions")
    return all(_holds(found, labels) for found in selector.get("matchExpressions", ()))


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if expression["operator"] != "NotIn":
        raise NotImplementedError(expression["operator"])
    return labels.get(expression["key"]) not in expression["values"]


def _only(value: Mapping[str, Any], *known: str) -> None:
    if unknown := value.keys() - set(known):
        raise NotImplementedError(", ".join(sorted(unknown)))
