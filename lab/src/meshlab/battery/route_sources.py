"""Senders that routes of sidecars ask for: by the labels of their pods, and by their namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.istio import Mesh, Workload
    from meshlab.istio.read.virtual_service import HttpMatch
    from meshlab.istio.read.virtual_service.l4 import L4Match

__all__ = ["LabelledSource", "labelled_sources"]


@dataclass(frozen=True)
class LabelledSource:
    """The senders that a match of a route takes.

    Attributes:
        route: `NAMESPACE/NAME` of the VirtualService.
        labels: The labels that they have.
        namespace: Their namespace: the one that the match names, else that of the VirtualService.
        any_namespace: Whether the match names no namespace.
    """

    route: str
    labels: Mapping[str, str]
    namespace: str
    any_namespace: bool

    def takes(self, workload: Workload) -> bool:
        """Return whether a workload is such a sender."""
        here = self.any_namespace or workload.ref.namespace == self.namespace
        return here and not workload.is_gateway and self.labels.items() <= workload.labels.items()

    def __str__(self) -> str:
        """Return the labels, and what asks for them."""
        labels = ", ".join(f"{name}={value}" for name, value in sorted(self.labels.items()))
        return f"{labels} of the VirtualService {self.route}"


def labelled_sources(mesh: Mesh) -> Iterator[LabelledSource]:
    """Yield the senders that matches for sidecars ask for by their labels."""
    for service in mesh.virtual_services:
        if "mesh" not in service.gateways:
            continue
        matches: list[HttpMatch | L4Match] = [match for route in service.http for match in route.matches]
        matches += [match for route in service.tls for match in route.matches]
        matches += [match for route in service.tcp for match in route.matches]
        for match in matches:
            # A match that names gateways does not look at labels.
            if match.source_labels and not match.gateways:
                namespace = match.source_namespace
                yield LabelledSource(
                    f"{service.namespace}/{service.name}",
                    match.source_labels,
                    namespace or service.namespace,
                    not namespace,
                )
