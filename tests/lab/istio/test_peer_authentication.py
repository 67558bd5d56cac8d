"""PeerAuthentication: which connections a sidecar takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from meshlab.istio.read.mesh_config import MeshSettings
from meshlab.istio.read.peer_authentication import read_peer_authentication
from meshlab.manifest import to_manifest

if TYPE_CHECKING:
    from tests.lab.istio.conftest import Compiled, SmallMesh


def policy(spec: str, *, name: str = "default", namespace: str = "istio-system") -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: {name}, namespace: {namespace}}}
spec: {spec}
"""


def mode(compiled: Compiled) -> str:
    matches = [chain["filterChainMatch"] for chain in compiled.listener(8080)["filterChains"]]
    secured = ["transportSocket" in chain for chain in compiled.listener(8080)["filterChains"]]
    shape = [(match["transportProtocol"], secure) for match, secure in zip(matches, secured, strict=True)]
    modes = {
        (("tls", True),): "STRICT",
        (("tls", True), ("raw_buffer", False)): "PERMISSIVE",
        (("raw_buffer", False),): "DISABLE",
    }
    return modes[tuple(shape)]


def test_strict_takes_only_clients_of_the_own_trust_domain(small: SmallMesh) -> None:
    compiled = small.app()
    (chain,) = compiled.listener(8080)["filterChains"]
    context: dict[str, Any] = chain["transportSocket"]["typedConfig"]
    validation = context["commonTlsContext"]["combinedValidationContext"]

    assert chain["filterChainMatch"] == {"transportProtocol": "tls"}
    assert context["requireClientCertificate"] is True
    assert validation["defaultValidationContext"]["matchTypedSubjectAltNames"] == [
        {"sanType": "URI", "matcher": {"prefix": "spiffe://cluster.local/"}}
    ]
    assert validation["validationContextSdsSecretConfig"]["name"] == "ROOTCA"
    assert [entry["name"] for entry in context["commonTlsContext"]["tlsCertificateSdsSecretConfigs"]] == [
        "default"
    ]


def test_aliases_of_the_trust_domain_are_taken_and_the_lowest_version_is_the_meshs(small: SmallMesh) -> None:
    settings = MeshSettings(
        trust_domain="a.example", trust_domain_aliases=("b.example",), mesh_mtls_min_version="TLSV1_3"
    )
    (chain,) = small.compiled(small.app_ref, small.mesh(settings=settings)).listener(8080)["filterChains"]
    common: dict[str, Any] = chain["transportSocket"]["typedConfig"]["commonTlsContext"]
    names = common["combinedValidationContext"]["defaultValidationContext"]["matchTypedSubjectAltNames"]

    assert [name["matcher"]["prefix"] for name in names] == ["spiffe://a.example/", "spiffe://b.example/"]
    assert common["tlsParams"]["tlsMinimumProtocolVersion"] == "TLSv1_3"


def test_permissive_knows_the_mesh_by_its_protocol_names(small: SmallMesh) -> None:
    tls, _ = small.app(policy("{mtls: {mode: PERMISSIVE}}")).listener(8080)["filterChains"]

    assert "istio" in tls["filterChainMatch"]["applicationProtocols"]


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([], "STRICT"),
        ([policy("{}")], "PERMISSIVE"),
        ([policy("{mtls: {mode: PERMISSIVE}}", namespace="shop")], "PERMISSIVE"),
        ([policy("{mtls: {mode: UNSET}}", namespace="shop")], "STRICT"),
        (
            [
                policy("{mtls: {mode: PERMISSIVE}}", namespace="shop"),
                policy(
                    "{selector: {matchLabels: {app: cart}}, mtls: {mode: DISABLE}}",
                    namespace="shop",
                    name="w",
                ),
            ],
            "DISABLE",
        ),
        (
            [
                policy(
                    "{selector: {matchLabels: {app: cart}}, portLevelMtls: {'8080': {mode: DISABLE}}}",
                    namespace="shop",
                )
            ],
            "DISABLE",
        ),
        (
            [
                policy(
                    "{selector: {matchLabels: {app: cart}}, portLevelMtls: {'80': {mode: DISABLE}}}",
                    namespace="shop",
                )
            ],
            "STRICT",
        ),
        (
            [
                policy(
                    "{selector: {matchLabels: {app: cart}}, mtls: {mode: DISABLE}, "
                    "portLevelMtls: {'8080': {mode: UNSET}}}",
                    namespace="shop",
                )
            ],
            "DISABLE",
        ),
        # Istio ignores a selector in the root namespace.
        ([policy("{selector: {matchLabels: {app: cart}}, mtls: {mode: DISABLE}}", name="w")], "STRICT"),
        ([policy("{mtls: {mode: DISABLE}}", namespace="edge")], "STRICT"),
        # Two of the same scope: the first by name, as all are equally old.
        (
            [
                policy("{mtls: {mode: PERMISSIVE}}", namespace="shop", name="b"),
                policy("{mtls: {mode: DISABLE}}", namespace="shop", name="a"),
            ],
            "DISABLE",
        ),
    ],
)
def test_the_narrowest_setting_decides_and_what_is_unset_is_inherited(
    small: SmallMesh, policies: list[str], expected: str
) -> None:
    assert mode(small.app(*policies)) == expected


