"""Which VirtualService a sidecar follows for which host, with and without a Sidecar.

The cases are those of Istio's own table (`pilot/pkg/networking/core/sidecar_simulation_test.go`), in words of our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from meshlab.istio import WorkloadRef

from tests.lab.istio.outbound_side import OutboundSide
from tests.lab.istio.sidecar_walks import namespace, service, workload

DEFAULT, OTHER = "default", "not-default"
DOMAIN = "default.svc.cluster.local"
KNOWN, ALT, NOT = f"known.{DOMAIN}", f"alt-known.{DOMAIN}", f"not-default.{OTHER}.svc.cluster.local"
OLDER, NEWER = "2019-01-01T00:00:00Z", "2021-01-01T00:00:00Z"
BASE = (
    namespace(DEFAULT),
    namespace(OTHER),
    workload(f"{DEFAULT}/client"),
    workload(f"{OTHER}/client"),
    service(f"{DEFAULT}/known", "http:80", "http-b:8080"),
    service(f"{DEFAULT}/alt-known", "http:80", "http-b:8080"),
    service(f"{OTHER}/not-default", "http:80", "http-b:8080"),
)


@dataclass(frozen=True)
class Rule:
    """A VirtualService."""

    host: str
    to: str
    namespace: str = DEFAULT
    created: str = "2020-01-01T00:00:00Z"
    port: int | None = None
    match_port: int | None = None

    def text(self, number: int) -> str:
        port = f", port: {{number: {self.port}}}" if self.port else ""
        match = f"match: [{{port: {self.match_port}}}], " if self.match_port else ""
        hosts = ", ".join(repr(host) for host in self.host.split())
        return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: rule-{number}, namespace: {self.namespace}, creationTimestamp: {self.created!r}}}
spec:
  hosts: [{hosts}]
  http: [{{{match}route: [{{destination: {{host: {self.to}{port}}}}}]}}]
"""


@dataclass(frozen=True)
class Table:
    """The routes that a client is expected to have; `None` for a host that it does not know."""

    name: str
    rules: tuple[Rule, ...]
    expected: dict[str, str | None]
    imports: tuple[str, ...] = ()
    client: str = DEFAULT
    port: int = 80


def sidecar(namespace: str, hosts: tuple[str, ...]) -> str:
    listed = ", ".join(repr(host) for host in hosts)
    return f"""
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: it, namespace: {namespace}}}
spec: {{egress: [{{hosts: [{listed}]}}]}}
"""


