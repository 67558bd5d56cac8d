"""Values as the JSON form of protocol buffers has them, and the checks that several fields share."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from meshlab.istio.read.hosts import domain_problem, full_name, is_address, is_label
from meshlab.visible_text import shown_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Fields, Where

__all__ = [
    "HEADER_NAME",
    "boolean",
    "duration_s",
    "full_host",
    "gateway_names",
    "http_status",
    "integer",
    "percentage",
    "port",
    "source_labels",
    "subnets",
]

HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~A-Za-z0-9]+")
"""The name of a header (RFC 9110, section 5.6.2)."""

_INT32_MAX = 2**31 - 1
_UINT32_MAX = 2**32 - 1
_PORT_MAX = 65535
_LABEL_VALUE = re.compile("(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?")


def integer(fields: Fields, name: str, *, signed: bool = False) -> int | None:
    """Return a whole number, `None` where the field is absent; a string of digits counts as a number.

    Args:
        fields: The mapping.
        name: The field.
        signed: Whether its type is `int32` rather than `uint32`.

    Raises:
        ManifestError: Another value, or one outside its type.
    """
    value = fields.raw(name)
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch("-?[0-9]+", value):
        value = int(value)
    low, high = (-_INT32_MAX - 1, _INT32_MAX) if signed else (0, _UINT32_MAX)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise fields.where.key(name).error(
            f"expected a whole number from {low} to {high}, found {shown_value(fields.raw(name))}."
        )
    return value


def port(fields: Fields, name: str) -> int | None:
    """Return a port, `None` where it is absent or 0, which Istio reads as absent.

    Raises:
        ManifestError: It is no port.
    """
    value = integer(fields, name)
    if value is not None and value > _PORT_MAX:
        raise fields.where.key(name).error(f"expected a port from 1 to {_PORT_MAX}, found {value}.")
    return value or None


def http_status(fields: Fields, name: str) -> int:
    """Return the status of a response.

    Raises:
        ManifestError: It is missing, or not from 200 to 599, the statuses that Istio and Envoy both take.
    """
    status = integer(fields, name)
    if status is None or not 200 <= status <= 599:
        raise fields.where.key(name).error(f"expected an HTTP status from 200 to 599, found {status}.")
    return status


def percentage(fields: Fields, name: str, least: float = 0.0) -> float | None:
    """Return `value` of a percentage, `None` where the field is absent.

    Args:
        fields: The mapping.
        name: The field.
        least: The smallest value above 0 that counts.

    Raises:
        ManifestError: It is not a number from 0 to 100.
    """
    if fields.raw(name) is None:
        return None
    inner = fields.mapping(name, ("value",))
    value = inner.raw("value")
    if value is None:
        return 0.0
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]+(?:\.[0-9]+)?", value):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 100:
        raise inner.where.key("value").error(
            f"expected a number from 0 to 100, found {shown_value(inner.raw('value'))}."
        )
    if 0 < value < least:
        raise inner.where.key("value").error(f"{value} is less than {least}, the least that Istio takes.")
    return float(value)


def boolean(fields: Fields, name: str) -> bool | None:
    """Return a boolean, `None` where the field is absent."""
    return None if fields.raw(name) is None else fields.boolean(name)


def duration_s(fields: Fields, name: str) -> float | None:
    """Return a duration in seconds, `None` where the field is absent.

    Raises:
        ManifestError: It is no duration, less than a millisecond, or more exact than one
            (`pkg/config/validation/agent/validation.go#ValidateDuration`).
    """
    if fields.raw(name) is None:
        return None
    value = fields.duration_s(name)
    if value is None:
        return None
    milliseconds = value * 1000
    if milliseconds < 1 or abs(milliseconds - round(milliseconds)) > 1e-6 * milliseconds:
        problem = f"{fields.raw(name)!r} is refused by Istio; write whole milliseconds, at least 1ms."
        raise fields.where.key(name).error(f"{problem} To have none, leave the field out.")
    return round(milliseconds) / 1000


def full_host(text: str, namespace: str, where: Where) -> str:
    """Return the full name of a destination.

    Raises:
        ManifestError: It is no name of a host.
    """
    problem = f"{text!r} is not a host." if text == "*" else domain_problem(text)
    if problem:
        raise where.error(problem)
    return full_name(text, namespace)


def gateway_names(fields: Fields, namespace: str) -> tuple[str, ...]:
    """Return the gateways that `gateways` names, each as `namespace/name` or `mesh`; absent reads as empty.

    A name with a dot is of Istio's old form `name.namespace…` (`pilot/pkg/model/config.go#resolveGatewayName`).

    Raises:
        ManifestError: A name that Istio's validation refuses.
    """
    found = []
    for index, name in enumerate(fields.strings("gateways")):
        scope, slash, rest = name.partition("/")
        if slash:
            if not is_label(scope) or not is_label(rest):
                where = fields.where.key("gateways").item(index)
                raise where.error(f"{name!r} is not a gateway; write name or namespace/name.")
            found.append(name)
            continue
        if domain_problem(name) or "*" in name or is_address(name):
            where = fields.where.key("gateways").item(index)
            raise where.error(f"{name!r} is not a gateway; write name or namespace/name.")
        if name == "mesh":
            found.append(name)
        elif "." in name:
            short, of, *_ = name.split(".")
            found.append(f"{of}/{short}")
        else:
            found.append(f"{namespace}/{name}")
    return tuple(found)


def source_labels(fields: Fields) -> Mapping[str, str]:
    """Return `sourceLabels`.

    Raises:
        ManifestError: One of them could not be a label of a pod.
    """
    labels = fields.string_map("sourceLabels")
    for key, value in labels.items():
        if not key or len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
            where = fields.where.key("sourceLabels").key(key)
            raise where.error(f"{key}={value} cannot be a label; no pod would have it.")
    return labels


def subnets(fields: Fields) -> tuple[str, ...]:
    """Return `destinationSubnets`, each an address or an address with the length of its prefix.

    Raises:
        ManifestError: One of them is neither.
    """
    found = fields.strings("destinationSubnets")
    for index, text in enumerate(found):
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            where = fields.where.key("destinationSubnets").item(index)
            raise where.error(
                f"{text!r} is not a range of addresses; write 10.0.0.0/8 or an address."
            ) from None
    return found
