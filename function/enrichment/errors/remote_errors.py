"""The errors that others report, and which reason of the policy each of them means. Data alone.

Four parties: BigQuery about a row, Google's APIs about a request, the service about a key, and the SDK about a call.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from enrichment.errors.outcome import Disposition


class GoogleError(msgspec.Struct, frozen=True):
    """An error of a Google API, and the end of the reason that it means.

    Args:
        statuses: HTTP statuses; empty for any.
        codes: The same as gRPC names them, for people.
        reasons: Google's own `reason`: of the REST error, or of its ErrorInfo; empty for any.
        says: What the message holds, where the reason does not say it; empty for anything.
        ending: End of the reason in the policy, behind the service's name and an underscore.
    """

    statuses: tuple[int, ...]
    codes: str
    reasons: tuple[str, ...]
    says: str
    ending: str


GOOGLE_ERRORS: tuple[GoogleError, ...] = (
    GoogleError((401,), "UNAUTHENTICATED", (), "", "no_credentials"),
    GoogleError(
        (403, 429),
        "PERMISSION_DENIED, RESOURCE_EXHAUSTED",
        (
            "rateLimitExceeded",
            "quotaExceeded",
            "userRateLimitExceeded",
            "RATE_LIMIT_EXCEEDED",
            "RESOURCE_QUOTA_EXCEEDED",
        ),
        "",
        "quota",
    ),
    GoogleError((429,), "RESOURCE_EXHAUSTED", (), "", "quota"),
    GoogleError(
        (403,), "PERMISSION_DENIED", ("billingNotEnabled", "BILLING_DISABLED"), "", "billing_disabled"
    ),
    GoogleError((403,), "PERMISSION_DENIED", (), "not allowed in the free tier", "free_tier"),
    GoogleError((403,), "PERMISSION_DENIED", (), "Billing has not been enabled", "billing_disabled"),
    GoogleError((403,), "PERMISSION_DENIED", (), "requires billing to be enabled", "billing_disabled"),
    GoogleError((403,), "PERMISSION_DENIED", (), "Billing is disabled", "billing_disabled"),
    GoogleError(
        (403,),
        "PERMISSION_DENIED",
        ("vpcServiceControls", "SECURITY_POLICY_VIOLATED"),
        "",
        "vpc_service_controls",
    ),
    GoogleError(
        (403,),
        "PERMISSION_DENIED",
        (),
        "Request is prohibited by organization's policy",
        "vpc_service_controls",
    ),
    GoogleError((403,), "PERMISSION_DENIED", ("accessNotConfigured", "SERVICE_DISABLED"), "", "api_disabled"),
    GoogleError((403,), "PERMISSION_DENIED", (), "or it is disabled.", "api_disabled"),
    # BigQuery protects itself from the operation for a while.
    GoogleError((403,), "PERMISSION_DENIED", ("blocked",), "", "unavailable"),
    GoogleError((403,), "PERMISSION_DENIED", (), "", "forbidden"),
    GoogleError((404,), "NOT_FOUND", (), "", "not_found"),
    GoogleError((400,), "INVALID_ARGUMENT", (), "is outside the allowed bounds", "partition_range"),
    GoogleError(
        (400,),
        "INVALID_ARGUMENT, FAILED_PRECONDITION",
        ("tableUnavailable", "resourcesExceeded"),
        "",
        "unavailable",
    ),
    GoogleError((400, 405, 411, 412, 413, 414, 501), "INVALID_ARGUMENT, UNIMPLEMENTED", (), "", "refused"),
    GoogleError((407,), "", (), "", "refused"),
    GoogleError(
        (),
        "UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, ABORTED and the others",
        (),
        "",
        "unavailable",
    ),
)
"""The first that fits decides. Sources: https://cloud.google.com/bigquery/docs/error-messages and, for the reasons of
gRPC, google/api/error_reason.proto. Some endings are BigQuery's alone: see `reason_of`."""

_ONLY_OF_BIGQUERY = {"free_tier": "forbidden", "partition_range": "refused"}


def reason_of(service: str, ending: str) -> str:
    """Return the reason in the policy for an ending of `GOOGLE_ERRORS`.

    Args:
        service: `bigquery` or `pubsub`.
        ending: The ending.
    """
    if service != "bigquery":
        ending = _ONLY_OF_BIGQUERY.get(ending, ending)
    return f"{service}_{ending}"


