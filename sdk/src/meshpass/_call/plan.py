"""One call as a plan without I/O: what to do next, given what came of the last step.

`plan` yields steps and is sent their outcomes. It holds every decision: when to get a token, when to send and to
wait, what a response means, when to give up. The two clients only carry the steps out.
"""

import logging
import random
from collections.abc import Generator
from typing import TYPE_CHECKING, Literal

from meshpass._call.client_state import ClientState
from meshpass._call.failures import is_lost, no_time, timed_out
from meshpass._call.refusal import new_token_may_help
from meshpass._call.request import Attempt, Call, GetToken, Request, RunHooks, Work, begin_attempt, prepare
from meshpass._call.response import RawResponse, receive, request_shown
from meshpass._call.retry import RetryPolicy, asks_for_retry, is_transient, retry_after_s, wait_s
from meshpass._call.service import Service
from meshpass._call.telemetry import observe
from meshpass._errors import MeshError, MeshTimeout, TokenRefused
from meshpass._token import Token

if TYPE_CHECKING:
    import httpx

_log = logging.getLogger("meshpass")


# A connection that broke in one of these gave not a byte of a response.
_UNANSWERED = ("send", "read")

# A number is the step "wait so many seconds".
Step = GetToken | Attempt | Work | RunHooks | float
Outcome = Token | RawResponse | MeshError | None
Plan = Generator[Step, Outcome, "httpx.Response"]


def plan(state: ClientState, call: Call) -> Plan:
    """Plan one call.

    A step is answered with the `Token`, the `RawResponse` or the `MeshError` that it came to; a number and `Work`
    with None. A `MeshError` that a step raised is thrown in, and so is a `TimeoutError` when its time was up.

    Returns:
        The service's own response.

    Raises:
        MeshError: as `Client.request`.
    """
    service, attempts, sent = state.service, 0, 0
    replayed = renewed = False
    refused = ""
    request = prepare(service, call)
    policy = service.retry if call.retry is None else call.retry
    state.budget.deposit()
    while True:
        token = yield from _token(state, request, attempts)
        attempts += 1
        attempt, result = yield from _send(state, call, request, token, fresh=replayed, resent=sent)
        sent += 1
        error = result if isinstance(result, MeshError) else None
        again = request.can_be_sent_again
        if (
            call.repeatable
            and again
            and not replayed
            and attempt.reused
            and attempt.phase in _UNANSWERED
            and is_lost(error)
        ):
            # Nothing was tried but a connection that had been closed: that is no attempt.
            replayed, attempts = True, attempts - 1
            _log_event(logging.DEBUG, "stale_connection", service, request, attempts)
            continue
        if isinstance(error, TokenRefused):
            state.auth.invalidate(token)
            if again and not renewed and new_token_may_help(error):
                # Whatever the method: the mesh refused the request before the service saw it.
                renewed = True
                _log_event(logging.INFO, "token_renewed", service, request, attempts, error)
                continue
        wait = _wait_s(state, call, policy, request, attempts, result)
        if wait is not None:
            refused = _refused(result) or refused
            _log_event(logging.INFO, "retry", service, request, attempts, error, wait_s=round(wait, 3))
            yield wait
        elif isinstance(result, MeshError):
            result.attempts = attempts
            if refused and isinstance(result, MeshTimeout):  # that the time ran out says less
                result.hint = f"{refused} {result.hint}"
            _log_event(logging.INFO, "failed", service, request, attempts, error)
            try:
                raise result
            finally:
                del (
                    result,
                    error,
                )  # the traceback holds this frame: only the garbage collector would free both
        else:
            _log_event(logging.DEBUG, "answered", service, request, attempts, status=result.status_code)
            return result


def _refused(result: "httpx.Response | MeshError") -> str:
    """Return a sentence on an attempt that got a response and is made again; empty where it got none."""
    if not isinstance(result, MeshError):
        return f"An earlier attempt was answered {result.status_code} by the service."
    if result.status is None:
        return ""
    return f"An earlier attempt was answered {result.status} by the {result.answered_by or 'mesh'}."


