"""Permission to call the second entry point: one grant for each member that the contract names.

``gcloud functions deploy`` can only allow all callers or none. An existing grant is not changed. If a member is removed
from the contract, its grant stays until it is removed with gcloud.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import gcloud

if TYPE_CHECKING:
    from collections.abc import Mapping


def grants(values: Mapping[str, str]) -> list[list[str]]:
    """Return the commands that let each member call the function."""
    return [
        [
            "functions",
            "add-invoker-policy-binding",
            values["LOOKUP_FUNCTION_NAME"],
            f"--project={values['GOOGLE_CLOUD_PROJECT']}",
            f"--region={values['REGION']}",
            f"--member={member}",
        ]
        for member in filter(None, values["LOOKUP_INVOKERS"].split(","))
    ]


def apply_script(values: Mapping[str, str]) -> str:
    """Return shell commands that do the same as ``apply``."""
    return "".join(f"{gcloud.show(grant)}\n" for grant in grants(values))


def apply(values: Mapping[str, str]) -> None:
    """Let each member call the function.

    Raises:
        RefusalError: gcloud failed.
    """
    for grant in grants(values):
        gcloud.run(grant)
