"""No token, key, access token or answer shows in a log, a repr or an error of the Google sources."""

import logging
import pickle
import traceback
from typing import Any

import meshpass
import pytest

from .conftest import ACCOUNT, AUDIENCE, TARGET, Google

_ACCESS = ("metadata-access", "key-access", "user-access", "federated-access", "chained-access")


def _shown_by(error: BaseException | None) -> str:
    """What a logger, a debugger or an error tracker would show: local variables of this package's frames, too."""
    shown = traceback.format_exception(error) if error else []
    for frame, _ in traceback.walk_tb(error.__traceback__ if error else None):
        if frame.f_code.co_filename != __file__:
            shown.append(repr(frame.f_locals))
    while error is not None:
        shown += [repr(error), repr(error.args), repr(vars(error)), str(error)]
        error = error.__cause__ or error.__context__
    return "\n".join(shown)


@pytest.fixture(params=["metadata", "key_file", "user_file", "federation_file", "aws_file"])
def source(request: pytest.FixtureRequest, on_google: Google) -> meshpass.GoogleIDToken:
    name = request.param
    credentials: Any = name if name == "metadata" else request.getfixturevalue(name)
    return meshpass.GoogleIDToken(
        AUDIENCE, credentials=credentials, service_account=TARGET, iam_endpoint=on_google.url
    )


def _is_clean(text: str, google: Google, key_file: dict[str, Any]) -> None:
    secrets = ["s3cret", *_ACCESS, *key_file["private_key"].split("\n")[1:-2]]
    secrets += [part for token in google.made for part in token.split(".")[1:]]
    assert [secret for secret in secrets if secret in text] == []


def test_no_log_record_at_any_level_holds_a_secret(
    source: meshpass.GoogleIDToken, google: Google, key_file: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    # google-auth logs nothing before its base logger is configured.
    for name in [*logging.root.manager.loggerDict, "google", "google.auth", "httpx", "httpcore", "meshpass"]:
        caplog.set_level(logging.DEBUG, logger=name)
    caplog.set_level(logging.DEBUG)

    logging.getLogger("meshpass").debug("This record is captured.")
    source.token()

    assert google.made
    assert caplog.records  # the plain way to the metadata server has no logger at all
    _is_clean("\n".join(r.getMessage() + repr(vars(r)) for r in caplog.records), google, key_file)


def test_no_repr_holds_a_secret_and_nothing_is_pickled(
    source: meshpass.GoogleIDToken, google: Google, key_file: dict[str, Any]
) -> None:
    token = source.token()
    identity = source._identity()

    _is_clean(repr((source, source.origin(), token, identity, source._cache_key())), google, key_file)
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        pickle.dumps(source)


@pytest.mark.parametrize(
    "path", ["/token", "token", ":generateIdToken", "/role/my-role", "/latest/api/token"]
)
@pytest.mark.parametrize("status", [200, 401, 503])
def test_no_failure_shows_a_secret(
    source: meshpass.GoogleIDToken, google: Google, key_file: dict[str, Any], path: str, status: int
) -> None:
    body = b'{"error": "s3cret", "error_description": "s3cret", "access_token": null}'
    google.broken[path] = [(status, {"Metadata-Flavor": "Google"}, body)] * 9

    error = None
    try:
        source.token()
    except meshpass.IdentityError as exc:
        error = exc

    _is_clean(_shown_by(error), google, key_file)
    assert error is None or error.__context__ is error.__cause__ is None
    assert error is None or pickle.loads(pickle.dumps(error)).args == error.args


def test_nor_does_a_token_for_another_audience(on_google: Google, key_file: dict[str, Any]) -> None:
    other = on_google.id_token("another", ACCOUNT).encode()
    on_google.broken["identity"] = [(200, {"Metadata-Flavor": "Google"}, other)]

    with pytest.raises(meshpass.IdentityError, match="another audience") as caught:
        meshpass.GoogleIDToken(AUDIENCE).token()

    _is_clean(_shown_by(caught.value), on_google, key_file)


def test_nor_does_looking_for_the_origin(google: Google, key_file: dict[str, Any]) -> None:
    nested = {"type": "impersonated_service_account", "source_credentials": key_file}

    with pytest.raises(meshpass.IdentityError, match="names no service account") as caught:
        meshpass.GoogleIDToken(AUDIENCE, credentials=nested).origin()

    _is_clean(_shown_by(caught.value), google, key_file)
