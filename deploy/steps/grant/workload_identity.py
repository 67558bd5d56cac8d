"""``workload-identity``: a Kubernetes account of a GKE cluster acts as a Google service account, without a key file.

Source: https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity#kubernetes-sa-to-iam
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import RefusalError
from ..cloud import actions, iam_policies, questions
from ..cloud.actions import Changes, required
from ..cloud.answers import Question

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cloud.readers import Reader

ROLE = "roles/iam.workloadIdentityUser"


@dataclass(frozen=True)
class Link:
    """One Kubernetes account and the Google service account that it acts as; every part is checked.

    Attributes:
        google: The e-mail address of the Google service account.
        namespace: The namespace of the Kubernetes account.
        kubernetes: The name of the Kubernetes account.
        project: The project of the cluster.
    """

    google: str
    namespace: str
    kubernetes: str
    project: str

    @property
    def member(self) -> str:
        """The Kubernetes account as a member of a policy."""
        return f"serviceAccount:{self.project}.svc.id.goog[{self.namespace}/{self.kubernetes}]"

    @property
    def owner(self) -> str:
        """The option that names the project of the Google service account."""
        return f"--project={self.google.partition('@')[2].partition('.')[0]}"


def apply(values: Mapping[str, str], link: Link, reader: Reader, *, remove: bool, dry_run: bool) -> None:
    """Bind or unbind, and print the command that annotates the Kubernetes account.

    Args:
        values: A checked contract.
        link: Who acts as whom.
        reader: Reads policies.
        remove: Whether the link is taken away.
        dry_run: Show the command only.

    Raises:
        RefusalError: the account is one of the deployment's own, or its policy cannot be read or written.
    """
    own = {values[key]: key for key in questions.ACCOUNTS.values() if values[key]}
    if link.google in own and not remove:
        raise RefusalError(
            f"{link.google} is {own[link.google]}: a pod that acts as it has all the rights of the deployment. "
            "Make an account for the caller, and link that one."
        )
    policy = _question(link)
    words = (link.google, link.owner, f"--member={link.member}", f"--role={ROLE}")
    bound = link.member in iam_policies.members(required(reader, policy), ROLE)
    changes = Changes(dry_run=dry_run)
    if bound == (not remove):
        state = "acts" if bound else "does not act"
        actions.say(f"{link.member} {state} as {link.google} already", dry_run=dry_run)
    else:
        verb, condition = ("remove", "--all") if remove else ("add", "--condition=None")
        changes.run(
            "the link", ("gcloud", "iam", "service-accounts", f"{verb}-iam-policy-binding", *words, condition)
        )
        if (
            not dry_run
            and (link.member in iam_policies.members(changes.look(reader, policy), ROLE)) == remove
        ):
            raise RefusalError(
                "gcloud reported success, but the policy does not show the change. Run this again."
            )
    annotation = "iam.gke.io/gcp-service-account"
    value = f"{annotation}-" if remove else f"{annotation}={link.google}"
    kubectl = (
        "kubectl",
        "annotate",
        "serviceaccount",
        link.kubernetes,
        f"--namespace={link.namespace}",
        value,
    )
    command = shlex.join((*kubectl, *(() if remove else ("--overwrite",))))
    actions.say(f"then, with the cluster's credentials:\n  {command}", dry_run=dry_run)
    member = iam_policies.service_account(link.google)
    if not remove and member not in values["LOOKUP_INVOKERS"].split(","):
        actions.say(
            f"to let it call the lookup:\n  deploy/grant bind {shlex.quote(f'--member={member}')}",
            dry_run=dry_run,
        )


def _question(link: Link) -> Question:
    return Question(
        "account-policy",
        ("gcloud", "iam", "service-accounts", "get-iam-policy", link.google, link.owner, "--format=json"),
        f"the policy of the service account {link.google}",
        service="iam.googleapis.com",
        role="roles/iam.securityReviewer",
    )
