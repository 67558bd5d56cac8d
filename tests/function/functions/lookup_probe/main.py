"""The private HTTP entry point over the real lookup, without a `pipeline.toml`."""

import functions_framework.aio
from enrichment.deadline import TimeBudget
from enrichment.drivers.http_lookup import HttpLookup
from enrichment.lookup import CachedLookup, MeshProfiles
from enrichment.settings.lookup_rules import DeclaredField, Echo, LookupRules, MissRule
from enrichment.telemetry.log import Log
from starlette.requests import Request
from starlette.responses import Response

_RULES = LookupRules(
    "/profile/{user_id}",
    {"user_id": DeclaredField("user_id")},
    echo=(Echo(("user_id",)),),
    miss=MissRule(404, ("error",), "profile_not_found", repeats_key=True),
)
_lookup = HttpLookup(CachedLookup(_RULES, MeshProfiles(_RULES)), _RULES, TimeBudget(20.0), Log("project"))


@functions_framework.aio.http
async def lookup(request: Request) -> Response:
    scope = request.scope
    response = await _lookup.answer(
        request.method, scope.get("raw_path"), scope["query_string"], scope["headers"]
    )
    return Response(response.body, response.status, response.headers)
