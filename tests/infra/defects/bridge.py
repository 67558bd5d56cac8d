"""Rows of the third document, from GKE to a Lambda function through two meshes, that concern manifests."""

from __future__ import annotations

from functools import partial

from tests.infra import test_lambda_bridge
from tests.infra.defects.checks import bridge, newest_versions
from tests.infra.defects.model import Defect, Objects

__all__ = ["DEFECTS"]

_EGRESS_GATEWAY = "Gateway istio-lambda-egress/lambda-egress"
_INGRESS_GATEWAY = "Gateway istio-lambda-ingress/lambda-ingress"
_TO_EKS = "DestinationRule istio-lambda-egress/lambda-bridge-mtls"
_TO_GATEWAY = "DestinationRule istio-lambda-egress/egress-gateway-for-lambda"
_TO_BALANCER = "DestinationRule istio-lambda-ingress/lambda-load-balancer"
_POLICY_OF_GKE = "AuthorizationPolicy istio-lambda-egress/greeter-may-call-lambda"
_POLICY_OF_EKS = "AuthorizationPolicy istio-lambda-ingress/lambda-from-gke"
_BRIDGE = "VirtualService istio-lambda-egress/lambda-bridge"
_ENTRY = "ServiceEntry istio-lambda-egress/lambda-bridge"
_SERVICE = "Service istio-lambda-ingress/istio-lambda-ingress"
_TLS = ("spec", "trafficPolicy", "portLevelSettings", 0, "tls")
_SUBSET_TLS = ("spec", "subsets", 0, "trafficPolicy", "portLevelSettings", 0, "tls")
_GKE_CALL = "the caller asks over plain HTTP, and EKS is asked over TLS by the bridge's name"
_EKS_CALL = (
    "GKE's egress gateway reaches the load balancer, which is asked by its own name for the bridge's host"
)


def _no_names_of_the_balancer(objects: Objects) -> None:
    objects.remove(_TO_BALANCER, *_TLS, "sni")
    objects.remove(_TO_BALANCER, *_TLS, "subjectAltNames")


def _any_client_of_the_authority(objects: Objects) -> None:
    objects.remove(_INGRESS_GATEWAY, "spec", "servers", 0, "tls", "subjectAltNames")
    objects.remove(_POLICY_OF_EKS, "spec", "rules", 0, "from")


def _plaintext_to_the_gateway(objects: Objects) -> None:
    server = ("spec", "servers", 0)
    objects.remove(_EGRESS_GATEWAY, *server, "tls")
    objects.set(_EGRESS_GATEWAY, *server, "port", "protocol", value="HTTP")
    objects.remove(_TO_GATEWAY, *_SUBSET_TLS)
    objects.remove(_POLICY_OF_GKE, "spec", "rules", 0, "from")


def _selected_by_revision(objects: Objects) -> None:
    objects.set(_INGRESS_GATEWAY, "spec", "selector", value={"istio.io/rev": "1-17"})


def _public_load_balancer(objects: Objects) -> None:
    annotation = "service.beta.kubernetes.io/aws-load-balancer-scheme"
    objects.set(_SERVICE, "metadata", "annotations", annotation, value="internet-facing")


def _no_retries(objects: Objects) -> None:
    objects.remove(_BRIDGE, "spec", "http", 1, "retries")


def _no_timeout(objects: Objects) -> None:
    objects.remove(_BRIDGE, "spec", "http", 1, "timeout")


def _no_policy_of_eks(objects: Objects) -> None:
    objects.drop(_POLICY_OF_EKS, "AuthorizationPolicy istio-system/allow-nothing")


def _old_versions(objects: Objects) -> None:
    objects.set(_BRIDGE, "apiVersion", value="networking.istio.io/v1beta1")


