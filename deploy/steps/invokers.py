"""Who may call the second entry point: one grant for each member that the contract names.

``gcloud functions deploy`` knows of everybody or nobody only. A grant that is there already stays as it is; one whose
member left the contract stays, too, until somebody takes it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import gcloud

if TYPE_CHECKING:
    from collections.abc import Mapping


def grants(values: Mapping[str, str]) -> list[list[str]]:
    """The commands that let each member call the function."""
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
    """What ``apply`` does, as shell commands that do the same."""
    return "".join(f"{gcloud.show(grant)}\n" for grant in grants(values))


def apply(values: Mapping[str, str]) -> None:
    """Lets each member call the function.

    Raises:
        RefusalError: gcloud failed.
    """
    for grant in grants(values):
        gcloud.run(grant)
