"""Which failure leads to which end."""

import asyncio
import json
from datetime import UTC, datetime

import meshpass
import pytest
from enrichment import dead_letter
from enrichment.core.enricher import Enricher
from enrichment.core.received import Received
from enrichment.core.transform import Transform
from enrichment.deadline import TimeBudget
from enrichment.errors import (
    POLICY,
    BadEventError,
    Disposition,
    FaultError,
    Stage,
    TransientError,
    of_google_answer,
    of_google_error,
    of_mesh_error,
)
from enrichment.errors.remote_errors import GOOGLE_ERRORS, SDK_CODES, reason_of
from enrichment.event.message import Message
from enrichment.lookup import Lookups
from enrichment.settings import pipeline_file
from enrichment.settings.environment import PIPELINE_FILE, TABLE_FILE
from enrichment.settings.lookup_rules import OnMiss
from enrichment.telemetry.log import Log, Severity
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError
from msgspec.structs import replace

from .world import World

SECRET = "4111-1111"


def forbidden(reason: str) -> exceptions.GoogleAPICallError:
    return exceptions.Forbidden(SECRET, errors=[{"reason": reason}])


def refresh_error(cause: Exception | None) -> RefreshError:
    error = RefreshError(SECRET)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.NotFound(SECRET), FaultError),
        (exceptions.Unauthorized(SECRET), FaultError),
        (exceptions.BadRequest(SECRET), FaultError),
        (forbidden("accessDenied"), FaultError),
        (forbidden("quotaExceeded"), TransientError),
        (forbidden("rateLimitExceeded"), TransientError),
        (exceptions.TooManyRequests(SECRET), TransientError),
        (exceptions.InternalServerError(SECRET), TransientError),
        (exceptions.ServiceUnavailable(SECRET), TransientError),
        (exceptions.RetryError(SECRET, None), TransientError),
        (ConnectionError(SECRET), TransientError),
        (TimeoutError(SECRET), TransientError),
        (DefaultCredentialsError(SECRET), FaultError),
        (refresh_error(None), FaultError),
        (refresh_error(TransportError()), TransientError),
        (TypeError(SECRET), FaultError),
    ],
)
def test_a_google_error_is_never_the_events_fault_and_its_words_are_not_repeated(
    error: Exception, kind: type
) -> None:
    decided = of_google_error(error, Stage.WRITE, "bigquery", "p.d.t")
    assert type(decided) is kind
    assert SECRET not in decided.detail


def of_retries(cause: Exception) -> exceptions.RetryError:
    return exceptions.RetryError(SECRET, cause)


FREE_TIER = "Access Denied: BigQuery BigQuery: Streaming insert is not allowed in the free tier"
PERIMETER = "VPC Service Controls: Request is prohibited by organization's policy. vpcServiceControls..."


