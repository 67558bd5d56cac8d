"""Topics, table, view, alerts and logs of the function, as Terraform makes them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from enrichment.commands import sql

from tests.infra.terraform.roots import CONTRACT, EVERYTHING, PROJECT, ROOT, google

COLUMNS = json.loads((ROOT / "function/enrichment/table.json").read_text())
LAYOUT = json.loads((ROOT / "function/enrichment/table_layout.json").read_text())
REGIONAL_SECRET = f"projects/{PROJECT}/locations/europe-west1/secrets/k/versions/1"
ALERTS = sorted((ROOT / "deploy/alerts").glob("*.json"))


def one(kind: str, name: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """The resource `KIND.NAME` of the platform."""
    found = google(**changes).resources
    (address,) = (address for address in found if re.fullmatch(rf".*\.{kind}\.{name}(\[0\])?", address))
    return found[address]


def test_the_table_is_that_of_table_json() -> None:
    table = one("google_bigquery_table", "this")
    assert json.loads(table["schema"]) == COLUMNS
    assert table["time_partitioning"] == [LAYOUT["timePartitioning"]]
    assert table["clustering"] == LAYOUT["clustering"]["fields"]
    assert table["description"] == LAYOUT["description"]
    assert f"{table['project']}.{table['dataset_id']}.{table['table_id']}" == CONTRACT["BIGQUERY_TABLE"]


def test_the_view_is_what_the_command_prints() -> None:
    view = one("google_bigquery_table", "deduplicated")
    name = CONTRACT["BIGQUERY_TABLE"]
    printed = sql.render("deduplicated_view", {"table": name, "view": f"{name}_deduplicated"})
    head, query = printed.split("\nAS\n")
    assert view["view"] == [{"query": query, "use_legacy_sql": False}]
    assert f"{PROJECT}.{view['dataset_id']}.{view['table_id']}" in head
    assert f"'{view['description']}'" in head


def test_the_table_of_dead_letters_is_that_of_the_report() -> None:
    table = one("google_bigquery_table", "dead_letters", dead_letters_in_bigquery=True)
    assert json.loads(table["schema"]) == json.loads(
        (ROOT / "function/sql/dead_letters_table.json").read_text()
    )
    subscription = one(
        "google_pubsub_subscription", "dead_letters_to_bigquery", dead_letters_in_bigquery=True
    )
    assert subscription["bigquery_config"] == [
        {"table": f"{CONTRACT['BIGQUERY_TABLE']}_dead_letters", "write_metadata": True}
    ]


def test_each_last_stop_has_a_reader_that_never_expires_and_keeps_messages_for_31_days() -> None:
    for name, key in (("dead_letter", "DEAD_LETTER_TOPIC"), ("undelivered", "UNDELIVERED_TOPIC")):
        assert f"projects/{PROJECT}/topics/{one('google_pubsub_topic', name)['name']}" == CONTRACT[key]
        reader = one("google_pubsub_subscription", name)
        assert reader["topic"].address.endswith(f"google_pubsub_topic.{name}.id")
        assert reader["expiration_policy"] == [{"ttl": ""}]
        assert reader["message_retention_duration"] == f"{31 * 24 * 60 * 60}s"
    # Its reader is the function's own subscription, which the first deployment makes.
    assert one("google_pubsub_topic", "trigger")["message_retention_duration"] == f"{31 * 24 * 60 * 60}s"


def test_messages_stay_in_the_region() -> None:
    for topic in google().all("google_pubsub_topic").values():
        assert topic["message_storage_policy"][0]["allowed_persistence_regions"] == [CONTRACT["REGION"]]


def test_terraform_makes_neither_the_function_nor_its_subscription_nor_a_secrets_payload() -> None:
    made = google(**EVERYTHING)
    for kind in ("cloudfunctions2_function", "cloud_run_v2_service", "eventarc_trigger"):
        assert not made.all(f"google_{kind}")
    subscriptions = {found["name"] for found in made.all("google_pubsub_subscription").values()}
    assert CONTRACT["FUNCTION_NAME"] not in subscriptions
    payloads = [
        address
        for address in made.all("google_secret_manager_secret_version")
        if ".function_platform." in f".{address}"
    ]
    assert payloads == []


def snake(value: Any) -> Any:  # noqa: ANN401
    """A value of Cloud Monitoring's API under the names of the provider, with each object as a block."""
    if isinstance(value, dict):
        return {
            re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower(): [snake(item)]
            if isinstance(item, dict) and key not in ("userLabels", "labelExtractors")
            else item
            if isinstance(item, dict)
            else snake(item)
            for key, item in value.items()
        }
    return [snake(item) for item in value] if isinstance(value, list) else value