INSERT_ERRORS: Mapping[str, str] = MappingProxyType(
    {
        "stopped": "row_stopped",
        "invalid": "row_invalid",
        "backendError": "bigquery_unavailable",
        "internalError": "bigquery_unavailable",
        "timeout": "bigquery_unavailable",
        "tableUnavailable": "bigquery_unavailable",
        "resourcesExceeded": "bigquery_unavailable",
        "resourceInUse": "bigquery_unavailable",
        "duplicate": "bigquery_unavailable",
        "blocked": "bigquery_unavailable",
        "jobBackendError": "bigquery_unavailable",
        "jobInternalError": "bigquery_unavailable",
        "rateLimitExceeded": "bigquery_quota",
        "jobRateLimitExceeded": "bigquery_quota",
        "quotaExceeded": "bigquery_quota",
        "notFound": "bigquery_not_found",
        "accessDenied": "bigquery_forbidden",
        "billingNotEnabled": "bigquery_billing_disabled",
        "billingTierLimitExceeded": "bigquery_billing_disabled",
        "attributeError": "bigquery_refused",
        "badRequest": "bigquery_refused",
        "invalidQuery": "bigquery_refused",
        "invalidUser": "bigquery_refused",
        "notImplemented": "bigquery_refused",
        "proxyAuthenticationRequired": "bigquery_refused",
        "responseTooLarge": "bigquery_refused",
    }
)
"""What insertAll says of a row by its `reason` (https://cloud.google.com/bigquery/docs/error-messages)."""

OTHER_INSERT_ERROR = "bigquery_unavailable"
"""What any other `reason` means: the row is sent again."""

RETRIED_INSERT_REASONS = frozenset({"rateLimitExceeded", "backendError", "internalError", "badGateway"})
"""First `reason` of a whole insertAll that is tried again within its deadline; after that `GOOGLE_ERRORS` decides.
The official client's, `google.cloud.bigquery.retry.DEFAULT_RETRY`."""

RETRIED_INSERT_STATUSES = frozenset({429, 500, 502, 503})
"""The same by the status, where the answer gives no reason, as that of a proxy on the way."""


class InsertMessage(msgspec.Struct, frozen=True):
    """A message of an `invalid` row that blames the table and not the row.

    Args:
        pattern: What the message begins with, as a regular expression. A group named `column` is the column.
        shown: The same for people.
        reason: The reason in the policy.
    """

    pattern: str
    shown: str
    reason: str


INSERT_MESSAGES: tuple[InsertMessage, ...] = (
    InsertMessage("no such field", "no such field: plan.", "bigquery_schema_mismatch"),
    InsertMessage(
        r"This field: \w+ is (?:not )?a record",
        "This field: order is not a record.",
        "bigquery_schema_mismatch",
    ),
    InsertMessage(
        "Array specified for non-repeated field",
        "Array specified for non-repeated field: tags.",
        "bigquery_schema_mismatch",
    ),
    InsertMessage(
        r"Repeated record(?: with name: \S+)? added outside of an array",
        "Repeated record added outside of an array.",
        "bigquery_schema_mismatch",
    ),
    InsertMessage(
        r"Repeated field must be imported as a JSON array(?:\. Field: (?P<column>\w+))?",
        "Repeated field must be imported as a JSON array. Field: tags.",
        "bigquery_schema_mismatch",
    ),
    InsertMessage(
        r"Missing required fields?: Msg_\d+_CLOUD_QUERY_TABLE\w*\.(?P<column>\w+)",
        "Missing required field: Msg_0_CLOUD_QUERY_TABLE.plan.",
        "bigquery_schema_mismatch",
    ),
    InsertMessage(
        r"Only optional fields can be set to NULL(?:\. Field: (?P<column>\w+))?",
        "Only optional fields can be set to NULL. Field: plan; Value: NULL",
        "bigquery_schema_mismatch",
    ),
    InsertMessage(
        r"Value \S+ for (?:field|partition column) (?P<column>\w+) of the destination table "
        r".{1,400} is outside the allowed bounds",
        "Value ... for partition column publish_time of the destination table ... is outside the allowed bounds.",
        "bigquery_partition_range",
    ),
    InsertMessage(
        r"The destination table's partition \S+ is outside the allowed bounds",
        "The destination table's partition ... is outside the allowed bounds.",
        "bigquery_partition_range",
    ),
)
"""Every row was held to table.json before it was sent. So where BigQuery does not know a field, its kind or its mode,
the real table is another one: our configuration is at fault. To dead-letter for that would throw away every event that
comes between a change of the table and one of the function. Only the message shows it; it begins with BigQuery's own
words."""


