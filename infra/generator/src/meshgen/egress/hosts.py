"""Names of external hosts: which ones are taken, and how objects are named after them."""

from __future__ import annotations

import hashlib
import re

from meshlab.istio.read.hosts import is_address

from meshgen.sources import is_reserved

__all__ = ["host_problem", "label_of"]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_MAX_LABEL = 63
_DIGEST = 10
_INSIDE = (".svc", ".local", ".localhost", ".internal", ".cluster")
_GOOGLE = (".googleapis.com", ".google.internal")


def host_problem(host: str) -> str:
    """Return what is wrong with the name of an external host; empty for nothing."""
    if "*" in host:
        return f"{host} is a wildcard, which no gateway can route to hosts that it does not know; name each host."
    if "://" in host or "/" in host:
        return f"{host} is a URL; write the host alone."
    if is_address(host.strip("[]")):
        return (
            f"{host} is an IP address: neither certificate nor policy can name it; write the host's DNS name."
        )
    if ":" in host:
        return f"{host} has a port; write the host alone, and the port as `port`."
    if host != host.lower():
        return f"{host} has capitals; write {host.lower()}."
    labels = host.split(".")
    if len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)):
        return f"{host!r} is no DNS name of a host outside, such as example.com."
    if labels[-1].isdigit():
        return f"{host} ends like an IP address; write a DNS name."
    if f".{host}".endswith(_GOOGLE):
        return f"{host} is Google's own and is not reached through the gateway; write `googleApis: true`."
    if host.endswith(_INSIDE) or is_reserved(labels[-1]):
        return f"{host} is a name inside the network, not a host on the internet."
    return ""


def label_of(host: str) -> str:
    """Return a DNS label that stands for one host alone.

    A dot becomes `-` and a hyphen `--`: a dot never stands beside a hyphen, so no two hosts get one label.
    """
    label = host.replace("-", "--").replace(".", "-")
    if len(label) <= _MAX_LABEL:
        return label
    digest = hashlib.sha256(host.encode()).hexdigest()[:_DIGEST]
    return f"{label[: _MAX_LABEL - _DIGEST - 1].rstrip('-')}-{digest}"
