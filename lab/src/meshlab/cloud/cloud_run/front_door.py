"""Configuration of an Envoy that checks callers as Cloud Run's IAM does, with Envoy's own filters alone.

In the order in which a request passes them:

1. Without `Authorization` and `X-Serverless-Authorization` it is refused: 403.
2. The header that counts must hold exactly one `Bearer` token in the form of a JWT, else 401. Where both headers are
   there, only `X-Serverless-Authorization` is checked. The scheme's name is not case-sensitive (RFC 9110, section
   11.1). A token in the query does not count.
3. jwt_authn verifies the token: signature, issuer, `exp`, lifetime. Else 401.
4. The audience must be the service's own URL or a custom audience, character for character, else 401. jwt_authn is
   not asked for it: it takes `http://` for `https://`, ignores a slash at the end, and answers 403.
5. The account must have `roles/run.invoker`, else 403. A token names it by its verified e-mail address. One without
   an address, which the metadata server gives by default, names it by its unique id in `sub`.
6. The container gets the header that was checked with the token's signature replaced by
   `SIGNATURE_REMOVED_BY_GOOGLE`. An `Authorization` beside `X-Serverless-Authorization` passes as it is.

What is stricter here than on Google, or not documented by Google:

- Google also takes gcloud's own audience, which `gcloud auth print-identity-token` gives without `--audiences`, for a
  developer's tests. Such a token is good for every service that its account may call. Here it is refused.
- Two headers of one name, or two tokens in one header, are refused. RFC 9110, section 5.3 allows one.
- Header names with an underscore are dropped, since some servers read `X_Serverless_Authorization` as the other.
- A header of more than 8 KiB is refused.

Sources:

- Headers, which one is checked, and a call with a token that the metadata server gives by default:
  https://cloud.google.com/run/docs/authenticating/service-to-service
- What that token holds: https://cloud.google.com/compute/docs/instances/verifying-instance-identity#token_format
- The signature: https://cloud.google.com/run/docs/troubleshooting#signature-removed ; that the container gets
  X-Serverless-Authorization, too, without it: https://github.com/pomerium/pomerium/issues/6677
- Audiences: https://cloud.google.com/run/docs/configuring/custom-audiences ; gcloud's own:
  https://cloud.google.com/docs/authentication/get-id-token#generic-dev
- The role: https://cloud.google.com/run/docs/reference/iam/roles#run.invoker
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.cloud.cloud_run.error_pages import local_replies
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from meshlab.istio import Address
    from meshlab.istio.envoy.config import Json

__all__ = ["SIGNATURE_REMOVED", "FrontDoor", "Places", "front_door_config"]

SIGNATURE_REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"
"""What stands in the place of the signature in the token that the container gets."""

_SERVERLESS, _AUTHORIZATION = "x-serverless-authorization", "authorization"
_JWT, _RBAC = "envoy.filters.http.jwt_authn", "envoy.filters.http.rbac"
_PAYLOAD, _WITHOUT_SIGNATURE = "payload", "front_door"
_TOKEN, _AUDIENCE = "token", "audience"
_SEGMENT = "[A-Za-z0-9_-]+"
_SIGNED = rf"((?i:bearer) +{_SEGMENT}\.{_SEGMENT})\.{_SEGMENT}"
_UNSIGNED = rf"(?i:bearer) +{_SEGMENT}\.{_SEGMENT}\.{SIGNATURE_REMOVED}"
# Google's ID tokens live for an hour. The skew is the one that jwt_authn allows to `exp` by default.
_LIFETIME_S, _SKEW_S = 3600, 60
_CLUSTER = "container"


@dataclass(frozen=True)
class FrontDoor:
    """Who may call a service, and for whom their tokens must be.

    Attributes:
        url: The service's own URL, without a slash at the end.
        invokers: E-mail addresses of the accounts with `roles/run.invoker`.
        issuer: Google's issuer.
        jwks: Google's public keys, as a JSON Web Key Set.
        custom_audiences: Further audiences of the service.
        unique_ids: Unique ids of the accounts with `roles/run.invoker`, as far as they are known.
    """

    url: str
    invokers: tuple[str, ...]
    issuer: str
    jwks: str
    custom_audiences: tuple[str, ...] = ()
    unique_ids: tuple[str, ...] = ()

    @property
    def audiences(self) -> tuple[str, ...]:
        """The audiences that a token may be for.

        Google's samples write the service's URL with a slash at its end as well as without:
        https://cloud.google.com/run/docs/samples/cloudrun-service-to-service-auth
        """
        return (self.url, f"{self.url}/", *self.custom_audiences)


@dataclass(frozen=True)
class Places:
    """Where everything is.

    Attributes:
        listen: Where the front door listens.
        admin: Where Envoy's admin interface listens.
        container: Where the service's container listens.
        certificate: PEM files of the certificate chain and its key.
    """

    listen: Address
    admin: Address
    container: Address
    certificate: tuple[Path, Path]


def front_door_config(door: FrontDoor, places: Places) -> Json:
    """Return the whole configuration of the front door's Envoy; it holds no private key."""
    return {
        "node": {"id": "front-door", "cluster": "front-door"},
        "admin": {"address": places.admin.envoy},
        "staticResources": {
            "listeners": [
                {
                    "name": "front-door",
                    "address": places.listen.envoy,
                    "filterChains": [
                        {"transportSocket": _tls(*places.certificate), "filters": [_connection_manager(door)]}
                    ],
                }
            ],
            "clusters": [_container(places.container)],
        },
        # Without a limit Envoy warns at every start.
        "overloadManager": {"resourceMonitors": [_CONNECTION_LIMIT]},
    }


