"""What the SDK makes of each refusal of the real proxies, and which of the two gave it."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import meshpass
import pytest
from meshlab.lab.contract_tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lab.project import Project
    from meshlab.lab.project_mesh import ProjectMesh

    from tests.conftest import Edit, Edited, RunMesh
    from tests.e2e.conftest import Call, Caller, Connect

PROFILE = "/profile/{user_id}"


@dataclass(frozen=True)
class Failure:
    """The error that a refusal must become."""

    error: type[meshpass.MeshError]
    code: str
    status: int | None
    by: str | None
    says: str
    retryable: bool = False


def token_refused(status: int, says: str, by: str = "gateway") -> Failure:
    return Failure(meshpass.TokenRefused, "token_refused", status, by, says)


def not_allowed(by: str) -> Failure:
    return Failure(meshpass.NotAllowed, "not_allowed", 403, by, "RBAC: access denied")


class FlawedToken:
    """A token source that always gives the same token, as one of the policy tests' names says."""

    def __init__(self, mesh: ProjectMesh, project: Project, name: str) -> None:
        value = Tokens(mesh.key, project.contract()).make(name)
        self._token = meshpass.Token(value, expires_at=time.time() + 60, source="test")

    def token(self) -> meshpass.Token:
        return self._token

    async def atoken(self) -> meshpass.Token:
        return self._token

    def invalidate(self, token: meshpass.Token) -> None:
        """Nothing is kept."""


def assert_failure(call: Call, failure: Failure) -> None:
    with pytest.raises(meshpass.MeshError) as caught:
        call(PROFILE, user_id="u-1001")
    error = caught.value
    found = Failure(
        type(error), error.code, error.status, error.answered_by, error.detail or "", error.retryable
    )
    assert failure.says in found.says
    assert found == Failure(**{**vars(failure), "says": found.says})
    assert error.service == "user-profile.internal"
    assert error.hint


@pytest.mark.parametrize(
    ("token", "failure"),
    [
        ("wrong issuer", token_refused(401, "Jwt issuer is not configured")),
        ("wrong audience", token_refused(403, "Audiences in Jwt are not allowed")),
        ("expired", token_refused(401, "Jwt is expired")),
        ("not yet valid", token_refused(401, "Jwt not yet valid")),
        ("unknown key", token_refused(401, "Jwks doesn't have key to match kid or alg from Jwt")),
        ("known kid, other key", token_refused(401, "Jwt verification fails")),
        ("HS256 with the public key", token_refused(401, "Jwks doesn't have key to match")),
        ("garbage", token_refused(401, "Jwt header is an invalid JSON")),
        ("no sub", not_allowed("gateway")),
        ("another sub", not_allowed("gateway")),
        ("without the scope", not_allowed("gateway")),
    ],
)
def test_a_flawed_token_is_refused_by_the_gateway_for_its_own_reason(
    mesh: ProjectMesh, project: Project, connect: Connect, token: str, failure: Failure
) -> None:
    assert_failure(connect(mesh, FlawedToken(mesh, project, token)), failure)


_WORKLOAD = "infra/mesh/services/user-profile/generated"
_CONTRACT = "infra/mesh/contract/generated/ingress.yaml"


def _left_as_written(kind: str, path: str, name: str) -> Edit:
    """Let the contract fill a field in everywhere but in one object, which keeps what its file says."""
    select = f"        kind: {kind}\n        namespace: user-profile\n        name: {name}\n"
    target = f"{select}      fieldPaths:\n        - {path}\n"
    return _CONTRACT, target, target.replace(f"name: {name}", "name: none")


