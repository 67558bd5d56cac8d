output "address" {
  description = "Address of the gateway (GKE_GATEWAY_ADDRESS)."
  value       = google_compute_address.this.address
}

output "node_subnet" {
  description = "Full name of the cluster's subnet, once the gateway has its address in it. Give it to the cluster."
  value       = var.node_subnet

  # Why: nodes take the first free addresses of the subnet, and could take the one that the contract names.
  depends_on = [google_compute_address.this]
}

output "url" {
  description = "Address of the gateway as a URL (GKE_GATEWAY_URL)."
  value       = "https://${google_compute_address.this.address}"
}

output "ca_pool" {
  description = "Full name of the pool that certifies the gateway's hosts."
  value       = google_privateca_ca_pool.this.id
}

output "ca_secret" {
  description = "Name of the secret with the authority's certificate (GKE_GATEWAY_CA_SECRET)."
  value       = google_secret_manager_secret.ca.secret_id
}

output "ca_certificate" {
  description = "The authority's certificate, PEM. It is public."
  value       = google_privateca_certificate_authority.this.pem_ca_certificates[0]
}
