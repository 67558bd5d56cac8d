"""Test kit for programs that use meshpass: no cluster, no cloud, no Envoy, no waiting.

- `FakeClock`: wall and monotonic time that a test moves.
- `InMemorySource`: a client's `auth` that needs no key and counts its tokens.
- `ThrowawayKey`: a signing key that lives as long as the test.
- `JWKSVerifier`: judges a token as Envoy would, in Envoy's words; with `strict=True` as the RFCs say.
- `FakeGateway`: a local HTTP server that answers as the mesh's gateway does, its refusals included;
  `FakeHost` is another virtual host behind it, `MeshRequest` what its service gets, `Reply` what it returns.
- `FakeMetadataServer`: a local metadata server, which can be late, busy or an impostor.
- `forget_tokens`: a fresh start for the process-wide cache.

It needs no package but meshpass itself. With pytest installed the fixtures `meshpass_clock`, `meshpass_gateway` and
`meshpass_metadata` are there without an import. As with `meshpass` itself, importing this package loads none of its
parts.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshpass.testing._fake_clock import FakeClock
    from meshpass.testing._fake_gateway import FakeGateway
    from meshpass.testing._fake_host import FakeHost, MeshRequest
    from meshpass.testing._fake_metadata_server import FakeMetadataServer
    from meshpass.testing._fake_server import Reply, Request
    from meshpass.testing._forget_tokens import forget_tokens
    from meshpass.testing._forms import UploadedFile
    from meshpass.testing._in_memory_source import InMemorySource
    from meshpass.testing._throwaway_key import ThrowawayKey
    from meshpass.testing._verifier import JWKSVerifier, Verdict

__all__ = [
    "FakeClock",
    "FakeGateway",
    "FakeHost",
    "FakeMetadataServer",
    "InMemorySource",
    "JWKSVerifier",
    "MeshRequest",
    "Reply",
    "Request",
    "ThrowawayKey",
    "UploadedFile",
    "Verdict",
    "forget_tokens",
]

_MODULES = {
    "FakeClock": "_fake_clock",
    "FakeGateway": "_fake_gateway",
    "FakeHost": "_fake_host",
    "FakeMetadataServer": "_fake_metadata_server",
    "InMemorySource": "_in_memory_source",
    "JWKSVerifier": "_verifier",
    "MeshRequest": "_fake_host",
    "Reply": "_fake_server",
    "Request": "_fake_server",
    "ThrowawayKey": "_throwaway_key",
    "UploadedFile": "_forms",
    "Verdict": "_verifier",
    "forget_tokens": "_forget_tokens",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'meshpass.testing' has no attribute {name!r}")
    value: object = getattr(import_module(f"meshpass.testing.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