def _connection_manager(door: FrontDoor) -> Json:
    audiences = _any_rule(_claim("aud", {"exact": found}) for found in door.audiences)
    router = _typed("filters.http.router.v3.Router", {"suppressEnvoyHeaders": True})
    filters = [
        _rbac("DENY", _has_no_credential()),
        _without_signature(),
        *_noted_rbac(_TOKEN, _has_one_token()),
        _jwt_authn(door),
        *_noted_rbac(_AUDIENCE, audiences),
        _rbac("ALLOW", _is_invoker(door)),
        {"name": "envoy.filters.http.router", "typedConfig": router},
    ]
    manager: Json = {
        "codecType": "AUTO",
        "statPrefix": "front_door",
        "serverName": "Google Frontend",
        "useRemoteAddress": True,
        # The container gets the path as the caller wrote it.
        "normalizePath": False,
        "pathWithEscapedSlashesAction": "KEEP_UNCHANGED",
        "commonHttpProtocolOptions": {"headersWithUnderscoresAction": "DROP_HEADER"},
        "localReplyConfig": local_replies([_was_refused(_TOKEN), _was_refused(_AUDIENCE)]),
        "routeConfig": _routes(),
        "httpFilters": filters,
        "accessLog": [_ACCESS_LOG],
    }
    kind = "filters.network.http_connection_manager.v3.HttpConnectionManager"
    return {"name": "envoy.filters.network.http_connection_manager", "typedConfig": _typed(kind, manager)}


# Conditions of the RBAC filter.


def _has_no_credential() -> Json:
    return _all_rules({"notRule": _header(name)} for name in (_SERVERLESS, _AUTHORIZATION))


def _has_one_token() -> Json:
    """Return the condition that the header that counts holds one token.

    It looks at the header without the signature, in which several headers of one name are joined by commas. A condition
    on the header itself is true if it is true of each of them, and two tokens would pass.
    """
    alone = _all_rules([{"notRule": _header(_SERVERLESS)}, _unsigned(_AUTHORIZATION)])
    return _any_rule([_unsigned(_SERVERLESS), alone])