@pytest.mark.parametrize(
    ("error", "reason", "named"),
    [
        (forbidden("accessDenied"), "bigquery_forbidden", "403 accessDenied"),
        (
            exceptions.Forbidden(FREE_TIER, errors=[{"reason": "accessDenied"}]),
            "bigquery_free_tier",
            "403 accessDenied",
        ),
        (forbidden("billingNotEnabled"), "bigquery_billing_disabled", "403 billingNotEnabled"),
        (forbidden("vpcServiceControls"), "bigquery_vpc_service_controls", "403 vpcServiceControls"),
        (exceptions.Forbidden(PERIMETER), "bigquery_vpc_service_controls", "403"),
        (forbidden("accessNotConfigured"), "bigquery_api_disabled", "403 accessNotConfigured"),
        (forbidden("rateLimitExceeded"), "bigquery_quota", "403 rateLimitExceeded"),
        (of_retries(forbidden("rateLimitExceeded")), "bigquery_quota", "403 rateLimitExceeded"),
        (of_retries(exceptions.TooManyRequests("")), "bigquery_quota", "429"),
        (of_retries(exceptions.ServiceUnavailable("")), "bigquery_unavailable", "503"),
        (forbidden("blocked"), "bigquery_unavailable", "403 blocked"),
        (exceptions.Unauthorized(SECRET), "bigquery_no_credentials", "401"),
        (exceptions.MethodNotImplemented(SECRET), "bigquery_refused", "501"),
    ],
)
def test_googles_own_reason_decides_and_is_named_and_retries_do_not_hide_it(
    error: Exception, reason: str, named: str
) -> None:
    decided = of_google_error(error, Stage.WRITE, "bigquery", "p.d.t")
    assert decided.reason == reason
    assert f"BigQuery answered {named} for p.d.t: {POLICY[reason].meaning}" in decided.detail
    assert POLICY[reason].action in decided.detail
    assert "RetryError" not in decided.detail


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("BILLING_DISABLED", "pubsub_billing_disabled"),
        ("SERVICE_DISABLED", "pubsub_api_disabled"),
        ("SECURITY_POLICY_VIOLATED", "pubsub_vpc_service_controls"),
        ("IAM_PERMISSION_DENIED", "pubsub_forbidden"),
        ("RATE_LIMIT_EXCEEDED", "pubsub_quota"),
        ("4111-1111", "pubsub_forbidden"),
    ],
)
def test_the_reason_of_grpcs_error_info_decides_as_well(word: str, reason: str) -> None:
    error = exceptions.PermissionDenied("no", error_info={"reason": word})
    decided = of_google_error(error, Stage.DEAD_LETTER, "pubsub", "projects/p/topics/t")
    assert decided.reason == reason
    assert "4111" not in decided.detail


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Billing has not been enabled for this project.", "bigquery_billing_disabled"),
        ("This API method requires billing to be enabled.", "bigquery_billing_disabled"),
        (
            "BigQuery Storage API has not been used in project 1 before or it is disabled. Enable it by visiting",
            "bigquery_api_disabled",
        ),
        ("Request is prohibited by organization's policy.", "bigquery_vpc_service_controls"),
        (
            "Permission 'TABLES_UPDATE_DATA' denied on resource 'p' (or it may not exist).",
            "bigquery_forbidden",
        ),
    ],
)
def test_the_sentence_of_a_403_decides_where_it_has_no_reason(said: str, reason: str) -> None:
    decided = of_google_answer(403, [], said, Stage.WRITE, "bigquery", "p.d.t")
    assert decided.reason == reason
    assert said not in decided.detail


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("Exceeds 'AppendRows throughput' quota, user_id: 1", "AppendRows throughput"),
        ("Quota exceeded for quota metric 'Regional publisher throughput, kB' and limit", ""),
        ("Quota exceeded for quota metric 'Publisher throughput' and limit 'x'", "Publisher throughput"),
        ("the row has the value 'secret'", ""),
    ],
)
def test_a_quota_is_named_where_google_names_it(said: str, named: str) -> None:
    decided = of_google_answer(429, [], said, Stage.WRITE, "bigquery", "p.d.t")
    assert decided.reason == "bigquery_quota"
    assert ("(the quota " in decided.detail) == bool(named)
    assert named in decided.detail
    assert "secret" not in decided.detail


@pytest.mark.parametrize("service", ["bigquery", "pubsub"])
def test_every_error_of_google_in_the_table_has_a_rule(service: str) -> None:
    assert {reason_of(service, known.ending) for known in GOOGLE_ERRORS} <= set(POLICY)


@pytest.mark.parametrize("status", range(400, 600))
def test_every_status_of_google_leads_to_an_end_and_never_to_a_dead_letter(status: int) -> None:
    decided = of_google_answer(status, [], "", Stage.WRITE, "bigquery", "p.d.t")
    assert decided.disposition in (Disposition.RETRY, Disposition.FAULT)
    assert status < 500 or decided.reason == ("bigquery_refused" if status == 501 else "bigquery_unavailable")


