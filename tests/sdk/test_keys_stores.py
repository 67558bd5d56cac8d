"""What each store guarantees on its own."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import meshpass
import pytest
from google.cloud.secretmanager_v1 import types
from meshlab.cloud import secretmanager
from meshlab.cloud.secret_store import SecretStore
from meshpass.keys import FileKeyStore, KeyLifecycleError, KeyRing, SecretManagerKeyStore, open_store

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

SECRET = "projects/p/secrets/signing-key"


def accepted(_: bytes) -> None:
    """A mesh that accepts any key."""


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o777:o}"


def test_key_files_are_their_owners_alone(tmp_path: Path) -> None:
    KeyRing(FileKeyStore(tmp_path / "keys")).create()

    assert mode(tmp_path / "keys") == "700"
    assert {file.name: mode(file) for file in (tmp_path / "keys").iterdir()} == {
        "1.pem": "600",
        "active.pem": "600",
        "index.json": "600",
    }


def test_a_caller_that_signs_with_the_active_file_follows_a_promotion(tmp_path: Path) -> None:
    store = FileKeyStore(tmp_path)
    ring = KeyRing(store)
    ring.create()
    assert meshpass.KeyFile(store.active_file)() == store.read(1)
    ring.next()
    assert meshpass.KeyFile(store.active_file)() == store.read(1)
    ring.promote(accepted)

    assert meshpass.KeyFile(store.active_file)() == store.read(2)


def test_the_files_of_ended_keys_are_deleted(tmp_path: Path) -> None:
    ring = KeyRing(FileKeyStore(tmp_path), drain_s=0)
    ring.create()
    ring.next()
    ring.promote(accepted)
    ring.retire()
    ring.revoke("active", force=True)

    assert [file.name for file in tmp_path.iterdir()] == ["index.json"]


def test_a_number_is_never_given_twice(tmp_path: Path) -> None:
    ring = KeyRing(FileKeyStore(tmp_path))
    ring.create()
    ring.next()
    ring.revoke("next")

    assert [version.number for version in ring.next().versions] == [1, 2, 3]


def test_what_a_crash_leaves_undone_the_next_step_completes(tmp_path: Path) -> None:
    store = FileKeyStore(tmp_path)
    ring = KeyRing(store, drain_s=0)
    ring.create()
    ring.next()
    # As after a crash between the key's file and the index, in `next`:
    (tmp_path / "3.pem").write_text("half a key")
    ring.promote(accepted)
    # ... and between the index and the link, in `promote`:
    (tmp_path / "active.pem").unlink()
    (tmp_path / "active.pem").symlink_to("1.pem")
    ring.retire()

    assert meshpass.KeyFile(store.active_file)() == store.read(2)
    assert not (tmp_path / "1.pem").exists()
    ring.next()
    assert b"PRIVATE KEY" in store.read(3)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": [1], "promoted_at": null, "etag": ""}', "\u00ff"])
def test_an_index_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.json").write_text(text)

    with pytest.raises(KeyLifecycleError, match=r"index\.json is not an index of keys"):
        KeyRing(FileKeyStore(tmp_path)).create()


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(KeyLifecycleError, match=r"file/keys cannot be made: Not a directory"):
        KeyRing(FileKeyStore(tmp_path / "file" / "keys")).create()
    with pytest.raises(KeyLifecycleError, match="cannot be changed: No such file or directory"):
        KeyRing(FileKeyStore(tmp_path / "missing")).next()


class Recording(SecretStore):
    """Secret Manager that remembers whose payload was read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def access_secret_version(
        self, request: types.AccessSecretVersionRequest
    ) -> types.AccessSecretVersionResponse:
        self.read.append(request.name)
        return super().access_secret_version(request)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recording]:
    store = Recording()
    with secretmanager.running(store=store) as address:
        monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", address)
        yield store


@pytest.fixture
def client(backend: Recording) -> Iterator["SecretManagerServiceClient"]:
    from meshpass._tokens.key_sources import secret_manager_client

    with secret_manager_client("projects/p/secrets/s") as connected:
        yield connected