GRPC_STATUSES: Mapping[str, int] = MappingProxyType(
    {
        "CANCELLED": 499,
        "UNKNOWN": 500,
        "INVALID_ARGUMENT": 400,
        "DEADLINE_EXCEEDED": 504,
        "NOT_FOUND": 404,
        "ALREADY_EXISTS": 409,
        "PERMISSION_DENIED": 403,
        "RESOURCE_EXHAUSTED": 429,
        "FAILED_PRECONDITION": 400,
        "ABORTED": 409,
        "OUT_OF_RANGE": 400,
        "UNIMPLEMENTED": 501,
        "INTERNAL": 500,
        "UNAVAILABLE": 503,
        "DATA_LOSS": 500,
        "UNAUTHENTICATED": 401,
    }
)
"""gRPC's status codes in the order of their numbers from 1, and the HTTP status that each stands for, by which
`GOOGLE_ERRORS` decides. Source: google/rpc/code.proto."""

RETRIED_GRPC_CODES = frozenset(
    {"ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "UNKNOWN"}
)
"""Codes after which an append is tried again within its deadline. Those that Google's clients try again, and UNKNOWN,
which is what a connection answers that was idle for too long."""


class AppendError(msgspec.Struct, frozen=True):
    """A StorageError of the Storage Write API.

    Args:
        reason: The reason in the policy, where nothing is tried again or time is over.
        renews: Whether a stream that was made for this writer is at its end, so that a new one takes its place.
    """

    reason: str
    renews: bool = False


APPEND_ERRORS: Mapping[str, AppendError] = MappingProxyType(
    {
        "TABLE_NOT_FOUND": AppendError("bigquery_not_found"),
        "STREAM_NOT_FOUND": AppendError("bigquery_not_found", renews=True),
        "STREAM_FINALIZED": AppendError("bigquery_unavailable", renews=True),
        "STREAM_ALREADY_COMMITTED": AppendError("bigquery_unavailable", renews=True),
        "INVALID_STREAM_STATE": AppendError("bigquery_unavailable", renews=True),
        "OFFSET_ALREADY_EXISTS": AppendError("bigquery_unavailable", renews=True),
        "OFFSET_OUT_OF_RANGE": AppendError("bigquery_unavailable", renews=True),
        "INVALID_STREAM_TYPE": AppendError("bigquery_refused"),
        "SCHEMA_MISMATCH_EXTRA_FIELDS": AppendError("bigquery_schema_mismatch"),
        "CMEK_NOT_PROVIDED": AppendError("bigquery_encryption_key"),
        "INVALID_CMEK_PROVIDED": AppendError("bigquery_encryption_key"),
        "CMEK_ENCRYPTION_ERROR": AppendError("bigquery_encryption_key"),
        "KMS_PERMISSION_DENIED": AppendError("bigquery_encryption_key"),
        "KMS_SERVICE_ERROR": AppendError("bigquery_unavailable"),
    }
)
"""What the Storage Write API says of an append by its StorageError (google/cloud/bigquery/storage/v1/storage.proto).
OFFSET_ALREADY_EXISTS means `written` where the same rows were sent at that offset before."""

ROW_ERRORS: Mapping[str, str] = MappingProxyType(
    {"FIELDS_ERROR": "bigquery_row_refused", "ROW_ERROR_CODE_UNSPECIFIED": "bigquery_row_refused"}
)
"""What the Storage Write API says of a row by the code of its RowError, where its message is none of `APPEND_MESSAGES`.
The code is the same for a bad value and for a table that has changed, and Google documents no messages. Every value was
checked before it was sent, so the event is kept."""

APPEND_MESSAGES: tuple[InsertMessage, ...] = (
    InsertMessage(
        r"Input schema has more fields than BigQuery schema(?:, extra fields: '(?P<column>\w+))?",
        "Input schema has more fields than BigQuery schema, extra fields: ...",
        "bigquery_schema_mismatch",
    ),
    InsertMessage(
        r"Input schema does not have the required fields of the BigQuery schema(?:: '(?P<column>\w+))?",
        "Input schema does not have the required fields of the BigQuery schema: ...",
        "bigquery_schema_mismatch",
    ),
    InsertMessage(
        r"The primary keys and clustering keys of the table \S+ are required to create an upsert stream",
        "The primary keys and clustering keys of the table ... are required to create an upsert stream.",
        "bigquery_primary_key_missing",
    ),
    InsertMessage(
        r"The proto field mismatched with BigQuery field(?: at (?:\w+\.)?(?P<column>\w+))?",
        "The proto field mismatched with BigQuery field at Row.plan, ...",
        "bigquery_schema_mismatch",
    ),
    InsertMessage(
        r"Missing required value on field (?P<column>\w+)",
        "Missing required value on field plan.",
        "bigquery_schema_mismatch",
    ),
    InsertMessage(
        r"(?:The )?(?:[Ff]ield \S+:? )?(?:is )?[Rr]equired (?:field|proto field|column)",
        "Required field plan is missing.",
        "bigquery_schema_mismatch",
    ),
)
"""The same as `INSERT_MESSAGES`, of the Storage Write API. It checks the writer's schema before the rows."""


class ServiceStatus(msgspec.Struct, frozen=True):
    """An HTTP status of the service, and the reason that it means.

    Args:
        statuses: The statuses, as people write them.
        when: What the answer must be like beside that; empty for anything.
        reason: The reason in the policy; empty where the lookup goes on.
        overload: Whether fewer lookups are made from then on.
    """

    statuses: str
    when: str
    reason: str
    overload: bool = False


OVERLOAD_STATUSES = frozenset({429, 503, 504})
"""Too many requests, no capacity, and no answer in the gateway's time (RFC 9110, 15.6.4 and 15.6.5; RFC 6585, 4).
Other failures, such as a 500 for one key, say nothing about load."""

NOT_OF_THE_BATCH_STATUSES = frozenset({408, 429, 502, 503, 504})
"""Statuses of a lookup of many keys that say nothing of the keys: fewer at once would end alike."""

SERVICE_STATUSES: tuple[ServiceStatus, ...] = (
    ServiceStatus("200", "a profile that repeats the key", ""),
    ServiceStatus("200", "no JSON object, or without the key", "profile_malformed"),
    ServiceStatus("200", "another key", "profile_mismatch"),
    ServiceStatus("404", "the service itself says that the key is unknown", "profile_not_found"),
    ServiceStatus("429, 503, 504", "", "service_unavailable", overload=True),
    ServiceStatus("408, 5xx", "", "service_unavailable"),
    ServiceStatus("any other", "", "service_answer_unexpected"),
)


def of_service_status(status: int) -> str:
    """Return the reason for a status that brought no profile and did not say that the key is unknown.

    Args:
        status: The HTTP status of the service's own answer.
    """
    if status in OVERLOAD_STATUSES or status == 408 or status >= 500:
        return "service_unavailable"
    return "service_answer_unexpected"


class SdkCode(msgspec.Struct, frozen=True):
    """A code of `meshpass.MeshError`, and how an event ends that meets it.

    Args:
        disposition: How the event ends.
        varies: Whether the error itself says that the same call may succeed later, and then the event is retried.
        meaning: What happened, in a few words.
    """

    disposition: Disposition
    meaning: str
    varies: bool = False


_RETRY, _FAULT = Disposition.RETRY, Disposition.FAULT

SDK_CODES: Mapping[str, SdkCode] = MappingProxyType(
    {
        "gateway_unreachable": SdkCode(_RETRY, "no connection to the gateway"),
        "connection_lost": SdkCode(_RETRY, "the connection broke before the response was complete"),
        "upstream_unavailable": SdkCode(_RETRY, "the gateway has no working service behind the route"),
        "upstream_timeout": SdkCode(_RETRY, "the gateway waited longer than the route allows"),
        "timeout": SdkCode(_RETRY, "no complete response in time"),
        "timeout_token": SdkCode(_RETRY, "there was no token in time"),
        "timeout_connect": SdkCode(_RETRY, "there was no connection in time"),
        "timeout_send": SdkCode(_RETRY, "the request was not sent in time"),
        "timeout_read": SdkCode(_RETRY, "no response began in time"),
        "timeout_body": SdkCode(_RETRY, "the response did not end in time"),
        "deadline": SdkCode(_RETRY, "the event's time was over before the call"),
        "configuration": SdkCode(_FAULT, "settings are missing or wrong"),
        "client_closed": SdkCode(_FAULT, "the client was closed before the call"),
        "signing_key": SdkCode(_FAULT, "the key cannot be read or used", varies=True),
        "identity": SdkCode(_FAULT, "Google gives no ID token", varies=True),
        "gateway_tls": SdkCode(
            _FAULT, "the gateway's certificate is not trusted, or this port speaks no TLS"
        ),
        "token_refused": SdkCode(_FAULT, "the mesh did not accept the token", varies=True),
        "not_allowed": SdkCode(_FAULT, "a policy does not allow this caller this request"),
        "no_route": SdkCode(_FAULT, "the gateway routes neither this host nor this path"),
        "request_refused": SdkCode(_FAULT, "any other response that the gateway made itself", varies=True),
        "bad_response": SdkCode(_FAULT, "the response cannot be used"),
        "response_too_large": SdkCode(_FAULT, "the response is larger than the limit"),
        "not_decodable": SdkCode(_FAULT, "the response's body is not what its content-encoding says"),
        "not_http": SdkCode(_FAULT, "the response is not HTTP/1.1"),
        "invalid_request": SdkCode(_FAULT, "the call cannot be sent safely"),
    }
)
"""Every code that a call can end with, but for `invalid_path_value`: that one is the event's own, `key_invalid`."""

OTHER_SDK_CODE = SdkCode(_FAULT, "an error that this version does not know", varies=True)