def test_every_code_of_the_sdk_is_in_the_table_with_the_end_that_its_errors_have() -> None:
    def classes(cls: type[meshpass.MeshError]) -> list[type[meshpass.MeshError]]:
        return [cls, *(found for each in cls.__subclasses__() for found in classes(each))]

    of_calls = [cls for cls in classes(meshpass.MeshError) if cls.__module__ == "meshpass._errors"]
    codes = {cls.code for cls in of_calls} - {"mesh_error", "invalid_path_value"}
    assert codes <= set(SDK_CODES)
    for cls in of_calls:
        if cls.code in codes:
            decided = of_mesh_error(cls("x"))
            assert decided.disposition is SDK_CODES[cls.code].disposition
            assert decided.reason == cls.code


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (
            meshpass.SigningKeyError("The secret projects/p/secrets/s/versions/active cannot be read."),
            "versions/active",
        ),
        (
            meshpass.ConfigurationError("GKE_GATEWAY_CA_FILE names /x, which is not a file."),
            "GKE_GATEWAY_CA_FILE",
        ),
        (meshpass.IdentityError("No Google identity was found."), "No Google identity"),
        (meshpass.GatewayTLSError("TLS with the gateway of h at a:443 failed: x."), "a:443"),
        (
            meshpass.GatewayUnreachable("The gateway of h at typo:443 cannot be reached: Name unknown."),
            "typo:443",
        ),
        (meshpass.MeshTimeout("h at a:443 gave no complete response within 5 s."), "h at a:443"),
        (meshpass.BadResponse("The response of h at a:443 is larger than 9 bytes."), "h at a:443"),
        (
            meshpass.UpstreamUnavailable(
                f"GET /{SECRET}", service="h", detail="no healthy upstream", hint="Look."
            ),
            "UpstreamUnavailable: h: no healthy upstream. Look.",
        ),
    ],
)
def test_the_sdks_own_sentence_says_which_setting_key_or_host_it_is(
    error: meshpass.MeshError, named: str
) -> None:
    detail = of_mesh_error(error).detail
    assert named in detail
    assert SECRET not in detail


def test_a_refusal_names_the_host_the_words_and_the_claims_to_compare() -> None:
    error = meshpass.TokenRefused(
        f"GET /profile/{SECRET}",
        service="h.internal",
        status=403,
        detail="Audiences in Jwt are not allowed",
        answered_by="gateway",
        claims={"iss": "i", "aud": "a", "kid": "k", "exp": 1},
        hint="Compare aud.",
    )
    detail = of_mesh_error(error).detail
    assert detail == (
        "TokenRefused: the gateway answered 403 for h.internal (Audiences in Jwt are not allowed). Compare aud. "
        "The token had iss=i, aud=a, kid=k."
    )


BAD = BadEventError(Stage.WRITE, "row_invalid", "")
BUSY = TransientError(Stage.WRITE, "busy", "")


def pipeline(world: World, on_miss: str = "dead-letter") -> Enricher:
    """The pipeline as it is shipped, but for what becomes of an unknown key."""
    config = pipeline_file.read(PIPELINE_FILE, TABLE_FILE)
    (rules,) = config.lookups
    lookups = Lookups([(replace(rules, on_miss=OnMiss(on_miss)), world)])
    now = datetime(2026, 3, 1, tzinfo=UTC)
    log = Log("p", Severity.CRITICAL, write=lambda _: None)
    transform = Transform(config, lookups, lambda: now)
    return Enricher(transform, world, world, TimeBudget(10.0), log, version="v")


def delivery(**fields: str) -> Received:
    """A delivery of a good event with some fields changed."""
    event = {"event_id": "e", "user_id": "u", "type": "t", "occurred_at": "2026-03-01T12:00:00Z", **fields}
    return Received(
        b"", Message(json.dumps(event).encode(), {}, "1", datetime(2026, 3, 1, 12, tzinfo=UTC)), {}
    )


@pytest.mark.parametrize(
    ("failures", "disposition"),
    [
        ({}, Disposition.WRITTEN),
        ({"write": BAD}, Disposition.DEAD_LETTERED),
        ({"write": BUSY}, Disposition.RETRY),
        ({"write": ValueError()}, Disposition.FAULT),
        ({"lookup": KeyError()}, Disposition.FAULT),
        ({"write": BAD, "publish": BUSY}, Disposition.RETRY),
        ({"write": BAD, "publish": ValueError()}, Disposition.FAULT),
        ({"write": BAD, "publish": BAD}, Disposition.FAULT),
    ],
)
def test_nothing_is_acknowledged_before_its_row_or_its_dead_letter_is_safe(
    failures: dict[str, Exception], disposition: Disposition
) -> None:
    world = World()
    world.failures = failures
    outcome = asyncio.run(pipeline(world).handle(delivery()))
    assert outcome.disposition is disposition
    assert (outcome.disposition.status == 200) == (
        disposition in (Disposition.WRITTEN, Disposition.DEAD_LETTERED)
    )
    assert len(world.rows) + len(world.dead_letters) == (outcome.disposition.status == 200)


