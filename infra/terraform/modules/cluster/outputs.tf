output "name" {
  description = "Name of the cluster."
  value       = google_container_cluster.this.name
}

output "dns_endpoint" {
  description = "DNS name of the control plane, for `gcloud container clusters get-credentials --dns-endpoint`."
  value       = one(one(google_container_cluster.this.control_plane_endpoints_config[*].dns_endpoint_config)[*].endpoint)
}

output "workload_pool" {
  description = "Workload identity pool of the cluster: principal://iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/subject/ns/NAMESPACE/sa/ACCOUNT."
  value       = "${var.project_id}.svc.id.goog"
}

output "application_node_account" {
  description = "E-mail address of the account of the nodes for applications and the internal gateway."
  value       = google_service_account.nodes["applications"].email
}

output "gateway_node_account" {
  description = "E-mail address of the account of the egress gateway's nodes."
  value       = google_service_account.nodes["gateways"].email
}
