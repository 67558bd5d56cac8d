"""A public key whose private half does not exist.

An issuer's keys may stand behind an address. Where istiod cannot fetch them, it gives the proxy a key of which it threw
the private half away (`pilot/pkg/model/jwks_resolver.go#BuildLocalJwks`): the proxy then runs, and no token of that
issuer is good. The lab fetches nothing, so it does the same with a key of its own. Like Istio's it is an RSA key
without an id, so that a token fails for the same reason.
"""

from __future__ import annotations

import json

__all__ = ["UNHELD_JWKS"]

_MODULUS = (
    "zc1RfknGyyBIGrkg9RPRDVIA4msoArvigAveqrY_-it_x_r6t3SIi-JqliBBXxN5-KujQQ-nhSUac4XM0J3IRF"
    "rBUDYyVH-M84iH7osIWfoAJkIGvfdUWBVGTjcTvartOziaTuJnGts7Z7rn2ztOW6mUQToXkE0B5q0YTBAVK2jV"
    "nDR-eEjUymNYPfvM_DgxJqZN6V1G3VkFbw-4ghAjx5Ye4TheCRUqVi8ct9JCJsie4WxNhZxgGodK3H5_ZZ_p3l"
    "99eykf46Cdh_R-OlK8tw8ntkyIYTLcIZCMDmDAkVXJ2ME4AJ7UMJLRk4X-VSCgFMsWmzZI-h4Tb6TR9-lj-Q"
)

UNHELD_JWKS = json.dumps({"keys": [{"kty": "RSA", "e": "AQAB", "n": _MODULUS}]})
"""A key set (RFC 7517) that verifies nothing. The private half was never written anywhere."""
