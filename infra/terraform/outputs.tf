# An output that has the name of a key of infra/contract.env, in lower case, goes back there:
#   terraform output -json > outputs.json && deploy/contract --update-from outputs.json

output "function_subject" {
  description = "FUNCTION_SUBJECT: unique id of the function's account, which the mesh's policies name."
  value       = module.function_platform.function_subject
}

output "lookup_subject" {
  description = "LOOKUP_SUBJECT: unique id of lookup's account. Null without one."
  value       = var.lookup_service_account == "" ? null : module.function_platform.lookup_subject
}

output "pull_worker_subject" {
  description = "PULL_WORKER_SUBJECT: unique id of the pull worker's account. Null without one."
  value       = local.makes_pull_worker ? module.pull_worker[0].subject : null
}

output "dataflow_subject" {
  description = "DATAFLOW_SUBJECT: unique id of the account of Dataflow's workers. Null without one."
  value       = local.makes_dataflow ? module.dataflow[0].subject : null
}

output "reports_subject" {
  description = "REPORTS_SUBJECT: unique id of the caller reports. Null unless callers has it."
  value       = try(google_service_account.callers["reports"].unique_id, null)
}

output "storefront_subject" {
  description = "STOREFRONT_SUBJECT: unique id of the caller storefront. Null unless callers has it."
  value       = try(google_service_account.callers["storefront"].unique_id, null)
}

output "gke_gateway_address" {
  description = "GKE_GATEWAY_ADDRESS: address of the gateway. Null where the network is another project's."
  value       = local.own_network ? module.gateway_endpoint[0].address : null

  precondition {
    condition     = !local.own_network || contains(["", var.node_range], var.load_balancer_range)
    error_message = "LOAD_BALANCER_RANGE must be empty or NODE_RANGE: the gateway's address is made in the nodes' subnet."
  }
}

output "gke_gateway_url" {
  description = "GKE_GATEWAY_URL: the same as a URL."
  value       = local.own_network ? module.gateway_endpoint[0].url : null
}

output "gke_gateway_ca_secret" {
  description = "GKE_GATEWAY_CA_SECRET: secret with the certificate of the gateway's authority."
  value       = local.own_network ? module.gateway_endpoint[0].ca_secret : null

  precondition {
    condition     = !local.own_network || !startswith(var.gke_gateway_ca_secret, "projects/") || startswith(var.gke_gateway_ca_secret, "projects/${var.google_cloud_project}/")
    error_message = "GKE_GATEWAY_CA_SECRET must be a secret of GOOGLE_CLOUD_PROJECT: the authority and its secret are made there."
  }
}

# --- for people ---

output "image_repository" {
  description = "Repository of the function's images."
  value       = module.function_platform.image_repository
}

output "nat_addresses" {
  description = "Addresses from which the egress gateway's requests come."
  value       = local.own_network ? module.network[0].nat_addresses : []
}

output "gateway_ca_pool" {
  description = "CA pool that certifies the gateway's hosts, for cert-manager or a signing request. Null where the network is another project's."
  value       = local.own_network ? module.gateway_endpoint[0].ca_pool : null
}

output "lookup_service_attachment" {
  description = "Service attachment that endpoints in other projects target. Null without lookup_host."
  value       = local.makes_lookup_access ? module.lookup_access[0].service_attachment : null
}

output "lookup_endpoints" {
  description = "Address of the endpoint in each project where it is made here."
  value       = local.makes_lookup_access ? module.lookup_access[0].endpoints : {}
}
