"""The compiler's RBAC filters against Istio's own expectations.

Set ISTIO_AUTHZ_GOLDEN to a folder with `NAME-in.yaml` and `NAME-out*.yaml`, such as
`pilot/pkg/security/authz/builder/testdata/http` of istio/istio.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from meshlab.istio.envoy.rbac import rbac_filters
from meshlab.istio.read.attachment import attached
from meshlab.istio.read.authorization_policy import read_authorization_policy
from meshlab.manifest import ManifestError, parse_manifests

FOLDER = os.environ.get("ISTIO_AUTHZ_GOLDEN", "")
CASES = (
    sorted(path.name.removesuffix("-in.yaml") for path in Path(FOLDER).glob("*-in.yaml")) if FOLDER else []
)

pytestmark = pytest.mark.skipif(
    not FOLDER, reason="ISTIO_AUTHZ_GOLDEN names no folder with Istio's golden cases"
)


def in_istios_words(value: object) -> object:
    """Undo the one difference that is meant: Istio still writes the metadata matcher that Envoy deprecates."""
    if isinstance(value, dict):
        if set(value) == {"sourcedMetadata"}:
            return {"metadata": in_istios_words(value["sourcedMetadata"]["metadataMatcher"])}
        return {key: in_istios_words(item) for key, item in value.items()}
    return [in_istios_words(item) for item in value] if isinstance(value, list) else value


def test_the_folder_holds_cases() -> None:
    assert CASES


@pytest.mark.parametrize("case", CASES)
def test_the_filters_are_those_that_istio_makes(case: str) -> None:
    folder = Path(FOLDER)
    manifests = parse_manifests((folder / f"{case}-in.yaml").read_text(), f"{case}-in.yaml")
    try:
        policies = [read_authorization_policy(manifest) for manifest in manifests]
    except ManifestError as refusal:
        pytest.skip(f"outside the subset: {refusal}")
    reaching = attached(policies, "foo", {"app": "httpbin", "version": "v1"}, "istio-system")

    made = rbac_filters(reaching, trust_domain="cluster.local", listener_port=lambda target: target)

    expected = [
        document
        for path in sorted(folder.glob(f"{case}-out*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]
    assert in_istios_words(made) == expected
