"""The function's subscription.

Source: https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...cloud import fields, names, questions
from ..deployment import finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..deployment import Deployment
    from ..finding import Finding

RETENTION_S = 7 * 24 * 3600
"""How long the subscription keeps an event: the longest without extra cost, and more than all attempts take."""

_MEND = ("deploy/subscription",)
_MAKE = ("deploy/deploy", "--entry-point=enrich")


def check(deployment: Deployment) -> Iterator[Finding]:
    """Yield findings about the subscription, if it exists."""
    if "subscription" not in deployment.asked:
        yield from _unnamed(deployment)
    if not deployment.ok("subscription"):
        return
    subscription = deployment.data("subscription")
    full = questions.subscription(deployment.values, deployment.answers)
    subject = f"the subscription {full.rpartition('/')[2]}"
    if fields.flag(subscription, "detached"):
        yield finding(
            "subscription-detached",
            subject,
            "detached",
            "attached to its topic",
            *_anew(deployment),
        )
        return
    yield from _content(deployment, subscription, subject)
    yield from _push(deployment, subscription, subject)
    yield from _attempts(deployment, subscription, subject)
    yield from _life(deployment, subscription, subject)


def _unnamed(deployment: Deployment) -> Iterator[Finding]:
    """Yield a finding if Eventarc does not say which subscription is the function's, so that it was not read."""
    function = deployment.data("function-enrich")
    if not fields.value(function, "eventTrigger") or deployment.absent("trigger"):
        return  # reported as a missing function or trigger
    if "trigger" not in deployment.asked or deployment.ok("trigger"):
        found = "Eventarc names no subscription of the function's trigger"
        yield finding("subscription-missing", "the function's subscription", found, "one subscription", _MAKE)


def addresses(deployment: Deployment) -> list[str]:
    """Return the function's addresses, the usual one first; [] if none is known.

    Cloud Run takes each of them as the audience of a token.
    Source: https://cloud.google.com/run/docs/triggering/https-request#urls
    """
    function, service = deployment.data("function-enrich"), deployment.data("service-enrich")
    found = (
        fields.text(function, "serviceConfig", "uri"),
        fields.text(service, "status", "url"),
        fields.text(function, "url"),
        *_annotation(deployment, "urls"),
    )
    return list(dict.fromkeys(url.rstrip("/") for url in found if url))


def _annotation(deployment: Deployment, name: str) -> list[str]:
    """Return the list that an annotation of the Cloud Run service holds as JSON."""
    annotations = fields.table(deployment.data("service-enrich"), "metadata", "annotations")
    try:
        return fields.strings(json.loads(annotations.get(f"run.googleapis.com/{name}", "[]")))
    except ValueError:
        return []


def push_to(values: Mapping[str, str], subscription: str, url: str) -> tuple[str, ...]:
    """Return the command that lets a subscription push to the function; () if the address is no plain one.

    Args:
        values: A checked contract.
        subscription: Its full name, checked.
        url: The function's address, as an API answered it.
    """
    if not re.fullmatch(r"https://[a-z0-9][a-z0-9.-]*/?", url):
        return ()
    return (
        "gcloud",
        "pubsub",
        "subscriptions",
        "modify-push-config",
        subscription,
        f"--project={values['GOOGLE_CLOUD_PROJECT']}",
        f"--push-endpoint={url}",
        f"--push-auth-service-account={values['TRIGGER_SERVICE_ACCOUNT']}",
        f"--push-auth-token-audience={url}",
    )


def is_address(endpoint: str, known: Sequence[str]) -> bool:
    """Return whether an endpoint is one of the addresses; Eventarc adds a query to it."""
    return endpoint.partition("?")[0].rstrip("/") in known


def reaches(endpoint: str, known: Sequence[str]) -> bool:
    """Return whether a push to an endpoint reaches one of the addresses, by any path, port or tag of a revision.

    Source: https://cloud.google.com/run/docs/rollouts-rollbacks-traffic-migration#tags
    """
    host = _host(endpoint)
    return bool(host) and host.rpartition("---")[2] in {_host(url) for url in known}


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""  # in lower case
    except ValueError:
        return ""


def _anew(deployment: Deployment) -> list[tuple[str, ...]]:
    """Return the commands that make the subscription anew; [] for Eventarc's, which comes and goes with its trigger."""
    if deployment.values["FUNCTION_TRIGGER"] != "push":
        return []
    name = questions.subscription(deployment.values, deployment.answers)
    return [("gcloud", "pubsub", "subscriptions", "delete", name, deployment.project_flag()), _MAKE]


def _update(deployment: Deployment, *options: str) -> tuple[str, ...]:
    name = questions.subscription(deployment.values, deployment.answers)
    return ("gcloud", "pubsub", "subscriptions", "update", name, deployment.project_flag(), *options)


def _content(deployment: Deployment, subscription: Any, subject: str) -> Iterator[Finding]:  # noqa: ANN401
    topic = questions.topic(deployment.values, "TRIGGER_TOPIC")
    found = fields.text(subscription, "topic")
    # Eventarc's trigger is checked by its own topic; its transport topic can be another.
    if found != topic:
        yield finding("subscription-topic", subject, found or "no topic", topic, *_anew(deployment))
    if expression := fields.text(subscription, "filter"):
        yield finding("subscription-filter", subject, f"filter {expression}", "no filter", *_anew(deployment))
    if fields.items(subscription, "messageTransforms"):
        yield finding(
            "subscription-transform",
            subject,
            "has message transforms",
            "no message transform",
            _update(deployment, "--clear-message-transforms"),
        )


