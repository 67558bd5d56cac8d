"""Random policies and requests: real Envoy with the compiled filters decides as the documented rules do.

MESHLAB_SEARCH_REQUESTS sets how many requests are tried; the whole search is 10000.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from meshlab.bench.signing_keys import SigningKey
from meshlab.istio.read.mesh_config import MeshSettings
from meshlab.manifest import to_manifest
from meshlab.processes.ports import free_ports

from tests import yaml_text
from tests.lab.istio.one_proxy import OneProxy, PolicySet, Request, Workload
from tests.lab.istio.oracle.evaluator import verdict
from tests.lab.istio.oracle.strategies import CALLERS, HTTP_PORTS, ISSUERS, TCP_PORTS, Example, examples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.lab.istio.oracle.facts import Facts, Token

REQUESTS = int(os.environ.get("MESHLAB_SEARCH_REQUESTS", "600"))
PER_EXAMPLE = 12
PER_DRAW = 10
PER_PROXY = 50
"""How many sets of policies one Envoy serves at a time."""

KEYS = {issuer: SigningKey.generate() for issuer in ISSUERS}
STRANGER = SigningKey.generate()
_LIFETIME_S = 3600


@pytest.fixture(scope="module")
def found() -> list[Example]:
    return drawn(REQUESTS // PER_EXAMPLE)


def test_real_envoy_decides_as_the_documented_rules_do(found: list[Example]) -> None:
    differences = [
        difference
        for start in range(0, len(found), PER_PROXY)
        for difference in compared(found[start : start + PER_PROXY])
    ]

    assert not differences, f"{len(differences)} differences, of which one: {differences[0]}"


def test_the_search_meets_every_verdict_often_enough_to_mean_something(found: list[Example]) -> None:
    counted = Counter(
        verdict(example.policies, facts, example.mesh, example.place)
        for example in found
        for facts in example.requests
    )

    assert all(counted[name] > REQUESTS // 30 for name in ("allowed", "denied", "token refused"))


def drawn(number: int) -> list[Example]:
    """Draw that many examples; the same in every run of the same size."""
    collected: list[Example] = []
    for start in range(0, number, PER_DRAW):
        # Hypothesis varies what it has drawn. A new start every few examples keeps them apart.
        @seed(start)
        @settings(
            max_examples=min(PER_DRAW, number - start),
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(examples(PER_EXAMPLE))
        def collect(example: Example) -> None:
            collected.append(example)

        collect()
    return collected


def compared(chosen: Sequence[Example]) -> Iterator[str]:
    """Judge examples by the rules and by one Envoy, and describe where they differ."""
    sets = [policy_set(example) for example in chosen]
    with OneProxy(sets, [caller for caller in CALLERS if caller], free_ports()) as proxy:
        for index, example in enumerate(chosen):
            for facts in example.requests:
                expected = verdict(example.policies, facts, example.mesh, example.place)
                met = judged(proxy, index, facts)
                if met != expected:
                    policies = yaml_text.write_all(example.policies, sort_keys=False)
                    yield f"Envoy: {met}, rules: {expected}\n{facts}\n{example.mesh}\n{example.place}\n{policies}"


def policy_set(example: Example) -> PolicySet:
    mesh, place = example.mesh, example.place
    return PolicySet(
        manifests=[to_manifest(policy, "search.yaml") for policy in example.policies],
        settings=MeshSettings(
            trust_domain=mesh.trust_domain,
            trust_domain_aliases=mesh.aliases,
            root_namespace=mesh.root_namespace,
            num_trusted_proxies=mesh.trusted_proxies,
        ),
        workload=Workload(place.namespace, place.labels),
        at_gateway=place.gateway,
        http_ports=HTTP_PORTS,
        tcp_ports=TCP_PORTS,
        keys={issuer: key.jwks for issuer, key in KEYS.items()},
    )


def judged(proxy: OneProxy, index: int, facts: Facts) -> str:
    if not facts.method:
        return "allowed" if proxy.connect(index, facts.caller, facts.port) else "denied"
    answer = proxy.send(index, request(facts), facts.port)
    if answer.status == 200:
        return "allowed"
    return "denied" if answer.body == "RBAC: access denied" else "token refused"


def request(facts: Facts) -> Request:
    headers, target = dict(facts.headers), facts.path
    if facts.forwarded_for:
        headers["x-forwarded-for"] = ", ".join(facts.forwarded_for)
    if facts.token:
        text = encoded(facts.token)
        if facts.token.place == "header":
            headers[facts.token.name] = f"{facts.token.prefix}{text}"
        elif facts.token.place == "cookie":
            headers["cookie"] = f"{facts.token.name}={text}"
        else:
            path, sharp, fragment = target.partition("#")
            joined = "&" if "?" in path else "?"
            target = f"{path}{joined}{facts.token.name}={text}{sharp}{fragment}"
    return Request(
        target=target,
        method=facts.method,
        caller=facts.caller,
        headers=tuple(headers.items()),
        host=facts.host,
        sni=facts.sni,
    )


def encoded(token: Token) -> str:
    now = int(time.time())
    claims: dict[str, Any] = {"iat": now, "exp": now + _LIFETIME_S, **token.claims}
    key = KEYS[claims["iss"]] if token.good else STRANGER
    return jwt.encode(claims, key.private, algorithm="ES256", headers={"kid": KEYS[claims["iss"]].kid})
