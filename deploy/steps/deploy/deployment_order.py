"""Order of a deployment, which lets no failure lose an event.

With a push subscription of its own: the function, then the permission to call it, then the subscription with all its
settings; one that exists is set before the function. With Eventarc: the function with its trigger, then the settings of
the subscription, and last the permission to call it; until then deliveries are refused and wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import gcloud
from . import invokers, subscription
from .entry_points import LOOKUP
from .plan import Check, Empty, Older, Read, Refusal, Run, Step, When, present

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .entry_points import EntryPoint

# Direct VPC egress for functions became generally available with this version of gcloud.
# https://docs.cloud.google.com/functions/docs/running/direct-vpc
DIRECT_EGRESS_SINCE = (558, 0, 0)


def steps(
    values: Mapping[str, str], entry: EntryPoint, deploy: Sequence[str], before: Sequence[Step] = ()
) -> tuple[Step, ...]:
    """Return the plan of a deployment.

    Args:
        values: a checked contract.
        entry: the function.
        deploy: the arguments of gcloud that update the function.
        before: steps between the last check and the first change.
    """
    of_events = _push_steps if subscription.uses_push(values) else _eventarc_steps
    chosen = _lookup_steps if entry is LOOKUP else of_events
    return (*_egress_check(values), *chosen(values, deploy, tuple(before)))


def _push_steps(
    values: Mapping[str, str], deploy: Sequence[str], before: tuple[Step, ...]
) -> tuple[Step, ...]:
    function = values["FUNCTION_NAME"]
    account = f"serviceAccount:{values['TRIGGER_SERVICE_ACCOUNT']}"
    update = When(present("subscription"), (subscription.update_own(values),))
    return (
        *subscription.require_readers(values),
        *_existing(values, function),
        *subscription.require_same_trigger(values, function, push=True),
        subscription.find(values),
        *subscription.require_own(values),
        *before,
        When(
            present("url"),
            (
                # Before the function, so that the new revision finds the settings that it is deployed with.
                update,
                _deploy(function, deploy),
                *invokers.grant(values, function, account),
            ),
            (
                _deploy(function, deploy),
                *_created(values, function),
                *invokers.grant(values, function, account),
                update,
            ),
        ),
        When(Empty("subscription"), (subscription.create(values),)),
    )


def _eventarc_steps(
    values: Mapping[str, str], deploy: Sequence[str], before: tuple[Step, ...]
) -> tuple[Step, ...]:
    function = values["FUNCTION_NAME"]
    update = subscription.update_of_eventarc(values)
    no_trigger = Refusal(Empty("trigger"), (f"{function} was deployed and has no event trigger",))
    return (
        *subscription.require_readers(values),
        *_existing(values, function),
        *subscription.require_same_trigger(values, function, push=False),
        *before,
        When(
            present("trigger"),
            (*update, _deploy(function, deploy)),
            (_deploy(function, deploy), *_created(values, function), Check((no_trigger,)), *update),
        ),
        # Last: until now deliveries were refused, and waited in the subscription.
        *invokers.grant(values, function, f"serviceAccount:{values['TRIGGER_SERVICE_ACCOUNT']}"),
    )


def _lookup_steps(
    values: Mapping[str, str], deploy: Sequence[str], before: tuple[Step, ...]
) -> tuple[Step, ...]:
    function = values["LOOKUP_FUNCTION_NAME"]
    grants = [
        step for member in invokers.members(values) for step in invokers.grant(values, function, member)
    ]
    return (
        *_existing(values, function),
        *subscription.require_same_trigger(values, function, push=True),
        *before,
        When(
            present("url"),
            (_deploy(function, deploy),),
            (_deploy(function, deploy), *_created(values, function)),
        ),
        *grants,
    )


def _existing(values: Mapping[str, str], function: str) -> tuple[Step, ...]:
    find = subscription.find_function(values, function)
    return (find, When(present("url"), invokers.require_private(values, function)))


def _created(values: Mapping[str, str], function: str) -> tuple[Step, ...]:
    no_address = Refusal(
        Empty("url"), (f"{function} was deployed and has no address; look at `gcloud functions describe`",)
    )
    return (
        subscription.find_function(values, function),
        Check((no_address,)),
        *invokers.require_private(values, function),
    )


def _deploy(function: str, deploy: Sequence[str]) -> When:
    does = f"the function {function} is deployed"
    # The policy of a function that exists is left alone: gcloud would write it, which takes run.services.setIamPolicy.
    create = Run(does, (*deploy, "--no-allow-unauthenticated"))
    return When(Empty("function"), (create,), (Run(does, tuple(deploy)),))


def _egress_check(values: Mapping[str, str]) -> tuple[Step, ...]:
    if values["FUNCTION_EGRESS"] != "direct":
        return ()
    since = ".".join(str(number) for number in DIRECT_EGRESS_SINCE)
    message = (
        f"Direct VPC egress needs gcloud {since}, this is ",
        gcloud.Value("gcloud_version"),
        "; run `gcloud components update`, or set FUNCTION_EGRESS=connector",
    )
    return (
        Read(("gcloud_version",), ("version",), ('"Google Cloud SDK"',)),
        Check((Refusal(Older("gcloud_version", DIRECT_EGRESS_SINCE[0]), message),)),
    )