def aliases(client: "SecretManagerServiceClient") -> dict[str, int]:
    return dict(client.get_secret(name=SECRET).version_aliases)


def test_callers_name_a_version_by_its_alias(client: "SecretManagerServiceClient") -> None:
    store = SecretManagerKeyStore(SECRET)
    ring = KeyRing(store, drain_s=0)
    ring.create()
    ring.next()
    assert aliases(client) == {"active": 1, "next": 2}
    ring.promote(accepted)
    assert aliases(client) == {"previous": 1, "active": 2}
    assert meshpass.SecretManagerKey(f"{SECRET}/versions/active")() == store.read(2)
    ring.retire()

    assert aliases(client) == {"active": 2}
    assert client.get_secret_version(name=f"{SECRET}/versions/1").state.name == "DISABLED"


def test_the_public_half_is_given_without_reading_a_private_key(backend: Recording) -> None:
    ring = KeyRing(SecretManagerKeyStore(SECRET))
    ring.create()
    ring.next()
    ring.status()
    ring.jwks()

    assert backend.read == []


def test_what_others_wrote_on_the_secret_stays(client: "SecretManagerServiceClient") -> None:
    ring = KeyRing(SecretManagerKeyStore(SECRET))
    ring.create()
    secret = client.get_secret(name=SECRET)
    secret.annotations["owner"] = "platform"
    secret.version_aliases["blue"] = 1
    client.update_secret(
        request={"secret": secret, "update_mask": {"paths": ["annotations", "version_aliases"]}}
    )
    ring.next()

    assert client.get_secret(name=SECRET).annotations["owner"] == "platform"
    assert aliases(client) == {"active": 1, "next": 2, "blue": 1}


def test_a_key_that_was_added_by_hand_is_taken_over(
    client: "SecretManagerServiceClient", backend: Recording, pem: bytes
) -> None:
    client.create_secret(
        request={
            "parent": "projects/p",
            "secret_id": "signing-key",
            "secret": {"replication": {"automatic": {}}},
        }
    )
    client.add_secret_version(request={"parent": SECRET, "payload": {"data": pem}})
    client.update_secret(
        request={
            "secret": {"name": SECRET, "version_aliases": {"active": 1}},
            "update_mask": {"paths": ["version_aliases"]},
        }
    )
    ring = KeyRing(SecretManagerKeyStore(SECRET))

    keys = ring.next()
    assert [(version.state, version.kid is not None) for version in keys.versions] == [
        ("active", True),
        ("next", True),
    ]
    backend.read.clear()
    assert len(ring.jwks()["keys"]) == 2
    assert backend.read == [], "from the first step on its public half is noted"


def test_a_version_that_was_disabled_by_hand_is_not_published(client: "SecretManagerServiceClient") -> None:
    ring = KeyRing(SecretManagerKeyStore(SECRET))
    ring.create()
    ring.next()
    client.disable_secret_version(name=f"{SECRET}/versions/1")
    keys = ring.status()

    assert [version.state for version in keys.versions] == ["disabled", "next"]
    assert len(keys.jwks()["keys"]) == 1


def test_a_rotation_whose_time_is_not_known_is_not_retired_by_guess(
    client: "SecretManagerServiceClient",
) -> None:
    ring = KeyRing(SecretManagerKeyStore(SECRET))
    ring.create()
    ring.next()
    client.update_secret(
        request={
            "secret": {"name": SECRET, "version_aliases": {"previous": 1, "active": 2}},
            "update_mask": {"paths": ["version_aliases"]},
        }
    )

    with pytest.raises(KeyLifecycleError, match="is not known") as refused:
        ring.retire()
    assert "--drain 0" in refused.value.hint
    assert KeyRing(SecretManagerKeyStore(SECRET), drain_s=0).retire().versions[0].state == "retired"


