"""One weaker line in infra/mesh breaks an expectation of the policy tests, which says what was lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case_file.collect import collect
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.session import Choice, run_cases
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Edit, Edited

BreakPromises = Callable[..., set[str]]

_GATEWAY = "infra/mesh/ingress/generated"
_WORKLOAD = "infra/mesh/services/user-profile/generated"
_FUNCTION = "caller-enrichment.yaml"


_HEADER_ONLY = """\
      # only here: a token in the query string ends up in access logs
      fromHeaders:
        - name: Authorization
          prefix: 'Bearer '
"""


@pytest.fixture(scope="module")
def bench() -> Iterator[LocalBench]:
    """One bench for all tests of this module: proxies of one mesh become those of the next."""
    with closing(LocalBench()) as bench:
        yield bench


@pytest.fixture
def broken_promises(edited: Edited, bench: LocalBench) -> BreakPromises:
    """Change a copy of infra/, one line at a time, and return the names of the expectations that then break."""

    def change(*edits: Edit) -> set[str]:
        project = edited(*edits)
        cases = collect([project.policy_tests / "user-profile.yaml"], project.contract())
        run = run_cases(bench.load(Sources((str(project.overlay),))), cases, Choice())
        return {outcome.case.name for outcome in run.outcomes if outcome.state != "passed"}

    return change


@pytest.mark.parametrize(
    ("file", "old", "new", "promises"),
    [
        pytest.param(
            f"{_GATEWAY}/{_FUNCTION}", "              - /profile/{*}\n", "              - /*\n",
            {"other path", "path traversal", "more than one segment"},
            id="a wider path at the gateway",
        ),
        pytest.param(
            f"{_GATEWAY}/{_FUNCTION}", "              - GET\n", "              - GET\n              - POST\n", {"POST"},
            id="one more method at the gateway",
        ),
        pytest.param(
            f"{_GATEWAY}/{_FUNCTION}", "            methods:", "              - '*'\n            methods:",
            {"other Host"},
            id="any host at the gateway",
        ),
        pytest.param(
            f"{_GATEWAY}/request-authentication.yaml", f"forwardOriginalToken: true\n{_HEADER_ONLY}    - issuer",
            f"forwardOriginalToken: false\n{_HEADER_ONLY}    - issuer",
            {"the known caller reads a profile"},
            id="the gateway keeps the token",
        ),
        pytest.param(
            f"{_GATEWAY}/request-authentication.yaml", f"{_HEADER_ONLY}    - issuer", "    - issuer",
            {"token in the query string"},
            id="tokens in the query string",
        ),
        pytest.param(
            f"{_WORKLOAD}/kustomization.yaml", f"  - {_FUNCTION}\n", "",
            {"the known caller reads a profile"},
            id="the workload's policy dropped",
        ),
        pytest.param(
            f"{_WORKLOAD}/{_FUNCTION}",
            "            principals:\n              - cluster.local/ns/istio-ingress/sa/istio-internal-gateway\n", "",
            {"a neighbour in the mesh with a valid token"},
            id="any workload may call",
        ),
        pytest.param(
            f"{_WORKLOAD}/{_FUNCTION}", "              - GET\n", "              - GET\n              - POST\n",
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
def test_a_weaker_line_breaks_the_case_that_it_kept(
    broken_promises: BreakPromises, file: str, old: str, new: str, promises: set[str]
) -> None:
    assert promises <= broken_promises((file, old, new))


_CONTRACT = "infra/mesh/contract/generated/ingress.yaml"
_AUDIENCES = """\
      audiences:
        - ${JWT_AUDIENCE}
"""


def _target(namespace: str, name: str) -> str:
    return f"""\
    - select:
        kind: RequestAuthentication
        namespace: {namespace}
        name: {name}
      fieldPaths:
        - spec.jwtRules.0.audiences.0
"""


@pytest.mark.parametrize(
    "file", [f"{_GATEWAY}/request-authentication.yaml", f"{_WORKLOAD}/request-authentication.yaml"]
)
def test_removing_audiences_alone_stops_the_build_and_names_the_field(
    broken_promises: BreakPromises, file: str
) -> None:
    with pytest.raises(ManifestError, match=r"spec\.jwtRules\.0\.audiences\.0"):
        broken_promises((file, _AUDIENCES, ""))


@pytest.mark.parametrize(
    ("file", "target", "promise"),
    [
        (
            f"{_GATEWAY}/request-authentication.yaml",
            _target("istio-ingress", "internal-gateway-tokens"),
            "wrong audience",
        ),
        (
            f"{_WORKLOAD}/request-authentication.yaml",
            _target("user-profile", "user-profile-tokens"),
            "the gateway's identity with a token for another audience",
        ),
    ],
)
def test_removing_audiences_and_what_fills_them_in_is_noticed_although_the_policies_ask_for_them_too(
    broken_promises: BreakPromises, file: str, target: str, promise: str
) -> None:
    assert promise in broken_promises((file, _AUDIENCES, ""), (_CONTRACT, target, ""))


def test_dropping_the_workloads_request_authentication_locks_every_caller_out(
    broken_promises: BreakPromises,
) -> None:
    broken = broken_promises((f"{_WORKLOAD}/kustomization.yaml", "  - request-authentication.yaml\n", ""))
    assert "the known caller reads a profile" in broken


def test_without_a_change_nothing_breaks_after_all_of_these(broken_promises: BreakPromises) -> None:
    """Nothing that one mesh left in the proxies broke a case of the next."""
    assert broken_promises() == set()
