"""Inventory: what of a deployment exists, and what of it goes or stays."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import RefusalError, alerts
from ..cloud import actions, fields, names, questions, readers
from ..cloud.answers import Outcome, Question
from ..deploy.entry_points import ENRICH, ENTRY_POINTS
from ..verify.checks.delivery import push_to

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..cloud.answers import Answer
    from ..cloud.readers import Reader
    from ..deploy.entry_points import EntryPoint


@dataclass(frozen=True)
class Thing:
    """One thing that exists.

    Attributes:
        about: What it is, in words.
        delete: The command that deletes it.
        question: What shows afterwards whether it is gone.
        data: Whether it holds data: events, rows or keys.
    """

    about: str
    delete: tuple[str, ...]
    question: Question
    data: bool = False


@dataclass(frozen=True)
class Inventory:
    """What exists.

    Attributes:
        subscription: The full name of the function's own push subscription, if it exists.
        pushes: Whether that subscription pushes.
        things: All that exists, in the order of deletion.
        waiting: Full names of the subscriptions whose events go: by themselves, or with Eventarc's trigger.
        shared: What stays although it holds data, because others read it or it is of another project.
        resume: The command that lets the own subscription push again; () if the function's address is not known.
    """

    subscription: str
    pushes: bool
    things: tuple[Thing, ...]
    waiting: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()


def take(values: Mapping[str, str], entries: Sequence[EntryPoint], reader: Reader) -> Inventory:
    """Return what exists.

    Args:
        values: A checked contract.
        entries: The functions to delete.
        reader: Reads what is there.

    Raises:
        RefusalError: something cannot be read. Nothing is deleted while it is not known what is there.
    """
    whole = len(entries) == len(ENTRY_POINTS)
    planned = {question.name: question for question in questions.first(values, entries)}
    if ENRICH in entries:
        push = questions.push_subscription(values)
        planned[push.name] = push
    relevant = {name: question for name, question in planned.items() if _relevant(name, whole=whole)}
    answers = readers.read_all(reader, list(relevant.values()))
    unread = [
        actions.refusal(relevant[name], answer)
        for name, answer in answers.items()
        if not answer.ok and answer.outcome is not Outcome.ABSENT
    ]
    if unread:
        raise RefusalError("not everything can be read, so nothing is deleted:\n  " + "\n  ".join(unread))
    _require_own(values, answers)
    data, shared = _data(values, relevant, answers) if whole else ([], [])
    things = [
        *_delivery(values, relevant, answers),
        *_functions(values, entries, relevant, answers),
        *(_alerts(values, answers) if whole else ()),
        *data,
    ]
    subscription = answers.get("subscription")
    exists = subscription is not None and subscription.ok
    own = _own(values) if exists else ""
    by_eventarc = _subscription_of_eventarc(values, answers, reader)
    return Inventory(
        own,
        bool(fields.text(subscription.data if subscription else None, "pushConfig", "pushEndpoint")),
        tuple(things),
        waiting=tuple(name for name in (own, by_eventarc) if name),
        shared=tuple(shared),
        resume=push_to(values, own, _address(answers)),
    )


def _address(answers: Mapping[str, Answer]) -> str:
    function = answers.get("function-enrich")
    return fields.text(function.data if function else None, "serviceConfig", "uri")


def _own(values: Mapping[str, str]) -> str:
    return questions.subscription({**values, "FUNCTION_TRIGGER": "push"}, {})


def _require_own(values: Mapping[str, str], answers: Mapping[str, Answer]) -> None:
    """Refuse a subscription of that name which pushes elsewhere.

    Raises:
        RefusalError: it does, so it is not the function's.
    """
    if "subscription" not in answers or not answers["subscription"].ok:
        return
    subscription, function = answers["subscription"].data, answers["function-enrich"].data
    topic = fields.text(subscription, "topic")
    if topic not in {questions.topic(values, "TRIGGER_TOPIC"), "_deleted-topic_"}:
        raise RefusalError(
            f"the subscription {values['SUBSCRIPTION_NAME']} reads another topic than TRIGGER_TOPIC, so it is not "
            "deleted. Correct the contract."
        )
    endpoint = fields.text(subscription, "pushConfig", "pushEndpoint").partition("?")[0].rstrip("/")
    known = {
        fields.text(function, "serviceConfig", "uri").rstrip("/"),
        fields.text(function, "url").rstrip("/"),
    }
    # The function can be gone already, and a service has two addresses. The whole name counts: another function's can
    # begin with it. https://cloud.google.com/run/docs/triggering/https-request#urls
    own = rf"https://{re.escape(values['FUNCTION_NAME'])}-([a-z0-9]{{10}}-[a-z]{{1,4}}\.a|[0-9]+\.[a-z0-9-]+)\.run\.app"
    if endpoint and endpoint not in known and not re.fullmatch(own, endpoint):
        raise RefusalError(
            f"the subscription {values['SUBSCRIPTION_NAME']} pushes to another address than the function's, so it is "
            "not deleted. Correct SUBSCRIPTION_NAME in the contract."
        )


def _subscription_of_eventarc(
    values: Mapping[str, str], answers: Mapping[str, Answer], reader: Reader
) -> str:
    """Return the subscription that goes with the function's Eventarc trigger, or "".

    Raises:
        RefusalError: there is a trigger, and its subscription cannot be found.
    """
    function = answers.get("function-enrich")
    if function is None or not fields.value(function.data, "eventTrigger"):
        return ""
    by_eventarc = {**values, "FUNCTION_TRIGGER": "eventarc"}
    asked = questions.second(by_eventarc, answers)
    found = {question.name: reader(question) for question in asked}
    name = questions.subscription(by_eventarc, found)
    if not name:
        raise RefusalError(
            "the subscription of the function's Eventarc trigger cannot be found, so it is not known whether events "
            "wait in it. Look at `gcloud eventarc triggers list`."
        )
    return name


def kept(values: Mapping[str, str], *, data: bool) -> list[str]:
    """Return what is not deleted, in words.

    Args:
        values: A checked contract.
        data: Whether topics, table and secrets are deleted.
    """
    accounts = [values[key] for key in questions.ACCOUNTS.values() if values[key]]
    stays = [
        f"the dataset {questions.table(values).partition('.')[0]}",
        f"the service accounts {', '.join(accounts)}, and their grants",
        "the network, the cluster, the gateway and its address",
        "the container images in Artifact Registry",
    ]
    if data:
        return stays
    topics = [questions.topic(values, key).rpartition("/")[2] for key in questions.TOPICS.values()]
    secrets = [
        questions.secret(values, questions.SECRETS[name])[2] for name in questions.secret_names(values)
    ]
    return [
        f"the topics {', '.join(topics)}, and the subscriptions that read them",
        f"the table {questions.table(values)}, and its view",
        f"the secrets {', '.join(secrets)}",
        *stays,
    ]


def _relevant(name: str, *, whole: bool) -> bool:
    if name.startswith("function-") or name == "subscription":
        return True
    data = ("topic-", "readers-", "secret-", "table", "view", "alerts", "subscriptions")
    return whole and name.startswith(data) and "policy" not in name and "versions" not in name


def _delivery(
    values: Mapping[str, str], asked: Mapping[str, Question], answers: Mapping[str, Answer]
) -> list[Thing]:
    if "subscription" not in answers or not answers["subscription"].ok:
        return []
    name = _own(values)
    command = ("gcloud", "pubsub", "subscriptions", "delete", name, _project(values))
    return [Thing(f"the subscription {name.rpartition('/')[2]}", command, asked["subscription"])]


def _functions(
    values: Mapping[str, str],
    entries: Sequence[EntryPoint],
    asked: Mapping[str, Question],
    answers: Mapping[str, Answer],
) -> list[Thing]:
    things = []
    for entry in entries:
        question = f"function-{entry.name}"
        if not answers[question].ok:
            continue
        name = values[entry.deployed_as]
        words = ("gcloud", "functions", "delete", name, _project(values), f"--region={values['REGION']}")
        trigger = ", with its Eventarc trigger and subscription"
        has_trigger = fields.value(answers[question].data, "eventTrigger")
        about = f"the function {name}, with its Cloud Run service{trigger if has_trigger else ''}"
        things.append(Thing(about, (*words, "--gen2", "--quiet"), asked[question]))
    return things


def _alerts(values: Mapping[str, str], answers: Mapping[str, Answer]) -> list[Thing]:
    titles = {
        fields.text(json.loads(alerts.rendered(path.read_text(encoding="utf-8"), values)), "displayName")
        for path in alerts.POLICIES.glob("*.json")
    }
    things = []
    for policy in fields.items(answers["alerts"].data):
        title, name = fields.text(policy, "displayName"), fields.text(policy, "name")
        if title in titles and names.is_name("policy", name):
            track = ["alpha"] if answers["alerts"].by_alternative else []
            words = ("gcloud", *track, "monitoring", "policies")
            question = Question(
                f"alert-{name.rpartition('/')[2]}",
                (*words, "describe", name, _project(values), "--format=json"),
                f"the alert policy {title!r}",
            )
            command = (*words, "delete", name, _project(values), "--quiet")
            things.append(Thing(question.about, command, question))
    return things


def _data(
    values: Mapping[str, str], asked: Mapping[str, Question], answers: Mapping[str, Answer]
) -> tuple[list[Thing], list[str]]:
    """Return what holds data and goes, and what stays because others read it."""
    things: list[Thing] = []
    shared: list[str] = []
    ends = {questions.topic(values, key) for name, key in questions.TOPICS.items() if name != "trigger"}
    gone = {_own(values)}
    for item in fields.items(answers["subscriptions"].data):
        name = fields.text(item, "name")
        if fields.text(item, "topic") in ends and name not in gone and names.is_name("subscription", name):
            gone.add(name)
            words = ("gcloud", "pubsub", "subscriptions")
            question = Question(
                f"reader-{name.rpartition('/')[2]}",
                (*words, "describe", name, _project(values), "--format=json"),
                f"the subscription {name.rpartition('/')[2]}",
            )
            things.append(
                Thing(question.about, (*words, "delete", name, _project(values)), question, data=True)
            )
    for name, key in questions.TOPICS.items():
        if answers[f"topic-{name}"].ok:
            topic = questions.topic(values, key)
            if foreign := _foreign(values, topic.split("/")[1]):
                shared.append(f"the topic {topic.rpartition('/')[2]}, {foreign}")
                continue
            if others := [
                reader for reader in fields.strings(answers[f"readers-{name}"].data) if reader not in gone
            ]:
                shared.append(
                    f"the topic {topic.rpartition('/')[2]}, which {len(others)} other subscriptions read"
                )
                continue
            command = ("gcloud", "pubsub", "topics", "delete", topic, _project(values))
            question = asked[f"topic-{name}"]
            things.append(Thing(question.about, command, question, data=True))
    for name, view in (("view", True), ("table", False)):
        if answers[name].ok:
            target = questions.table(values, view=view)
            if foreign := _foreign(values, target.partition(":")[0]):
                shared.append(f"{asked[name].about}, {foreign}")
                continue
            remove = ("bq", "rm", "--force", "--table", target)
            things.append(Thing(asked[name].about, remove, asked[name], data=True))
    for name in questions.secret_names(values):
        if answers[f"secret-{name}"].ok:
            project, location, secret_id, _ = questions.secret(values, questions.SECRETS[name])
            where = (f"--location={location}",) if location else ()
            if foreign := _foreign(values, project):
                shared.append(f"the secret {secret_id}, {foreign}")
                continue
            question = asked[f"secret-{name}"]
            delete = ("gcloud", "secrets", "delete", secret_id, f"--project={project}", *where, "--quiet")
            things.append(Thing(question.about, delete, question, data=True))
    return things, shared


def _foreign(values: Mapping[str, str], project: str) -> str:
    """Return why something stays that is of another project; "" if it is of the deployment's own."""
    return "" if project == values["GOOGLE_CLOUD_PROJECT"] else f"which is of the project {project}"


def _project(values: Mapping[str, str]) -> str:
    return f"--project={values['GOOGLE_CLOUD_PROJECT']}"