def test_a_key_that_could_not_be_saved_is_disabled_again(client: "SecretManagerServiceClient") -> None:
    store = SecretManagerKeyStore(SECRET)
    KeyRing(store).create()
    stale = store.load()
    KeyRing(store).next()
    pem = store.read(1)

    with pytest.raises(KeyLifecycleError, match="changed while this step was in progress"):
        store.add(stale, pem, "next", 0)
    assert client.get_secret_version(name=f"{SECRET}/versions/3").state.name == "DISABLED"


def test_a_secret_that_is_not_there_is_named(backend: Recording) -> None:
    with pytest.raises(
        KeyLifecycleError, match=f"{SECRET} cannot be read: there is no such secret"
    ) as refused:
        KeyRing(SecretManagerKeyStore(SECRET)).next()
    assert refused.value.code == "key_store"


def test_secret_manager_out_of_reach_is_worth_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", "127.0.0.1:9")

    with pytest.raises(KeyLifecycleError, match="cannot be read") as refused:
        SecretManagerKeyStore(SECRET, timeout_s=0.2).load()
    assert refused.value.retryable


def test_without_googles_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.secretmanager_v1", None)

    with pytest.raises(KeyLifecycleError, match=r"\./sdk\[secretmanager\]"):
        SecretManagerKeyStore(SECRET).load()


def test_a_store_is_chosen_by_its_name(tmp_path: Path) -> None:
    assert str(open_store(SECRET)) == SECRET
    assert str(open_store(f"{SECRET}/versions/active")) == SECRET
    assert str(open_store(str(tmp_path))) == str(tmp_path)
    with pytest.raises(KeyLifecycleError, match="does not name a secret"):
        open_store("projects/p/signing-key")


def test_the_index_is_json_that_a_person_can_read(tmp_path: Path) -> None:
    KeyRing(FileKeyStore(tmp_path), clock=lambda: 5.0).create()
    index = json.loads((tmp_path / "index.json").read_text())

    assert [(key["version"], key["state"], key["created_at"]) for key in index["keys"]] == [
        (1, "active", 5.0)
    ]


_REGIONAL = "projects/p/locations/europe-west4/secrets/signing-key"


def test_a_regional_secret_holds_keys_from_the_first_to_the_last(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with secretmanager.running() as address:
        monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", address)
        ring = KeyRing(open_store(_REGIONAL), drain_s=0)
        first = ring.create().active
        source = meshpass.SignedJWT(
            "i", "regional", meshpass.SecretManagerKey(f"{_REGIONAL}/versions/active")
        )
        assert first is not None
        assert source.token().claims["kid"] == first.kid
        ring.next()
        ring.promote(accepted)
        keys = ring.retire()

        assert [version.state for version in keys.versions] == ["retired", "active"]
        assert str(open_store(f"{_REGIONAL}/versions/active")) == _REGIONAL


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [
        ("projects/p/secrets/s", "secretmanager.googleapis.com"),
        ("projects/p/locations/europe-west4/secrets/s", "secretmanager.europe-west4.rep.googleapis.com"),
        (
            "projects/p/locations/us-central1/secrets/s/versions/1",
            "secretmanager.us-central1.rep.googleapis.com",
        ),
    ],
)
def test_a_secret_is_asked_for_where_it_is(name: str, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from google.auth.credentials import AnonymousCredentials
    from meshpass._tokens.key_sources import secret_manager_client

    monkeypatch.delenv("SECRET_MANAGER_EMULATOR_HOST", raising=False)
    monkeypatch.setattr("google.auth.default", lambda *_, **__: (AnonymousCredentials(), "p"))
    with secret_manager_client(name) as client:
        assert client.api_endpoint == endpoint
        assert client.transport.host == f"{endpoint}:443"


@pytest.mark.parametrize(
    "name",
    [
        "projects/p/locations//secrets/s",
        "projects/p/locations/EU/secrets/s",
        "projects/p/locations/a/b/secrets/s",
    ],
)
def test_what_names_no_region_is_refused(name: str) -> None:
    with pytest.raises(KeyLifecycleError, match="does not name a secret"):
        open_store(name)
    with pytest.raises(meshpass.SigningKeyError, match="does not name a secret's version"):
        meshpass.SecretManagerKey(f"{name}/versions/1")()
