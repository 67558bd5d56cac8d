"""Descriptions of callers and services: both sides agree, and every disagreement is named with file and line."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import yaml
from meshgen.ingress import ingress_files
from meshgen.ingress.model import matches
from meshgen.ingress.policies import not_paths
from meshgen.sources import DescriptionError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.generator.conftest import Change

CALLER = "infra/mesh/callers/reports.yaml"
OTHER = "infra/mesh/callers/storefront.yaml"
FUNCTION = "infra/mesh/callers/enrichment.yaml"
SERVICE = "infra/mesh/services/orders/service.yaml"
PROFILE = "infra/mesh/services/user-profile/service.yaml"


def problems(root: Path) -> list[str]:
    with pytest.raises(DescriptionError) as caught:
        ingress_files(root)
    return [problem.replace(f"{root}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        pytest.param(
            CALLER, "  orders: [order]\n", "  orders: [orders]\n",
            f"{CALLER}:10: orders has no route orders; known are order, items, place.",
            id="a route that the service does not have",
        ),
        pytest.param(
            CALLER, "  orders: [order]\n", "  order: [order]\n",
            f"{CALLER}:10: there is no service order; known are orders, user-profile.",
            id="a service that there is not",
        ),
        pytest.param(
            SERVICE, "[reports, storefront]", "[storefront]",
            f"{CALLER}:10: calls orders, but {SERVICE} does not name reports among its callers.",
            id="a caller that the service does not name",
        ),
        pytest.param(
            SERVICE, "[reports, storefront]", "[reports, storefront, enrichment]",
            f"{SERVICE}:12: names enrichment, but {FUNCTION} does not call orders.",
            id="a caller that does not call the service",
        ),
        pytest.param(
            SERVICE, "[reports, storefront]", "[reports, storefront, nightly]",
            f"{SERVICE}:12: there is no caller nightly; known are enrichment, reports, storefront.",
            id="a caller that there is not",
        ),
        pytest.param(
            OTHER, "certs}", "other}",
            f"{OTHER}:7: {CALLER} names other keys for the same issuer; an issuer has one set of keys.",
            id="other keys for one issuer",
        ),
        pytest.param(
            CALLER, "issuer: https://accounts.google.com", "issuer: ${JWT_ISSUER}",
            f"{CALLER}:7: {FUNCTION} names other keys for the same issuer; an issuer has one set of keys.",
            id="keys of another issuer",
        ),
        pytest.param(
            CALLER, "issuer: https://accounts.google.com",
            "issuer: meshpass-enrichment@example-project.iam.gserviceaccount.com",
            f"{CALLER}:3: is the issuer of {FUNCTION}, which writes ${{JWT_ISSUER}}; write the same.",
            id="one issuer in two spellings",
        ),
        pytest.param(
            SERVICE, "paths: [/orders], timeout", "paths: [/orders, '/orders/{*}/items'], timeout",
            "",
            id="one path with two methods is no disagreement",
        ),
        pytest.param(
            SERVICE, 'paths: ["/orders/{*}/items"]', 'paths: ["/orders/{*}/items", "/orders/latest"]',
            f"{SERVICE}:10: /orders/latest meets /orders/{{*}} of the route order in {SERVICE}; a path has one route.",
            id="a path of two routes",
        ),
        pytest.param(
            FUNCTION, "keys: {jwks: enrichment.json}", "keys: {jwks: function.json}",
            f"{FUNCTION}:7: the overlay example has no keys/function.json; put the caller's public keys (JWKS) there.",
            id="keys that an overlay does not have",
        ),
        pytest.param(
            CALLER, "audience: internal-reports", 'audience: "x-${JWT_ISSUER}"',
            f"{CALLER}:5: x-${{JWT_ISSUER}}: a reference must be a whole part between one of / : ,.",
            id="a reference that kustomize cannot replace",
        ),
        pytest.param(
            CALLER, "audience: internal-reports", 'audience: "${jwt_issuer}"',
            f"{CALLER}:5: ${{jwt_issuer}}: a reference is written ${{KEY}}, with a key in capitals.",
            id="a reference in small letters",
        ),
        pytest.param(
            SERVICE, "host: ${ORDERS_HOST}", "host: ${JWT_ISSUER}",
            f"{SERVICE}:2: host: with the value of infra/contract.env: "
            "'meshpass-enrichment@example-project.iam.gserviceaccount.com' does not match",
            id="a value that is no host",
        ),
        pytest.param(
            SERVICE, "namespace: orders", "namespace: istio-system",
            f"{SERVICE}:3: istio-system is no service's namespace: its policies reach gateways or the whole mesh.",
            id="the namespace whose policies reach the whole mesh",
        ),
        pytest.param(
            CALLER, 'email: "${REPORTS_EMAIL}"', 'email: "${REPORT_EMAIL}"',
            f"{CALLER}:6: ${{REPORT_EMAIL}} is not in infra/contract.env; add it there.",
            id="a key that the contract does not have",
        ),
    ],
)  # fmt: skip
def test_a_disagreement_is_named_where_it_stands(
    root: Path, change: Change, file: str, old: str, new: str, says: str
) -> None:
    change(file, old, new)
    if says:
        assert any(problem.startswith(says) for problem in problems(root)), problems(root)
    else:
        assert ingress_files(root)


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        (CALLER, "subject: ${REPORTS_SUBJECT}", "subject: a/b", "4: subject:"),
        (
            CALLER,
            'email: "${REPORTS_EMAIL}"',
            "email_verified: true",
            "6: claims.email_verified: True is not of type",
        ),
        (CALLER, "audience: internal-reports", "audience: '*'", "5: audience: '*' does not match"),
        (CALLER, "keys: {jwksUri: https", "keys: {jwksUri: http", "7: keys.jwksUri:"),
        (CALLER, "  orders: [order]\n", "  orders: []\n", "10: calls.orders:"),
        (SERVICE, "host: ${ORDERS_HOST}", "host: '*.internal'", "2: host:"),
        (SERVICE, "host: ${ORDERS_HOST}", "host: orders.internal:443", "2: host:"),
        (SERVICE, '["/orders/{*}"]', '["/orders/*"]', "9: routes.order.paths.0:"),
        (SERVICE, '["/orders/{*}"]', '["/orders/../{*}"]', "9: routes.order.paths.0:"),
        (SERVICE, '["/orders/{*}"]', '["/orders/{*}:cancel"]', "9: routes.order.paths.0:"),
        (SERVICE, '["/orders/{*}"]', '["/orders;v=1/{*}"]', "9: routes.order.paths.0:"),
        (SERVICE, '["/orders/{*}"]', '["/orders%3Aall"]', "9: routes.order.paths.0:"),
        (SERVICE, '["/orders/{*}"]', '["/a:b/:../.."]', "9: routes.order.paths.0:"),
        (SERVICE, '["/orders/{*}"]', '["/orders/{**}"]', "9: routes.order.paths.0:"),
        (SERVICE, '["/orders/{*}"]', '["/orders/{*}\\n"]', "9: '/orders/{*}\\n' has a line break"),
        (SERVICE, "namespace: orders", 'namespace: "orders\\n"', "3: 'orders\\n' has a line break"),
        (CALLER, "audience: internal-reports", 'audience: "a\\n"', "5: 'a\\n' has a line break"),
        (SERVICE, "labels: {app: orders}", "labels: {app: a b}", "4: labels.app: 'a b' does not match"),
        (SERVICE, "port: 80", "port: 80.0", "5: port: 80.0 is not of type 'integer'"),
        (SERVICE, "timeout: 3s", "timeout: 3", "6: timeout:"),
        (SERVICE, "timeout: 3s", "timeouts: 3s", "1: the file: Additional properties"),
    ],
)
def test_what_istio_would_take_in_another_way_is_refused(
    root: Path, change: Change, file: str, old: str, new: str, says: str
) -> None:
    change(file, old, new)
    assert any(problem.startswith(f"{file}:{says}") for problem in problems(root)), problems(root)


def test_problems_of_all_files_are_reported_at_once(root: Path, change: Change) -> None:
    change(CALLER, "  orders: [order]\n", "  orders: [orders]\n")
    change(SERVICE, "[reports, storefront]", "[reports]")
    change(PROFILE, "[enrichment, reports]", "[enrichment, reports, storefront]")
    assert len(problems(root)) == 3


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("infra/mesh/callers/billing.yml", ": is no description of a caller; name it NAME.yaml"),
        (
            "infra/mesh/callers/Billing.yaml",
            ": a caller is named with at most 30 lower-case letters, digits and hyphens.",
        ),
        ("infra/mesh/services/stock/deployment.yaml", ": has no service.yaml; describe the service there"),
    ],
)
def test_what_would_be_left_out_is_named(root: Path, path: str, says: str) -> None:
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_text((root / CALLER).read_text())
    assert any(
        problem.startswith(f"{path.removesuffix('/deployment.yaml')}{says}") for problem in problems(root)
    )


def test_callers_that_no_proxy_could_tell_apart_are_refused(root: Path, change: Change) -> None:
    for part in ("SUBJECT", "EMAIL"):
        change(OTHER, f"STOREFRONT_{part}", f"REPORTS_{part}")
    change(OTHER, "internal-storefront", "internal-reports")
    (found,) = problems(root)
    assert found.startswith(f"{OTHER}:4: has the issuer, audience and claims of {CALLER}")


def test_one_subject_with_two_audiences_is_two_callers(root: Path, change: Change) -> None:
    for part in ("SUBJECT", "EMAIL"):
        change(OTHER, f"STOREFRONT_{part}", f"REPORTS_{part}")
    assert ingress_files(root)


@pytest.mark.parametrize("labels", ["{app: user-profile, tier: web}", "{tier: web}", "{app: user-profile}"])
def test_two_services_whose_selectors_may_meet_one_pod_are_refused(
    root: Path, change: Change, labels: str
) -> None:
    change(SERVICE, "namespace: orders", "namespace: user-profile")
    assert ingress_files(root)
    change(SERVICE, "labels: {app: orders}", f"labels: {labels}")
    (found,) = problems(root)
    assert found.startswith(f"{PROFILE}:4: a pod may have these and those of {SERVICE}")


def test_two_policies_of_one_name_are_refused(root: Path, change: Change) -> None:
    services, callers = root / "infra/mesh/services", root / "infra/mesh/callers"
    shutil.copytree(services / "orders", services / "orders-of")
    change("infra/mesh/services/orders-of/service.yaml", "labels: {app: orders}", "labels: {app: orders-of}")
    change("infra/mesh/services/orders-of/service.yaml", "host: ${ORDERS_HOST}", "host: orders.example")
    change("infra/mesh/services/orders-of/service.yaml", "[reports, storefront]", "[reports]")
    change(SERVICE, "[reports, storefront]", "[of-reports, reports, storefront]")
    text = (root / CALLER).read_text()
    (callers / "of-reports.yaml").write_text(
        text.replace("${REPORTS_SUBJECT}", "'1'").replace("  user-profile: [profile]\n", "")
    )
    (root / CALLER).write_text(text + "  orders-of: [order]\n")
    (found,) = problems(root)
    assert "the policy orders-of-reports would have the name of one of" in found


@pytest.mark.parametrize(
    ("key", "value"), [("JWT_SUBJECT", "*"), ("JWT_SUBJECT", "a/b"), ("ORDERS_HOST", "*.internal")]
)
def test_a_value_of_the_contract_is_no_wider_than_a_description_may_be(
    root: Path, key: str, value: str
) -> None:
    file = root / "infra/contract.env"
    lines = [
        f"{key}='{value}'" if line.startswith(f"{key}=") else line for line in file.read_text().splitlines()
    ]
    file.write_text("\n".join(lines))
    assert any("with the value of infra/contract.env" in problem for problem in problems(root))


def test_a_segment_may_hold_what_rfc_3986_lets_stand_unescaped(root: Path, change: Change) -> None:
    path = "/orders:batchGet/a!b&c'd(e)f+g,h=i@j/{*}"
    change(SERVICE, '["/orders/{*}"]', f'["{path}"]')
    objects = [found for file in ingress_files(root) for found in yaml.safe_load_all(file.text)]
    policies = [
        found["spec"]["rules"]
        for found in objects
        if isinstance(found, dict) and found.get("kind") == "AuthorizationPolicy"
    ]
    paths = [to["operation"]["paths"] for rules in policies for rule in rules for to in rule["to"]]
    assert paths.count([path]) == 4  # two callers, at the gateway and at the workload


def test_two_services_on_one_host_share_its_paths_and_no_path_twice(root: Path, change: Change) -> None:
    change(SERVICE, "host: ${ORDERS_HOST}", "host: ${GKE_GATEWAY_HOST}")
    assert ingress_files(root)
    change(SERVICE, '["/orders/{*}"]', '["/profile/{*}"]')
    (found,) = problems(root)
    assert found.startswith(
        f"{PROFILE}:9: /profile/{{*}} meets /profile/{{*}} of the route order in {SERVICE}"
    )


@pytest.mark.parametrize(
    ("path", "template", "expected"),
    [
        ("/orders/1", "/orders/{*}", True),
        ("/orders", "/orders/{*}", False),
        ("/orders/1/2", "/orders/{*}", False),
        ("/orders/", "/orders/{*}", False),
        ("/ordersx1", "/orders.1", False),
    ],
)
def test_a_wildcard_is_exactly_one_segment(path: str, template: str, expected: bool) -> None:
    assert matches(path, template) is expected


def test_each_wildcard_is_guarded_against_dot_segments_with_parameters() -> None:
    assert not_paths("/orders") == []
    assert not_paths("/a/{*}/b/{*}") == ["/a/..;*", "/a/.;*", "/a/{*}/b/..;", "/a/{*}/b/.;"]
