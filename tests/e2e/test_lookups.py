"""Lookups of every kind through real Envoys to a real service, and what the mesh denies beside each."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meshpass
import pytest
from enrichment.errors import BadEventError, EnrichmentError
from enrichment.expressions import Scope, compile_expression
from enrichment.lookup import CachedLookup, Clients, MeshProfiles
from enrichment.lookup.request import LookupRequest, Requests
from enrichment.settings.lookup_rules import BatchRules, LookupRules, MissRule, Source
from enrichment.telemetry.trace import Trace
from meshgen.generated import write
from meshgen.plan import directories, generate
from meshlab.certificates import private_pem
from meshlab.lab.project_mesh import ProjectMesh
from meshlab.processes.ports import free_ports
from meshlab.processes.supervisor import Supervisor

from tests.e2e.test_hostile_paths import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio import Address
    from meshlab.processes.supervisor import Child

    from tests.conftest import Edited

SERVICE = Path(__file__).parent / "lookup_service.py"
USER_PROFILE = "infra/mesh/services/user-profile/service.yaml"
TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


class _LookupMesh(ProjectMesh):
    """The project's mesh with this test's service behind the sidecar."""

    def _start_app(self, name: str, address: Address) -> Child:
        return self._supervisor.spawn(name, [sys.executable, str(SERVICE), "--port", str(address.port)])


@pytest.fixture(scope="module")
def gateway(edited: Edited) -> Iterator[pytest.MonkeyPatch]:
    """The environment of a function that may look up in three new ways: the routes as docs/mesh.md adds them."""
    routes = (
        "routes:\n"
        "  by-query: {methods: [GET], paths: [/profiles]}\n"
        "  search: {methods: [POST], paths: [/profiles/search]}\n"
        "  batch: {methods: [POST], paths: [/profiles/batch-get]}\n"
    )
    project = edited(
        (USER_PROFILE, "routes:\n", routes),
        ("infra/mesh/callers/enrichment.yaml", "[profile]", "[profile, by-query, search, batch]"),
    )
    write(generate(project.root), directories(project.root))
    contract = project.contract()
    with Supervisor() as supervisor, pytest.MonkeyPatch.context() as patch:
        mesh = _LookupMesh(supervisor, project, free_ports(), SERVICE)
        mesh.start()
        mesh.wait_ready()
        key_file = supervisor.directory / "signing-key.pem"
        key_file.write_bytes(private_pem(mesh.key.private))
        for name in ("GKE_GATEWAY_HOST", "JWT_ISSUER", "JWT_AUDIENCE", "JWT_SUBJECT", "JWT_SCOPE"):
            patch.setenv(name, contract[name])
        patch.setenv("GKE_GATEWAY_URL", mesh.gateway_url)
        patch.setenv("GKE_GATEWAY_CA_FILE", str(mesh.gateway_ca))
        patch.setenv("SIGNING_KEY_FILE", str(key_file))
        yield patch


def source(text: str) -> Source:
    return compile_expression(text, ("event",))


ID = source("event.id")
BY_PATH = LookupRules("/profile/{id}", {"id": ID}, miss=MissRule(404))
BY_QUERY = LookupRules("/profiles", {}, query={"id": ID}, miss=MissRule(200, ("found",), False))
SEARCH = LookupRules("/profiles/search", {}, method="POST", body={"where": {"id": ID}}, idempotent=True)
BATCH = LookupRules(
    "/profiles/batch-get",
    {"id": ID},
    method="POST",
    batch=BatchRules("ids", ("profiles",), "id"),
    idempotent=True,
)


def ends(rules: LookupRules, *ids: str) -> list[Any]:
    """Look these up at the same time: the profile, None for a miss, or the reason why not."""

    async def scene() -> list[Any]:
        mesh = MeshProfiles(rules, Clients())
        lookup = CachedLookup(rules, mesh, batch_source=mesh)

        async def end(value: str) -> object:
            try:
                key = Requests(rules).of_event(Scope({"event": {"id": value}}))
                assert key is not None
                result = await lookup.fetch(key, TRACE, meshpass.Deadline.after(20))
            except EnrichmentError as error:
                return error.reason
            return result.profile and result.profile.document

        try:
            return await asyncio.gather(*map(end, ids))
        finally:
            await mesh.aclose()

    return asyncio.run(scene())


@pytest.mark.usefixtures("gateway")
def test_a_plain_404_of_the_service_is_a_miss_and_one_of_the_mesh_is_not() -> None:
    assert ends(BY_PATH, "u-1", "nobody") == [{"key": "u-1", "query": []}, None]
    elsewhere = LookupRules("/profil/{id}", {"id": ID}, miss=MissRule(404))
    assert ends(elsewhere, "u-1") == ["not_allowed"]


@pytest.mark.usefixtures("gateway")
def test_a_query_a_search_and_a_batch_reach_the_service() -> None:
    assert ends(BY_QUERY, "u-1", "nobody") == [{"found": True, "query": [["id", "u-1"]]}, None]
    assert ends(SEARCH, "u-1") == [{"body": {"where": {"id": "u-1"}}}]
    assert ends(BATCH, "u-1", "nobody", "u-2") == [{"id": "u-1", "asked": 3}, None, {"id": "u-2", "asked": 3}]


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize(
    "rules",
    [
        LookupRules("/profile/{id}", {"id": ID}, method="POST", body={"id": ID}, miss=MissRule(404)),
        LookupRules("/profiles/search", {}, query={"id": ID}, miss=MissRule(404)),
        LookupRules("/profiles/batch-get/{id}", {"id": ID}, miss=MissRule(404)),
        LookupRules("/profiles/{id}", {"id": ID}, miss=MissRule(404)),
        LookupRules("/profile/{id}/secret", {"id": ID}, miss=MissRule(404)),
        LookupRules("/healthz", {}, query={"id": ID}, miss=MissRule(404)),
        LookupRules("/profile/{id}", {"id": ID}, host="orders.internal", miss=MissRule(404)),
    ],
    ids=lambda rules: f"{rules.method} {rules.host}{rules.path}",
)
def test_a_request_that_no_route_or_policy_names_is_a_fault_and_never_a_miss(rules: LookupRules) -> None:
    assert ends(rules, "u-1")[0] in ("no_route", "not_allowed")


@pytest.mark.usefixtures("gateway")
def test_hostile_keys_reach_their_own_places_or_are_not_sent() -> None:
    # Strict JSON stops a lone surrogate, and the bound on a key the longest ones.
    values = [value for value in HOSTILE if len(value) <= 2_000 and "\ud800" not in value]
    for value, found in zip(values, ends(BY_PATH, *values), strict=True):
        in_no_path = value in (".", "..") or any(
            character < " " or character == "\x7f" for character in value
        )
        assert found == ("key_invalid" if in_no_path else {"key": value, "query": []})
    assert ends(BY_QUERY, *values) == [{"found": True, "query": [["id", value]]} for value in values]
    assert ends(SEARCH, *values) == [{"body": {"where": {"id": value}}} for value in values]
    assert ends(BATCH, *values) == [{"id": value, "asked": len(values)} for value in values]


@pytest.mark.usefixtures("gateway")
def test_a_token_in_the_query_is_refused_before_the_service() -> None:
    rules = LookupRules("/profile/{id}", {"id": ID}, query={"access_token": ID}, miss=MissRule(404))
    assert ends(rules, "u-1") == ["request_refused"]


def test_a_key_longer_than_the_meshs_limit_is_the_events_own_doing() -> None:
    with pytest.raises(BadEventError):
        Requests(BY_PATH).of_event(Scope({"event": {"id": "😀" * 4_097}}))
    assert isinstance(LookupRequest(("u",)), tuple)