UNKNOWN = f"foo.{DOMAIN}"
WILD, SPECIAL = "wild.example.com", "explicit.example.com"
TABLES = (
    Table("a rule on port 80", (Rule(KNOWN, ALT),), {KNOWN: ALT}),
    Table("a rule on another port", (Rule(KNOWN, ALT),), {KNOWN: ALT}, port=8080),
    Table("a host without a service on port 80", (Rule(UNKNOWN, UNKNOWN),), {UNKNOWN: UNKNOWN}),
    Table("a host without a service elsewhere", (Rule(UNKNOWN, UNKNOWN),), {UNKNOWN: None}, port=8080),
    Table(
        "a host without a service whose rule names the port",
        (Rule(UNKNOWN, UNKNOWN, match_port=8080),),
        {UNKNOWN: None},
        port=8080,
    ),
    Table(
        "a host without a service whose destination names the port",
        (Rule(UNKNOWN, UNKNOWN, port=8080),),
        {UNKNOWN: None},
        port=8080,
    ),
    Table("a rule of the service's namespace", (Rule(KNOWN, ALT),), {KNOWN: ALT}, client=OTHER),
    Table(
        "a rule of the service's namespace on another port",
        (Rule(KNOWN, ALT),),
        {KNOWN: ALT},
        client=OTHER,
        port=8080,
    ),
    Table("a rule of the client's namespace", (Rule(KNOWN, ALT, OTHER),), {KNOWN: ALT}, client=OTHER),
    Table("a rule of a third namespace", (Rule(KNOWN, ALT, "third"),), {KNOWN: ALT}, client=OTHER),
    Table(
        "three rules, of which the oldest counts",
        (
            Rule(KNOWN, "third.example.com", "third", OLDER),
            Rule(KNOWN, "default.example.com"),
            Rule(KNOWN, "other.example.com", OTHER, NEWER),
        ),
        {KNOWN: "third.example.com"},
        client=OTHER,
    ),
    Table(
        "a wildcard that covers no service",
        (Rule("*.unknown.example.com", WILD),),
        {KNOWN: KNOWN, ALT: ALT, "*.unknown.example.com": WILD},
    ),
    Table(
        "a wildcard that covers services",
        (Rule("*.cluster.local", WILD),),
        {KNOWN: WILD, ALT: WILD, "*.cluster.local": None},
        imports=("*/*.cluster.local",),
    ),
    Table(
        "an older wildcard and a full name",
        (Rule("*.cluster.local", WILD, created=OLDER), Rule(KNOWN, SPECIAL, created=NEWER)),
        {KNOWN: SPECIAL, ALT: WILD, "*.cluster.local": None},
    ),
    Table(
        "a newer wildcard and a full name",
        (Rule("*.cluster.local", WILD, created=NEWER), Rule(KNOWN, SPECIAL, created=OLDER)),
        {KNOWN: SPECIAL, ALT: WILD, "*.cluster.local": None},
    ),
    Table(
        "a wildcard counts for an imported service though it is not imported itself",
        (Rule("*.cluster.local", WILD, created=OLDER), Rule(KNOWN, SPECIAL, created=NEWER)),
        {KNOWN: SPECIAL, ALT: WILD, "*.cluster.local": None},
        imports=(f"default/{KNOWN}", f"default/{ALT}"),
    ),
    Table(
        "a wildcard of a namespace that is not imported",
        (Rule("*.cluster.local", WILD, OTHER, OLDER), Rule(KNOWN, SPECIAL, created=NEWER)),
        {KNOWN: SPECIAL, ALT: ALT, "*.cluster.local": None},
        imports=(f"default/{KNOWN}", f"default/{ALT}"),
    ),
    Table(
        "a wildcard of another namespace",
        (Rule("*.cluster.local", WILD, OTHER, OLDER), Rule(KNOWN, SPECIAL, created=NEWER)),
        {KNOWN: SPECIAL, ALT: WILD, "*.cluster.local": None},
    ),
    Table(
        "a wildcard and a name within it that are no services",
        (Rule("*.tld", WILD, created=OLDER), Rule("example.tld", SPECIAL, created=NEWER)),
        {KNOWN: KNOWN, "*.tld": WILD, "*.example.tld": None},
    ),
    Table(
        "a full name that an import by wildcard covers",
        (Rule("arbitrary.svc.cluster.local", "arbitrary.svc.cluster.local"),),
        {"arbitrary.svc.cluster.local": "arbitrary.svc.cluster.local"},
        imports=("*/*.cluster.local",),
    ),
    Table(
        "a wildcard around the one name that is imported",
        (Rule("*.cluster.local", WILD),),
        {KNOWN: WILD, "*.cluster.local": None},
        imports=(f"*/{KNOWN}",),
    ),
    Table(
        "a wildcard around an imported name that is no service",
        (Rule("*.example.org", WILD),),
        {KNOWN: None, ALT: ALT, "*.example.org": WILD},
        imports=("*/explicit.example.org", f"*/{ALT}"),
    ),
    Table(
        "imports by namespace and wildcard",
        (
            Rule(f"*.{DOMAIN}", WILD, OTHER),
            Rule(f"explicit.{DOMAIN}", f"explicit.{DOMAIN}"),
        ),
        {f"*.{DOMAIN}": WILD, f"explicit.{DOMAIN}": None, NOT: NOT},
        imports=(f"not-default/*.{DOMAIN}", f"not-default/{NOT}"),
        client=OTHER,
    ),
    Table(
        "two rules of one namespace",
        (
            Rule(KNOWN, "new.example.com", created=NEWER),
            Rule(KNOWN, "old.example.com", created=OLDER),
        ),
        {KNOWN: "old.example.com"},
    ),
    Table(
        "two rules of two namespaces",
        (
            Rule(KNOWN, "consumer.example.com", created=NEWER),
            Rule(KNOWN, "producer.example.com", OTHER, OLDER),
        ),
        {KNOWN: "producer.example.com"},
    ),
    Table(
        "a host without a service, imported alone",
        (Rule(UNKNOWN, "example.com"),),
        {UNKNOWN: None},
        imports=(f"*/{UNKNOWN}",),
    ),
    Table(
        "a rule of two hosts, of which one is imported",
        (Rule(f"{KNOWN} {ALT}", "example.com"),),
        {KNOWN: "example.com", ALT: "example.com"},
        imports=(f"*/{KNOWN}",),
    ),
)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_client_follows_the_rule_that_counts(table: Table) -> None:
    texts = [rule.text(number) for number, rule in enumerate(table.rules)]
    if table.imports:
        texts.append(sidecar(table.client, table.imports))
    side = OutboundSide(*BASE, *texts, ref=WorkloadRef(table.client, "client"))

    routes = side.routes(table.port) if f"0.0.0.0_{table.port}" in side.listeners else {}

    for host, destination in table.expected.items():
        port = next((rule.port for rule in table.rules if rule.to == destination and rule.port), table.port)
        expected = None if destination is None else [f"outbound|{port}||{destination}"]
        assert routes.get(host) == expected, host
