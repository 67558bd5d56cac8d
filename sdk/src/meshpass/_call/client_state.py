"""State that the calls of one client share."""

from meshpass._call.budget import RetryBudget
from meshpass._call.cookies import Cookies
from meshpass._call.request import Bearer
from meshpass._call.service import Service
from meshpass._token import TokenSource


class ClientState:
    """What the calls of one client share: service, token source, retry budget and cookies.

    Args:
        service: The service that they call.
        auth: Where their tokens come from.
    """

    __slots__ = ("auth", "bearer", "budget", "cookies", "service")

    def __init__(self, service: Service, auth: TokenSource) -> None:
        policy = service.retry
        self.service = service
        self.auth = auth
        self.bearer = Bearer()
        self.budget = RetryBudget(policy.budget_ratio, policy.budget_floor_per_s, policy.budget_burst)
        self.cookies = Cookies()
