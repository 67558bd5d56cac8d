"""ML512: an application that runs as the proxy's user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.facts import mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import is_control_plane, pod_templates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for pod in pod_templates(facts.manifests):
        if is_control_plane(pod.manifest, facts.mesh.root_namespace):
            continue
        own = [(where, each) for where, each in pod.containers if each.get("name") != "istio-proxy"]
        # The pod's user is that of each container that names none.
        by_pod = mapping(pod.spec, "securityContext").get("runAsUser")
        if own and by_pod == _USER:
            yield RULE.at(
                pod.where.key("spec", "securityContext", "runAsUser"), f"{_USER} is the proxy's user."
            )
        for where, container in own:
            if mapping(container, "securityContext").get("runAsUser") == _USER:
                yield RULE.at(where.key("securityContext", "runAsUser"), f"{_USER} is the proxy's user.")


_USER = 1337


RULE = Rule(
    code="ML512",
    name="reserved-user",
    severity=Severity.ERROR,
    summary="an application that runs as the proxy's user",
    why=(
        "Traffic of the user 1337 is the proxy's own and is not led through it: the application bypasses "
        "every policy, and mutual TLS."
    ),
    fix="Run it as another user.",
    source="istio/istio pkg/config/analysis: IST0144",
    check=_check,
)