@pytest.mark.parametrize(
    ("on_miss", "disposition", "rows", "dead_letters"),
    [
        ("dead-letter", Disposition.DEAD_LETTERED, 0, 1),
        ("write", Disposition.WRITTEN, 1, 0),
        ("retry", Disposition.RETRY, 0, 0),
    ],
)
def test_what_becomes_of_an_event_with_an_unknown_key_is_a_setting(
    on_miss: str, disposition: Disposition, rows: int, dead_letters: int
) -> None:
    world = World()
    outcome = asyncio.run(pipeline(world, on_miss).handle(delivery(user_id="nobody")))
    assert outcome.disposition is disposition
    assert (len(world.rows), len(world.dead_letters)) == (rows, dead_letters)
    assert all("profile" not in row.columns for row in world.rows)


def with_attributes(push: Received, attributes: dict[str, str], extensions: dict[str, str]) -> Received:
    """A delivery with these attributes of its message, and of the CloudEvent around it."""
    assert isinstance(push.message, Message)
    message = Message(push.message.data, attributes, push.message.message_id, push.message.publish_time)
    return Received(push.body, message, extensions)


DEAD_LETTERS = "projects/p/topics/dead-letters"
EVENTS = "projects/p/topics/events"
A_DEAD_LETTER = dict.fromkeys(dead_letter.ESSENTIAL, "x")


@pytest.mark.parametrize(
    ("source", "attributes", "disposition"),
    [
        (EVENTS, {}, Disposition.DEAD_LETTERED),
        ("", {}, Disposition.DEAD_LETTERED),
        (EVENTS, {"dead_letter_reason": "a publisher's own"}, Disposition.DEAD_LETTERED),
        (DEAD_LETTERS, {}, Disposition.FAULT),
        (EVENTS, A_DEAD_LETTER, Disposition.FAULT),
        ("", A_DEAD_LETTER, Disposition.FAULT),
    ],
)
def test_a_bad_event_that_would_come_back_as_an_event_is_kept_and_not_dead_lettered(
    source: str, attributes: dict[str, str], disposition: Disposition
) -> None:
    world = World()
    extensions = {"source": f"//pubsub.googleapis.com/{source}"} if source else {}
    enricher = pipeline(world)
    enricher.dead_letter_topic = DEAD_LETTERS
    bad = with_attributes(delivery(event_id=""), attributes, extensions)
    outcome = asyncio.run(enricher.handle(bad))
    assert outcome.disposition is disposition
    assert len(world.dead_letters) == (disposition is Disposition.DEAD_LETTERED)
    if disposition is Disposition.FAULT:
        assert outcome.reason == "event_is_dead_letter"
        assert "event_invalid" in outcome.detail


def test_a_good_event_that_was_a_dead_letter_once_is_written() -> None:
    world = World()
    good = with_attributes(delivery(), A_DEAD_LETTER, {})
    assert asyncio.run(pipeline(world).handle(good)).disposition is Disposition.WRITTEN


@pytest.mark.parametrize(
    ("ack_deadline_s", "timeout_s", "total_s"), [(60, 60, 54), (10, 540, 9), (600, 60, 54), (2, 60, 1)]
)
def test_an_event_gives_up_while_there_is_time_to_answer(
    ack_deadline_s: float, timeout_s: float, total_s: float
) -> None:
    budget = TimeBudget.within(ack_deadline_s, timeout_s)
    assert budget.total_s == pytest.approx(total_s)
    time = budget.start()
    assert time.end.at - time.lookup.at == pytest.approx(total_s / 2)
