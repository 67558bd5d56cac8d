"""Lifecycle of a caller's signing keys: publish before signing, prove before promoting, wait before removing.

    ring = KeyRing(open_store("projects/P/secrets/S"))   # or a directory
    ring.create()                                        # the first key; its JWKS goes into the manifests
    ring.next()                                          # a second key; publish both, and wait for the mesh
    ring.promote(GatewayProof(Settings.from_env(), "/profile/{user_id}", {"user_id": "u-1001"}))
    ring.retire(wait=True)                               # when the old key's last token has expired

The command `meshpass keys` does the same.
"""

from meshpass.keys._files import FileKeyStore
from meshpass.keys._lifecycle_errors import KeyLifecycleError
from meshpass.keys._model import Keys, KeyVersion, State
from meshpass.keys._proof import GatewayProof, KeyProof
from meshpass.keys._ring import DEFAULT_DRAIN_S, KeyRing
from meshpass.keys._secret_manager import SecretManagerKeyStore
from meshpass.keys._store import KeyStore, open_store

__all__ = [
    "DEFAULT_DRAIN_S",
    "FileKeyStore",
    "GatewayProof",
    "KeyLifecycleError",
    "KeyProof",
    "KeyRing",
    "KeyStore",
    "KeyVersion",
    "Keys",
    "SecretManagerKeyStore",
    "State",
    "open_store",
]
