output "network" {
  description = "Full name of the network (VPC_NETWORK of a service project)."
  value       = google_compute_network.this.id
}

output "network_name" {
  description = "Short name of the network."
  value       = google_compute_network.this.name
}

output "node_subnet" {
  description = "Full name of the cluster's subnet."
  value       = google_compute_subnetwork.nodes.id

  # Why: nodes that start before they reach the control plane and the registry do not become ready.
  depends_on = [
    google_compute_network_firewall_policy_association.this,
    google_compute_route.google_apis,
    google_dns_record_set.google_address,
    google_dns_record_set.google_names,
  ]
}

output "pod_range_name" {
  description = "Name of the secondary range for pods."
  value       = "pods"
}

output "service_range_name" {
  description = "Name of the secondary range for Services."
  value       = "services"
}

output "control_plane_subnet" {
  description = "Full name of the subnet of the control plane's private address."
  value       = google_compute_subnetwork.control_plane.id
}

output "function_subnet" {
  description = "Full name of the function's subnet (VPC_SUBNET of a service project), null without one."
  value       = one(google_compute_subnetwork.functions[*].id)
}

output "connector" {
  description = "Full name of the connector, null without one."
  value       = one(google_vpc_access_connector.this[*].id)
}

output "proxy_subnet" {
  description = "Full name of the proxy-only subnet, null without one."
  value       = one(google_compute_subnetwork.proxies[*].id)
}

output "internet_tag" {
  description = "Network tag of nodes that have a route to the internet. Give it to the egress gateway's nodes alone."
  value       = local.internet_tag
}

output "nat_addresses" {
  description = "Addresses from which the egress gateway's requests come, for the lists of those that receive them."
  value       = google_compute_address.nat[*].address
}

output "google_apis_range" {
  description = "Range of Google's virtual address that DNS, route and firewall use."
  value       = local.google_apis
}
