"""Rows of the first document, from a function to an internal gateway, that concern manifests."""

from __future__ import annotations

import json

from tests.infra import test_manifests
from tests.infra.defects.checks import ingress, manifests, newest_versions
from tests.infra.defects.model import Defect, Objects

__all__ = ["DEFECTS"]

_GATEWAY_TOKENS = "RequestAuthentication istio-ingress/internal-gateway-tokens"
_SERVICE_TOKENS = "RequestAuthentication user-profile/user-profile-tokens"
_AT_GATEWAY = "AuthorizationPolicy istio-ingress/caller-enrichment"
_AT_SERVICE = "AuthorizationPolicy user-profile/user-profile-enrichment"
_GATEWAY = "Gateway istio-ingress/internal-gateway"
_DEPLOYMENT = "Deployment istio-ingress/istio-internal-gateway"
_SERVICE = "Service istio-ingress/istio-internal-gateway"
_ROUTE = "VirtualService user-profile/user-profile"
_NETWORK_POLICY = "NetworkPolicy istio-ingress/istio-internal-gateway"
_POD = ("spec", "template")
_CALL = "the known caller reads a profile"


def _no_policy_at_the_gateway(objects: Objects) -> None:
    objects.drop(
        *(name for name in objects.names("AuthorizationPolicy") if " istio-ingress/" in name),
        "AuthorizationPolicy istio-system/allow-nothing",
    )


def _claims_without_a_subject(objects: Objects) -> None:
    for name in (_AT_GATEWAY, _AT_SERVICE):
        rule = ("spec", "rules", 0)
        source = (*rule, "from", 0, "source")
        (principal,) = objects.get(name)["spec"]["rules"][0]["from"][0]["source"]["requestPrincipals"]
        issuer, _, _ = principal.rpartition("/")
        if name == _AT_GATEWAY:
            objects.remove(name, *rule, "from")
        else:
            objects.remove(name, *source, "requestPrincipals")
        objects.append(name, *rule, "when", value={"key": "request.auth.claims[iss]", "values": [issuer]})


def _no_audiences(objects: Objects) -> None:
    for name in (_GATEWAY_TOKENS, _SERVICE_TOKENS):
        objects.remove(name, "spec", "jwtRules", 0, "audiences")
    for name in (_AT_GATEWAY, _AT_SERVICE):
        conditions = objects.get(name)["spec"]["rules"][0]["when"]
        kept = [found for found in conditions if found["key"] != "request.auth.audiences"]
        objects.set(name, "spec", "rules", 0, "when", value=kept)


def _comments_in_the_keys(objects: Objects) -> None:
    place = ("spec", "jwtRules", 0, "jwks")
    keys = objects.get(_GATEWAY_TOKENS)["spec"]["jwtRules"][0]["jwks"]
    objects.set(_GATEWAY_TOKENS, *place, value=f"# public keys of the function\n{keys}")


def _keys_without_kid(objects: Objects) -> None:
    keys = json.loads(objects.get(_GATEWAY_TOKENS)["spec"]["jwtRules"][0]["jwks"])
    for key in keys["keys"]:
        del key["kid"]
    objects.set(_GATEWAY_TOKENS, "spec", "jwtRules", 0, "jwks", value=json.dumps(keys))


def _injected_by_annotation(objects: Objects) -> None:
    objects.remove(_DEPLOYMENT, *_POD, "metadata", "labels", "sidecar.istio.io/inject")
    objects.set(_DEPLOYMENT, *_POD, "metadata", "annotations", "sidecar.istio.io/inject", value="true")


def _service_port_in_a_policy(objects: Objects) -> None:
    objects.set(_AT_GATEWAY, "spec", "rules", 0, "to", 0, "operation", "ports", value=["443"])


def _gateway_elsewhere(objects: Objects) -> None:
    body = objects.get(_GATEWAY)
    objects.drop(_GATEWAY)
    objects.add({**body, "metadata": {**body["metadata"], "namespace": "default"}})


def _plain_http(objects: Objects) -> None:
    server = ("spec", "servers", 0)
    objects.remove(_GATEWAY, *server, "tls")
    objects.set(_GATEWAY, *server, "port", value={"number": 443, "name": "http", "protocol": "HTTP"})


def _old_versions(objects: Objects) -> None:
    objects.set(_ROUTE, "apiVersion", value="networking.istio.io/v1alpha3")
    objects.set(_AT_GATEWAY, "apiVersion", value="security.istio.io/v1beta1")


def _load_balancer_for_everyone(objects: Objects) -> None:
    objects.remove(_SERVICE, "spec", "externalTrafficPolicy")
    objects.remove(_SERVICE, "spec", "loadBalancerSourceRanges")


