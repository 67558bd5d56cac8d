"""Bills of materials of wheels: CycloneDX 1.5, from the lock with which the wheel was tested.

The bill of the function's bundle is that of ``deploy/sbom``.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from deploy.steps import uv
from tools.release.artefacts import digest

if TYPE_CHECKING:
    from tools.release.artefacts import Built

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "meshpass.release.wheel")


def make(built: Built) -> dict[str, Any]:
    """Return the bill of materials of a wheel, all extras included.

    It has no time stamp, so that the same wheel gives the same bytes. A package index may give a user newer versions
    than those listed: they are the ones that the tests ran with.

    Raises:
        RefusalError: uv failed, or is missing.
    """
    document: dict[str, Any] = json.loads(
        uv.run(
            "export", "--frozen", f"--package={built.package.name}", "--no-dev", "--all-extras",
            "--format=cyclonedx1.5", "--preview-features=sbom-export",
        )
    )  # fmt: skip
    sha256 = digest(built.wheel)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, sha256)}"
    metadata = document["metadata"]
    metadata.pop("timestamp", None)
    component = metadata["component"]
    component["purl"] = f"pkg:pypi/{component['name']}@{component['version']}"
    component["licenses"] = [{"license": {"id": "Apache-2.0"}}]
    component["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    return document


def text(document: dict[str, Any]) -> str:
    """Return a bill of materials as it is written into a file."""
    return json.dumps(document, indent=2) + "\n"
