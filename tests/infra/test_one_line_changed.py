"""One weaker line in infra/mesh breaks an expectation of the policy tests, which says what was lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from meshlab.lab.policy_tests import run_policy_tests
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from tests.conftest import Edit, Edited

BreakPromises = Callable[..., set[str]]

_INGRESS = "infra/mesh/ingress"
_WORKLOAD = "infra/mesh/services/user-profile"


@pytest.fixture
def broken_promises(edited: Edited) -> BreakPromises:
    """Change a copy of infra/, one line at a time, and return the names of the expectations that then break."""

    def change(*edits: Edit) -> set[str]:
        run = run_policy_tests(edited(*edits))
        return {outcome.case.name for outcome in run.outcomes if outcome.state != "passed"}

    return change


@pytest.mark.parametrize(
    ("file", "old", "new", "promises"),
    [
        pytest.param(
            f"{_INGRESS}/authorization-policy.yaml", 'paths: ["/profile/{*}"]', 'paths: ["/*"]',
            {"other path", "path traversal", "more than one segment"},
            id="a wider path at the gateway",
        ),
        pytest.param(
            f"{_INGRESS}/authorization-policy.yaml", "methods: [GET]", "methods: [GET, POST]", {"POST"},
            id="one more method at the gateway",
        ),
        pytest.param(
            f"{_INGRESS}/authorization-policy.yaml", '"host:*"]', '"host:*", "*"]', {"other Host"},
            id="any host at the gateway",
        ),
        pytest.param(
            f"{_INGRESS}/request-authentication.yaml", "forwardOriginalToken: true", "forwardOriginalToken: false",
            {"the known caller reads a profile"},
            id="the gateway keeps the token",
        ),
        pytest.param(
            f"{_INGRESS}/request-authentication.yaml",
            '      fromHeaders:\n        - name: Authorization\n          prefix: "Bearer "\n', "",
            {"token in the query string"},
            id="tokens in the query string",
        ),
        pytest.param(
            f"{_WORKLOAD}/kustomization.yaml", "  - authorization-policy.yaml\n", "",
            {"the known caller reads a profile"},
            id="the workload's policy dropped",
        ),
        pytest.param(
            f"{_WORKLOAD}/authorization-policy.yaml",
            "            principals: [cluster.local/ns/istio-ingress/sa/istio-internal-gateway]\n", "",
            {"a neighbour in the mesh with a valid token"},
            id="any workload may call",
        ),
        pytest.param(
            f"{_WORKLOAD}/authorization-policy.yaml", "methods: [GET]", "methods: [GET, POST]",
            {"the gateway's identity with POST"},
            id="one more method at the workload",
        ),
        pytest.param(
            "infra/mesh/platform/peer-authentication.yaml", "mode: STRICT", "mode: PERMISSIVE",
            {"plaintext straight to the sidecar"},
            id="plaintext permitted",
        ),
    ],
)  # fmt: skip
def test_a_weaker_line_breaks_the_promise_it_kept(
    broken_promises: BreakPromises, file: str, old: str, new: str, promises: set[str]
) -> None:
    assert promises <= broken_promises((file, old, new))


_AUDIENCE = "      audiences: [audience]"
_CONTRACT = "infra/mesh/contract/kustomization.yaml"
_AUDIENCE_TARGET = """      - select: {kind: RequestAuthentication}
        fieldPaths: [spec.jwtRules.0.audiences.0]"""


@pytest.mark.parametrize(
    "file", [f"{_INGRESS}/request-authentication.yaml", f"{_WORKLOAD}/request-authentication.yaml"]
)
def test_removing_audiences_alone_stops_the_build_and_names_the_field(
    broken_promises: BreakPromises, file: str
) -> None:
    with pytest.raises(ManifestError, match=r"spec\.jwtRules\.0\.audiences\.0"):
        broken_promises((file, _AUDIENCE, "      # no audiences"))


@pytest.mark.parametrize(
    ("file", "name", "promise"),
    [
        (f"{_INGRESS}/request-authentication.yaml", "internal-gateway-tokens", "wrong audience"),
        (
            f"{_WORKLOAD}/request-authentication.yaml",
            "user-profile-tokens",
            "the gateway's identity with a token for another audience",
        ),
    ],
)
def test_removing_audiences_and_what_fills_them_in_lets_tokens_for_other_services_further(
    broken_promises: BreakPromises, file: str, name: str, promise: str
) -> None:
    without_target = _AUDIENCE_TARGET.replace("\n", f"\n        reject: [{{name: {name}}}]\n")
    broken = broken_promises((file, _AUDIENCE, ""), (_CONTRACT, _AUDIENCE_TARGET, without_target))
    assert promise in broken


def test_dropping_the_workloads_request_authentication_locks_everybody_out(
    broken_promises: BreakPromises,
) -> None:
    broken = broken_promises((f"{_WORKLOAD}/kustomization.yaml", "  - request-authentication.yaml\n", ""))
    assert "the known caller reads a profile" in broken
