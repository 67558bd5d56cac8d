"""The private HTTP entry point over the real lookup, without a `pipeline.toml`."""

import functions_framework.aio
from enrichment.deadline import TimeBudget
from enrichment.http_lookup import HttpLookup
from enrichment.lookup import CachedLookup, MeshProfiles
from enrichment.settings.model import LookupRules
from enrichment.telemetry.log import Log
from starlette.requests import Request
from starlette.responses import Response

_RULES = LookupRules("/profile/{user_id}", ("user_id",), "user_id", "profile_not_found")
_lookup = HttpLookup(CachedLookup(_RULES, MeshProfiles(_RULES)), _RULES, TimeBudget(20.0), Log("project"))


@functions_framework.aio.http
async def lookup(request: Request) -> Response:
    return await _lookup.answer(request)