def _push(deployment: Deployment, subscription: Any, subject: str) -> Iterator[Finding]:  # noqa: ANN401
    endpoint = fields.text(subscription, "pushConfig", "pushEndpoint")
    known = addresses(deployment)
    url = known[0] if known else "the function's address"
    if not endpoint or (known and not is_address(endpoint, known)):
        # deploy/subscription leaves a subscription alone that pushes elsewhere: it could be another function's.
        command = push_to(
            deployment.values, questions.subscription(deployment.values, deployment.answers), url
        )
        yield finding(
            "push-endpoint",
            subject,
            _bare(endpoint) or "no push endpoint",
            url,
            *([command] if command else []),
        )
    if not endpoint:
        return
    bare = fields.value(subscription, "pushConfig", "noWrapper")
    # With the metadata the function takes it: they are in the headers of the push.
    if bare is not None and not fields.flag(bare, "writeMetadata"):
        found = "the payload alone, without the message's id and time"
        command = push_to(
            deployment.values, questions.subscription(deployment.values, deployment.answers), url
        )
        yield finding("push-format", subject, found, "the whole message", *([command] if command else []))
    account = fields.text(subscription, "pushConfig", "oidcToken", "serviceAccountEmail")
    expected = deployment.values["TRIGGER_SERVICE_ACCOUNT"]
    if account != expected:
        yield finding("push-account", subject, account or "no token", expected, _MEND)
    audience = fields.text(subscription, "pushConfig", "oidcToken", "audience")
    # Without an audience Pub/Sub takes the endpoint, which the check above holds to the address.
    # A custom audience of the service is as good as an address.
    accepted = [*known, *_annotation(deployment, "custom-audiences")]
    if account and audience and known and not is_address(audience, accepted):
        yield finding("push-audience", subject, _bare(audience), url, _MEND)


def _bare(url: str) -> str:
    """Return an address without what can hold a token: user, path and query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that is none"
    if not parts.hostname:
        return parts.path
    return f"{parts.scheme}://{parts.hostname}{port}{'/...' if parts.path.strip('/') else ''}"


def _attempts(deployment: Deployment, subscription: Any, subject: str) -> Iterator[Finding]:  # noqa: ANN401
    values = deployment.values
    deadline = fields.text(subscription, "ackDeadlineSeconds")
    if deadline != values["SUBSCRIPTION_ACK_DEADLINE_S"]:
        expected = f"{values['SUBSCRIPTION_ACK_DEADLINE_S']} s"
        yield finding("ack-deadline", subject, f"{deadline or 'unknown'} s", expected, _MEND)
    backoff = [
        fields.seconds(subscription, "retryPolicy", key) for key in ("minimumBackoff", "maximumBackoff")
    ]
    wanted = [
        float(values[key]) for key in ("SUBSCRIPTION_MIN_RETRY_DELAY_S", "SUBSCRIPTION_MAX_RETRY_DELAY_S")
    ]
    if backoff != wanted:
        shown = "no delay" if None in backoff else f"{backoff[0]:g} s to {backoff[1]:g} s"
        yield finding("retry-backoff", subject, shown, f"{wanted[0]:g} s to {wanted[1]:g} s", _MEND)
    topic = fields.text(subscription, "deadLetterPolicy", "deadLetterTopic")
    if topic != values["UNDELIVERED_TOPIC"]:
        yield finding("undelivered-topic", subject, topic or "none", values["UNDELIVERED_TOPIC"], _MEND)
    elif (attempts := fields.text(subscription, "deadLetterPolicy", "maxDeliveryAttempts")) != (
        values["SUBSCRIPTION_MAX_DELIVERY_ATTEMPTS"]
    ):
        yield finding(
            "delivery-attempts",
            subject,
            attempts or "unknown",
            values["SUBSCRIPTION_MAX_DELIVERY_ATTEMPTS"],
            _MEND,
        )
    if fields.flag(subscription, "enableMessageOrdering"):
        yield finding("message-ordering", subject, "on", "off", *_anew(deployment))
    if fields.flag(subscription, "enableExactlyOnceDelivery"):
        yield finding(
            "exactly-once", subject, "on", "off", _update(deployment, "--no-enable-exactly-once-delivery")
        )


def _life(deployment: Deployment, subscription: Any, subject: str) -> Iterator[Finding]:  # noqa: ANN401
    if found := expires(subscription):
        yield finding(
            "subscription-expires", subject, found, "never", _update(deployment, "--expiration-period=never")
        )
    kept = fields.seconds(subscription, "messageRetentionDuration")
    if kept is None or kept < RETENTION_S:
        yield finding(
            "subscription-retention",
            subject,
            "unknown" if kept is None else f"{kept:g} s",
            f"at least {RETENTION_S} s",
            _update(deployment, "--message-retention-duration=7d"),
        )


def expires(subscription: Any) -> str:  # noqa: ANN401 - JSON
    """Return after how much idle time a subscription is deleted; "" if never.

    An expirationPolicy without ttl means never; no expirationPolicy at all means the default of 31 days.
    Source: https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions#ExpirationPolicy
    """
    policy = fields.value(subscription, "expirationPolicy")
    if not isinstance(policy, dict):
        return "after 31 days, the default"
    ttl = fields.text(policy, "ttl")
    return f"after {ttl}" if ttl else ""


def duplicates(deployment: Deployment) -> list[str]:
    """Return the full names of other subscriptions that push to the function; [] while its own is not known."""
    known = addresses(deployment)
    own = questions.subscription(deployment.values, deployment.answers)
    if not own:
        return []
    return [
        name
        for item in fields.items(deployment.data("subscriptions"))
        if reaches(fields.text(item, "pushConfig", "pushEndpoint"), known)
        if (name := fields.text(item, "name")) != own and names.is_name("subscription", name)
    ]
