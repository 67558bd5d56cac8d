"""The life of a key, the same in files and in Secret Manager."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import jwt
import meshpass
import pytest
from meshlab.cloud import secretmanager
from meshpass._tokens.algorithms import public_jwk
from meshpass._tokens.signing_key import load_signing_key
from meshpass.keys import GatewayProof, KeyLifecycleError, KeyRing, Keys, KeyStore, open_store

from tests.clock import Clock

from .conftest import Answer, Seen, Server

SECRET = "projects/p/secrets/signing-key"
NOW = 1_800_000_000.0


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture(params=["files", "secret manager"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[KeyStore]:
    if request.param == "files":
        yield open_store(str(tmp_path / "keys"))
        return
    with secretmanager.running() as address:
        monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", address)
        yield open_store(SECRET)


@pytest.fixture
def ring(store: KeyStore, clock: Clock) -> KeyRing:
    return KeyRing(store, drain_s=660, clock=clock, sleep=clock.sleep)


def accepted(_: bytes) -> None:
    """A mesh that accepts any key."""


def states(keys: Keys) -> list[str]:
    return [version.state for version in keys.versions]


def kids(keys: Keys) -> list[str]:
    return [key["kid"] for key in keys.jwks()["keys"]]


def test_a_rotation_publishes_before_it_signs_and_retires_after_the_last_token(
    ring: KeyRing, clock: Clock
) -> None:
    first = ring.create()
    assert states(first) == ["active"]
    both = ring.next()
    assert states(both) == ["active", "next"]
    assert len(kids(both)) == 2
    moved = ring.promote(accepted)
    assert states(moved) == ["previous", "active"]
    assert sorted(kids(moved)) == sorted(kids(both))
    with pytest.raises(KeyLifecycleError, match="in use for another 660 s") as early:
        ring.retire()
    assert early.value.code == "key_too_early"
    clock.now_s += 660
    done = ring.retire()

    assert states(done) == ["retired", "active"]
    assert moved.active is not None
    assert kids(done) == [moved.active.kid]
    assert ring.jwks() == done.jwks()
    assert ring.status() == done


def test_every_key_is_new_and_named_by_its_thumbprint(ring: KeyRing, store: KeyStore) -> None:
    ring.create()
    keys = ring.next()

    assert len(set(kids(keys))) == 2
    for version in keys.versions:
        assert version.jwk == public_jwk(load_signing_key(store.read(version.number), "the store"))
    assert all(set(key) == {"kty", "crv", "x", "y", "alg", "use", "kid"} for key in keys.jwks()["keys"])


def test_retire_waits_for_the_last_token_when_asked_to(ring: KeyRing, clock: Clock) -> None:
    ring.create()
    ring.next()
    ring.promote(accepted)
    clock.now_s += 100

    assert states(ring.retire(wait=True)) == ["retired", "active"]
    assert clock.slept == [560]


def test_a_clock_set_back_after_the_promotion_only_makes_retiring_wait_longer(
    ring: KeyRing, clock: Clock
) -> None:
    ring.create()
    ring.next()
    ring.promote(accepted)
    clock.now_s -= 3600

    with pytest.raises(KeyLifecycleError, match="another 4260 s"):
        ring.retire()


def test_a_key_that_is_not_proven_is_not_promoted(ring: KeyRing) -> None:
    def refuse(_: bytes) -> None:
        raise KeyLifecycleError("No.", code="key_not_proven")

    ring.create()
    before = ring.next()
    with pytest.raises(KeyLifecycleError, match="No"):
        ring.promote(refuse)

    assert ring.status() == before


def test_the_proof_is_given_the_next_key_and_no_other(ring: KeyRing) -> None:
    ring.create()
    keys = ring.next()
    proven: list[str] = []
    ring.promote(lambda pem: proven.append(public_jwk(load_signing_key(pem, "the ring"))["kid"]))

    assert keys.next is not None
    assert proven == [keys.next.kid]


def test_probing_tells_for_each_published_key_whether_it_is_accepted(ring: KeyRing, store: KeyStore) -> None:
    ring.create()
    ring.next()
    first = store.read(1)

    def knows_the_first(pem: bytes) -> None:
        if pem != first:
            raise KeyLifecycleError("Unknown key.")

    outcome = ring.probe(knows_the_first)

    assert outcome[1] is None
    assert str(outcome[2]) == "Unknown key."


@pytest.mark.parametrize(
    ("before", "step", "message"),
    [
        ([], KeyRing.jwks, "There is no key"),
        ([KeyRing.create], KeyRing.create, "There are keys here already"),
        ([KeyRing.create, KeyRing.next], KeyRing.next, "Version 2 is the next key already"),
        ([KeyRing.create], lambda ring: ring.promote(accepted), "There is no next key to promote"),
        ([KeyRing.create], KeyRing.retire, "There is no previous key to retire"),
        ([KeyRing.create], lambda ring: ring.revoke("next"), "There is no single key 'next'"),
        ([KeyRing.create], lambda ring: ring.revoke("active"), "the only one that can sign"),
        (
            [KeyRing.create, KeyRing.next, lambda ring: ring.promote(accepted)],
            KeyRing.next,
            "Version 1, the previous key, is still published",
        ),
        (
            [KeyRing.create, KeyRing.next, lambda ring: ring.revoke("next")],
            lambda ring: ring.revoke("2"),
            "Version 2 is revoked: it is not published",
        ),
    ],
)
def test_a_step_that_does_not_follow_is_refused_with_what_to_do_and_changes_nothing(
    ring: KeyRing, before: list[Callable[[KeyRing], object]], step: Callable[[KeyRing], object], message: str
) -> None:
    if not before:
        ring._store.prepare()
    for earlier in before:
        earlier(ring)
    kept = ring.status()

    with pytest.raises(KeyLifecycleError, match=message) as refused:
        step(ring)

    assert refused.value.hint
    assert ring.status() == kept


@pytest.mark.parametrize("by", ["state", "number", "kid"])
def test_a_revoked_key_is_out_of_the_jwks_at_once_and_can_be_read_no_more(
    ring: KeyRing, store: KeyStore, by: str
) -> None:
    ring.create()
    ring.next()
    old = ring.promote(accepted).versions[0]
    left = ring.revoke({"state": "previous", "number": "1", "kid": old.kid or ""}[by])

    assert states(left) == ["revoked", "active"]
    assert old.kid not in kids(left)
    with pytest.raises(KeyLifecycleError, match="cannot be read"):
        store.read(1)
    assert left.versions[0].kid == old.kid, "status still tells which key that was"


def test_the_next_key_signs_in_place_of_a_revoked_active_one(ring: KeyRing) -> None:
    ring.create()
    ring.next()

    assert states(ring.revoke("active")) == ["revoked", "active"]


def test_all_callers_can_be_stopped_and_started_again(ring: KeyRing) -> None:
    ring.create()
    stopped = ring.revoke("active", force=True)
    assert stopped.active is None
    assert stopped.jwks() == {"keys": []}
    ring.next()

    assert states(ring.promote(accepted)) == ["revoked", "active"]


def test_two_who_rotate_at_once_cannot_undo_each_other(ring: KeyRing, store: KeyStore) -> None:
    ring.create()
    seen_by_both = ring.status()
    ring.next()

    with pytest.raises(KeyLifecycleError, match="changed while this step was in progress") as refused:
        store.save(seen_by_both)
    assert refused.value.code == "key_store"
    assert states(ring.status()) == ["active", "next"]


def test_nothing_but_the_private_keys_own_place_holds_one(ring: KeyRing, store: KeyStore) -> None:
    ring.create()
    shown = f"{ring.next()!r} {ring!r} {store!s} {json.dumps(ring.jwks())}"

    for number in (1, 2):
        body = b"".join(store.read(number).splitlines()[1:-1]).decode()
        assert not any(body[at : at + 16] in shown for at in range(len(body) - 60))


def _settings(server: Server) -> meshpass.Settings:
    return meshpass.Settings(
        base_url="http://user-profile.internal",
        address=server.address,
        ca_file=None,
        issuer="https://issuer.test",
        audience="user-profile",
        scope="profile.read",
        subject=None,
        key=meshpass.KeyFile("unused"),
    )


@pytest.mark.parametrize("status", [200, 404, 500])
def test_any_answer_of_the_service_itself_proves_a_key(server: Server, pem: bytes, status: int) -> None:
    server.answer = lambda _: (status, {"content-type": "application/json"}, b"{}")

    GatewayProof(_settings(server), "/profile/{user_id}", {"user_id": "u-1"}, calls=3)(pem)

    sent = [seen.headers["authorization"].removeprefix("Bearer ") for seen in server.seen]
    assert {seen.target for seen in server.seen} == {"/profile/u-1"}
    assert server.connections == 3, "each call asks over a connection of its own"
    kid = public_jwk(load_signing_key(pem, "the test"))["kid"]
    assert {jwt.get_unverified_header(token)["kid"] for token in sent} == {kid}


def test_a_placeholder_of_the_proofs_path_may_have_any_name(server: Server, pem: bytes) -> None:
    server.answer = lambda _: (200, {"content-type": "application/json"}, b"{}")

    GatewayProof(_settings(server), "/{json}/{timeout_s}", {"json": "a", "timeout_s": 7}, calls=1)(pem)

    assert [seen.target for seen in server.seen] == ["/a/7"]


REFUSALS: list[tuple[Answer, str, str]] = [
    ((401, {}, b"Jwks doesn't have key to match kid or alg from Jwt"), "401", "Apply the JWKS"),
    ((401, {"x-envoy-upstream-service-time": "1"}, b"Jwt verification fails"), "401", "Apply the JWKS"),
    ((403, {}, b"Audiences in Jwt are not allowed"), "403", "Compare the token's aud"),
    ((403, {}, b"RBAC: access denied"), "403", "An AuthorizationPolicy must allow"),
    ((404, {"server": "istio-envoy"}, b""), "404", "Check that a Gateway and a VirtualService"),
]


@pytest.mark.parametrize(("answer", "status", "hint"), REFUSALS)
def test_an_answer_of_the_mesh_proves_nothing_and_says_what_to_do(
    server: Server, pem: bytes, answer: Answer, status: str, hint: str
) -> None:
    def at_the_last_call(_: Seen) -> Answer:
        return answer if len(server.seen) >= 3 else (200, {}, b"{}")

    server.answer = at_the_last_call

    with pytest.raises(
        KeyLifecycleError, match=f"not proven that the mesh accepts the key.*{status}"
    ) as refused:
        GatewayProof(_settings(server), "/", {}, calls=3)(pem)

    assert refused.value.code == "key_not_proven"
    assert hint in str(refused.value)


def test_a_key_that_only_some_proxies_know_is_not_proven(server: Server, pem: bytes) -> None:
    unknown: Answer = (401, {"server": "istio-envoy"}, b"Jwks doesn't have key to match kid or alg from Jwt")
    server.answer = lambda _: unknown if len(server.seen) == 2 else (200, {}, b"{}")

    with pytest.raises(KeyLifecycleError, match="refused the key in one place and accepted it in another"):
        GatewayProof(_settings(server), "/", {}, calls=3)(pem)


def test_no_connection_proves_nothing(server: Server, pem: bytes) -> None:
    server.server_close()

    with pytest.raises(KeyLifecycleError, match="cannot be reached") as refused:
        GatewayProof(_settings(server), "/", {})(pem)
    assert refused.value.retryable
