output "subject" {
  description = "Unique id of the workers' account: the subject that the mesh's policies name with google-id-token."
  value       = google_service_account.dataflow.unique_id
}

output "account" {
  description = "E-mail address of the workers' account."
  value       = google_service_account.dataflow.email
}

output "subscription" {
  description = "Full name of the streaming job's subscription."
  value       = google_pubsub_subscription.this.id
}

output "bucket" {
  description = "URL of the bucket."
  value       = google_storage_bucket.this.url
}
