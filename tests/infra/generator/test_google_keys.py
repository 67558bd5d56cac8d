"""Google's public keys in an overlay: what is written, what is refused, and what the exit code says."""

from __future__ import annotations

import base64
import json
import stat
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from meshgen import google_keys
from meshgen.cli import main
from meshgen.google_keys import GoogleKeysError, read_keys
from meshlab.cloud.identity import IdentityTokens

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "infra/mesh/overlays/keyless/keys/google.json"


def key(kid: str, number: int = 0) -> dict[str, Any]:
    """Return a key of Google's form; no private half exists."""
    modulus = base64.urlsafe_b64encode(b"\xff" * 255 + bytes([1 + 2 * number])).rstrip(b"=").decode()
    return {"kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig", "e": "AQAB", "n": modulus}


def document(*keys: object) -> bytes:
    return json.dumps({"keys": keys}).encode()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    path = tmp_path / "google.json"
    path.write_bytes(document(key("first-key", 1), key("second-key", 2)))
    return path


def refresh(out: Path, *keys: object, arguments: tuple[str, ...] = ()) -> int:
    source = out.with_name("fetched.json")
    source.write_bytes(document(*keys))
    return main(["google-keys", "--out", str(out), "--from", str(source), *arguments])


def kids(out: Path) -> list[str]:
    return [entry["kid"] for entry in json.loads(out.read_bytes())["keys"]]


def test_the_same_keys_in_another_order_are_no_change(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = out.read_bytes()
    assert refresh(out, key("second-key", 2), key("first-key", 1)) == 0
    assert out.read_bytes() == before
    assert "unchanged, 2 keys" in capsys.readouterr().out


def test_a_rotation_is_written_and_named(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        refresh(
            out, key("third-key", 3), key("second-key", 2) | {"x5t": "not needed"}, arguments=("--check",)
        )
        == 1
    )
    assert kids(out) == ["first-key", "second-key"]
    assert refresh(out, key("third-key", 3), key("second-key", 2) | {"x5t": "not needed"}) == 1
    assert kids(out) == ["second-key", "third-key"]
    assert "x5t" not in out.read_text()
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-3:] == ["added third-key", "removed first-key", f"{out}: wrote, 2 keys"]
    assert shown.err == ""
    assert stat.S_IMODE(out.stat().st_mode) == 0o644
    assert sorted(path.name for path in out.parent.iterdir()) == ["fetched.json", "google.json"]


def test_a_refresh_that_comes_too_late_says_so(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refresh(out, key("third-key", 3), key("fourth-key", 4)) == 1
    assert "None of the keys of before is left" in capsys.readouterr().err


def test_the_shipped_placeholder_is_replaced_without_a_warning(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out.write_bytes(SHIPPED.read_bytes())
    assert refresh(out, key("third-key", 3)) == 1
    assert capsys.readouterr().err == ""


def test_the_lab_fakes_googles_keys_in_this_form() -> None:
    assert len(read_keys(json.dumps(IdentityTokens("a@b.invalid").jwks).encode(), "here").keys) == 1


def with_(**changes: object) -> dict[str, Any]:
    return {name: value for name, value in {**key("third-key", 3), **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<html>", "is no JSON document"),
        (b"[" * 30_000, "is no JSON document"),
        (b'{"keys": [], "keys": []}', "is no JSON document"),
        (b'{"error": "not found"}', "holds no list `keys`"),
        (document(), "holds no list `keys`"),
        (document(*(key(f"key-number-{number}", number) for number in range(17))), "holds no list `keys`"),
        (document("a key"), "keys[0] is no JSON object"),
        (document(with_(d="AQAB")), "keys[0] holds the private member d"),
        (document(with_(kty="oct", k="AAAA")), "keys[0] holds the private member k"),
        (document(with_(kty="EC")), "keys[0] has another kty than RSA"),
        (document(with_(alg="HS256")), "keys[0] has another alg than RS256"),
        (document(with_(alg=None)), "keys[0] has another alg than RS256"),
        (document(with_(use="enc")), "keys[0] has another use than sig"),
        (document(with_(e="Aw")), "keys[0] has another e than AQAB"),
        (document(with_(kid=None)), "keys[0] has no kid"),
        (document(with_(kid="a kid\nwith a line")), "keys[0] has no kid"),
        (document(with_(n=key("third-key")["n"][:171])), "keys[0] has no modulus"),
        (document(with_(n="AA" + key("third-key")["n"])), "keys[0] has no modulus"),
        (document(with_(n=key("third-key")["n"] + "==")), "keys[0] has no modulus"),
        (document(with_(n="/" * 342)), "keys[0] has no modulus"),
        (document(with_(n="A" * 60_000)), "keys[0] has no modulus"),
        (document(key("third-key", 3), key("third-key", 4)), "two keys have the same kid"),
        (document(*[key("third-key", 3)] * 200), "holds more than 65536 bytes"),
    ],
)
def test_what_is_no_key_of_google_is_refused_and_the_file_stays(
    out: Path, data: bytes, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before, source = out.read_bytes(), out.with_name("fetched.json")
    source.write_bytes(data)
    assert main(["google-keys", "--out", str(out), "--from", str(source)]) == 2
    assert says in capsys.readouterr().err
    assert out.read_bytes() == before


def test_all_problems_are_shown_at_once() -> None:
    with pytest.raises(GoogleKeysError) as caught:
        read_keys(document(with_(d="AQAB", use="enc"), "a key"), "here")
    assert len(caught.value.problems) == 3


def test_another_key_under_a_known_kid_is_refused(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refresh(out, key("first-key", 1), key("second-key", 3)) == 2
    assert "the key second-key is another one than before" in capsys.readouterr().err
    assert kids(out) == ["first-key", "second-key"]


def test_a_file_that_cannot_be_written_stays_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "google.json").mkdir()
    assert refresh(tmp_path / "google.json", key("third-key", 3)) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fetched.json", "google.json"]


def test_no_redirect_is_followed_and_an_error_is_a_sentence(
    out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import http.server
    import threading

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "/keys")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    monkeypatch.setattr(urllib.request, "getproxies", dict)
    with http.server.HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        monkeypatch.setattr(google_keys, "ADDRESS", f"http://127.0.0.1:{server.server_port}/")
        assert main(["google-keys", "--out", str(out)]) == 2
        server.shutdown()
    assert "it answered 302" in capsys.readouterr().err
    assert kids(out) == ["first-key", "second-key"]
