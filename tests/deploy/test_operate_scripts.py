"""deploy/grant, deploy/rollback and deploy/destroy: what they refuse, in which order they change, what they look at."""

from __future__ import annotations

import copy
import datetime as dt
import functools
import io
import json
import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from meshcontract.cloud_types import MEMBERS

from deploy.steps import RefusalError
from deploy.steps.cloud import actions, recordings
from deploy.steps.cloud.answers import Answer, Outcome
from deploy.steps.deploy.entry_points import ENRICH, LOOKUP
from deploy.steps.destroy import backlog
from deploy.steps.destroy import cli as destroy
from deploy.steps.grant import cli as grant_cli
from deploy.steps.grant import conditions, invoker, members, workload_identity
from deploy.steps.rollback import cli as rollback
from deploy.steps.rollback import fit
from tests.deploy import verified

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from deploy.steps.cloud.answers import Question

ORDERS = "serviceAccount:orders@acme-mesh.iam.gserviceaccount.com"
BATCH = "serviceAccount:batch@other-project.iam.gserviceaccount.com"
TRIGGER = "serviceAccount:meshpass-trigger@acme-mesh.iam.gserviceaccount.com"
OLD = "meshpass-enrichment-00006-wab"
NOW = dt.datetime(2026, 11, 2, tzinfo=dt.UTC)


@dataclass
class World:
    """The recorded base that answers questions, and follows the commands that change it."""

    answers: dict[str, Any]
    values: dict[str, str]
    commands: list[list[str]] = field(default_factory=list)
    fails: str = ""
    interrupts: str = ""
    gone: set[str] = field(default_factory=set)
    deaf: bool = False

    def __call__(self, question: Question) -> Answer:
        """Answers as the API would now."""
        if question.about in self.gone:
            return Answer(Outcome.ABSENT, error="NOT_FOUND")
        if question.name in self.answers:
            return Answer(Outcome.OK, copy.deepcopy(self.answers[question.name]))
        if question.name.startswith("secret-version-"):
            return Answer(Outcome.OK, {"state": "ENABLED"})
        if question.name.startswith(("reader-", "alert-")):
            return Answer(Outcome.OK, {})
        return Answer(Outcome.FAILED, error=f"no answer to {question.name}")

    def execute(self, command: Sequence[str]) -> int:
        """Changes what a command changes."""
        self.commands.append(list(command))
        if self.fails and self.fails in " ".join(command):
            return 1
        if self.interrupts and self.interrupts in " ".join(command):
            raise KeyboardInterrupt
        if not self.deaf:
            self._change(list(command))
        return 0

    def _change(self, command: list[str]) -> None:
        words = " ".join(command)
        flags = dict(word.partition("=")[::2] for word in command if word.startswith("--"))
        if "iam-policy-binding" in words:
            policy = self.answers[
                "account-policy" if "service-accounts" in words else "service-policy-lookup"
            ]
            bindings = policy.setdefault("bindings", [])
            if "add-" in words:
                bindings.append({"role": flags["--role"], "members": [flags["--member"]]})
            else:
                for binding in bindings:
                    if binding["role"] == flags["--role"]:
                        binding["members"] = [one for one in binding["members"] if one != flags["--member"]]
        elif "update-traffic" in words and "--to-revisions" in flags:
            name, _, percent = flags["--to-revisions"].partition("=")
            self.answers["service-enrich"]["status"]["traffic"] = [
                {"revisionName": name, "percent": int(percent)}
            ]
        elif {"delete", "rm"} & set(command):
            short = {word.rpartition("/")[2] for word in command if not word.startswith("-")}
            self.gone |= {about for about in ABOUTS if about.rpartition(" ")[2] in short}
            self.gone |= {f"the subscription {name}" for name in short}
            title = next((p["displayName"] for p in self.answers["alerts"] if p["name"] in command), "")
            self.gone.add(f"the alert policy {title!r}")

    def changes(self) -> list[str]:
        """The commands as text, without the flags that are always the same."""
        same = re.compile(r" --(project|region)=\S+")
        return [same.sub("", " ".join(command)) for command in self.commands]


ABOUTS = [question.about for question, _ in verified.base_questions().values()]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    recording = recordings.read(verified.BASE)
    answers = {name: copy.deepcopy(entry["data"]) for name, entry in recording.answers.items()}
    answers["account-policy"] = {"bindings": []}
    answers["peek"] = []
    made = World(answers, dict(verified.base_values()))
    monkeypatch.setattr(actions, "execute", made.execute)
    return made