DEFECTS = [
    Defect(
        "0.4", "The gateway alone has a RequestAuthentication, and the sidecar's policy asks for claims",
        "ingress", lambda objects: objects.drop(_SERVICE_TOKENS),
        {_CALL: "403 by the proxy of user-profile/user-profile: no ALLOW policy matched"},
    ),
    Defect(
        "0.5", "The gateway removes the token that the sidecar needs",
        "ingress",
        lambda objects: objects.set(_GATEWAY_TOKENS, "spec", "jwtRules", 0, "forwardOriginalToken", value=False),
        {_CALL: "403 by the proxy of user-profile/user-profile"},
    ),
    Defect(
        "0.6", "A RequestAuthentication without a policy at the gateway",
        "ingress", _no_policy_at_the_gateway,
        {"no token": "403 by the proxy of user-profile/user-profile"},
    ),
    Defect(
        "0.7", "A policy on the issuer's claim, which a token without a subject has too",
        "ingress", _claims_without_a_subject,
        {"no sub": "200 by the application", "another sub": "200 by the application"},
    ),
    Defect(
        "0.8", "No audiences", "ingress", _no_audiences, {"wrong audience": "200 by the application"},
    ),
    Defect(
        "0.10", "Public keys without `kid`",
        "ingress", _keys_without_kid,
        checks=(ingress(test_manifests.test_every_public_key_has_a_kid),),
    ),
    Defect(
        "0.11", "Comments inside of the JSON of the public keys",
        "ingress", _comments_in_the_keys, {_CALL: "not judged"},
    ),
    Defect(
        "0.12", "Policy and signer name two issuers",
        "ingress",
        lambda objects: objects.set(_GATEWAY_TOKENS, "spec", "jwtRules", 0, "issuer", value="garbled@example.com"),
        {_CALL: "token refused: Jwt issuer is not configured"},
        (ingress(test_manifests.test_the_function_signs_what_the_contract_says),),
    ),
    Defect(
        "0.13", "The gateway's Deployment names no ServiceAccount",
        "ingress", lambda objects: objects.remove(_DEPLOYMENT, *_POD, "spec", "serviceAccountName"),
        {_CALL: "403 by the proxy of user-profile/user-profile: no ALLOW policy matched"},
    ),
    Defect(
        "0.14", "A principal of a trust domain that the mesh does not have",
        "ingress",
        lambda objects: objects.set(
            _AT_SERVICE, "spec", "rules", 0, "from", 0, "source", "principals",
            value=["project.svc.id.goog/ns/istio-ingress/sa/istio-internal-gateway"],
        ),
        {_CALL: "403 by the proxy of user-profile/user-profile: no ALLOW policy matched"},
        (ingress(test_manifests.test_the_workloads_trust_the_gateways_own_identity),),
    ),
    Defect(
        "0.15", "Injection asked for by an annotation, which the webhook's selectors do not see",
        "ingress", _injected_by_annotation,
        checks=(ingress(test_manifests.test_the_gateway_is_injected_as_a_gateway_and_by_label),),
    ),
    Defect(
        "0.16", "No gateway template: the pod is a sidecar, and no Gateway applies to it",
        "ingress",
        lambda objects: objects.remove(_DEPLOYMENT, *_POD, "metadata", "annotations", "inject.istio.io/templates"),
        checks=(ingress(test_manifests.test_the_gateway_is_injected_as_a_gateway_and_by_label),),
    ),
    Defect(
        "0.17", "A policy names the Service's port, and the pod listens on another",
        "ingress", _service_port_in_a_policy,
        {_CALL: "403 by the proxy of istio-ingress/istio-internal-gateway: no ALLOW policy matched"},
    ),
    Defect(
        "0.17", "The Service's target port follows from nothing",
        "ingress", lambda objects: objects.set(_SERVICE, "spec", "ports", 0, "targetPort", value=9443),
        checks=(manifests(test_manifests.test_gateway_and_service_agree_on_the_one_open_port),),
    ),
    Defect(
        "0.18", "One replica",
        "ingress",
        lambda objects: objects.set(
            "HorizontalPodAutoscaler istio-ingress/istio-internal-gateway", "spec", "minReplicas", value=1
        ),
        checks=(ingress(test_manifests.test_the_gateway_is_highly_available),),
    ),
    Defect(
        "0.18", "No readiness probe",
        "ingress",
        lambda objects: objects.remove(_DEPLOYMENT, *_POD, "spec", "containers", 0, "readinessProbe"),
        checks=(ingress(test_manifests.test_the_gateway_is_highly_available),),
    ),
    Defect(
        "0.18", "No disruption budget",
        "ingress", lambda objects: objects.drop("PodDisruptionBudget istio-ingress/istio-internal-gateway"),
        checks=(ingress(test_manifests.test_the_gateway_is_highly_available),),
    ),
    Defect(
        "0.18", "The gateway's pods are in istio-system",
        "ingress", lambda objects: objects.set(_DEPLOYMENT, "metadata", "namespace", value="istio-system"),
        checks=(
            ingress(test_manifests.test_the_gateway_is_injected_as_a_gateway_and_by_label),
            ingress(test_manifests.test_the_gateway_is_in_the_namespace_of_its_pods),
        ),
    ),
    Defect(
        "0.19", "The Gateway is in another namespace than its pods",
        "ingress", _gateway_elsewhere, {_CALL: "404 by the proxy of istio-ingress/istio-internal-gateway"},
        (ingress(test_manifests.test_the_gateway_is_in_the_namespace_of_its_pods),),
    ),
    Defect(
        "0.19", "The VirtualService is visible to every namespace",
        "ingress", lambda objects: objects.remove(_ROUTE, "spec", "exportTo"),
        checks=(ingress(test_manifests.test_the_gateway_answers_for_the_services_hosts_alone),),
    ),
    Defect(
        "0.19", "The VirtualService names a gateway without its namespace",
        "ingress", lambda objects: objects.set(_ROUTE, "spec", "gateways", value=["internal-gateway"]),
        {_CALL: "404 by the proxy of istio-ingress/istio-internal-gateway"},
    ),
    Defect(
        "0.20", "Plain HTTP",
        "ingress", _plain_http, {_CALL: "refused"},
        (ingress(test_manifests.test_the_example_closes_port_80_and_terminates_tls),),
    ),
    Defect(
        "0.21", "The gateway takes any host",
        "ingress", lambda objects: objects.set(_GATEWAY, "spec", "servers", 0, "hosts", value=["*"]),
        checks=(ingress(test_manifests.test_the_gateway_answers_for_the_services_hosts_alone),),
    ),
    Defect(
        "0.22", "The load balancer has an address of its own choice",
        "ingress", lambda objects: objects.remove(_SERVICE, "spec", "loadBalancerIP"),
        checks=(manifests(test_manifests.test_the_load_balancer_is_internal_and_admits_the_functions_subnet_alone),),
    ),
    Defect(
        "0.22", "The load balancer hides the client's address, and takes every client",
        "ingress", _load_balancer_for_everyone,
        checks=(manifests(test_manifests.test_the_load_balancer_is_internal_and_admits_the_functions_subnet_alone),),
    ),
    Defect(
        "0.22", "Every pod of the cluster reaches the gateway's pods",
        "ingress", lambda objects: objects.drop(_NETWORK_POLICY),
        checks=(
            manifests(test_manifests.test_only_the_callers_subnet_reaches_the_gateways_pods_and_only_at_the_listener),
        ),
    ),
    Defect(
        "0.27", "Nothing makes mutual TLS strict",
        "ingress", lambda objects: objects.drop("PeerAuthentication istio-system/default"),
        {"plaintext straight to the sidecar": "by the proxy of user-profile/user-profile"},
    ),
    Defect(
        "0.27", "Nothing denies by default",
        "ingress", lambda objects: objects.drop("AuthorizationPolicy istio-system/allow-nothing"),
        {
            "a workload without a policy takes nothing, not even from the gateway with a good token":
            "200 by the application",
        },
    ),
    Defect(
        "0.28", "The workload's policy looks at no host",
        "ingress",
        lambda objects: objects.remove(_AT_SERVICE, "spec", "rules", 0, "to", 0, "operation", "hosts"),
        {"user-profile, enrichment: GET /profile/x-1 with the Host evil.internal, at user-profile": "200 by"},
    ),
    Defect(
        "0.28", "The workload has no ServiceAccount of its own",
        "ingress",
        lambda objects: objects.remove("Deployment user-profile/user-profile", *_POD, "spec", "serviceAccountName"),
        checks=(manifests(test_manifests.test_every_pod_is_restricted_and_has_its_own_account),),
    ),
    Defect(
        "0.28", "The workload's image has no digest",
        "ingress",
        lambda objects: objects.set(
            "Deployment user-profile/user-profile", *_POD, "spec", "containers", 0, "image",
            value="hashicorp/http-echo",
        ),
        checks=(manifests(test_manifests.test_every_pod_is_restricted_and_has_its_own_account),),
    ),
    Defect(
        "0.28", "The workload's container has no securityContext",
        "ingress",
        lambda objects: objects.remove(
            "Deployment user-profile/user-profile", *_POD, "spec", "containers", 0, "securityContext"
        ),
        checks=(manifests(test_manifests.test_every_pod_is_restricted_and_has_its_own_account),),
    ),
    Defect(
        "0.29", "Versions of the API that are no longer the newest",
        "ingress", _old_versions, checks=(newest_versions,),
    ),
]  # fmt: skip
