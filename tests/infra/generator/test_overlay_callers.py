"""An overlay with callers of its own: what it replaces and adds, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshgen.generated import write
from meshgen.ingress import ingress_files
from meshgen.plan import directories, generate
from meshgen.sources import DescriptionError
from meshlab.kustomize import build

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.generator.conftest import Change

OVERLAY = "infra/mesh/overlays/keyless"
OWN = f"{OVERLAY}/callers.yaml"


def policies(root: Path) -> dict[str, object]:
    return {
        f"{one.namespace}/{one.name}": one.body["spec"]
        for one in build(root / OVERLAY)
        if one.kind == "AuthorizationPolicy"
    }


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("subject: ${LOOKUP_SUBJECT}", "subject: '*'", ":13: callers.lookup: '*' does not match"),
        ("    audience: ${JWT_AUDIENCE}\n", "", ":11: callers.lookup: 'audience' is a required property."),
        ("  user-profile: [lookup]", "  profiles: [lookup]", ":18: there is no service profiles"),
        ("  user-profile: [lookup]", "  user-profile: [search]", ":18: there is no caller search; known are"),
        ("  https://accounts.google.com: {", "  https://accounts.example: {", "no caller has the issuer"),
        ("{jwks: google.json}", "{jwks: other.json}", "the overlay keyless has no keys/other.json"),
        (
            "{jwks: google.json}",
            "{jwks: google.json, jwksUri: 'https://a.example'}",
            ":21: callers.enrichment",
        ),
        ("subject: ${LOOKUP_SUBJECT}", "subject: ${LOOKUP}", ":13: ${LOOKUP} is not in infra/contract.env"),
    ],
)
def test_a_wrong_description_is_named_with_file_and_line(
    root: Path, change: Change, old: str, new: str, says: str
) -> None:
    change(OWN, old, new)
    with pytest.raises(DescriptionError) as caught:
        ingress_files(root)
    assert says in "\n".join(caught.value.problems).replace(f"{root}/{OWN}", "")


@pytest.mark.parametrize("value", ["", "*"])
def test_an_account_without_an_id_is_refused(root: Path, change: Change, value: str) -> None:
    change(
        "infra/mesh/contract/values/contract.env",
        "FUNCTION_SUBJECT=100000000000000000011",
        f"FUNCTION_SUBJECT={value}",
    )
    with pytest.raises(DescriptionError, match=r"subject: with the value of infra/contract\.env"):
        ingress_files(root)


def test_keys_that_the_control_plane_fetches_are_for_all_callers_of_the_issuer(
    root: Path, change: Change
) -> None:
    change(OWN, "{jwks: google.json}", "{jwksUri: https://www.googleapis.com/oauth2/v3/certs}")
    change(f"{OVERLAY}/kustomization.yaml", "  - keys #", "  #")
    (root / OVERLAY / "keys/google.json").unlink()
    write(generate(root), directories(root))
    rules = [
        one.body["spec"]["jwtRules"] for one in build(root / OVERLAY) if one.kind == "RequestAuthentication"
    ]
    assert len(rules) == 3
    for (rule,) in rules:
        assert rule["jwksUri"] == "https://www.googleapis.com/oauth2/v3/certs"


def test_over_plain_http_the_hosts_have_that_port(root: Path, change: Change) -> None:
    change(
        f"{OVERLAY}/kustomization.yaml", "../../ingress/https # or ../../ingress/http", "../../ingress/http"
    )
    found = policies(root)["istio-ingress/caller-lookup"]
    assert "user-profile.internal:80" in str(found)


def test_an_overlay_takes_no_service_from_a_caller(root: Path, change: Change) -> None:
    """Its policy there would stay as it is for all overlays."""
    change(OWN, "callers:\n", "callers:\n  reports: {calls: {user-profile: [profile]}}\n")
    with pytest.raises(DescriptionError, match="names reports, but"):
        ingress_files(root)
