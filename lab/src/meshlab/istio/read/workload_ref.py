"""The qualified name of a workload."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WorkloadRef"]


@dataclass(frozen=True, order=True)
class WorkloadRef:
    """The qualified name of a workload, such as `istio-ingress/istio-internal-gateway`."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, text: str) -> WorkloadRef:
        """Read `namespace/name`.

        Raises:
            ValueError: The text is not of that form.
        """
        namespace, slash, name = text.partition("/")
        if not (namespace and slash and name) or "/" in name:
            raise ValueError(f"{text!r} is not a workload; write namespace/name.")
        return cls(namespace, name)

    def __str__(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"
