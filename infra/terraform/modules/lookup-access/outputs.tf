output "service_attachment" {
  description = "Service attachment that a consumer's endpoint targets."
  value       = google_compute_service_attachment.lookup.id
}

output "address" {
  description = "Internal address of the load balancer, in the producer's network."
  value       = google_compute_address.load_balancer.address
}

output "url" {
  description = "Address that callers connect to. The audience of their token is the function's own address all the same."
  value       = "https://${var.host}"
}

output "endpoints" {
  description = "Address of the endpoint in each consumer's project, where this module made it."
  value       = { for project, address in google_compute_address.endpoint : project => address.address }
}