_HEADER_ONLY = """\
      # only here: a token in the query string ends up in access logs
      fromHeaders:
        - name: Authorization
          prefix: 'Bearer '
"""
_OTHER_MESHES: dict[str, tuple[Edit, Failure]] = {
    "the route leads elsewhere": (
        (
            f"{_WORKLOAD}/virtual-service.yaml",
            "regex: /profile/[^/;]+\n          method",
            "regex: /profiles/[^/;]+\n          method",
        ),
        Failure(meshpass.NoRoute, "no_route", 404, "gateway", ""),
    ),
    "the workload expects another issuer": (
        _left_as_written("RequestAuthentication", "spec.jwtRules.0.issuer", "user-profile-tokens"),
        token_refused(401, "Jwt issuer is not configured", by="workload"),
    ),
    "the workload expects another audience": (
        _left_as_written("RequestAuthentication", "spec.jwtRules.0.audiences.0", "user-profile-tokens"),
        token_refused(403, "Audiences in Jwt are not allowed", by="workload"),
    ),
    "the workload expects another scope": (
        (f"{_WORKLOAD}/caller-enrichment.yaml", "claims[scope]", "claims[scopes]"),
        not_allowed("workload"),
    ),
    "the gateway keeps the token": (
        (
            "infra/mesh/ingress/generated/request-authentication.yaml",
            f"forwardOriginalToken: true\n{_HEADER_ONLY}    - issuer",
            f"forwardOriginalToken: false\n{_HEADER_ONLY}    - issuer",
        ),
        not_allowed("workload"),
    ),
}


@pytest.fixture(scope="module", params=_OTHER_MESHES, ids=str)
def other_mesh(
    request: pytest.FixtureRequest, edited: Edited, run_mesh: RunMesh
) -> Iterator[tuple[ProjectMesh, Failure]]:
    edit, failure = _OTHER_MESHES[request.param]
    with run_mesh(edited(edit)) as running:
        yield running, failure


def test_a_mesh_that_disagrees_with_itself_says_which_proxy_refused(
    other_mesh: tuple[ProjectMesh, Failure], caller: Caller, connect: Connect
) -> None:
    mesh, failure = other_mesh
    assert_failure(connect(mesh, caller(mesh)), failure)


@pytest.fixture(scope="module")
def frail_mesh(project: Project, run_mesh: RunMesh) -> Iterator[ProjectMesh]:
    """A mesh whose parts may be stopped, if they are started again."""
    with run_mesh(project) as running:
        yield running


def unavailable(by: str, says: str, status: int = 503, code: str = "upstream_unavailable") -> Failure:
    return Failure(meshpass.UpstreamUnavailable, code, status, by, says, retryable=True)


def test_a_gateway_that_is_down_is_unreachable_until_it_is_back(
    frail_mesh: ProjectMesh, caller: Caller, connect: Connect
) -> None:
    call = connect(frail_mesh, caller(frail_mesh))
    assert call(PROFILE, user_id="u-1001").status_code == 200
    frail_mesh.gateway.stop()
    try:
        assert_failure(
            call, Failure(meshpass.GatewayUnreachable, "gateway_unreachable", None, None, "", retryable=True)
        )
    finally:
        frail_mesh.gateway.start()
        frail_mesh.gateway.wait_ready()
    assert call(PROFILE, user_id="u-1001").status_code == 200


def test_a_workload_that_is_down_is_unavailable_by_the_gateways_word(
    frail_mesh: ProjectMesh, caller: Caller, connect: Connect
) -> None:
    call = connect(frail_mesh, caller(frail_mesh))
    frail_mesh.sidecar.stop()
    try:
        assert_failure(
            call, unavailable("gateway", "upstream connect error or disconnect/reset before headers")
        )
    finally:
        frail_mesh.sidecar.start()
        frail_mesh.sidecar.wait_ready()
    assert call(PROFILE, user_id="u-1001").status_code == 200


def test_a_workload_that_hangs_is_an_upstream_timeout_by_the_gateways_word(
    frail_mesh: ProjectMesh, caller: Caller, connect: Connect
) -> None:
    call = connect(frail_mesh, caller(frail_mesh))
    (app,) = frail_mesh.apps
    app.signal(signal.SIGSTOP)
    try:
        assert_failure(call, unavailable("gateway", "upstream request timeout", 504, "upstream_timeout"))
    finally:
        app.signal(signal.SIGCONT)
    assert call(PROFILE, user_id="u-1001").status_code == 200


def test_an_application_that_is_gone_is_unavailable_by_the_workloads_word(
    project: Project, run_mesh: RunMesh, caller: Caller, connect: Connect
) -> None:
    with run_mesh(project) as mesh:
        (app,) = mesh.apps
        app.end()
        assert_failure(
            connect(mesh, caller(mesh)),
            unavailable("workload", "upstream connect error or disconnect/reset before headers"),
        )
