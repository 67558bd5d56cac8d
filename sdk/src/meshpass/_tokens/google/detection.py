"""Search for the Google identity of this process. An explicit choice must be usable; the other places may be empty.

1. The `credentials` argument.
2. `GOOGLE_APPLICATION_CREDENTIALS`: the file it names.
3. gcloud's file of application default credentials, in `CLOUDSDK_CONFIG` or the user's own configuration.
4. The metadata server, unless `NO_GCE_CHECK` is `true`.

The order is that of https://google.aip.dev/auth/4110.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from meshpass._errors import IdentityError
from meshpass._tokens.google.metadata import MetadataServer, find_metadata_server, metadata_host

if TYPE_CHECKING:
    from meshpass._tokens.google.origin import Identity

# All variables that `find_identity` reads.
VARIABLES = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "CLOUDSDK_CONFIG",
    "HOME",
    "NO_GCE_CHECK",
    "GCE_METADATA_HOST",
    "GCE_METADATA_ROOT",
    "GCE_METADATA_IP",
)


def find_identity(choice: object, environ: Mapping[str, str]) -> tuple["Identity", str]:
    """Return this process's identity, and why it was chosen. This reads files and sends nothing.

    Args:
        choice: The `credentials` argument.
        environ: The environment.

    Raises:
        IdentityError: the chosen identity cannot be used, or no identity was found.
    """
    if choice is not None:
        return _chosen(choice, environ), "it was given as credentials="
    named = environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if named:
        return _from_file(named, "The file"), "GOOGLE_APPLICATION_CREDENTIALS names it"
    well_known = _gcloud_file(environ)
    if os.path.isfile(well_known):  # noqa: PTH113 - also false where permission is missing
        return _from_file(well_known, "gcloud's file"), (
            "GOOGLE_APPLICATION_CREDENTIALS is not set, and gcloud left its application default credentials there"
        )
    if environ.get("NO_GCE_CHECK", "").lower() == "true":
        raise IdentityError(
            "No Google identity was found: GOOGLE_APPLICATION_CREDENTIALS is not set, gcloud has no application"
            " default credentials, and NO_GCE_CHECK excludes the metadata server.",
            hint="Set GOOGLE_APPLICATION_CREDENTIALS to a credentials file, or unset NO_GCE_CHECK.",
        )
    server, why = find_metadata_server(environ)
    return server, f"there is no credentials file, and {why}"


def _chosen(choice: object, environ: Mapping[str, str]) -> "Identity":
    if choice == "metadata":
        return MetadataServer(metadata_host(environ), certain=True)
    if isinstance(choice, str | os.PathLike):
        return _from_file(os.fspath(choice), "The file")
    if isinstance(choice, Mapping):
        from meshpass._tokens.google.credentials import identity_of

        return identity_of(choice, "The credentials given")
    from meshpass._tokens.google.google_auth import GoogleAuthCredentials

    return GoogleAuthCredentials(choice)  # type: ignore[arg-type]


def _from_file(path: str, what: str) -> "Identity":
    from meshpass._tokens.google.credentials import identity_of  # not needed on Google Cloud

    where = f"{what} {path}"
    failure = ""
    try:
        return identity_of(json.loads(Path(path).read_bytes()), where)
    except OSError as exc:
        failure = f"{where} cannot be read: {exc.strerror}."
    except (ValueError, RecursionError):
        failure = f"{where} holds no JSON, so it is not a credentials file."
    # Raised outside the `except` blocks, so that a parser's message about a key is not chained to this error.
    raise IdentityError(failure, hint="Check its path, and that Google or gcloud made it.")


def _gcloud_file(environ: Mapping[str, str]) -> str:
    folder = environ.get("CLOUDSDK_CONFIG")
    if not folder and os.name == "nt":
        folder = f"{environ.get('APPDATA', 'C:')}/gcloud"
    return f"{folder or Path('~/.config/gcloud').expanduser()}/application_default_credentials.json"
