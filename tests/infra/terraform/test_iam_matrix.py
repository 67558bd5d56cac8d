"""Who has which role on what: the table in docs/infrastructure.md is what the root makes, and nothing else."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from tests.infra.terraform.evaluate import Reference, kind_of
from tests.infra.terraform.grants import Grant, grants, table
from tests.infra.terraform.roots import CONTRACT, EVERYTHING, PROJECT, ROOT, google

PAGE = ROOT / "docs/infrastructure.md"
_BEGIN, _END = "<!-- iam matrix -->\n", "<!-- end of the iam matrix -->"

_PIPELINE = {"pipeline_service_account": EVERYTHING["pipeline_service_account"]}
_CONNECTOR = {
    "function_egress": "connector",
    "connector_range": "10.8.1.0/28",
    "function_egress_range": "10.8.1.0/28",
}
_LOOKUP = {name: EVERYTHING[name] for name in ("lookup_host", "proxy_range", "lookup_certificates")}
_WORKER = {"pull_worker_service_account": EVERYTHING["pull_worker_service_account"]}
_DATAFLOW = {"dataflow_service_account": EVERYTHING["dataflow_service_account"]}
_SHARED = {
    "vpc_network": "projects/acme-host/global/networks/shared",
    "vpc_subnet": "projects/acme-host/regions/europe-west1/subnetworks/functions",
}
POOL = f"projects/{PROJECT}/locations/europe-west1/caPools/internal"
_OWN = (
    "publishers",
    "table_readers",
    "request_log_readers",
    "pseudonym_key_secret_id",
)
SETTINGS: dict[str, dict[str, Any]] = {
    "`function_deployed`": {"function_deployed": True},
    "`pipeline_service_account`": _PIPELINE,
    "`FUNCTION_TRIGGER=eventarc`": {"function_trigger": "eventarc"},
    "`pipeline_service_account` and `FUNCTION_TRIGGER=eventarc`": _PIPELINE
    | {"function_trigger": "eventarc"},
    "`pipeline_service_account` and `FUNCTION_EGRESS=connector`": _PIPELINE | _CONNECTOR,
    '`signing_key = "kms"`': {"signing_key": "kms"},
    "`dead_letters_in_bigquery`": {"dead_letters_in_bigquery": True},
    "`VPC_SUBNET` of a Shared VPC": _SHARED,
    "`PULL_WORKER_SERVICE_ACCOUNT`": _WORKER,
    "`pull_worker_deployers`": _WORKER | {"pull_worker_deployers": EVERYTHING["pull_worker_deployers"]},
    "`DATAFLOW_SERVICE_ACCOUNT`": _DATAFLOW,
    "`dataflow_launchers`": _DATAFLOW | {"dataflow_launchers": EVERYTHING["dataflow_launchers"]},
    "`dataflow_redrives`": _DATAFLOW | {"dataflow_redrives": True},
    "`dataflow_source_tables`": _DATAFLOW | {"dataflow_source_tables": EVERYTHING["dataflow_source_tables"]},
    "`dataflow_source_buckets`": _DATAFLOW
    | {"dataflow_source_buckets": EVERYTHING["dataflow_source_buckets"]},
    "`DATAFLOW_SERVICE_ACCOUNT` and `VPC_SUBNET` of a Shared VPC": _DATAFLOW | _SHARED,
    "`lookup_host` and `lookup_ca_pool`": _LOOKUP | {"lookup_certificates": [], "lookup_ca_pool": POOL},
    "`lookup_host`, `lookup_deployed` and `lookup_callers`": _LOOKUP
    | {"lookup_deployed": True, "lookup_callers": EVERYTHING["lookup_callers"]},
} | {
    f"`{name}`".replace("`pseudonym_key_secret_id`", "`PSEUDONYM_KEY_SECRET_ID`"): {name: EVERYTHING[name]}
    for name in _OWN
}
"""Settings that add grants, in the order in which a grant is ascribed to them."""


@pytest.fixture(scope="module")
def matrix() -> dict[Grant, str]:
    """Every grant that some setting makes, with what it is made for."""
    base = grants(google())
    keyless = grants(google(mesh_auth="google-id-token"))
    rows = {grant: "always" if grant in keyless else "`MESH_AUTH=signed-jwt`" for grant in base}
    for words, changes in SETTINGS.items():
        keyless = grants(google(**changes, mesh_auth="google-id-token"))
        for grant in grants(google(**changes)) - rows.keys():
            needs_key = grant not in keyless and "signing_key" not in changes
            rows[grant] = f"{words} and `MESH_AUTH=signed-jwt`" if needs_key else words
    with_key = {name: EVERYTHING[name] for name in EVERYTHING if name.endswith("_service_account")}
    for grant in grants(google(**with_key, pseudonym_key_secret_id=EVERYTHING["pseudonym_key_secret_id"])):
        rows.setdefault(grant, "its account and `PSEUDONYM_KEY_SECRET_ID`")
    return rows


def test_the_page_has_the_matrix(matrix: dict[Grant, str]) -> None:
    text = PAGE.read_text()
    begin, _, rest = text.partition(_BEGIN)
    assert rest, f"{PAGE.name} lacks the line {_BEGIN!r}"
    shown, _, after = rest.partition(_END)
    made = table(matrix)
    assert shown == made, f"write this between the marks in {PAGE.name}:\n{made}"
    assert begin
    assert after


def test_the_page_of_the_pipeline_has_the_roles_that_terraform_grants_it(matrix: dict[Grant, str]) -> None:
    text = (ROOT / "docs/cloud-build.md").read_text().partition("<!-- pipeline account -->")[2]
    shown = re.findall(r"^\| `(roles/[\w.]+)` ", text.partition("<!-- end of the table -->")[0], re.MULTILINE)
    assert sorted(shown) == sorted({grant.role for grant in matrix if grant.member == "`pipeline`"})


def test_no_combination_makes_a_grant_that_is_not_in_the_matrix(matrix: dict[Grant, str]) -> None:
    assert grants(google(**EVERYTHING)) <= matrix.keys()
    assert (
        grants(google(**EVERYTHING, **_CONNECTOR, signing_key="kms", function_trigger="eventarc"))
        <= matrix.keys()
    )


def test_no_role_is_a_basic_one_and_none_may_change_who_may_do_what(matrix: dict[Grant, str]) -> None:
    roles = {grant.role for grant in matrix}
    assert not roles & {"roles/owner", "roles/editor", "roles/viewer"}
    may_grant = {
        role
        for role in roles
        if re.search(r"[aA]dmin$|tokenCreator|workloadIdentityUser|securityAdmin", role)
    }
    # An account that may set a policy may give itself every right. Nothing that runs or deploys may.
    assert not may_grant


def test_only_what_is_known_only_on_the_project_is_granted_there(matrix: dict[Grant, str]) -> None:
    project_wide = {(grant.member, grant.role) for grant in matrix if grant.on == "the project"}
    assert project_wide == {
        ("`build`", "roles/cloudbuild.builds.builder"),
        ("`trigger`", "roles/eventarc.eventReceiver"),
        ("`pipeline`", "roles/cloudfunctions.developer"),
        ("`pipeline`", "roles/run.viewer"),
        ("`pipeline`", "roles/pubsub.editor"),
        ("`pipeline`", "roles/eventarc.viewer"),
        ("`pipeline`", "roles/bigquery.jobUser"),
        ("`pipeline`", "roles/logging.logWriter"),
        ("`pipeline`", "roles/storage.objectViewer"),
        ("`pipeline`", "roles/bigquery.metadataViewer"),
        ("`pipeline`", "roles/browser"),
        ("`pipeline`", "roles/compute.networkViewer"),
        ("`pipeline`", "roles/iam.securityReviewer"),
        ("`pipeline`", "roles/iam.serviceAccountViewer"),
        ("`pipeline`", "roles/monitoring.viewer"),
        ("`pipeline`", "roles/secretmanager.viewer"),
        ("`pipeline`", "roles/vpcaccess.viewer"),
        ("Certificate Manager's service agent", "roles/privateca.certificateRequester"),
        ("`dataflow`", "roles/dataflow.worker"),
        ("`dataflow`", "roles/bigquery.jobUser"),
        ("`group:data@example.com`", "roles/dataflow.developer"),
        ("`group:data@example.com`", "roles/compute.networkViewer"),
        ("`nodes applications`", "roles/container.defaultNodeServiceAccount"),
        ("`nodes gateways`", "roles/container.defaultNodeServiceAccount"),
    }


def test_an_account_reaches_what_it_is_for_and_nothing_else(matrix: dict[Grant, str]) -> None:
    def reached(member: str) -> set[str]:
        return {grant.on for grant in matrix if grant.member == f"`{member}`"}

    events = CONTRACT["TRIGGER_TOPIC"]
    assert reached("function") == {
        "table `user_events`",
        f"topic `{events}-dead-letter`",
        "secret `gateway-ca`",
        "secret `meshpass-signing-key`",
        "secret `pseudonym-key`",
        "key `signing`",
    }
    # Callers of lookup get no further than the profile: no table, no topic, no pseudonyms.
    assert reached("lookup") == {"secret `gateway-ca`", "secret `meshpass-signing-key`", "key `signing`"}
    assert reached("trigger") == {f"Cloud Run service `{CONTRACT['FUNCTION_NAME']}`", "the project"}
    assert reached("callers") == set()


def test_with_a_token_of_google_no_account_reaches_a_key() -> None:
    keyless = google(**EVERYTHING, mesh_auth="google-id-token")
    assert not keyless.all("google_kms_crypto_key")
    assert not {grant for grant in grants(keyless) if "signing" in grant.on}


def test_no_grant_is_for_everyone_and_no_account_has_a_key_file() -> None:
    kinds = set()
    for plan in (google(), google(**EVERYTHING)):
        for address, arguments in plan.resources.items():
            kinds.add(kind_of(address))
            assert not {"allUsers", "allAuthenticatedUsers"} & set(_strings(arguments)), address
    assert "google_service_account_key" not in kinds
    # A binding or a policy takes away what others have granted.
    assert not [kind for kind in kinds if re.search(r"_iam_(binding|policy)$", kind)]


@pytest.mark.parametrize("member", ["allUsers", "allAuthenticatedUsers"])
@pytest.mark.parametrize("name", ["publishers", "table_readers", "request_log_readers", "lookup_callers"])
def test_everyone_is_refused(name: str, member: str) -> None:
    plan = google(**EVERYTHING | {name: [member]})
    assert any(name in refusal or "invokers" in refusal for refusal in plan.refusals), plan.refusals


def test_a_member_that_deploy_grants_is_refused_as_one_of_terraforms() -> None:
    (member,) = CONTRACT["LOOKUP_INVOKERS"].split(",")
    plan = google(**EVERYTHING | {"lookup_callers": [member]})
    assert any("LOOKUP_INVOKERS" in refusal for refusal in plan.refusals), plan.refusals


def _strings(value: Any) -> list[str]:  # noqa: ANN401
    if isinstance(value, dict):
        return list(itertools.chain.from_iterable(map(_strings, value.values())))
    if isinstance(value, list):
        return list(itertools.chain.from_iterable(map(_strings, value)))
    return [value.address if isinstance(value, Reference) else str(value)]


def test_the_accounts_are_those_of_the_contract() -> None:
    made = {
        f"{one['account_id']}@{PROJECT}.iam.gserviceaccount.com"
        for one in google().all("google_service_account").values()
    }
    named = {value for key, value in CONTRACT.items() if key.endswith("_SERVICE_ACCOUNT")}
    assert named <= made


def test_the_page_of_the_deployment_names_the_same_roles(matrix: dict[Grant, str]) -> None:
    rows = re.findall(
        r"^\| ([^|]*)\| ((?:`roles/[\w.]+`(?:, )?)+) \|", (ROOT / "docs/deploy.md").read_text(), re.MULTILINE
    )
    written: dict[str, set[str]] = {}
    who = ""
    for name, roles in rows:
        who = name.strip("` ") or who
        written.setdefault(who, set()).update(re.findall(r"roles/[\w.]+", roles))

    def made(member: str) -> set[str]:
        # What is on only for programs of others, or for reports, is no part of a deployment.
        optional = {'`signing_key = "kms"`', "`dead_letters_in_bigquery`"}
        return {
            grant.role for grant, when in matrix.items() if grant.member == member and when not in optional
        }

    for account in ("function", "lookup", "trigger", "build"):
        assert written[f"{account.upper()}_SERVICE_ACCOUNT"] == made(f"`{account}`")
    for agent in ("Cloud Run's service agent", "Pub/Sub's service agent"):
        assert written[agent] == made(agent)
    # It grants LOOKUP_INVOKERS by an account of its own; the pipeline cannot.
    assert written["the one who deploys"] - {"roles/run.admin"} <= made("`pipeline`")