@pytest.mark.parametrize("key", [8080, "8080"])
def test_a_port_may_be_a_number_or_a_string(key: int | str) -> None:
    spec = {"selector": {"matchLabels": {"app": "cart"}}, "portLevelMtls": {key: {"mode": "DISABLE"}}}
    body = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "spec": spec}
    found = read_peer_authentication(
        to_manifest({**body, "metadata": {"name": "p", "namespace": "shop"}}, "test.yaml")
    )

    assert found.port_modes == {8080: "DISABLE"}


@pytest.mark.parametrize("selector", ["", "selector: {matchLabels: {app: cart}}, "])
def test_the_oldest_of_one_scope_decides_whatever_its_name(small: SmallMesh, selector: str) -> None:
    def made(name: str, mode: str, day: int) -> str:
        text = policy(f"{{{selector}mtls: {{mode: {mode}}}}}", namespace="shop", name=name)
        return text.replace("namespace:", f"creationTimestamp: '2026-01-0{day}T00:00:00Z', namespace:")

    assert mode(small.app(made("a", "PERMISSIVE", 2), made("b", "DISABLE", 1))) == "DISABLE"
    assert mode(small.app(made("a", "PERMISSIVE", 1), made("b", "DISABLE", 2))) == "PERMISSIVE"


def test_without_any_policy_both_kinds_of_connection_are_taken(small: SmallMesh) -> None:
    assert mode(small.app(without=("PeerAuthentication/default",))) == "PERMISSIVE"


def test_gateways_ignore_it(small: SmallMesh) -> None:
    strict = small.gateway()
    disabled = small.gateway(policy("{mtls: {mode: DISABLE}}"))

    assert strict.listener(8443) == disabled.listener(8443)


def test_a_caller_speaks_plaintext_to_a_port_that_takes_no_tls(small: SmallMesh) -> None:
    def endpoint(compiled: Compiled) -> dict[str, Any]:
        cluster = compiled.cluster("outbound|80||cart.shop.svc.cluster.local")
        (found,) = cluster["loadAssignment"]["endpoints"][0]["lbEndpoints"]
        return dict(found)

    assert "metadata" in endpoint(small.gateway())
    assert "metadata" not in endpoint(small.gateway(policy("{mtls: {mode: DISABLE}}")))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("{mtls: {mode: SOMETIMES}}", "spec.mtls.mode: 'SOMETIMES'"),
        ("{mtls: {level: x}}", "spec.mtls.level"),
        ("{portLevelMtls: {'8080': {mode: STRICT}}}", "needs a selector"),
        ("{selector: {matchLabels: {app: cart}}, portLevelMtls: {}}", "portLevelMtls: is empty"),
        (
            "{selector: {matchLabels: {app: cart}}, portLevelMtls: {http: {mode: STRICT}}}",
            "the pod's own port number",
        ),
        ("{selector: {matchLabels: {app: nobody}}}", "selects no workload"),
    ],
)
def test_what_istio_would_ignore_is_refused(small: SmallMesh, spec: str, says: str) -> None:
    assert says in small.refusal(policy(spec, namespace="shop"))