def _unsigned(header: str) -> Json:
    value = {"stringMatch": {"safeRegex": {"regex": _UNSIGNED}}}
    return {"metadata": {"filter": _WITHOUT_SIGNATURE, "path": [{"key": header}], "value": value}}


def _is_invoker(door: FrontDoor) -> Json | None:
    """Return the condition that an invoker calls; None if there is none.

    The unique id counts only in a token without an address, so that no token is accepted for half of what it claims.
    """
    ways = []
    if door.invokers:
        emails = _any_rule(_claim("email", {"exact": email}) for email in door.invokers)
        ways.append(_all_rules([emails, _claim("email_verified", True)]))
    if door.unique_ids:
        ids = _any_rule(_claim("sub", {"exact": unique_id}) for unique_id in door.unique_ids)
        ways.append(_all_rules([ids, {"notRule": _has_claim("email")}]))
    return _any_rule(ways) if ways else None


def _header(name: str) -> Json:
    """Return the condition that a header is there, even without a value."""
    return {"header": {"name": name, "presentMatch": True}}


def _claim(name: str, value: Json | bool) -> Json:
    """Return a condition on a verified claim. It is false for a claim that is missing or of another type."""
    return _claim_matches(name, {"boolMatch": value} if isinstance(value, bool) else {"stringMatch": value})


def _has_claim(name: str) -> Json:
    """Return the condition that a claim is there, whatever its value is: null, too."""
    return _claim_matches(name, {"presentMatch": True})


def _claim_matches(name: str, value: Json) -> Json:
    return {"metadata": {"filter": _JWT, "path": [{"key": _PAYLOAD}, {"key": name}], "value": value}}


def _any_rule(rules: Iterable[Json]) -> Json:
    return {"orRules": {"rules": list(rules)}}


def _all_rules(rules: Iterable[Json]) -> Json:
    return {"andRules": {"rules": list(rules)}}


# Filters.


def _rbac(action: str, condition: Json | None) -> Json:
    """Return a filter that refuses by one condition.

    Args:
        action: What it does where the condition is true; ALLOW refuses all other requests.
        condition: The condition; None is never true.
    """
    return _rbac_filter({"rules": _rules(action, condition)})


def _noted_rbac(name: str, condition: Json) -> list[Json]:
    """Return filters that refuse a request where a condition is false, and note that under a name.

    A filter of its own takes the note, because Envoy has written its refusal before the notes of the same filter.
    """
    rules = _rules("ALLOW", condition)
    note = {"shadowRules": rules, "shadowRulesStatPrefix": f"{name}_"}
    return [_rbac_filter(note), _rbac_filter({"rules": rules})]


def _rbac_filter(config: Json) -> Json:
    return {"name": _RBAC, "typedConfig": _typed("filters.http.rbac.v3.RBAC", config)}


def _rules(action: str, condition: Json | None) -> Json:
    policies = {"only": {"permissions": [condition], "principals": [{"any": True}]}} if condition else {}
    return {"action": action, "policies": policies}


def _was_refused(name: str) -> Json:
    """Return the access log's condition that the filters of this name refused the request."""
    path = [{"key": f"{name}_shadow_engine_result"}]
    matcher = {"filter": _RBAC, "path": path, "value": {"stringMatch": {"exact": "denied"}}}
    return {"metadataFilter": {"matcher": matcher, "matchIfKeyNotFound": False}}


