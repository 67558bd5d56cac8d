"""Changes of one line of infra/mesh, each with the expectation of the policy tests that it breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import Edit

__all__ = [
    "AUDIENCES",
    "AUDIENCES_REMOVED",
    "CHANGES",
    "GATEWAY",
    "TOKENS_REMOVED",
    "WEAKER",
    "WORKLOAD",
    "OneLine",
]

GATEWAY = "infra/mesh/ingress/generated"
WORKLOAD = "infra/mesh/services/user-profile/generated"
FUNCTION = "caller-enrichment.yaml"

_HEADER_ONLY = """\
      # only here: a token in the query string ends up in access logs
      fromHeaders:
        - name: Authorization
          prefix: 'Bearer '
"""


@dataclass(frozen=True)
class OneLine:
    """A change of one line, or of as many as belong together.

    Attributes:
        name: What is weaker then.
        edits: What is replaced: (file, old text, new text).
        broken: The names of policy tests that fail then.
    """

    name: str
    edits: tuple[Edit, ...]
    broken: frozenset[str]


def _one(name: str, file: str, old: str, new: str, *broken: str) -> OneLine:
    return OneLine(name, ((file, old, new),), frozenset(broken))


WEAKER = (
    _one(
        "a wider path at the gateway",
        f"{GATEWAY}/{FUNCTION}",
        "              - /profile/{*}\n",
        "              - /*\n",
        "other path",
        "path traversal",
        "more than one segment",
    ),
    _one(
        "one more method at the gateway",
        f"{GATEWAY}/{FUNCTION}",
        "              - GET\n",
        "              - GET\n              - POST\n",
        "POST",
    ),
    _one(
        "any host at the gateway",
        f"{GATEWAY}/{FUNCTION}",
        "            methods:",
        "              - '*'\n            methods:",
        "other Host",
    ),
    _one(
        "the gateway keeps the token",
        f"{GATEWAY}/request-authentication.yaml",
        f"forwardOriginalToken: true\n{_HEADER_ONLY}    - issuer",
        f"forwardOriginalToken: false\n{_HEADER_ONLY}    - issuer",
        "the known caller reads a profile",
    ),
    _one(
        "tokens in the query string",
        f"{GATEWAY}/request-authentication.yaml",
        f"{_HEADER_ONLY}    - issuer",
        "    - issuer",
        "token in the query string",
    ),
    _one(
        "the workload's policy dropped",
        f"{WORKLOAD}/kustomization.yaml",
        f"  - {FUNCTION}\n",
        "",
        "the known caller reads a profile",
    ),
    _one(
        "any workload may call",
        f"{WORKLOAD}/{FUNCTION}",
        "            principals:\n              - cluster.local/ns/istio-ingress/sa/istio-internal-gateway\n",
        "",
        "a neighbour in the mesh with a valid token",
    ),
    _one(
        "one more method at the workload",
        f"{WORKLOAD}/{FUNCTION}",
        "              - GET\n",
        "              - GET\n              - POST\n",
        "the gateway's identity with POST",
    ),
    _one(
        "plaintext permitted",
        "infra/mesh/platform/peer-authentication.yaml",
        "mode: STRICT",
        "mode: PERMISSIVE",
        "plaintext straight to the sidecar",
    ),
)

_CONTRACT = "infra/mesh/contract/generated/ingress.yaml"
AUDIENCES = """\
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


def _audiences(name: str, file: str, target: str, broken: str) -> OneLine:
    return OneLine(name, ((file, AUDIENCES, ""), (_CONTRACT, target, "")), frozenset({broken}))


AUDIENCES_REMOVED = (
    _audiences(
        "any audience at the gateway",
        f"{GATEWAY}/request-authentication.yaml",
        _target("istio-ingress", "internal-gateway-tokens"),
        "wrong audience",
    ),
    _audiences(
        "any audience at the workload",
        f"{WORKLOAD}/request-authentication.yaml",
        _target("user-profile", "user-profile-tokens"),
        "the gateway's identity with a token for another audience",
    ),
)
TOKENS_REMOVED = _one(
    "the workload checks no token",
    f"{WORKLOAD}/kustomization.yaml",
    "  - request-authentication.yaml\n",
    "",
    "the known caller reads a profile",
)
CHANGES = (*WEAKER, *AUDIENCES_REMOVED, TOKENS_REMOVED)
"""All changes that can be built."""
