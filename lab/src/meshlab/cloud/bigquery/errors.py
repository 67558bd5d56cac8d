"""The errors of the API, in the JSON shape that every Google client reads.

Source: https://cloud.google.com/bigquery/docs/error-messages
"""

from __future__ import annotations

_STATUS = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    413: "INVALID_ARGUMENT",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}


class ApiError(Exception):
    """A refusal of a whole request.

    Args:
        code: HTTP status.
        reason: The API's short reason, such as `notFound`; clients decide by it whether to try again.
        message: What was refused and why.
        location: What in the request is at fault, if that can be named.
    """

    def __init__(self, code: int, reason: str, message: str, location: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.location = location

    def to_json(self) -> dict[str, object]:
        """Return the body to answer with."""
        error = {"message": str(self), "domain": "global", "reason": self.reason}
        if self.location:
            error |= {"location": self.location, "locationType": "parameter"}
        status = _STATUS.get(self.code, "UNKNOWN")
        return {"error": {"code": self.code, "message": str(self), "errors": [error], "status": status}}


def invalid(message: str, location: str = "") -> ApiError:
    """Refuse a request that breaks a rule of the service."""
    return ApiError(400, "invalid", message, location)


def invalid_query(message: str) -> ApiError:
    """Refuse a statement."""
    return ApiError(400, "invalidQuery", message, "q")


def not_found(kind: str, name: str) -> ApiError:
    """Return the error of a dataset, table or job that does not exist."""
    return ApiError(404, "notFound", f"Not found: {kind} {name}")


def duplicate(kind: str, name: str) -> ApiError:
    """Return the error of a dataset, table or job that exists already."""
    return ApiError(409, "duplicate", f"Already Exists: {kind} {name}")


def backend_error() -> ApiError:
    """Return the error of a service that is unavailable for now; clients try again."""
    return ApiError(
        503, "backendError", "Error encountered during execution. Retrying may solve the problem."
    )


REFUSALS = {
    "access_denied": (
        "accessDenied",
        "Access Denied: Table p:d.t: Permission bigquery.tables.updateData denied on table p:d.t.",
    ),
    "billing_disabled": (
        "billingNotEnabled",
        "Billing has not been enabled for this project. Enable billing at https://console.cloud.google.com/billing.",
    ),
    "free_tier": (
        "accessDenied",
        "Access Denied: BigQuery BigQuery: Streaming insert is not allowed in the free tier",
    ),
    "vpc_service_controls": (
        "vpcServiceControls",
        "VPC Service Controls: Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: x.",
    ),
    "api_disabled": (
        "accessNotConfigured",
        "BigQuery API has not been used in project 1 before or it is disabled.",
    ),
    "quota_exceeded": (
        "quotaExceeded",
        "Quota exceeded: Your project exceeded quota for streaming insert rows.",
    ),
    "rate_limit_exceeded": (
        "rateLimitExceeded",
        "Exceeded rate limits: Your table exceeded quota for streaming insert rows per second per table.",
    ),
}
"""What the service answers with 403, by the fault that orders it: its reason and its message."""


def refused(kind: str) -> ApiError:
    """Refuse a request with 403, in the service's words.

    Args:
        kind: One of `REFUSALS`.
    """
    reason, message = REFUSALS[kind]
    return ApiError(403, reason, message)


def unsupported(what: str) -> ApiError:
    """Refuse what the service has and this fake has not; clients do not retry a 501."""
    return ApiError(501, "notImplemented", f"This fake for BigQuery does not offer {what}.")