def _jwt_authn(door: FrontDoor) -> Json:
    def provider(header: str) -> Json:
        return {
            "issuer": door.issuer,
            "localJwks": {"inlineString": door.jwks},
            # The scheme's name was checked before. With these two set, no other header and no query counts.
            "fromHeaders": [{"name": header, "valuePrefix": " "}],
            "forward": True,
            "payloadInMetadata": _PAYLOAD,
            # From now on; a token without `exp` is refused, too.
            "maxLifetime": f"{_LIFETIME_S + _SKEW_S}s",
        }

    rules: list[Json] = [
        {
            "match": {"prefix": "/", "headers": [_header(_SERVERLESS)["header"]]},
            "requires": {"providerName": _SERVERLESS},
        },
        {"match": {"prefix": "/"}, "requires": {"providerName": _AUTHORIZATION}},
    ]
    providers = {name: provider(name) for name in (_SERVERLESS, _AUTHORIZATION)}
    return {
        "name": _JWT,
        "typedConfig": _typed(
            "filters.http.jwt_authn.v3.JwtAuthentication", {"providers": providers, "rules": rules}
        ),
    }


def _without_signature() -> Json:
    """Return the filter that notes each header with its signature replaced; what is no token it notes as it is.

    The conditions look at the notes, and the container gets one of them in place of the header. So nothing else than
    what was checked can reach it.
    """
    rules = [
        {
            "header": name,
            "onHeaderPresent": {
                "metadataNamespace": _WITHOUT_SIGNATURE,
                "key": name,
                "regexValueRewrite": {
                    "pattern": {"regex": f"^{_SIGNED}$"},
                    "substitution": rf"\1.{SIGNATURE_REMOVED}",
                },
            },
        }
        for name in (_SERVERLESS, _AUTHORIZATION)
    ]
    config = _typed("filters.http.header_to_metadata.v3.Config", {"requestRules": rules})
    return {"name": "envoy.filters.http.header_to_metadata", "typedConfig": config}


def _routes() -> Json:
    def route(match: Json, checked: str) -> Json:
        value = f"%DYNAMIC_METADATA({_WITHOUT_SIGNATURE}:{checked})%"
        return {
            "match": {"prefix": "/", **match},
            "route": {"cluster": _CLUSTER, "timeout": "0s"},
            # Envoy removes before it adds.
            "requestHeadersToRemove": [checked],
            "requestHeadersToAdd": [{"header": {"key": checked, "value": value}}],
        }

    routes = [
        route({"headers": [_header(_SERVERLESS)["header"]]}, _SERVERLESS),
        route({}, _AUTHORIZATION),
    ]
    return {"name": "service", "virtualHosts": [{"name": "service", "domains": ["*"], "routes": routes}]}


# The rest.


def _container(address: Address) -> Json:
    endpoint = {"endpoint": {"address": address.envoy}}
    return {
        "name": _CLUSTER,
        "type": "STATIC",
        "connectTimeout": "10s",
        "loadAssignment": {"clusterName": _CLUSTER, "endpoints": [{"lbEndpoints": [endpoint]}]},
    }


def _tls(chain: Path, key: Path) -> Json:
    files = {"certificateChain": {"filename": str(chain)}, "privateKey": {"filename": str(key)}}
    common = {
        "alpnProtocols": ["h2", "http/1.1"],
        "tlsParams": {"tlsMinimumProtocolVersion": "TLSv1_2"},
        "tlsCertificates": [files],
    }
    config = _typed("transport_sockets.tls.v3.DownstreamTlsContext", {"commonTlsContext": common})
    return {"name": "envoy.transport_sockets.tls", "typedConfig": config}


def _typed(kind: str, fields: Json) -> Json:
    return {"@type": f"type.googleapis.com/envoy.extensions.{kind}", **fields}


_ACCESS_LOG: Json = {
    "name": "envoy.access_loggers.file",
    "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        "path": "/dev/stdout",
        # No path and no header: both may hold a token.
        "logFormat": {
            "textFormatSource": {"inlineString": "%REQ(:METHOD)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS%\n"}
        },
    },
}
_CONNECTION_LIMIT: Json = {
    "name": "envoy.resource_monitors.global_downstream_max_connections",
    "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3"
        ".DownstreamConnectionsConfig",
        "maxActiveDownstreamConnections": 50000,
    },
}