def _operator(objects: Objects) -> None:
    metadata = {"name": "eks", "namespace": "istio-system"}
    objects.add(
        {"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "metadata": metadata, "spec": {}}
    )


def _no_role(name: str, objects: Objects) -> None:
    objects.drop(name)


DEFECTS = [
    *(
        Defect(
            "3.1", f"An IstioOperator installs the mesh of {side.upper()}",
            side, _operator, checks=(bridge(test_lambda_bridge.test_no_kind_needs_an_operator_in_the_cluster, side),),
        )
        for side in ("gke", "eks")
    ),
    Defect(
        "3.2", "The Gateway selects pods by the control plane's revision",
        "eks", _selected_by_revision, {_EKS_CALL: "has no listener for port 443"},
        (
            bridge(test_lambda_bridge.test_no_label_or_selector_names_a_revision, "eks"),
            bridge(test_lambda_bridge.test_gateways_and_policies_name_the_pods_of_the_bridge, "eks", "lambda-ingress"),
        ),
    ),
    Defect(
        "3.3", "The load balancer is asked by the request's host, which is not its name",
        "eks", _no_names_of_the_balancer, {_EKS_CALL: "503 by the proxy of istio-lambda-ingress/istio-lambda-ingress"},
    ),
    Defect(
        "3.3", "Any certificate of a known authority does for the load balancer",
        "eks", lambda objects: objects.remove(_TO_BALANCER, *_TLS, "subjectAltNames"),
        {"a load balancer with another name gets no request": "200 by the application"},
    ),
    Defect(
        "3.7", "The gateway takes any client of the authority",
        "eks", _any_client_of_the_authority,
        {"the certificate of another client of the same authority": "200 by the application"},
    ),
    Defect(
        "3.8", "Mutual TLS to EKS with `sni` and without `subjectAltNames`",
        "gke", lambda objects: objects.remove(_TO_EKS, *_TLS, "subjectAltNames"),
        {"a server with another name of the bridge's authority gets no request": "200 by the application"},
    ),
    Defect(
        "3.9", "The rule with the client's certificate is visible to every sidecar, which then speaks plaintext",
        "gke", lambda objects: objects.set(_TO_EKS, "spec", "exportTo", value=["*"]),
        checks=(bridge(
            test_lambda_bridge.test_nothing_is_exported_beyond_its_namespace_but_to_the_caller, "gke"
        ),),
    ),
    Defect(
        "3.10", "Plain HTTP between sidecar and gateway, so no policy can name a caller",
        "gke", _plaintext_to_the_gateway,
        {
            "plaintext to the egress gateway": "200 by the application",
            "a workload that the policy does not name": "200 by the application",
        },
    ),
    *(
        Defect(
            "3.11", "The gateway may not read the Secret with its certificate",
            side, partial(_no_role, f"Role {name}/{name}-certificates"),
            checks=(bridge(test_lambda_bridge.test_a_gateway_reads_the_secrets_of_its_own_namespace, side, name),),
        )
        for side, name in (("gke", "istio-lambda-egress"), ("eks", "istio-lambda-ingress"))
    ),
    Defect(
        "3.12", "A public load balancer",
        "eks", _public_load_balancer,
        checks=(bridge(test_lambda_bridge.test_the_load_balancer_of_eks_is_internal_and_takes_one_range),),
    ),
    Defect(
        "3.12", "The load balancer takes every source",
        "eks", lambda objects: objects.remove(_SERVICE, "spec", "loadBalancerSourceRanges"),
        checks=(bridge(test_lambda_bridge.test_the_load_balancer_of_eks_is_internal_and_takes_one_range),),
    ),
    Defect(
        "3.13", "No AuthorizationPolicy at the ingress gateway",
        "eks", _no_policy_of_eks,
        {"another path": "200 by the application", "another method": "200 by the application"},
    ),
    Defect(
        "3.13", "No AuthorizationPolicy for a caller at the egress gateway",
        "gke", lambda objects: objects.drop(_POLICY_OF_GKE),
        {_GKE_CALL: "403 by the proxy of istio-lambda-egress/istio-lambda-egress"},
    ),
    *(
        Defect(
            "3.13", f"Nothing makes mutual TLS strict in {side.upper()}",
            side, lambda objects: objects.drop("PeerAuthentication istio-system/default"),
            {"plaintext to another workload of the mesh": "by the proxy of"},
        )
        for side in ("gke", "eks")
    ),
    Defect(
        "3.13", "Istio's own retries, which change",
        "gke", _no_retries, checks=(bridge(test_lambda_bridge.test_retries_are_written, "gke"),),
    ),
    Defect(
        "3.13", "No timeout",
        "gke", _no_timeout, checks=(bridge(test_lambda_bridge.test_every_hop_has_a_timeout, "gke"),),
    ),
    Defect(
        "3.13", "No outlier detection",
        "gke",
        lambda objects: objects.set(
            _TO_EKS, "spec", "trafficPolicy", "portLevelSettings", 0, value={"port": {"number": 80}}
        ),
        checks=(bridge(
            test_lambda_bridge
            .test_a_server_that_cannot_be_reached_is_left_out_and_one_that_answers_with_an_error_is_not,
            "gke", "lambda-bridge-mtls",
        ),),
    ),
    Defect(
        "3.14", "The entry for EKS does not say that it is outside of the mesh",
        "gke", lambda objects: objects.remove(_ENTRY, "spec", "location"),
        checks=(bridge(test_lambda_bridge.test_servers_outside_the_mesh_say_so, "gke"),),
    ),
    Defect(
        "3.14", "The entry for EKS is visible to every namespace",
        "gke", lambda objects: objects.remove(_ENTRY, "spec", "exportTo"),
        {"a namespace without the bridge does not get it by its name": "200 by the application"},
        (bridge(test_lambda_bridge.test_nothing_is_exported_beyond_its_namespace_but_to_the_caller, "gke"),),
    ),
    Defect(
        "3.15", "Versions of the API that are no longer the newest",
        "gke", _old_versions, checks=(newest_versions,),
    ),
]  # fmt: skip
