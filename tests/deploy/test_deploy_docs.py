"""docs/deploy.md says what is so."""

from __future__ import annotations

import os
import re

import meshcontract

from deploy.steps.deploy.deployment_order import DIRECT_EGRESS_SINCE
from tests.deploy.harness import CONTRACT, ROOT

PAGE = (ROOT / "docs" / "deploy.md").read_text()
SNIPPETS = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))


def test_every_size_is_listed_with_its_default() -> None:
    listed = dict(
        re.findall(r"^\| `((?:FUNCTION|SUBSCRIPTION|LOOKUP)_\w+)` \| `([^`/]+)` \|", PAGE, re.MULTILINE)
    )
    sizes = {
        name: key.default
        for name, key in meshcontract.KEYS.items()
        if name.startswith(("FUNCTION_", "SUBSCRIPTION_", "LOOKUP_")) and key.default
    }
    assert listed == sizes


def test_every_key_that_a_command_uses_is_in_the_contract() -> None:
    in_contract = set(meshcontract.load(CONTRACT))
    used = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", SNIPPETS))
    assert used
    assert used <= in_contract


def test_every_script_that_the_page_names_can_be_run() -> None:
    named = set(re.findall(r"`?(deploy/[a-z-]+)\b", PAGE)) - {"deploy/steps", "deploy/alerts"}
    assert {
        "deploy/contract",
        "deploy/package",
        "deploy/deploy",
        "deploy/subscription",
        "deploy/write-alerts",
        "deploy/smoke",
    } <= named
    for script in named:
        assert os.access(ROOT / script, os.X_OK)


def test_every_key_of_the_second_entry_point_is_explained() -> None:
    for name in meshcontract.KEYS:
        if name.startswith("LOOKUP_"):
            assert f"| `{name}` |" in PAGE


def test_the_version_that_direct_egress_needs_is_the_one_that_is_checked() -> None:
    assert f"gcloud {DIRECT_EGRESS_SINCE[0]} or newer" in PAGE


def test_the_way_to_the_first_row_names_every_step_in_order() -> None:
    way = PAGE.partition("## From an empty project to the first row")[2].partition("## Reference")[0]
    steps = re.findall(r"^\*\*(\d)\. ", way, re.MULTILINE)
    assert steps == [str(number) for number in range(1, 10)]
    commands = [
        "deploy/contract --tfvars", "terraform -chdir=infra/terraform apply\n", "deploy/contract --update-from",
        "meshgen google-keys --out", "meshlab test", "kubectl apply -k", "\ndeploy/package\n",
        "deploy/deploy --dry-run", "\ndeploy/deploy\n", "function_deployed = true", "\ndeploy/verify\n",
        "\ndeploy/smoke\n", "gcloud pubsub topics publish", "SELECT *",
    ]  # fmt: skip
    found = [way.find(command) for command in commands]
    assert -1 not in found
    assert found == sorted(found)
    # The overlay that is tested is the one that is applied, and it is the one without a key.
    assert set(re.findall(r"infra/mesh/overlays/[a-z-]+", way)) == {"infra/mesh/overlays/keyless"}
    assert way.index("MESH_AUTH=google-id-token") < way.index("`signed-jwt`")


def test_no_page_and_no_script_sources_the_contract() -> None:
    # Sourcing skips the check, and a shell would run what a value says.
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("infra/**/*.md")]
    found = [
        str(page.relative_to(ROOT))
        for page in [*pages, *ROOT.glob("deploy/*"), ROOT / "Makefile", ROOT / "cloudbuild.yaml"]
        if page.is_file() and re.search(r"(^|[\s;&`])(\.|source) \S*contract\.env", page.read_text())
    ]
    assert found == []


def test_every_step_of_cloud_build_stands_on_its_page_in_order() -> None:
    import yaml

    steps = [step["id"] for step in yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())["steps"]]
    page = (ROOT / "docs" / "cloud-build.md").read_text()
    table = page.partition("| Step | Runs | After |")[2].partition("\n\n")[0]
    rows = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(name for row in rows for name in re.findall(r"`([^`]+)`", row)) == sorted(steps)


def test_a_slow_first_connection_is_a_retry_as_the_page_says() -> None:
    from enrichment.errors import Disposition
    from enrichment.errors.remote_errors import SDK_CODES
    from meshpass._call.service import DEFAULT_CONNECT_TIMEOUT_S

    assert f"gives up connecting after {DEFAULT_CONNECT_TIMEOUT_S:g} s" in PAGE
    for code in ("timeout_connect", "gateway_unreachable", "timeout"):
        assert SDK_CODES[code].disposition is Disposition.RETRY
    # A minute of slow connections must not use up the attempts of an event.
    defaults = {
        name: int(key.default or 0) for name, key in meshcontract.KEYS.items() if "SUBSCRIPTION_M" in name
    }
    attempts = 60 // defaults["SUBSCRIPTION_MIN_RETRY_DELAY_S"]
    assert attempts * 10 <= defaults["SUBSCRIPTION_MAX_DELIVERY_ATTEMPTS"]
