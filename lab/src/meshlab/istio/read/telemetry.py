"""Telemetry: which proxies write access logs. Metrics and traces are passed over: they decide nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from meshlab.istio.read.attachment import Attachment, read_attachment
from meshlab.istio.read.fields import spec_of
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Fields
    from meshlab.manifest import Manifest

__all__ = ["LogSide", "Logging", "Telemetry", "read_telemetry"]

LogSide = Literal["CLIENT", "SERVER", "CLIENT_AND_SERVER"]
_SIDES = ("CLIENT", "SERVER", "CLIENT_AND_SERVER")


@dataclass(frozen=True)
class Logging:
    """One entry of `accessLogging`.

    Attributes:
        providers: The providers that it is for; empty for those of a wider Telemetry, else of the MeshConfig.
        disabled: Whether it turns them off.
        side: Which listeners it is for: those of callers of a workload are the server's, all others the client's.
    """

    providers: tuple[str, ...]
    disabled: bool
    side: LogSide


@dataclass(frozen=True)
class Telemetry:
    """A Telemetry as read; without `logging` it says nothing about access logs.

    A `filter` of an entry is passed over, as it only chooses what is logged.
    """

    attachment: Attachment
    logging: tuple[Logging, ...]


def read_telemetry(manifest: Manifest) -> Telemetry:
    """Read and check a Telemetry.

    Raises:
        ManifestError: An unknown field, or a provider without a name.
    """
    known = ("selector", "targetRef", "targetRefs", "accessLogging")
    spec = spec_of(manifest, known, passed_over=_PASSED_OVER)
    absent = spec.raw("accessLogging") in (None, [])
    entries = () if absent else spec.items("accessLogging", _ENTRY, passed_over=_ENTRY_PASSED_OVER)
    return Telemetry(read_attachment(spec), tuple(_logging(entry) for entry in entries))


_ENTRY = ("providers", "disabled", "match")
_PASSED_OVER = dict.fromkeys(("metrics", "tracing"), "it only decides what is observed")
_ENTRY_PASSED_OVER = {"filter": "it only chooses what is logged"}


def _logging(entry: Fields) -> Logging:
    providers = () if entry.raw("providers") in (None, []) else entry.items("providers", ("name",))
    match = entry.mapping("match", ("mode",))
    return Logging(
        providers=tuple(provider.required("name") for provider in providers),
        disabled=entry.raw("disabled") is not None and entry.boolean("disabled"),
        side=cast("LogSide", match.choice("mode", _SIDES, "CLIENT_AND_SERVER")),
    )
