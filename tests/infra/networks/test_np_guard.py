"""np-guard's analyzer, which reads the same files by itself, comes to the same verdicts."""

from __future__ import annotations

import csv
import io
import ipaddress
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.kustomize import build

from tests import yaml_text
from tests.infra.networks import world
from tests.infra.networks.network_policies import Connection, Pod, allowed
from tests.infra.networks.world import ADDRESSES, DNS_SERVICE, PODS, ROOT, generated, policies_of

if TYPE_CHECKING:
    from pathlib import Path

_EXAMPLE = [dict(found.body) for found in build(ROOT / "infra/mesh/egress/network-policies/example")]
_NAMES = {f"pod-{number}": pod for number, pod in enumerate(PODS)}


def _analyze(policies: list[dict[str, Any]], directory: Path) -> list[dict[str, str]]:
    """Return np-guard's map of connections: sources, destinations, protocols and ports."""
    spaces = sorted({pod.namespace for pod in PODS})
    documents: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        }
        for name in spaces
    ]
    documents += [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": pod.namespace, "labels": dict(pod.labels)},
            "spec": {"containers": [{"name": "app", "image": "app"}]},
        }
        for name, pod in _NAMES.items()
    ]
    text = "---\n".join(f"{json.dumps(document)}\n" for document in (*documents, *policies))
    (directory / "cluster.yaml").write_text(text)
    command = [sys.executable, "-m", "nca", "--connectivity", "--resource_list", str(directory)]
    command += ["--output_format", "csv", "--print_ipv6"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=directory)
    lines = ran.stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith('"query"'))
    return [row for row in csv.DictReader(io.StringIO("\n".join(lines[start:]))) if row["connection"]]


def _open(rows: list[dict[str, str]], connection: Connection) -> bool:
    return any(
        _in(connection.source, row["src_ns"], row["src_pods"])
        and _in(connection.destination, row["dst_ns"], row["dst_pods"])
        and _carries(row["connection"], connection)
        for row in rows
    )


def _in(end: Pod | str, namespaces: str, members: str) -> bool:
    if isinstance(end, str):
        return not namespaces and _in_ranges(end, members)
    return end.namespace in _items(namespaces) and any(_NAMES[name] == end for name in _members(members))


def _members(text: str) -> list[str]:
    """Return the names that `[*]`, `[pod-1,pod-2]` or `[k8s-app in (kube-dns,node-local-dns)]` stands for."""
    if text == "[*]":
        return list(_NAMES)
    by_label = re.fullmatch(r"\[(\S+) in \((.+)\)\]", text)
    if by_label:
        key, values = by_label[1], by_label[2].split(",")
        return [name for name, pod in _NAMES.items() if dict(pod.labels).get(key) in values]
    return _items(text)


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.strip("[]").split(",")]


def _in_ranges(address: str, ranges: str) -> bool:
    found = ipaddress.ip_address(address)
    for part in ranges.split(","):
        if "-" in part:
            first, last = (ipaddress.ip_address(edge) for edge in part.split("-"))
            if first.version == found.version and int(first) <= int(found) <= int(last):
                return True
        elif found in ipaddress.ip_network(part):
            return True
    return False


def _carries(text: str, connection: Connection) -> bool:
    """Whether a connection is in `All connections`, `{protocols:TCP}` or `{protocols:TCP, UDP,dst_ports:53},{...}`."""
    if text == "All connections":
        return True
    for part in re.findall(r"\{protocols:([^}]*)\}", text):
        protocols, _, ports = part.partition(",dst_ports:")
        if connection.protocol in _items(protocols) and (
            not ports or any(_in_span(connection.port, span) for span in ports.split(","))
        ):
            return True
    return False


def _in_span(port: int, span: str) -> bool:
    first, _, last = span.partition("-")
    return int(first) <= port <= int(last or first)


def _compared(policies: list[dict[str, Any]], directory: Path) -> list[str]:
    """Return the connections about which the two judges differ."""
    rows = _analyze(policies, directory)
    assert rows
    return [
        str(found)
        for found in world.connections()
        if isinstance(found.source, Pod) and _open(rows, found) != allowed(policies, found)
    ]


def test_np_guard_agrees_about_the_example(tmp_path: Path) -> None:
    assert _compared(_EXAMPLE, tmp_path) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"dns": {"mode": "cloud-dns"}, "googleApis": "restricted", "controlPlane": {"mode": "managed"}},
        {"dns": {"mode": "node-local", "serviceAddress": DNS_SERVICE}, "dataPlane": "v1"},
    ],
    ids=["cloud-dns, restricted, managed", "node-local on v1"],
)
def test_np_guard_agrees_about_other_environments(changes: dict[str, object], tmp_path: Path) -> None:
    policies = policies_of(generated(tmp_path / "project", **changes))
    (tmp_path / "read").mkdir()
    assert _compared(policies, tmp_path / "read") == []


def test_np_guard_agrees_about_issuers_elsewhere(tmp_path: Path) -> None:
    control_plane = {
        **yaml_text.read((ROOT / "infra/mesh/environments/example.yaml").read_text())["controlPlane"],
        "jwksRanges": {"idp.example": ["93.184.215.0/28"], "in.example": ["10.9.0.0/28"]},
    }
    callers = {"a": "https://idp.example:8443/keys", "b": "https://in.example/keys"}
    policies = policies_of(generated(tmp_path / "project", callers, controlPlane=control_plane))
    (tmp_path / "read").mkdir()
    assert _compared(policies, tmp_path / "read") == []


def test_the_comparison_notices_a_port_that_is_open(tmp_path: Path) -> None:
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}
    more = {**_EXAMPLE[0], "metadata": {"name": "more", "namespace": "team-x"}, "spec": spec}
    rows = _analyze([*_EXAMPLE, more], tmp_path)
    leaving = (found for found in world.connections() if isinstance(found.source, Pod))
    assert any(_open(rows, found) != allowed(_EXAMPLE, found) for found in leaving)


def test_every_address_is_one_that_np_guard_can_read() -> None:
    assert all(ipaddress.ip_address(address) for address in ADDRESSES)
