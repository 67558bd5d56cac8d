"""What does not exist, and what could not be read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...cloud import questions
from ...cloud.answers import Outcome
from .. import table_commands
from ..deployment import finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...cloud.answers import Answer, Question
    from ..deployment import Deployment
    from ..finding import Finding

_KINDS = {
    Outcome.DENIED: "permission-denied",
    Outcome.DISABLED: "api-disabled",
    Outcome.UNCLEAR: "answer-not-understood",
}


def check(deployment: Deployment) -> Iterator[Finding]:
    """Yield a finding for every question without data."""
    for name, question in deployment.asked.items():
        answer = deployment.answers[name]
        if answer.ok:
            continue
        if answer.outcome is Outcome.ABSENT:
            if question.parent and deployment.absent(question.parent):
                continue
            if question.absent:
                yield _missing(deployment, question)
                continue
        yield _unreadable(deployment, question, answer)


def _unreadable(deployment: Deployment, question: Question, answer: Answer) -> Finding:
    kind = _KINDS.get(answer.outcome, "read-failed")
    project = _project_of(question) or deployment.values["GOOGLE_CLOUD_PROJECT"]
    again: tuple[tuple[str, ...], ...] = (question.command,)
    if kind == "api-disabled":
        again = (("gcloud", "services", "enable", question.service, f"--project={project}"),)
    elif kind == "permission-denied":
        words = ("gcloud", "projects", "add-iam-policy-binding", project)
        # Without it gcloud refuses as soon as any grant of the policy has a condition.
        again = ((*words, "--member=user:YOU", f"--role={question.role}", "--condition=None"),)
    return finding(kind, question.about, answer.error, "can be read", *again)


def _project_of(question: Question) -> str:
    """Return the project that a question asks: a secret, a topic or a subnet can be in another one; "" if unknown."""
    for word in question.command:
        if named := re.fullmatch(r"projects/([^/]+)/.+", word):
            return named[1]
    options = dict(word.partition("=")[::2] for word in question.command)
    return options.get("--project", "") or options.get("--project_id", "")


def _missing(deployment: Deployment, question: Question) -> Finding:
    return finding(
        question.absent, question.about, "does not exist", "exists", *_creation(deployment, question)
    )


def _creation(deployment: Deployment, question: Question) -> list[tuple[str, ...]]:
    values, project = deployment.values, deployment.project_flag()
    match question.absent:
        case "function-missing" | "service-missing":
            entry = question.name.partition("-")[2]
            return [("deploy/package",), ("deploy/deploy", f"--entry-point={entry}")]
        case "trigger-missing":
            return [("deploy/deploy", "--entry-point=enrich")]
        case "subscription-missing":
            return [("deploy/deploy", "--entry-point=enrich")]
        case "topic-missing":
            name = questions.topic(values, questions.TOPICS[question.name.removeprefix("topic-")])
            return [("gcloud", "pubsub", "topics", "create", name, project)]
        case "dataset-missing":
            dataset = questions.table(values).partition(".")[0]
            return [("bq", f"--location={values['REGION']}", "mk", "--dataset", dataset)]
        case "table-missing":
            return [table_commands.creation(values)]
        case "view-missing":
            return table_commands.view_commands(values)
        case "account-missing":
            email = values[questions.ACCOUNTS[question.name.removeprefix("account-")]]
            name, _, domain = email.partition("@")
            owner = f"--project={domain.partition('.')[0]}"
            return [("gcloud", "iam", "service-accounts", "create", name, owner)]
        case _:
            return []