class TestGrant:
    @pytest.mark.parametrize(
        "member",
        [
            "allUsers",
            "allAuthenticatedUsers",
            "allusers",
            "ALLUSERS",
            "user:allUsers",
            "principalSet://x\x1b/*",
            "domain:acme.example",
            "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/*",
            "projectEditor:acme-mesh",
            "deleted:serviceAccount:a@p.iam.gserviceaccount.com?uid=1",
            "orders@acme-mesh.iam.gserviceaccount.com",
            "serviceAccount:a@b.example --all",
            "serviceAccount:a@b.example\n--all",
            "",
        ],
    )
    def test_everyone_a_whole_domain_and_what_is_no_member_are_refused(self, member: str) -> None:
        with pytest.raises(RefusalError):
            members.checked(member)

    def test_a_whole_domain_or_pool_has_to_be_meant_and_everyone_never_is(self) -> None:
        for wide in (
            "domain:acme.example",
            "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/*",
        ):
            assert members.checked(wide, wide=True) == wide
        for never in (
            "allUsers",
            "allAuthenticatedUsers",
            "projectOwner:acme-mesh",
            "principalSet://$(id)/*",
        ):
            with pytest.raises(RefusalError):
                members.checked(never, wide=True)

    @pytest.mark.parametrize(
        "member",
        [
            ORDERS,
            "group:team@acme.example",
            "user:ada@acme.example",
            "serviceAccount:acme-apps.svc.id.goog[shop/orders]",
            "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/ns/shop/sa/orders",
        ],
    )
    def test_a_caller_of_another_project_is_a_member(self, member: str) -> None:
        assert members.checked(member) == member

    def test_the_grant_is_on_the_cloud_run_service_and_is_read_back(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        invoker.bind(world.values, LOOKUP, world, member=BATCH)
        assert world.changes() == [
            (
                "gcloud run services add-iam-policy-binding meshpass-enrichment-lookup "
                f"--member={BATCH} --role=roles/run.invoker --condition=None"
            )
        ]
        assert f"LOOKUP_INVOKERS={ORDERS},{BATCH}\n" in capsys.readouterr().err
        world.commands.clear()
        invoker.bind(world.values, LOOKUP, world, member=BATCH)
        assert not world.commands

    def test_a_grant_that_does_not_show_afterwards_is_an_error(self, world: World) -> None:
        world.deaf = True
        with pytest.raises(RefusalError, match="does not show"):
            invoker.bind(world.values, LOOKUP, world, member=BATCH)
        with pytest.raises(RefusalError, match="still shows"):
            invoker.unbind(world.values, LOOKUP, world, member=ORDERS)

    def test_a_failed_command_and_a_policy_that_cannot_be_read_are_errors(self, world: World) -> None:
        world.fails = "add-iam-policy-binding"
        with pytest.raises(RefusalError, match=r"failed with exit code 1.*Nothing was changed"):
            invoker.bind(world.values, LOOKUP, world, member=BATCH)
        world.commands.clear()
        del world.answers["service-policy-lookup"]
        with pytest.raises(RefusalError, match="cannot be read"):
            invoker.bind(world.values, LOOKUP, world, member=BATCH)
        assert not world.commands

    def test_a_dry_run_changes_nothing(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        invoker.bind(world.values, LOOKUP, world, member=BATCH, dry_run=True)
        invoker.unbind(world.values, LOOKUP, world, member=ORDERS, dry_run=True)
        assert not world.commands
        out = capsys.readouterr().out
        assert "add-iam-policy-binding" in out
        assert "remove-iam-policy-binding" in out

    def test_the_function_of_the_events_takes_the_trigger_alone(self, world: World) -> None:
        with pytest.raises(RefusalError, match="TRIGGER_SERVICE_ACCOUNT"):
            invoker.bind(world.values, ENRICH, world, member=BATCH)
        invoker.bind(world.values, ENRICH, world, member=TRIGGER)
        assert not world.commands

    def test_everyone_can_be_taken_out(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        world.answers["service-policy-lookup"]["bindings"][0]["members"].append("allUsers")
        invoker.bind(world.values, LOOKUP, world, member=ORDERS)
        assert "allUsers may call" in capsys.readouterr().err
        invoker.unbind(world.values, LOOKUP, world, member="allUsers")
        assert "allUsers" not in json.dumps(world.answers["service-policy-lookup"])

    def test_a_grant_that_ends_limits_no_grant_that_does_not(self, world: World) -> None:
        with pytest.raises(RefusalError, match=r"without a condition.*Take it out first"):
            invoker.bind(world.values, LOOKUP, world, member=ORDERS, title="until 2027", expression="x")
        assert not world.commands

    def test_another_condition_of_the_same_title_is_another_grant(self, world: World) -> None:
        condition = {"title": "hours", "expression": "a"}
        world.answers["service-policy-lookup"]["bindings"] = [
            {"role": "roles/run.invoker", "members": [BATCH], "condition": condition}
        ]
        invoker.bind(world.values, LOOKUP, world, member=BATCH, title="hours", expression="a")
        assert not world.commands
        invoker.bind(world.values, LOOKUP, world, member=BATCH, title="hours", expression="b")
        assert world.commands[0][-1] == "--condition=^~^expression=b~title=hours"

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--expires="],
            ["--condition=", "--condition-title=t"],
            ["--condition=x", "--condition-title= "],
            ["--condition=x"],
            ["--condition-title=t"],
        ],
    )
    def test_an_empty_limit_makes_no_grant_without_one(self, arguments: list[str]) -> None:
        common = [f"--contract={verified.BASE / 'contract.env'}", f"--member={BATCH}"]
        with pytest.raises(RefusalError, match=r"empty|need each other"):
            grant_cli.main(["bind", *common, *arguments])

    def test_the_line_for_the_contract_is_one_that_the_contract_takes(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for member in (
            BATCH,
            "serviceAccount:acme-apps.svc.id.goog[shop/orders]",
            "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s",
            "domain:acme.example",
            "principal://iam.googleapis.com/locations/global/workforcePools/p/subject/ada@acme.example",
        ):
            invoker.bind(world.values, LOOKUP, world, member=members.checked(member, wide=True), dry_run=True)
            err = capsys.readouterr().err
            lines = re.findall(r"LOOKUP_INVOKERS=(\S+)", err)
            assert all(MEMBERS.takes(line) for line in lines)
            assert bool(lines) != ("takes no such member" in err)

    def test_what_was_done_is_said_when_it_cannot_be_looked_at(self, world: World) -> None:
        reads = []

        def once(question: Question) -> Answer:
            reads.append(question.name)
            if len(reads) > 1:
                return Answer(Outcome.DENIED, error="denied")
            return world(question)

        with pytest.raises(RefusalError, match=r"done: the grant\. But it cannot be looked at"):
            invoker.bind(world.values, LOOKUP, once, member=BATCH)

    def test_a_grant_with_a_condition_is_removed_whole(self, world: World) -> None:
        world.answers["service-policy-lookup"]["bindings"][0]["condition"] = {
            "title": "until 2027",
            "expression": "x",
        }
        invoker.unbind(world.values, LOOKUP, world, member=ORDERS)
        # Always: gcloud asks which grant is meant as soon as any grant of the policy has a condition.
        assert world.commands[0][-1] == "--all"
        invoker.unbind(world.values, LOOKUP, world, member=ORDERS)
        assert len(world.commands) == 1

    def test_a_grant_on_the_whole_project_is_named(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        world.answers["project-policy"]["bindings"].append({"role": "roles/run.invoker", "members": [ORDERS]})
        invoker.unbind(world.values, LOOKUP, world, member=ORDERS)
        err = capsys.readouterr().err
        assert "on the whole project" in err
        assert "LOOKUP_INVOKERS=\n" in err

    def test_the_list_says_who_is_from_another_project_and_in_the_contract(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        world.answers["service-policy-lookup"]["bindings"][0]["members"] = [BATCH]
        invoker.show(world.values, LOOKUP, world, as_json=True)
        rows = {row["member"]: row for row in json.loads(capsys.readouterr().out)["invokers"]}
        assert rows[BATCH]["project"] == "other-project"
        assert not rows[BATCH]["in_contract"]
        assert rows[ORDERS] == {**rows[ORDERS], "on": "", "in_contract": True}
        invoker.show(world.values, LOOKUP, world, as_json=False)
        out = capsys.readouterr().out
        assert f"{BATCH}: on the service, NOT in the contract, of the project other-project" in out
        assert f"{ORDERS}: no grant, in the contract" in out

    def test_an_end_is_a_time_with_a_zone_in_the_future(self) -> None:
        assert conditions.until("2027-01-01T01:00:00+01:00", NOW) == (
            'request.time < timestamp("2027-01-01T00:00:00Z")',
            "until 2027-01-01T00:00:00Z",
        )
        for wrong in ("2027-01-01T00:00:00", "tomorrow", "2020-01-01T00:00:00Z"):
            with pytest.raises(RefusalError):
                conditions.until(wrong, NOW)

    def test_a_condition_is_one_value_whatever_is_in_it(self) -> None:
        assert conditions.flag("", "") == "--condition=None"
        assert conditions.flag("a < b, c", "t") == "--condition=^~^expression=a < b, c~title=t"
        assert conditions.flag("a ~ b", "t").startswith("--condition=^|^")
        for wrong in ("~|#;%", "a\nb"):
            with pytest.raises(RefusalError):
                conditions.flag(wrong, "t")

    def test_a_kubernetes_account_acts_as_a_service_account_without_a_key(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        link = workload_identity.Link(
            "orders@acme-apps.iam.gserviceaccount.com", "shop", "orders", "acme-apps"
        )
        workload_identity.apply(world.values, link, world, remove=False, dry_run=False)
        (command,) = world.commands
        assert command[:4] == ["gcloud", "iam", "service-accounts", "add-iam-policy-binding"]
        assert "--member=serviceAccount:acme-apps.svc.id.goog[shop/orders]" in command
        assert "--role=roles/iam.workloadIdentityUser" in command
        assert "keys" not in command
        out = capsys.readouterr().out
        assert (
            "kubectl annotate serviceaccount orders --namespace=shop "
            "iam.gke.io/gcp-service-account=orders@acme-apps.iam.gserviceaccount.com --overwrite" in out
        )
        assert "deploy/grant bind --member=serviceAccount:orders@acme-apps.iam.gserviceaccount.com" in out
        workload_identity.apply(world.values, link, world, remove=False, dry_run=False)
        assert len(world.commands) == 1
        workload_identity.apply(world.values, link, world, remove=True, dry_run=False)
        assert len(world.commands) == 2
        assert "iam.gke.io/gcp-service-account-" in capsys.readouterr().out

    def test_no_pod_acts_as_an_account_of_the_deployment(self, world: World) -> None:
        link = workload_identity.Link(world.values["FUNCTION_SERVICE_ACCOUNT"], "shop", "orders", "acme-apps")
        with pytest.raises(RefusalError, match="FUNCTION_SERVICE_ACCOUNT"):
            workload_identity.apply(world.values, link, world, remove=False, dry_run=False)
        assert not world.commands

    @pytest.mark.parametrize(
        "arguments",
        [
            [
                "--gsa=orders@acme-apps.iam.gserviceaccount.com",
                "--namespace=*",
                "--ksa=o",
                "--project=acme-apps",
            ],
            [
                "--gsa=orders@acme-apps.iam.gserviceaccount.com",
                "--namespace=n",
                "--ksa=a]x",
                "--project=acme-apps",
            ],
            ["--gsa=orders@acme-apps.iam.gserviceaccount.com", "--namespace=n", "--ksa=o", "--project=p;x"],
            ["--gsa=ada@acme.example", "--namespace=n", "--ksa=o", "--project=acme-apps"],
            [
                "--gsa=1-compute@developer.gserviceaccount.com",
                "--namespace=n",
                "--ksa=o",
                "--project=acme-apps",
            ],
        ],
    )
    def test_parts_of_a_link_that_are_no_names_are_refused(self, arguments: list[str]) -> None:
        with pytest.raises(RefusalError):
            grant_cli.main(["workload-identity", f"--contract={verified.BASE / 'contract.env'}", *arguments])

    def test_the_placeholder_project_is_refused(self) -> None:
        with pytest.raises(RefusalError, match="example-project"):
            grant_cli.main(["list"])


class TestRollBack:
    def test_the_traffic_goes_to_the_revision_before(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rollback.roll_back(world.values, ENRICH, world)
        assert world.changes() == [
            f"gcloud run services update-traffic meshpass-enrichment --to-revisions={OLD}=100"
        ]
        shown = capsys.readouterr()
        assert f"all traffic goes to {OLD}" in shown.out
        assert "until the next deployment" in shown.err

    def test_a_named_revision_has_to_exist_and_be_ready(self, world: World) -> None:
        for wrong in ("no-such", "--to-latest"):
            with pytest.raises(RefusalError, match="there is no revision"):
                rollback.roll_back(world.values, ENRICH, world, to=wrong)
        world.answers["revisions-enrich"][1]["status"]["conditions"][0]["status"] = "False"
        with pytest.raises(RefusalError, match="not ready"):
            rollback.roll_back(world.values, ENRICH, world, to=OLD)
        with pytest.raises(RefusalError, match="no ready revision is older"):
            rollback.roll_back(world.values, ENRICH, world)
        assert not world.commands

    def test_a_revision_whose_name_is_an_option_is_not_taken(self, world: World) -> None:
        world.answers["revisions-enrich"][1]["metadata"]["name"] = "--to-latest"
        with pytest.raises(RefusalError, match="not the form"):
            rollback.roll_back(world.values, ENRICH, world)
        assert not world.commands

    def test_a_list_and_a_dry_run_change_nothing(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rollback.roll_back(world.values, ENRICH, world, list_only=True)
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == ["meshpass-enrichment-00007-xib", OLD]
        assert lines[0].endswith("ready      100 %")
        rollback.roll_back(world.values, ENRICH, world, dry_run=True)
        assert not world.commands

    def test_an_empty_name_is_not_the_revision_before(self, world: World) -> None:
        with pytest.raises(RefusalError, match="--to is empty"):
            rollback.roll_back(world.values, ENRICH, world, to="")
        assert not world.commands

    def test_what_an_api_says_changes_no_terminal(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        world.answers["revisions-enrich"][1]["metadata"] |= {
            "name": "x\x1b[2J",
            "creationTimestamp": "\x1b[2J",
        }
        rollback.roll_back(world.values, ENRICH, world, list_only=True)
        assert "\x1b" not in capsys.readouterr().out

    def test_a_roll_back_ends_with_latest_and_one_that_holds_is_not_repeated(self, world: World) -> None:
        rollback.roll_back(world.values, ENRICH, world)
        world.commands.clear()
        rollback.roll_back(world.values, ENRICH, world, to=OLD)
        assert not world.commands
        rollback.roll_back(world.values, ENRICH, world, to="latest")
        assert world.commands[0][-1] == "--to-latest"

    @pytest.mark.parametrize("state", ["DISABLED", "DESTROYED", ""])
    def test_a_key_that_was_ended_since_stops_it(self, world: World, state: str) -> None:
        world.answers["secret-version-meshpass-signing-key"] = {"state": state}
        with pytest.raises(RefusalError, match=r"meshpass-signing-key is "):
            rollback.roll_back(world.values, ENRICH, world)
        assert not world.commands
        rollback.roll_back(world.values, ENRICH, world, force=True)
        assert world.commands

    def test_what_is_gone_or_cannot_be_read_stops_it(self, world: World) -> None:
        world.gone.add("the version active of the secret meshpass-signing-key")
        with pytest.raises(RefusalError, match="does not exist any more"):
            rollback.roll_back(world.values, ENRICH, world)
        world.gone.clear()
        del world.answers["subscription"]
        with pytest.raises(RefusalError, match="subscription meshpass-enrichment cannot be read"):
            rollback.roll_back(world.values, ENRICH, world)

    def test_a_timeout_beyond_the_deadline_stops_it(self, world: World) -> None:
        world.answers["revisions-enrich"][1]["spec"] = {
            **world.answers["revisions-enrich"][1]["spec"],
            "timeoutSeconds": 300,
        }
        with pytest.raises(RefusalError, match="timeout of 300 s is longer than the deadline of 90 s"):
            rollback.roll_back(world.values, ENRICH, world)

    def test_differences_from_the_contract_are_named(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        spec = copy.deepcopy(world.answers["revisions-enrich"][1]["spec"])
        spec["serviceAccountName"] = "old@acme-mesh.iam.gserviceaccount.com"
        spec["containers"][0]["env"] = [
            {"name": "GKE_GATEWAY_HOST", "value": "old.internal"},
            {"name": "OTHER", "value": "not to be shown"},
        ]
        world.answers["revisions-enrich"][1]["spec"] = spec
        rollback.roll_back(world.values, ENRICH, world)
        err = capsys.readouterr().err
        assert "it runs as old@" in err
        assert "GKE_GATEWAY_HOST is old.internal; the contract has user-profile.internal" in err
        assert "OTHER is set; the contract does not give it" in err
        assert "not to be shown" not in err

    def test_the_secrets_of_a_revision_are_found_in_variables_and_mounts(self, world: World) -> None:
        revision = {
            "metadata": {"annotations": {"run.googleapis.com/secrets": "a1:projects/other/secrets/ca"}},
            "spec": {
                "containers": [
                    {"env": [{"name": "SIGNING_KEY_SECRET_ID", "value": "projects/p1/secrets/k/versions/2"}]}
                ],
                "volumes": [
                    {"secret": {"secretName": "a1", "items": [{"key": "latest", "path": "ca.pem"}]}},
                    {"secret": {"secretName": "own", "items": [{"key": "3", "path": "x"}]}},
                ],
            },
        }
        found = fit.Fit()
        secrets = fit.secret_versions(world.values, revision, found)
        assert [(one.project, one.name, one.version) for one in secrets] == [
            ("p1", "k", "2"),
            ("other", "ca", "latest"),
            ("acme-mesh", "own", "3"),
        ]
        assert not found.obstacles
        revision["spec"] = {
            "containers": [
                {"env": [{"name": "SIGNING_KEY_SECRET_ID", "value": "projects/p/secrets/--k/versions/1"}]}
            ]
        }
        assert not fit.secret_versions(world.values, revision, found)
        assert found.obstacles


def remove(world: World, waiting: Callable[[str, str], int | None] = lambda *_: 0, **options: Any) -> None:  # noqa: ANN401
    destroy.destroy(
        world.values,
        options.pop("entries", [ENRICH, LOOKUP]),
        world,
        waiting,
        sleep=options.pop("sleep", lambda _: None),
        **{"yes": "meshpass-enrichment", **options},
    )


class TestDestroy:
    def test_the_pushes_stop_first_and_nothing_is_left(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        slept: list[float] = []
        remove(world, sleep=slept.append)
        verbs = [re.sub(r"projects/acme-mesh/\w+/", "", change) for change in world.changes()]
        assert verbs[:4] == [
            "gcloud pubsub subscriptions modify-push-config meshpass-enrichment --push-endpoint=",
            "gcloud pubsub subscriptions delete meshpass-enrichment",
            "gcloud functions delete meshpass-enrichment --gen2 --quiet",
            "gcloud functions delete meshpass-enrichment-lookup --gen2 --quiet",
        ]
        assert all("monitoring policies delete" in verb for verb in verbs[4:])
        assert len(verbs) == 8
        assert slept == [60]
        out = capsys.readouterr().out
        assert "nothing of 7 is left" in out
        assert "the table acme-mesh:enrichment.user_events" in out.partition("this is kept:")[2]

    def test_data_goes_only_when_said_and_accounts_never(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        remove(world, data=True)
        changes = " ".join(world.changes())
        for word in (
            "topics delete",
            "bq rm",
            "secrets delete meshpass-signing-key",
            "secrets delete gateway-ca",
        ):
            assert word in changes
        assert "service-accounts" not in changes
        assert "--recursive" not in changes
        assert "the service accounts" in capsys.readouterr().out

    def test_a_topic_that_others_read_stays(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        world.answers["readers-trigger"].append("projects/other-project/subscriptions/analytics")
        remove(world, data=True)
        assert "topics/user-events " not in f"{' '.join(world.changes())} "
        assert "the topic user-events, which 1 other subscriptions read" in capsys.readouterr().out

    @pytest.mark.parametrize("count", [3, None])
    def test_events_that_wait_stop_it(self, world: World, count: int | None) -> None:
        with pytest.raises(RefusalError, match="events would be lost, and nothing was changed"):
            remove(world, lambda *_: count)
        assert not world.commands
        remove(world, lambda *_: count, drop_backlog=True)
        assert world.commands

    def test_an_event_that_comes_meanwhile_stops_it_before_anything_is_deleted(self, world: World) -> None:
        world.answers["peek"] = [{"message": {"messageId": "1"}}]
        with pytest.raises(RefusalError, match="an event came meanwhile"):
            remove(world)
        assert [command[3] for command in world.commands] == ["modify-push-config"]
        # The next run finds it paused, and looks again.
        world.answers["subscription"]["pushConfig"] = {}
        with pytest.raises(RefusalError, match="an event came meanwhile"):
            remove(world)
        world.answers["peek"] = []
        remove(world)
        assert world.commands[1][3] == "delete"

    def test_eventarcs_subscription_is_looked_at_too(self, world: World) -> None:
        state = recordings.read(verified.RECORDED / "states" / "clean.eventarc.json")
        world.answers |= {name: entry["data"] for name, entry in state.answers.items()}
        world.gone.add("the subscription meshpass-enrichment")
        asked: list[str] = []
        remove(world, lambda _, name: asked.append(name) or 0)  # type: ignore[func-returns-value]
        assert asked == ["eventarc-europe-west1-meshpass-enrichment-482911-sub-217"]
        world.gone.clear()
        del world.answers["trigger"]
        with pytest.raises(RefusalError, match="cannot be found"):
            remove(world)

    def test_it_asks_and_takes_only_the_name(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(RefusalError, match="--yes names 'yes'"):
            remove(world, yes="yes")
        monkeypatch.setattr("sys.stdin", io.StringIO("meshpass-enrichment\n"))
        with pytest.raises(RefusalError, match="no terminal"):
            remove(world, yes="")

        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        for typed in ("y\n", "", "meshpass\n"):
            monkeypatch.setattr("sys.stdin", Terminal(typed))
            with pytest.raises(RefusalError, match="not the name"):
                remove(world, yes="")
        assert not world.commands
        monkeypatch.setattr("sys.stdin", Terminal("meshpass-enrichment\n"))
        remove(world, yes="")
        assert world.commands

    def test_what_cannot_be_read_stops_it(self, world: World) -> None:
        del world.answers["function-lookup"]
        with pytest.raises(RefusalError, match="not everything can be read"):
            remove(world)
        assert not world.commands

    def test_what_is_left_is_named(self, world: World) -> None:
        world.deaf = True
        with pytest.raises(RefusalError, match="not everything is gone") as refused:
            remove(world)
        assert "the function meshpass-enrichment-lookup" in str(refused.value)

    def test_a_failure_says_what_was_done(self, world: World) -> None:
        world.fails = "functions delete"
        with pytest.raises(RefusalError, match="Done before it: the subscription pushes no more"):
            remove(world)

    def test_a_dry_run_deletes_nothing_and_asks_nothing(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        remove(world, lambda *_: 5, dry_run=True, yes="")
        assert not world.commands
        shown = capsys.readouterr()
        assert "gcloud functions delete meshpass-enrichment " in shown.out
        assert "without --dry-run this stops here" in shown.err

    @pytest.mark.parametrize(
        "step", ["modify-push-config", "subscriptions delete", "functions delete meshpass-enrichment-lookup"]
    )
    @pytest.mark.parametrize("how", ["fails", "interrupts"])
    def test_wherever_it_stops_it_says_what_was_done_and_how_the_pushes_go_on(
        self, world: World, step: str, how: str
    ) -> None:
        setattr(world, how, step)
        with pytest.raises(RefusalError) as refused:
            remove(world)
        text = str(refused.value)
        assert refused.value.exit_code == (130 if how == "interrupts" else 1)
        # The subscription does not push while it is paused and still there.
        assert ("To let it push again:" in text) == (step == "subscriptions delete")
        assert ("Nothing was changed before it" in text) == (step == "modify-push-config")
        world.fails = world.interrupts = ""
        world.answers["subscription"]["pushConfig"] = {}
        remove(world)

    def test_an_interrupt_while_it_waits_says_how_the_pushes_go_on(self, world: World) -> None:
        def interrupted(_: float) -> None:
            raise KeyboardInterrupt

        with pytest.raises(RefusalError, match=r"interrupted(.|\n)*To let it push again") as refused:
            remove(world, sleep=interrupted)
        assert refused.value.exit_code == 130
        assert len(world.commands) == 1

    def test_what_belongs_to_another_project_stays(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        world.values |= {
            "DEAD_LETTER_TOPIC": "projects/other-project/topics/dead",
            "SIGNING_KEY_SECRET_ID": "projects/other-project/secrets/key/versions/1",
            "BIGQUERY_TABLE": "other-project.enrichment.user_events",
        }
        remove(world, data=True)
        assert "other-project" not in " ".join(world.changes())
        assert capsys.readouterr().out.count("which is of the project other-project") == 4

    @pytest.mark.parametrize("function_is_there", [True, False])
    @pytest.mark.parametrize(
        "found",
        [
            {"pushConfig": {"pushEndpoint": "https://meshpass-enrichment-other-a1b2c3d4e5-ew.a.run.app"}},
            {"pushConfig": {"pushEndpoint": "https://x.example/meshpass-enrichment-"}},
            {"topic": "projects/acme-mesh/topics/orders"},
        ],
        ids=["name", "host", "topic"],
    )
    def test_a_subscription_of_another_kind_is_not_touched(
        self, world: World, found: dict[str, Any], function_is_there: bool
    ) -> None:
        world.answers["subscription"] |= found
        world.gone |= set() if function_is_there else {"the function meshpass-enrichment"}
        with pytest.raises(RefusalError, match="not deleted"):
            remove(world)
        assert not world.commands

    def test_its_own_subscription_goes_after_the_function_is_gone(self, world: World) -> None:
        world.gone.add("the function meshpass-enrichment")
        for url in (
            "https://meshpass-enrichment-a1b2c3d4e5-ew.a.run.app",
            "https://meshpass-enrichment-123456789012.europe-west1.run.app/",
        ):
            world.answers["subscription"]["pushConfig"]["pushEndpoint"] = url
            world.commands.clear()
            world.gone.discard("the subscription meshpass-enrichment")
            remove(world)
            assert "delete" in world.commands[1]

    def test_one_function_can_go_alone(self, world: World) -> None:
        remove(world, entries=[LOOKUP], yes="meshpass-enrichment-lookup")
        assert [command[1:4] for command in world.commands] == [
            ["functions", "delete", "meshpass-enrichment-lookup"]
        ]
        with pytest.raises(RefusalError, match="--data is for both"):
            remove(world, entries=[LOOKUP], data=True)

    def test_a_subscription_that_is_another_functions_is_not_touched(self, world: World) -> None:
        world.answers["subscription"]["pushConfig"]["pushEndpoint"] = "https://other-a1b2c3d4e5-ew.a.run.app"
        with pytest.raises(RefusalError, match="pushes to another address"):
            remove(world)
        assert not world.commands

    def test_there_may_be_nothing_to_delete(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        world.gone |= {about for about in ABOUTS if about.startswith(("the function", "the subscription m"))}
        world.answers["alerts"] = []
        remove(world)
        assert "nothing to delete" in capsys.readouterr().out

    def test_names_of_an_api_that_are_no_names_go_into_no_command(self, world: World) -> None:
        world.answers["subscriptions"][1]["name"] = "--all"
        world.answers["alerts"][0]["name"] = "--quiet; rm"
        remove(world, data=True)
        words = [word for command in world.commands for word in command]
        assert "--all" not in words
        assert "--quiet; rm" not in words


def shell(script: str, folder: Path, code: int = 0, pull: str = "") -> list[str]:
    """Run a script as `| sh` does, and return the commands that it ran."""
    for name in ("gcloud", "bq", "sleep"):
        file = folder / name
        file.write_text(
            f'#!/bin/sh\necho "{name} $*" >>"{folder}/log"\ncase "$*" in *pull*) echo "{pull}";; esac\n'
        )
        file.chmod(0o755)
    (folder / "log").write_text("")
    done = subprocess.run(
        ["/bin/sh"], input=script, env={"PATH": str(folder)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return (folder / "log").read_text().splitlines()


class TestDryRunAsAScript:
    """The output of a dry run is a script that does the same: its words for a reader are comments."""

    def test_of_a_grant(self, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        link = workload_identity.Link(
            "orders@acme-apps.iam.gserviceaccount.com", "shop", "orders", "acme-apps"
        )
        for dry_run in (True, False):
            invoker.bind(world.values, LOOKUP, world, member=ORDERS, dry_run=dry_run)
            invoker.bind(world.values, LOOKUP, world, member=BATCH, dry_run=dry_run)
            invoker.unbind(world.values, LOOKUP, world, member=TRIGGER, dry_run=dry_run)
            workload_identity.apply(world.values, link, world, remove=False, dry_run=dry_run)
            rollback.roll_back(world.values, ENRICH, world, dry_run=dry_run)
            if dry_run:
                ran = shell(capsys.readouterr().out, tmp_path)
        assert ran == [" ".join(command) for command in world.commands]

    def test_of_a_removal(self, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        remove(world, dry_run=True, data=True)
        script = capsys.readouterr().out
        remove(world, data=True)
        changes = [" ".join(command) for command in world.commands]
        ran = shell(script, tmp_path)
        assert [line for line in ran if "pull" not in line and not line.startswith("sleep")] == changes
        assert ran[1] == "sleep 60"
        # An event that came meanwhile stops the script before anything is deleted.
        assert "delete" not in " ".join(shell(script, tmp_path, code=1, pull="4711"))

    def test_of_a_removal_that_would_stop(
        self, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        remove(world, lambda *_: 5, dry_run=True)
        assert shell(capsys.readouterr().out, tmp_path, code=1) == []


class TestBacklog:
    def test_the_newest_point_counts(self) -> None:
        points = [
            {"interval": {"endTime": "2026-11-02T00:00:00Z"}, "value": {"int64Value": "7"}},
            {"interval": {"endTime": "2026-11-02T00:01:00Z"}, "value": {"int64Value": "0"}},
        ]
        assert backlog.read("p", "s", NOW, lambda _: {"timeSeries": [{"points": points}]}) == 0

    def test_what_is_not_known_is_not_zero(self) -> None:
        def broken(_: str) -> Any:  # noqa: ANN401
            raise OSError

        assert backlog.read("p", "s", NOW, broken) is None
        empty: list[Any] = [{}, {"timeSeries": []}, [], None, {"timeSeries": [{"points": [{}]}]}]
        for answer in empty:
            assert backlog.read("p", "s", NOW, functools.partial(lambda found, _: found, answer)) is None

    @pytest.mark.parametrize(
        ("written", "used"),
        [
            ("", backlog.ENDPOINT),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/"),
            ("https://monitoring.example/", "https://monitoring.example/"),
            ("http://evil.example/", backlog.ENDPOINT),
            ("http://127.0.0.1.evil.example/", backlog.ENDPOINT),
            ("http://127.0.0.1:80@evil.example/", backlog.ENDPOINT),
            ("file:///etc/passwd", backlog.ENDPOINT),
        ],
    )
    def test_a_token_goes_to_google_or_to_an_endpoint_over_tls(self, written: str, used: str) -> None:
        assert backlog.endpoint({"CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING": written}) == used
