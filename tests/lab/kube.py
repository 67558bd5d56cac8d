"""Kubernetes objects from a few words, for the meshes of tests."""

from __future__ import annotations

__all__ = ["app", "gateway_app", "mesh_of", "namespace", "service", "service_account"]


def mesh_of(*objects: str) -> str:
    """Return objects as one text of YAML."""
    return "---\n".join(objects)


def namespace(name: str, labels: str = "istio-injection: enabled") -> str:
    """Return a Namespace, by default one whose pods get a sidecar."""
    written = f", labels: {{{labels}}}" if labels else ""
    return f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}{written}}}\n"


def service_account(name: str, namespace: str) -> str:
    """Return a ServiceAccount."""
    return f"apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: {namespace}}}\n"


def app(
    name: str, namespace: str, ports: str = "{containerPort: 8080}", *, account: str = "", labels: str = ""
) -> str:
    """Return a Deployment whose pods have the label `app`.

    Args:
        name: Its name.
        namespace: Its namespace.
        ports: The ports of its container, separated by commas.
        account: Its service account; empty for the default one.
        labels: Further labels of its pods.
    """
    return _deployment(
        name,
        namespace,
        f"{{labels: {{app: {name}{', ' if labels else ''}{labels}}}}}",
        f"{{name: {name}, ports: [{ports}]}}",
        account,
    )


def gateway_app(name: str, namespace: str, *, account: str = "", labels: str = "") -> str:
    """Return a Deployment into whose pods Istio injects a gateway; the arguments are those of `app`."""
    pod = f"{{labels: {{app: {name}{', ' if labels else ''}{labels}}}"
    pod += ", annotations: {inject.istio.io/templates: gateway}}"
    return _deployment(name, namespace, pod, "{name: istio-proxy, image: auto}", account)


def service(
    name: str,
    namespace: str,
    ports: str = "{name: http, port: 80, targetPort: 8080}",
    *,
    selector: str | None = None,
    more: str = "",
) -> str:
    """Return a Service.

    Args:
        name: Its name.
        namespace: Its namespace.
        ports: Its ports, separated by commas.
        selector: The labels that it selects; the label `app` with its name where it is `None`, none where it is empty.
        more: Further fields.
    """
    chosen = f"app: {name}" if selector is None else selector
    fields = [f"selector: {{{chosen}}}" if chosen else "", f"ports: [{ports}]", more]
    return (
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec: {{{', '.join(filter(None, fields))}}}\n"
    )


def _deployment(name: str, namespace: str, pod: str, container: str, account: str) -> str:
    named = f"serviceAccountName: {account}, " if account else ""
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec: {{template: {{metadata: {pod}, spec: {{{named}containers: [{container}]}}}}}}\n"
    )
