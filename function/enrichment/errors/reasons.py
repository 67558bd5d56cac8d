"""The error policy: every reason for which an event is not written, and what follows from it.

One table. `remote_errors` has what others report (BigQuery, Google's APIs, the service, the SDK), and which reason each
means. `failure` makes the error of a reason. `docs/error_policy.py` writes the tables of function/README.md and
docs/troubleshooting.md from both.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from enrichment.errors.outcome import (
    BadEventError,
    Disposition,
    EnrichmentError,
    FaultError,
    Stage,
    TransientError,
)


class Rule(msgspec.Struct, frozen=True):
    """What a reason means.

    Args:
        disposition: How the event ends.
        stages: Where it can be stopped for this reason; the first is meant unless another is named.
        meaning: When it happens, in a few words for people.
        action: What to do about it, in a few words for people.
    """

    disposition: Disposition
    stages: tuple[Stage | None, ...]
    meaning: str
    action: str


_BAD, _RETRY, _FAULT = Disposition.DEAD_LETTERED, Disposition.RETRY, Disposition.FAULT
_DECODE, _LOOKUP, _ROW, _WRITE, _DEAD_LETTER = (
    Stage.DECODE,
    Stage.LOOKUP,
    Stage.ROW,
    Stage.WRITE,
    Stage.DEAD_LETTER,
)


def _of_google(service: str, stage: Stage, what: str, role: str) -> dict[str, Rule]:
    """Return the rules that are the same for each of Google's services.

    Args:
        service: How the reasons begin: `bigquery`.
        stage: Where the service is called.
        what: What is called there: `table`.
        role: The role that the call needs.
    """
    api = f"{service}.googleapis.com"
    also = ", and `bigquerystorage.googleapis.com` for `storage-write`" if service == "bigquery" else ""
    rules = {
        "unavailable": Rule(
            _RETRY,
            (stage,),
            "the service is out of reach or slow",
            "see Google's status page, and the network",
        ),
        "quota": Rule(
            _RETRY,
            (stage,),
            "a quota is used up",
            "see the project's quotas: ask for more, or lower `FUNCTION_MAX_INSTANCES`",
        ),
        "not_found": Rule(
            _FAULT,
            (stage,),
            f"there is no such {what}" + (", or no such dataset" if service == "bigquery" else ""),
            f"create the {what}, or correct its name"
            + ("; a new table is unknown to streaming for some minutes" if service == "bigquery" else ""),
        ),
        "forbidden": Rule(
            _FAULT, (stage,), "permission denied", f"grant the function's account `{role}` on the {what}"
        ),
        "billing_disabled": Rule(
            _FAULT, (stage,), "billing is disabled for the project", "link the project to a billing account"
        ),
        "vpc_service_controls": Rule(
            _FAULT,
            (stage,),
            "VPC Service Controls refuse the request",
            "let the perimeter's administrators add an ingress or egress rule; no role helps",
        ),
        "api_disabled": Rule(
            _FAULT, (stage,), "the API is not enabled in the project", f"enable `{api}`" + also
        ),
        "no_credentials": Rule(
            _FAULT,
            (stage,),
            "there are no credentials, or Google does not accept them",
            "attach a service account to the function, and see that it is enabled",
        ),
        "refused": Rule(
            _FAULT,
            (stage,),
            "the request as a whole was refused",
            "compare the real table with table.json; a view takes no rows"
            if service == "bigquery"
            else "compare the topic's settings with the documentation",
        ),
    }
    return {f"{service}_{ending}": rule for ending, rule in rules.items()}


POLICY: Mapping[str, Rule] = MappingProxyType(
    {
        # The event itself is bad.
        "envelope_invalid": Rule(
            _BAD,
            (_DECODE,),
            "the delivery holds no Pub/Sub message",
            "find out what calls the function beside the trigger's subscription",
        ),
        "data_undecodable": Rule(
            _BAD,
            (_DECODE,),
            "the data is not in the encoding or the format that `[event]` says, or holds too much",
            "correct the publisher, or `encoding`, `format` and `schema`",
        ),
        "json_invalid": Rule(_BAD, (_DECODE,), "the data is not JSON", "correct the publisher"),
        "event_invalid": Rule(
            _BAD, (_DECODE,), "it is JSON, but no event as pipeline.toml declares it", "correct the publisher"
        ),
        "event_unmatched": Rule(
            _BAD,
            (_DECODE,),
            "none of the `[[tables]]` takes the event",
            'add a table, or set `unmatched = "drop"`',
        ),
        "identity_conflict": Rule(
            _BAD,
            (_DECODE,),
            "another event of the same id and different content came before",
            "make `[event] id` unique, or set `on_conflict`",
        ),
        "key_invalid": Rule(
            _BAD,
            (_LOOKUP,),
            "a key cannot stand in the lookup's request: `.` or `..`, an object, too long",
            "correct the publisher, or the lookup's expressions",
        ),
        "key_missing": Rule(
            _BAD,
            (_LOOKUP,),
            "the event has no key for a lookup",
            "correct the publisher, or set `on_no_key` or `when`",
        ),
        "profile_not_found": Rule(
            _BAD,
            (_LOOKUP,),
            "the service itself says that it does not know the key",
            "redrive when the profile is there, or set `on_miss`",
        ),
        "column_missing": Rule(
            _BAD, (_ROW,), "a required column has no value", "correct the publisher, or give it a default"
        ),
        "column_invalid": Rule(
            _BAD,
            (_ROW,),
            "a value does not fit its column; the detail names the column and its source",
            "correct the publisher or the service, or the column's source",
        ),
        "row_too_large": Rule(
            _BAD, (_ROW, _WRITE), "more than the 10 MB that BigQuery takes", "write less of the event"
        ),
        "row_invalid": Rule(
            _BAD,
            (_WRITE,),
            "BigQuery will never take this row; the detail names the column",
            "correct the publisher or the table's schema",
        ),
        # It passes by itself.
        "service_unavailable": Rule(
            _RETRY, (_LOOKUP,), "the service answered 408, 429 or 5xx", "look at the service"
        ),
        "lookup_timeout": Rule(
            _RETRY,
            (_LOOKUP,),
            "no answer within the event's half of its time",
            "see whether the service or the mesh is slow",
        ),
        "lookup_throttled": Rule(
            _RETRY,
            (_LOOKUP,),
            "the service refuses calls for load, and the event's turn did not come",
            "it passes as the service recovers",
        ),
        "write_timeout": Rule(
            _RETRY,
            (_WRITE,),
            "the row was not known to be durable in time",
            "nothing; a repeat makes no second row",
        ),
        "message_incomplete": Rule(
            _RETRY,
            (_DECODE,),
            "the event is bad, and another one of its message must come again first",
            "see why that one did",
        ),
        "write_interrupted": Rule(_RETRY, (_WRITE,), "the instance was stopped meanwhile", "nothing"),
        "row_stopped": Rule(_RETRY, (_WRITE,), "another row stopped the request", "nothing"),
        # Our configuration, or the service's contract, is broken.
        "profile_malformed": Rule(
            _FAULT, (_LOOKUP,), "the service's answer is no profile", "correct the service, or `echo`"
        ),
        "profile_mismatch": Rule(
            _FAULT, (_LOOKUP,), "the service answered with the profile of another key", "correct the service"
        ),
        "service_answer_unexpected": Rule(
            _FAULT,
            (_LOOKUP,),
            "the service answered with a status that its contract does not name",
            "correct the service, or the path",
        ),
        "bigquery_schema_mismatch": Rule(
            _FAULT,
            (_WRITE,),
            "the table lacks a column, demands one that is not written, or has one of another type, mode or length",
            "deploy table.json and pipeline.toml together, the table first",
        ),
        "bigquery_row_refused": Rule(
            _FAULT,
            (_WRITE,),
            "the Storage Write API refuses the row, and does not say whether the row or the table is at fault",
            "compare the real table with table.json; if the row is at fault, take its event from `UNDELIVERED_TOPIC`",
        ),
        "bigquery_partition_range": Rule(
            _FAULT,
            (_WRITE,),
            "the row belongs to a partition that takes no streamed rows: too old, or in the future",
            "partition by `publish_time`, or load such events by a job",
        ),
        "bigquery_primary_key_missing": Rule(
            _FAULT,
            (_WRITE,),
            "`STORAGE_WRITE_STREAM=cdc` replaces rows by the table's primary key, and it has none",
            "add one with `ALTER TABLE ... ADD PRIMARY KEY (...) NOT ENFORCED`, or choose another stream",
        ),
        "bigquery_encryption_key": Rule(
            _FAULT,
            (_WRITE,),
            "the customer-managed key of the table is missing or wrong, or BigQuery may not use it",
            "grant BigQuery's own service account `roles/cloudkms.cryptoKeyEncrypterDecrypter` on the key",
        ),
        "bigquery_table_recreated": Rule(
            _FAULT,
            (_WRITE,),
            "the table was recreated a short time ago, and BigQuery may drop rows that it acknowledges",
            "wait: the events come again; `TABLE_RECREATED_HOLD_S` is how long",
        ),
        "bigquery_free_tier": Rule(
            _FAULT,
            (_WRITE,),
            "the project is in BigQuery's free tier, which takes no streamed rows",
            "link the project to a billing account",
        ),
        "event_is_dead_letter": Rule(
            _FAULT,
            (_DEAD_LETTER,),
            "a bad event is a dead letter itself: the trigger reads a dead-letter topic",
            "give `DEAD_LETTER_TOPIC` a topic of its own, and attach the trigger to the topic of the events",
        ),
        "dead_letter_too_large": Rule(
            _FAULT,
            (_DEAD_LETTER,),
            "the bad event leaves no space in a message of 10 MB for the reason",
            "take it from `UNDELIVERED_TOPIC`",
        ),
        "raw_path_missing": Rule(
            _FAULT,
            (None,),
            "the server does not say the path as it was sent",
            "run the entry point on uvicorn",
        ),
        "unexpected_error": Rule(
            _FAULT, (None, *Stage), "a defect of ours; the detail names type and place", "report it"
        ),
        **_of_google("bigquery", _WRITE, "table", "roles/bigquery.dataEditor"),
        **_of_google("pubsub", _DEAD_LETTER, "topic", "roles/pubsub.publisher"),
    }
)
"""Every reason of our own. A call through the mesh can fail for the SDK's as well: `meshpass.MeshError.code`."""

DEAD_LETTER_REASONS = tuple(reason for reason, rule in POLICY.items() if rule.disposition is _BAD)
"""Every reason that a dead letter of this version can carry."""

_ERRORS: Mapping[Disposition, type[EnrichmentError]] = {
    _BAD: BadEventError,
    _RETRY: TransientError,
    _FAULT: FaultError,
}


def failure(reason: str, detail: str, stage: Stage | None = None) -> EnrichmentError:
    """Return the error of a reason, of the class that the policy says.

    Args:
        reason: One of `POLICY`.
        detail: One sentence for people. Never holds the payload, a token or a key.
        stage: Where the event was stopped, where the policy allows several; by default the first of them.
    """
    rule = POLICY[reason]
    return _ERRORS[rule.disposition](stage or rule.stages[0], reason, detail)
