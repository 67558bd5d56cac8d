"""Names that come from an API, checked before one becomes part of a command.

An API's answer is data of a foreign system. A name of it becomes an argument only if it has the form that Google
documents for such a name; every form begins with a letter or digit, so none can be read as an option.
"""

from __future__ import annotations

import re

from .. import RefusalError

_FORMS = {
    "trigger": r"projects/[a-z0-9.:-]+/locations/[a-z0-9-]+/triggers/[a-z]([a-z0-9-]*[a-z0-9])?",
    "subscription": r"projects/[a-z0-9.:-]+/subscriptions/[A-Za-z][A-Za-z0-9_.~+%-]{2,254}",
    "revision": r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
    "secret": r"[A-Za-z0-9_-]{1,255}",
    "version": r"[A-Za-z0-9_-]{1,63}",
    "project number": r"\d{1,20}",
    "policy": r"projects/[a-z0-9.:-]+/alertPolicies/\d{1,20}",
    "address": r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
    "key": r"[0-9a-f]{8,64}",
}


def is_name(kind: str, name: str) -> bool:
    """Return whether a text has the form of such a name."""
    return re.fullmatch(_FORMS[kind], name) is not None


def checked_name(kind: str, name: str) -> str:
    """Return a name that came from an API.

    Args:
        kind: What is named, such as ``subscription``.
        name: What the API answered.

    Raises:
        RefusalError: it does not have the form of such a name.
    """
    if not is_name(kind, name):
        raise RefusalError(
            f"the API answered {name[:80]!r} as the name of a {kind}, which is not the form of one. "
            "Nothing was done with it."
        )
    return name
