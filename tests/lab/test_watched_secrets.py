"""Secrets that change while proxies run: what stands in the files that Envoy watches."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.bench.authorities import Authorities
from meshlab.istio import WorkloadRef
from meshlab.istio.model.client_credentials import ClientResource
from meshlab.istio.model.credentials import TlsResource
from meshlab.lab.lambda_bridge.secrets import WatchedSecrets

if TYPE_CHECKING:
    from pathlib import Path

GATEWAY, OTHER = WorkloadRef("edge", "gateway"), WorkloadRef("edge", "other")
SERVER = TlsResource("kubernetes://shop", "certificate", "", "shop")
CLIENTS = TlsResource("kubernetes://shop-cacert", "ca", "", "shop")
PARTNER = ClientResource("kubernetes://partner-cacert", "ca", "partner", is_secret=True)


@pytest.fixture
def secrets(tmp_path: Path) -> WatchedSecrets:
    for name in ("shop", "partner"):
        (tmp_path / name).mkdir()
        for part in ("tls.crt", "tls.key", "ca.crt"):
            (tmp_path / name / part).write_text(f"{name} {part}")
    (tmp_path / "shop/ca.crl").write_text("shop ca.crl")
    credentials = {name: tmp_path / name for name in ("shop", "partner")}
    identities = {GATEWAY: "spiffe://cluster.local/ns/edge/sa/gateway"}
    return WatchedSecrets(
        Authorities(tmp_path / "pki", ["second"]), "second", identities, credentials, tmp_path / "watched"
    )


def delivered(secrets: WatchedSecrets, name: str) -> dict[str, Any]:
    """What the file of a secret holds."""
    path = secrets.reference(name)["sdsConfig"]["pathConfigSource"]["path"]
    with open(path) as file:  # noqa: PTH123 - as Envoy opens what the reference says
        (resource,) = json.load(file)["resources"]
    assert resource.pop("name") == name
    found: dict[str, Any] = resource
    return found


def test_certificate_ca_and_revocation_list_are_those_of_the_secret(secrets: WatchedSecrets) -> None:
    secrets.resources(GATEWAY, [SERVER, CLIENTS], [PARTNER])

    assert delivered(secrets, SERVER.name)["tlsCertificate"] == {
        "certificateChain": {"inlineString": "shop tls.crt"},
        "privateKey": {"inlineString": "shop tls.key"},
    }
    assert delivered(secrets, CLIENTS.name)["validationContext"] == {
        "trustedCa": {"inlineString": "shop ca.crt"},
        "crl": {"inlineString": "shop ca.crl"},
    }
    assert delivered(secrets, PARTNER.name)["validationContext"] == {
        "trustedCa": {"inlineString": "partner ca.crt"}
    }


def test_a_change_reaches_the_file_and_its_version_and_nothing_else_does(
    secrets: WatchedSecrets, tmp_path: Path
) -> None:
    secrets.resources(GATEWAY, [SERVER, CLIENTS])
    before = secrets.versions(GATEWAY)
    secrets.publish()
    assert secrets.versions(GATEWAY) == before

    (tmp_path / "shop/tls.crt").write_text("another")
    secrets.publish()

    assert len(secrets.versions(GATEWAY) - before) == 1
    assert delivered(secrets, SERVER.name)["tlsCertificate"]["certificateChain"] == {
        "inlineString": "another"
    }


def test_a_proxy_of_another_mesh_waits_for_nothing(secrets: WatchedSecrets) -> None:
    secrets.resources(GATEWAY, [SERVER])
    assert secrets.versions(OTHER) == frozenset()


def test_the_workloads_own_identity_is_of_its_meshs_authority(secrets: WatchedSecrets) -> None:
    own, root = secrets.resources(GATEWAY, [])["secrets"]
    assert own["name"] == secrets.reference("default")["name"] == "default"
    assert root["validationContext"]["trustedCa"]["filename"] == str(
        secrets.authorities.certificate("second")
    )


def test_a_credential_without_a_secret_is_named(secrets: WatchedSecrets) -> None:
    with pytest.raises(LookupError, match="the credential missing has no Secret"):
        secrets.resources(GATEWAY, [TlsResource("kubernetes://missing", "certificate", "", "missing")])


def test_keys_are_for_their_owner_alone(secrets: WatchedSecrets, tmp_path: Path) -> None:
    secrets.resources(GATEWAY, [SERVER])
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "watched").iterdir()} == {0}


def test_an_authority_that_is_there_already_signs_for_the_run(tmp_path: Path) -> None:
    first = Authorities(tmp_path / "first", ["partner"])
    second = Authorities(tmp_path / "second", known={"partner": first.directory("partner")})
    assert second.certificate("partner").read_bytes() == first.certificate("partner").read_bytes()
    assert (
        second.issue("partner", dns=["a.example"]).root.read_bytes()
        == first.certificate("partner").read_bytes()
    )
    assert first.certificate("partner").read_bytes() in second.bundle.read_bytes()