def _token(state: ClientState, request: Request, attempts: int) -> Generator[GetToken, Outcome, Token]:
    failure: MeshError | None = None
    if request.deadline.left_s() <= 0 and not attempts:
        raise no_time(state.service)
    try:
        token = yield GetToken(request)
    except MeshTimeout as exc:
        failure = exc
        failure.code, failure.service = "timeout_token", state.service.name
    except MeshError as exc:
        failure = exc
    except TimeoutError:
        token = None
    if failure is None and (token is None or request.deadline.left_s() <= 0):
        failure = timed_out(state.service, request.limit_s, "token")
    if failure is not None:
        failure.attempts = attempts
        try:
            raise failure
        finally:
            del failure  # as above
    return token  # type: ignore[return-value]


def _send(
    state: ClientState, call: Call, request: Request, token: Token, *, fresh: bool, resent: int
) -> "Generator[Attempt | RunHooks | Work, Outcome, tuple[Attempt, httpx.Response | MeshError]]":
    service, url = state.service, state.service.origin.url + request.target
    cookie = state.cookies.header_for(url) if call.cookies else None
    attempt = begin_attempt(service, request, state.bearer.header(token), cookie, fresh=fresh)
    hooks = service.event_hooks
    if hooks and hooks.get("request"):
        yield RunHooks(hooks["request"], request_shown(service, attempt))
    with observe(service, attempt, request.template, resent) as observed:
        result: httpx.Response | MeshError | None = None
        lines: list[bytes] = []
        try:
            outcome = yield attempt
            if isinstance(outcome, RawResponse):
                lines = [value for name, value in outcome.headers if name == b"set-cookie"]
                result = yield from receive(service, request.template, attempt, outcome, token)
            elif isinstance(outcome, MeshError):
                result = outcome
        except MeshError as exc:
            result = exc
        except TimeoutError:
            pass
        if result is None:
            result = timed_out(service, request.limit_s, attempt.phase)
        observed.end(result)
    if not isinstance(result, MeshError):
        if lines and call.cookies:
            state.cookies.keep(url, lines)
        if hooks and hooks.get("response"):
            yield RunHooks(hooks["response"], result)
    return attempt, result


def _wait_s(
    state: ClientState,
    call: Call,
    policy: RetryPolicy,
    request: Request,
    attempts: int,
    result: "httpx.Response | MeshError",
) -> float | None:
    """Decide whether to send the call again, and after how long."""
    if isinstance(result, MeshError):
        asked_s = result.retry_after_s
        wanted = is_transient(result, asked_s)
    elif result.status_code < 300:
        return None
    else:
        import time

        asked_s = retry_after_s(result.headers, time.time())
        wanted = asks_for_retry(result.status_code, asked_s, policy)
    if not (wanted and call.repeatable and request.can_be_sent_again):
        return None
    left_s = request.deadline.left_s()
    wait = wait_s(policy, attempts=attempts, retry_after_s=asked_s, left_s=left_s, chance=random.random())  # noqa: S311
    if wait is not None and not state.budget.withdraw():
        _log_event(logging.INFO, "retry_budget_spent", state.service, request, attempts)
        return None
    return wait


def _log_event(
    level: int,
    event: Literal["answered", "failed", "retry", "retry_budget_spent", "stale_connection", "token_renewed"],
    service: Service,
    request: Request,
    attempts: int,
    error: MeshError | None = None,
    **more: object,
) -> None:
    """Log one event: a stable word as the message, the rest as fields. Neither holds a value of the call's."""
    if not _log.isEnabledFor(level):
        return
    fields: dict[str, object] = {
        "service": service.name,
        "method": request.method,
        "template": request.template,
        "attempts": attempts,
        **more,
    }
    if error is not None:
        fields |= {"code": error.code, "status": error.status, "answered_by": error.answered_by}
        fields |= {"detail": error.detail, "claims": dict(error.claims)}
    shown = " ".join(f"{name}={value}" for name, value in fields.items() if value not in (None, {}))
    _log.log(level, "%s %s", event, shown, extra={"event": f"meshpass.{event}", "meshpass": fields})
