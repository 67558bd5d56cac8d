"""Everything that the checks know: the contract, the answers, the local package and the mesh's public keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..cloud import fields, questions
from ..cloud.answers import Outcome
from ..deploy import gcloud_command
from .finding import Finding
from .known_findings import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..cloud.answers import Answer, Question
    from ..deploy.entry_points import EntryPoint


@dataclass(frozen=True)
class Deployment:
    """One deployment as it was read.

    Attributes:
        values: The checked contract.
        entries: The entry points that are verified.
        asked: The questions by name.
        answers: The answers by name.
        package: The digest of the local package as the label has it, or "" if there is none.
        jwks: The mesh's public keys, or None.
    """

    values: Mapping[str, str]
    entries: Sequence[EntryPoint]
    asked: Mapping[str, Question] = field(default_factory=dict)
    answers: Mapping[str, Answer] = field(default_factory=dict)
    package: str = ""
    jwks: Any = None

    def ok(self, *names: str) -> bool:
        """Return whether all these answers have data."""
        return all(name in self.answers and self.answers[name].ok for name in names)

    def absent(self, name: str) -> bool:
        """Return whether the resource does not exist."""
        return name in self.answers and self.answers[name].outcome is Outcome.ABSENT

    def data(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Return the data of an answer, or None."""
        return self.answers[name].data if name in self.answers else None

    def account(self, key: str) -> str:
        """Return the member that is a service account of the contract."""
        return f"serviceAccount:{self.values[key]}"

    @property
    def own_accounts(self) -> dict[str, str]:
        """The members that are the deployment's service accounts, with the keys that name them."""
        return {self.account(key): key for key in questions.ACCOUNTS.values() if self.values[key]}

    @property
    def pubsub_agent(self) -> str:
        """The member that is Pub/Sub's service agent of the project; "" while the project's number is not known.

        Source: https://cloud.google.com/pubsub/docs/handling-failures#grant_forwarding_permissions
        """
        number = fields.text(self.data("project"), "projectNumber")
        return f"serviceAccount:service-{number}@gcp-sa-pubsub.iam.gserviceaccount.com" if number else ""

    def project_flag(self) -> str:
        """Return the option of gcloud that names the project."""
        return f"--project={self.values['GOOGLE_CLOUD_PROJECT']}"

    def region_flag(self) -> str:
        """Return the option of gcloud that names the region."""
        return f"--region={self.values['REGION']}"

    def expected_flags(self, entry: EntryPoint) -> dict[str, str]:
        """Return what `deploy/deploy` sets: its options with their values."""
        command = gcloud_command.command(self.values, entry, source="", env_file="", labels={})
        pairs = (word.partition("=") for word in command if word.startswith("--"))
        return {name: value for name, _, value in pairs}

    def redeploy(self, entry: EntryPoint) -> tuple[str, ...]:
        """Return the command that deploys an entry point."""
        return ("deploy/deploy", f"--entry-point={entry.name}")

    def serving_revisions(self, entry: EntryPoint) -> list[str]:
        """Return the names of the revisions that get traffic."""
        service = self.data(f"service-{entry.name}")
        return [
            fields.text(target, "revisionName") or fields.text(service, "status", "latestReadyRevisionName")
            for target in fields.items(service, "status", "traffic")
            if fields.text(target, "percent") not in {"", "0"}
        ]

    def revision(self, entry: EntryPoint, name: str) -> Any:  # noqa: ANN401 - JSON
        """Return one revision, or None."""
        listed = fields.items(self.data(f"revisions-{entry.name}"))
        return next((item for item in listed if fields.text(item, "metadata", "name") == name), None)


def finding(kind: str, subject: str, found: str, expected: str, *commands: Sequence[str]) -> Finding:
    """Return a finding of a kind.

    Args:
        kind: The id.
        subject: What it is about.
        found: What is there.
        expected: What should be there.
        commands: The commands that mend it.
    """
    return Finding(KINDS[kind], subject, found, expected, tuple(tuple(words) for words in commands))
