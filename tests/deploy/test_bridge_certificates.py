"""The certificates of the Lambda bridge: what may sign what, for how long, and what a step changes."""

from __future__ import annotations

import base64
import datetime as dt
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from deploy.steps import RefusalError
from deploy.steps.bridge import pki
from deploy.steps.bridge.certificates import DEFAULT_CONTRACT, Certificates, main, sides_of
from tests.deploy.harness import ROOT

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
SIDES = {side.name: side for side in sides_of(DEFAULT_CONTRACT)}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    at(tmp_path / "bridge").create()
    return tmp_path / "bridge"


def at(directory: Path, days: int = 0) -> Certificates:
    return Certificates(directory, list(SIDES.values()), NOW + dt.timedelta(days=days))


def leaf(directory: Path, side: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / "secrets" / side / "tls.crt").read_bytes())


def chain(directory: Path, side: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((directory / "secrets" / side / "tls.crt").read_bytes())


def lists(directory: Path, side: str) -> dict[str, x509.CertificateRevocationList]:
    """The revocation lists by which a side checks the other, by their issuers."""
    text = (directory / "secrets" / side / "ca.crl").read_bytes()
    begin = b"-----BEGIN X509 CRL-----"
    found = [x509.load_pem_x509_crl(begin + part) for part in text.split(begin)[1:]]
    return {each.issuer.rfc4514_string(): each for each in found}


def names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def usage(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_the_client_has_a_spiffe_identity_and_the_server_a_dns_name_and_neither_has_more(
    directory: Path,
) -> None:
    client, server = names(leaf(directory, "gke")), names(leaf(directory, "eks"))
    assert [name.value for name in client] == [SIDES["gke"].identity]
    assert client.get_values_for_type(x509.UniformResourceIdentifier) == [SIDES["gke"].identity]
    assert [name.value for name in server] == server.get_values_for_type(x509.DNSName) == [SIDES["eks"].host]


@pytest.mark.parametrize(
    ("side", "wanted"), [("gke", ExtendedKeyUsageOID.CLIENT_AUTH), ("eks", ExtendedKeyUsageOID.SERVER_AUTH)]
)
def test_a_side_and_its_intermediate_are_for_one_use(
    directory: Path, side: str, wanted: x509.ObjectIdentifier
) -> None:
    for certificate in chain(directory, side):
        assert usage(certificate) == [wanted]


def test_an_intermediate_may_sign_the_names_of_its_side_alone(directory: Path) -> None:
    def constraints(side: str) -> x509.NameConstraints:
        return chain(directory, side)[1].extensions.get_extension_for_class(x509.NameConstraints).value

    client, server = constraints("gke"), constraints("eks")
    assert client.permitted_subtrees == [x509.UniformResourceIdentifier("gke.bridge.internal")]
    assert client.excluded_subtrees == [x509.DNSName("")]
    assert server.permitted_subtrees == [x509.DNSName("lambda.bridge.internal")]


def test_no_intermediate_may_make_another(directory: Path) -> None:
    for side in SIDES:
        basic = chain(directory, side)[1].extensions.get_extension_for_class(x509.BasicConstraints).value
        assert (basic.ca, basic.path_length) == (True, 0)


def test_a_certificate_lives_for_ninety_days_at_most(directory: Path) -> None:
    assert leaf(directory, "gke").not_valid_after_utc == NOW + dt.timedelta(days=30)
    at(directory).issue("gke", dt.timedelta(days=90))
    assert leaf(directory, "gke").not_valid_after_utc == NOW + dt.timedelta(days=90)
    for days in (0, 91):
        with pytest.raises(RefusalError, match="1 to 90 days"):
            at(directory).issue("gke", dt.timedelta(days=days))


def test_each_side_checks_the_other_by_the_others_intermediate_and_the_root(directory: Path) -> None:
    for side, other in (("gke", "eks"), ("eks", "gke")):
        trusted = x509.load_pem_x509_certificates((directory / "secrets" / side / "ca.crt").read_bytes())
        assert [each.subject.rfc4514_string().split(" ")[1] for each in trusted] == [other, "root"]
        # Envoy wants a list of every authority in a chain. Without one of its own side, that side is not trusted.
        assert [issuer.split(" ")[1] for issuer in lists(directory, side)] == [other, "root"]
        trusted[1].verify_directly_issued_by(trusted[1])
        leaf(directory, other).verify_directly_issued_by(trusted[0])


def test_a_revoked_certificate_is_on_the_other_sides_list_and_no_other_is(directory: Path) -> None:
    first = leaf(directory, "gke").serial_number
    stolen = directory / "issued/gke" / f"{first:x}.pem"
    at(directory, 1).issue("gke", pki.LEAF_LIFETIME)
    at(directory, 1).revoke("gke", stolen)

    revoked = [entry.serial_number for each in lists(directory, "eks").values() for entry in each]
    assert revoked == [first]
    assert [entry for each in lists(directory, "gke").values() for entry in each] == []
    at(directory, 2).publish()
    assert [entry.serial_number for each in lists(directory, "eks").values() for entry in each] == [first]


def test_a_new_intermediate_is_trusted_beside_the_one_before_until_that_is_retired(directory: Path) -> None:
    before = chain(directory, "gke")
    at(directory, 1).renew("gke")
    assert len(lists(directory, "eks")) == 3
    assert leaf(directory, "gke") == before[0]  # nothing signs yet
    at(directory, 1).issue("gke", pki.LEAF_LIFETIME)
    assert chain(directory, "gke")[1].subject != before[1].subject
    at(directory, 2).retire("gke")

    left = lists(directory, "eks")
    assert before[1].subject.rfc4514_string() not in left
    assert [entry.serial_number for entry in left["CN=lambda-bridge root"]] == [before[1].serial_number]
    with pytest.raises(RefusalError, match="has one intermediate"):
        at(directory, 2).retire("gke")


def test_a_certificate_of_another_side_is_not_revoked_by_mistake(directory: Path) -> None:
    other = directory / "secrets/eks/tls.crt"
    with pytest.raises(RefusalError, match="signed by no intermediate of the side gke"):
        at(directory).revoke("gke", other)
    with pytest.raises(RefusalError, match="cannot be read as a certificate"):
        at(directory).revoke("gke", directory / "state.json")


def test_keys_are_for_their_owner_alone(directory: Path) -> None:
    keys = [*directory.rglob("*.key"), *directory.rglob("*-key.pem")]
    assert len(keys) == 5
    assert {path.stat().st_mode & 0o077 for path in keys} == {0}


def test_what_exists_is_never_made_anew(directory: Path) -> None:
    with pytest.raises(RefusalError, match="has certificates already"):
        at(directory).create()


def test_an_offline_root_is_asked_for_where_it_is_needed(directory: Path) -> None:
    (directory / "authorities/root/ca-key.pem").unlink()
    with pytest.raises(RefusalError, match="bring the key back"):
        at(directory).renew("gke")


def test_the_manifest_has_the_secrets_that_the_gateways_name(directory: Path) -> None:
    client, authority = yaml.safe_load_all(at(directory).manifest("gke"))
    assert (client["type"], client["metadata"]) == (
        "kubernetes.io/tls",
        {"name": "lambda-bridge-client", "namespace": "istio-lambda-egress"},
    )
    assert sorted(client["data"]) == ["tls.crt", "tls.key"]
    assert authority["metadata"]["name"] == "lambda-bridge-client-cacert"
    assert sorted(authority["data"]) == ["ca.crl", "ca.crt"]
    stored = base64.b64decode(authority["data"]["ca.crt"])
    assert stored == (directory / "secrets/gke/ca.crt").read_bytes()
    server, _ = yaml.safe_load_all(at(directory).manifest("eks"))
    assert server["metadata"] == {"name": "lambda-bridge-server", "namespace": "istio-lambda-ingress"}


def test_what_expires_first_stands_first(directory: Path) -> None:
    lines = at(directory).dates().splitlines()
    assert lines == sorted(lines)
    assert sum("certificate" in line for line in lines) == 2
    assert sum("revocation list" in line for line in lines) == 4


def test_the_command_makes_and_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([f"--directory={tmp_path / 'b'}", "create"])
    main([f"--directory={tmp_path / 'b'}", "dates"])
    assert "the certificate of gke" in capsys.readouterr().out
    script = [
        sys.executable,
        str(ROOT / "deploy/bridge-certificates"),
        f"--directory={tmp_path / 'none'}",
        "publish",
    ]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"deploy/bridge-certificates: {tmp_path / 'none'} has no certificates; `create` makes the first\n"
    )
