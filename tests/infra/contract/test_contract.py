"""The contract: single values, values together, and lines that its readers would read differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

import meshcontract
import pytest

from tests.deploy.harness import CONTRACT

if TYPE_CHECKING:
    from tests.deploy.harness import Contract


def refusal(contract: Contract) -> str:
    with pytest.raises(meshcontract.ContractError) as caught:
        meshcontract.load(contract.path)
    return str(caught.value)


def test_the_contract_of_the_repository_can_be_deployed_from_once_the_project_is_named(
    contract: Contract,
) -> None:
    values = meshcontract.load(contract.path)
    assert values["GOOGLE_CLOUD_PROJECT"] == "acme-mesh"
    assert meshcontract.placeholders(values) == []


def test_the_contract_of_the_repository_names_the_placeholder_project() -> None:
    values = meshcontract.load(CONTRACT)
    assert "GOOGLE_CLOUD_PROJECT" in meshcontract.placeholders(values)
    assert "BIGQUERY_TABLE" in meshcontract.placeholders(values)


def test_every_missing_or_wrong_key_is_named_at_once(contract: Contract) -> None:
    contract.set(REGION=None, JWT_ISSUER="", BIGQUERY_TABLE="events", GKE_GATEWAY_URL="http://10.0.0.1")
    message = refusal(contract)
    for key in ("REGION", "JWT_ISSUER", "BIGQUERY_TABLE", "GKE_GATEWAY_URL"):
        assert key in message


def test_a_misspelt_key_is_named_with_the_key_it_was_meant_to_be(contract: Contract) -> None:
    contract.set(GKE_GATEWAY_HOST=None, GKE_GATEWAY_HSOT="user-profile.internal")
    assert "GKE_GATEWAY_HSOT is not known; did you mean GKE_GATEWAY_HOST?" in refusal(contract)


def test_a_misspelt_optional_key_is_not_silently_ignored(contract: Contract) -> None:
    contract.set(FUNCTION_MEMROY="2Gi")
    assert "did you mean FUNCTION_MEMORY?" in refusal(contract)


def test_keys_of_other_rooms_are_left_alone(contract: Contract) -> None:
    contract.set(MESH_TRUST_DOMAIN="cluster.local", VPC_SUBNETS="more")
    assert meshcontract.load(contract.path)["VPC_SUBNET"] == "meshpass-functions"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("export A=b", "is not KEY=VALUE"),
        ("just words", "is not KEY=VALUE"),
        ("REGION=europe-west4", "REGION is written a second time"),
        ('EXTRA="quoted"', "EXTRA has quotes or spaces around its value"),
        ("EXTRA= spaced", "EXTRA has quotes or spaces around its value"),
    ],
)
def test_a_line_that_its_readers_would_read_differently_is_refused(
    contract: Contract, line: str, complaint: str
) -> None:
    contract.path.write_text(contract.path.read_text() + line + "\n")
    assert complaint in refusal(contract)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"FUNCTION_EGRESS": "connector", "VPC_CONNECTOR": None}, "VPC_CONNECTOR is missing"),
        ({"FUNCTION_EGRESS": "direct", "VPC_SUBNET": None}, "VPC_SUBNET is missing"),
        ({"FUNCTION_EGRESS_RANGE": "0.0.0.0/0"}, "FUNCTION_EGRESS_RANGE: 0.0.0.0/0 is wider than /24"),
        ({"FUNCTION_EGRESS_RANGE": "10.0.0.0/23"}, "FUNCTION_EGRESS_RANGE: 10.0.0.0/23 is wider than /24"),
        ({"FUNCTION_EGRESS_RANGE": "8.8.8.0/26"}, "FUNCTION_EGRESS_RANGE: 8.8.8.0/26 is public"),
        ({"FUNCTION_EGRESS_RANGE": "10.8.0.1/26"}, "name the first address of the range"),
        ({"FUNCTION_EGRESS_RANGE": "fd00::/64"}, "FUNCTION_EGRESS_RANGE: fd00::/64 is no range"),
        ({"FUNCTION_EGRESS_RANGE": "10.8.0.0"}, "FUNCTION_EGRESS_RANGE: 10.8.0.0 is no range"),
        ({"FUNCTION_EGRESS": "nat"}, "FUNCTION_EGRESS must be direct or connector"),
        ({"GKE_GATEWAY_CA_SECRET": None}, "go together"),
        ({"SIGNING_KEY_FILE": "/etc/key/key.pem"}, "version number or 'latest'"),
        (
            {
                "SIGNING_KEY_FILE": "/etc/meshpass/key.pem",
                "SIGNING_KEY_SECRET_ID": "projects/p/secrets/s/versions/3",
            },
            "SIGNING_KEY_FILE and GKE_GATEWAY_CA_FILE must lie in folders of their own",
        ),
        (
            {
                "PSEUDONYM_KEY_FILE": "/etc/meshpass/key",
                "PSEUDONYM_KEY_SECRET_ID": "projects/p/secrets/s/versions/3",
            },
            "PSEUDONYM_KEY_FILE and GKE_GATEWAY_CA_FILE must lie in folders of their own",
        ),
        (
            {
                "SIGNING_KEY_FILE": "/etc/keys/signing.pem",
                "SIGNING_KEY_SECRET_ID": "projects/p/secrets/s/versions/3",
                "PSEUDONYM_KEY_FILE": "/etc/keys/pseudonyms",
                "PSEUDONYM_KEY_SECRET_ID": "projects/p/secrets/s/versions/3",
            },
            "PSEUDONYM_KEY_FILE and SIGNING_KEY_FILE must lie in folders of their own",
        ),
        ({"PSEUDONYM_KEY_FILE": "/etc/pseudonyms/key"}, "PSEUDONYM_KEY_SECRET_ID must end in a version"),
        (
            {
                "SIGNING_KEY_FILE": "/etc/keys/signing.pem",
                "SIGNING_KEY_SECRET_ID": "projects/p/locations/europe-west4/secrets/s/versions/3",
            },
            "SIGNING_KEY_SECRET_ID is a regional secret, which cannot be mounted",
        ),
        (
            {"SIGNING_KEY_SECRET_ID": "projects/p/locations/secrets/s/versions/3"},
            "SIGNING_KEY_SECRET_ID must be projects/",
        ),
        ({"PSEUDONYM_KEY_SECRET_ID": "pseudonyms"}, "PSEUDONYM_KEY_SECRET_ID must be projects/"),
        ({"LOOKUP": "An Account"}, "LOOKUP must be the name of a lookup"),
        ({"TRIGGER_TOPIC": "projects/another-one/topics/user-events"}, "TRIGGER_TOPIC must lie in"),
        ({"TRIGGER_TOPIC": "user-events-undelivered"}, "must be three topics"),
        ({"UNDELIVERED_TOPIC": "projects/acme-mesh/topics/user-events-dead-letter"}, "must be three topics"),
        (
            {"FUNCTION_SERVICE_ACCOUNT": "123-compute@developer.gserviceaccount.com"},
            "FUNCTION_SERVICE_ACCOUNT must be",
        ),
        ({"FUNCTION_TIMEOUT_S": "541"}, "FUNCTION_TIMEOUT_S must be 1 to 540"),
        ({"FUNCTION_TIMEOUT_S": "91"}, "must not be below FUNCTION_TIMEOUT_S"),
        ({"SUBSCRIPTION_ACK_DEADLINE_S": "601"}, "must be 10 to 600"),
        ({"SUBSCRIPTION_MAX_DELIVERY_ATTEMPTS": "4"}, "must be 5 to 100"),
        ({"SUBSCRIPTION_MAX_RETRY_DELAY_S": "5"}, "must not be above"),
        ({"FUNCTION_CPU": ".5"}, "FUNCTION_CPU must be 1 or more"),
        ({"FUNCTION_MEMORY": "lots"}, "FUNCTION_MEMORY must be an amount"),
        ({"LOOKUP_FUNCTION_NAME": "meshpass-enrichment"}, "LOOKUP_FUNCTION_NAME must not be FUNCTION_NAME"),
        ({"FUNCTION_NAME": "a" * 60}, "LOOKUP_FUNCTION_NAME must have at most 63 characters"),
        ({"LOOKUP_INGRESS": "all"}, "LOOKUP_INGRESS must be internal-only or internal-and-gclb"),
        ({"LOOKUP_INVOKERS": "allUsers"}, "LOOKUP_INVOKERS must be members"),
        ({"LOOKUP_INVOKERS": "user:ann@acme.example,allAuthenticatedUsers"}, "never allUsers"),
        ({"LOOKUP_INVOKERS": "domain:acme.example"}, "LOOKUP_INVOKERS must be members"),
        (
            {"LOOKUP_INVOKERS": "user:ann@acme.example, user:bob@acme.example"},
            "LOOKUP_INVOKERS must be members",
        ),
    ],
)
def test_values_that_cannot_work_together_are_refused(
    contract: Contract, values: dict[str, str | None], complaint: str
) -> None:
    assert complaint in refusal(contract.set(**values))


@pytest.mark.parametrize(
    "member",
    [
        "serviceAccount:orders@acme-mesh.iam.gserviceaccount.com",
        "serviceAccount:acme-mesh.svc.id.goog[orders/api]",
        "group:billing@acme.example",
        "user:ann@acme.example",
        "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s",
        "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/attribute.team/x",
    ],
)
def test_a_member_of_every_kind_that_is_somebody_may_be_let_in(contract: Contract, member: str) -> None:
    contract.set(LOOKUP_INVOKERS=f"{member},user:bob@acme.example")
    assert meshcontract.load(contract.path)["LOOKUP_INVOKERS"] == f"{member},user:bob@acme.example"


def test_a_contract_without_the_meshs_range_or_with_one_at_the_bound_is_deployed_from(
    contract: Contract,
) -> None:
    for text in ("10.8.0.0/24", None):
        contract.set(FUNCTION_EGRESS_RANGE=text)
        assert meshcontract.load(contract.path)["FUNCTION_EGRESS_RANGE"] == (text or "")


def test_regional_secrets_are_read_by_the_api(contract: Contract) -> None:
    regional = "projects/p/locations/europe-west4/secrets/s/versions/active"
    contract.set(SIGNING_KEY_SECRET_ID=regional, PSEUDONYM_KEY_SECRET_ID=regional)
    assert meshcontract.load(contract.path)["SIGNING_KEY_SECRET_ID"] == regional


def test_a_contract_that_is_not_there_is_a_refusal_and_not_a_traceback(contract: Contract) -> None:
    contract.path.unlink()
    assert "cannot read the contract" in refusal(contract)
