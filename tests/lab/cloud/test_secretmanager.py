"""The Secret Manager fake, through the official client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import google_crc32c
import grpc
import pytest
from google.api_core import exceptions
from google.cloud import secretmanager_v1
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)
from meshlab.cloud import secretmanager

if TYPE_CHECKING:
    from collections.abc import Iterator

    Client = secretmanager_v1.SecretManagerServiceClient

PROJECT = "projects/p"
KEY = f"{PROJECT}/secrets/key"
ENABLED, DISABLED, DESTROYED = (
    secretmanager_v1.SecretVersion.State.ENABLED,
    secretmanager_v1.SecretVersion.State.DISABLED,
    secretmanager_v1.SecretVersion.State.DESTROYED,
)


@pytest.fixture
def client() -> Iterator[Client]:
    with secretmanager.running() as address, grpc.insecure_channel(address) as channel:
        transport = SecretManagerServiceGrpcTransport(channel=channel)
        yield secretmanager_v1.SecretManagerServiceClient(transport=transport)


@pytest.fixture
def with_two_versions(client: Client) -> Client:
    create(client, "key")
    for data in (b"one", b"two"):
        client.add_secret_version(request={"parent": KEY, "payload": {"data": data}})
    return client


def create(client: Client, secret_id: str) -> secretmanager_v1.Secret:
    secret = {"replication": {"automatic": {}}, "labels": {"env": "lab"}}
    return client.create_secret(request={"parent": PROJECT, "secret_id": secret_id, "secret": secret})


def access(client: Client, version: str) -> bytes:
    return client.access_secret_version(name=f"{KEY}/versions/{version}").payload.data


def test_a_secret_is_created_once_and_found_by_name(client: Client) -> None:
    created = create(client, "key")

    assert created.name == KEY
    found = client.get_secret(name=KEY)
    assert (dict(found.labels), found.create_time) == ({"env": "lab"}, created.create_time)
    with pytest.raises(exceptions.AlreadyExists, match=r"Secret \[projects/p/secrets/key\] already exists"):
        create(client, "key")


def test_a_deleted_secret_is_gone_with_its_versions(with_two_versions: Client) -> None:
    with_two_versions.delete_secret(name=KEY)

    with pytest.raises(exceptions.NotFound, match=r"Secret \[projects/p/secrets/key\] not found\."):
        with_two_versions.get_secret(name=KEY)
    with pytest.raises(exceptions.NotFound, match="not found or has no versions"):
        access(with_two_versions, "latest")


def test_lists_are_newest_first_and_come_in_pages(with_two_versions: Client) -> None:
    create(with_two_versions, "other")

    secrets = with_two_versions.list_secrets(request={"parent": PROJECT, "page_size": 1})
    assert [secret.name for secret in secrets] == [f"{PROJECT}/secrets/other", KEY]
    assert [list(page.secrets) for page in with_two_versions.list_secrets(parent="projects/q").pages] == [[]]
    versions = with_two_versions.list_secret_versions(request={"parent": KEY, "page_size": 1})
    assert [version.name for version in versions] == [f"{KEY}/versions/2", f"{KEY}/versions/1"]


def test_a_version_is_accessed_by_number_alias_or_latest(with_two_versions: Client) -> None:
    secret = {"name": KEY, "version_aliases": {"current": 1}}
    with_two_versions.update_secret(request={"secret": secret, "update_mask": {"paths": ["version_aliases"]}})

    by_name = {name: access(with_two_versions, name) for name in ("1", "2", "current", "latest")}

    assert by_name == {"1": b"one", "2": b"two", "current": b"one", "latest": b"two"}
    resolved = with_two_versions.access_secret_version(name=f"{KEY}/versions/current").name
    assert resolved == f"{KEY}/versions/1"
    assert with_two_versions.get_secret_version(name=f"{KEY}/versions/latest").name == f"{KEY}/versions/2"


@pytest.mark.parametrize("version", ["0", "3", "nobody"])
def test_a_version_that_is_not_there_is_not_found(with_two_versions: Client, version: str) -> None:
    with pytest.raises(exceptions.NotFound, match=rf"Secret Version \[{KEY}/versions/{version}\] not found"):
        access(with_two_versions, version)


def test_a_payload_comes_back_with_its_checksum(with_two_versions: Client) -> None:
    payload = with_two_versions.access_secret_version(name=f"{KEY}/versions/1").payload

    assert payload.data_crc32c == google_crc32c.value(b"one")


def test_a_payload_whose_checksum_is_wrong_is_refused_and_not_kept(client: Client) -> None:
    create(client, "key")

    with pytest.raises(exceptions.InvalidArgument, match="data_crc32c does not match"):
        client.add_secret_version(request={"parent": KEY, "payload": {"data": b"one", "data_crc32c": 1}})
    right = {"data": b"one", "data_crc32c": google_crc32c.value(b"one")}
    version = client.add_secret_version(request={"parent": KEY, "payload": right})
    assert (version.name, version.client_specified_payload_checksum) == (f"{KEY}/versions/1", True)


def test_a_payload_over_64_kib_is_refused(client: Client) -> None:
    create(client, "key")

    client.add_secret_version(request={"parent": KEY, "payload": {"data": b"x" * 65_536}})
    with pytest.raises(exceptions.InvalidArgument, match="65536"):
        client.add_secret_version(request={"parent": KEY, "payload": {"data": b"x" * 65_537}})


def test_a_disabled_version_is_refused_until_enabled_and_latest_does_not_skip_it(
    with_two_versions: Client,
) -> None:
    assert with_two_versions.disable_secret_version(name=f"{KEY}/versions/2").state == DISABLED

    for version in ("2", "latest"):
        with pytest.raises(
            exceptions.FailedPrecondition, match=rf"\[{KEY}/versions/2\] is in DISABLED state"
        ):
            access(with_two_versions, version)
    assert with_two_versions.enable_secret_version(name=f"{KEY}/versions/2").state == ENABLED
    assert access(with_two_versions, "latest") == b"two"


def test_a_destroyed_version_never_comes_back(with_two_versions: Client) -> None:
    destroyed = with_two_versions.destroy_secret_version(name=f"{KEY}/versions/1")

    assert destroyed.state == DESTROYED
    assert destroyed.destroy_time is not None
    for call in (with_two_versions.enable_secret_version, with_two_versions.access_secret_version):
        with pytest.raises(exceptions.FailedPrecondition, match="is in DESTROYED state"):
            call(name=f"{KEY}/versions/1")


def test_a_stale_etag_is_refused(with_two_versions: Client) -> None:
    etag = with_two_versions.get_secret_version(name=f"{KEY}/versions/1").etag
    with_two_versions.disable_secret_version(request={"name": f"{KEY}/versions/1", "etag": etag})

    with pytest.raises(exceptions.FailedPrecondition, match="etag"):
        with_two_versions.destroy_secret_version(request={"name": f"{KEY}/versions/1", "etag": etag})


@pytest.mark.parametrize("aliases", [{"current": 9}, {"latest": 1}, {"7up": 1}])
def test_an_alias_must_have_a_free_name_and_point_to_a_version(
    with_two_versions: Client, aliases: dict[str, int]
) -> None:
    secret = {"name": KEY, "version_aliases": aliases}

    with pytest.raises(exceptions.InvalidArgument, match="version alias"):
        with_two_versions.update_secret(
            request={"secret": secret, "update_mask": {"paths": ["version_aliases"]}}
        )


def test_an_update_touches_only_the_fields_in_its_mask(with_two_versions: Client) -> None:
    secret = {"name": KEY, "labels": {"env": "other"}, "annotations": {"a": "b"}}
    with_two_versions.update_secret(request={"secret": secret, "update_mask": {"paths": ["annotations"]}})

    found = with_two_versions.get_secret(name=KEY)
    assert (dict(found.labels), dict(found.annotations)) == ({"env": "lab"}, {"a": "b"})


def test_what_the_fake_does_not_offer_is_refused_rather_than_ignored(client: Client) -> None:
    secret = {"replication": {"automatic": {}}, "ttl": {"seconds": 60}}

    with pytest.raises(exceptions.MethodNotImplemented, match="ttl"):
        client.create_secret(request={"parent": PROJECT, "secret_id": "key", "secret": secret})
    with pytest.raises(exceptions.MethodNotImplemented):
        client.get_iam_policy(request={"resource": KEY})
    with pytest.raises(exceptions.InvalidArgument, match="replication"):
        client.create_secret(request={"parent": PROJECT, "secret_id": "key", "secret": {}})


def test_a_regional_secret_has_no_replication_and_is_another_than_the_global_one(client: Client) -> None:
    parent = f"{PROJECT}/locations/europe-west4"
    with pytest.raises(exceptions.InvalidArgument, match="replication"):
        client.create_secret(
            request={"parent": parent, "secret_id": "key", "secret": {"replication": {"automatic": {}}}}
        )
    made = client.create_secret(request={"parent": parent, "secret_id": "key", "secret": {}})
    client.add_secret_version(request={"parent": made.name, "payload": {"data": b"regional"}})

    assert made.name == f"{parent}/secrets/key"
    assert client.access_secret_version(name=f"{made.name}/versions/1").payload.data == b"regional"
    assert [secret.name for secret in client.list_secrets(parent=parent)] == [made.name]
    with pytest.raises(exceptions.NotFound):
        client.get_secret(name=KEY)