def without_empty(value: Any) -> Any:  # noqa: ANN401
    """The same without blocks that are not there."""
    if isinstance(value, dict):
        return {key: without_empty(item) for key, item in value.items() if item != []}
    return [without_empty(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("file", ALERTS, ids=lambda file: file.stem)
def test_an_alert_policy_says_all_that_its_file_says(file: Any) -> None:  # noqa: ANN401
    made = google().resources[f'module.function_platform.google_monitoring_alert_policy.this["{file.stem}"]']
    names = {"FUNCTION_NAME", "SUBSCRIPTION_NAME", "LOOKUP_FUNCTION_NAME"} & CONTRACT.keys()
    values = {name: CONTRACT[name] for name in names} | {
        name: CONTRACT[name].rpartition("/")[2]
        for name in ("TRIGGER_TOPIC", "DEAD_LETTER_TOPIC", "UNDELIVERED_TOPIC")
    }
    values.setdefault("SUBSCRIPTION_NAME", CONTRACT["FUNCTION_NAME"])
    text = re.sub(r"\$\{(\w+)\}", lambda gap: values[gap[1]], file.read_text())
    assert without_empty(made) == {"project": PROJECT} | snake(json.loads(text))


def test_alerts_and_budget_reach_a_person() -> None:
    made = google(**EVERYTHING)
    (channel,) = made.all("google_monitoring_notification_channel").values()
    assert channel["labels"] == {"email_address": "oncall@example.com"}
    assert all(
        len(policy["notification_channels"]) == 1
        for policy in made.all("google_monitoring_alert_policy").values()
    )
    (budget,) = made.all("google_billing_budget").values()
    assert len(budget["all_updates_rule"][0]["monitoring_notification_channels"]) == 1


def test_a_budget_without_a_channel_has_no_empty_rule_for_updates() -> None:
    (budget,) = google(billing_account="012345-6789AB-CDEF01").all("google_billing_budget").values()
    assert not budget.get("all_updates_rule")


def zeros(value: Any, where: str = "") -> list[str]:  # noqa: ANN401
    """Where a value is the default of its type, which Google's API leaves out of what it answers."""
    if isinstance(value, dict):
        return [found for key, one in value.items() for found in zeros(one, f"{where}.{key}")]
    if isinstance(value, list) and value:
        return [found for number, one in enumerate(value) for found in zeros(one, f"{where}[{number}]")]
    return [where] if value in (0, False, "", None) or value == [] else []


def test_no_plan_changes_the_dashboard_back() -> None:
    # The provider compares what is written with what the API answers, where such a value is missing.
    assert zeros({"a": [{"xPos": 0, "width": 1}]}) == [".a[0].xPos"]
    assert zeros(json.loads(one("google_monitoring_dashboard", "this")["dashboard_json"])) == []


def test_the_dashboard_names_what_is_there() -> None:
    text = one("google_monitoring_dashboard", "this")["dashboard_json"]
    assert "${" not in text
    tiles = json.loads(text)["mosaicLayout"]["tiles"]
    assert len(tiles) == 8
    for key in ("TRIGGER_TOPIC", "DEAD_LETTER_TOPIC", "UNDELIVERED_TOPIC", "FUNCTION_NAME"):
        assert CONTRACT[key].rpartition("/")[2] in text
    # No tile lies over another.
    fields = [
        (tile.get("xPos", 0) + x, tile.get("yPos", 0) + y)
        for tile in tiles
        for x in range(24)
        for y in range(16)
    ]
    assert len(set(fields)) == len(fields)


def test_logs_with_keys_are_kept_apart_and_out_of_the_default_bucket() -> None:
    sink, exclusion = (
        one("google_logging_project_sink", "request_logs"),
        one("google_logging_project_exclusion", "request_logs"),
    )
    assert sink["filter"] == exclusion["filter"]
    for part in (
        'log_id("run.googleapis.com/requests")',
        f"{CONTRACT['FUNCTION_NAME']}-lookup",
        '"istio-proxy"',
    ):
        assert part in sink["filter"]
    # The function's own lines, CRITICAL ones among them, stay where alerts see them.
    assert f'service_name="{CONTRACT["FUNCTION_NAME"]}"' not in sink["filter"]
    kept = one("google_bigquery_dataset", "request_logs")
    assert kept["default_partition_expiration_ms"] == 30 * 24 * 60 * 60 * 1000
    assert kept["access"] == [{"role": "OWNER", "special_group": "projectOwners"}]


def test_rows_and_keys_are_not_destroyed_by_a_plan() -> None:
    module = ROOT / "infra/terraform/modules/function-platform"
    text = "\n".join(file.read_text() for file in sorted(module.glob("*.tf")))
    for resource in (
        "google_bigquery_dataset.this",
        "google_bigquery_table.this",
        "google_kms_crypto_key.signing",
        "google_kms_key_ring.signing",
        "google_pubsub_subscription.dead_letter",
        "google_pubsub_subscription.undelivered",
        "google_pubsub_topic.dead_letter",
        "google_pubsub_topic.trigger",
        "google_pubsub_topic.undelivered",
        "google_secret_manager_secret.pseudonym_key",
        "google_secret_manager_secret.signing_key",
    ):
        kind, name = resource.split(".")
        block = re.search(rf'^resource "{kind}" "{name}" {{\n(.*?)^}}', text, re.MULTILINE | re.DOTALL)
        assert block, resource
        assert "prevent_destroy = true" in block[1], resource


def test_the_keys_aliases_and_public_halves_are_left_to_their_command() -> None:
    text = (ROOT / "infra/terraform/modules/function-platform/keys.tf").read_text()
    assert "ignore_changes = [annotations, version_aliases]" in text


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"undelivered_topic": f"projects/{PROJECT}/topics/{CONTRACT['TRIGGER_TOPIC']}"}, "three topics"),
        ({"function_service_account": "f@other-project.iam.gserviceaccount.com"}, "function_service_account"),
        ({"bigquery_table": "other-project.enrichment.user_events"}, "bigquery_table"),
        ({"signing_key_secret_id": REGIONAL_SECRET}, "regional secret"),
        ({"mesh_auth": "google"}, "mesh_auth"),
        ({"signing_key": "file"}, "signing_key"),
        ({"function_trigger": "pull"}, "function_trigger"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_work_is_refused(changes: dict[str, Any], word: str) -> None:
    assert any(word in refusal for refusal in google(**changes).refusals)
