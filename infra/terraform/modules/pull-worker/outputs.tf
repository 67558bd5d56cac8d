output "subject" {
  description = "Unique id of the worker's account: the subject that the mesh's policies name with google-id-token."
  value       = google_service_account.pull_worker.unique_id
}

output "account" {
  description = "E-mail address of the worker's account."
  value       = google_service_account.pull_worker.email
}

output "subscription" {
  description = "Full name of the subscription: PULL_SUBSCRIPTION of the worker's environment."
  value       = google_pubsub_subscription.this.id
}

output "worker_pool" {
  description = "Name of the worker pool. Null without an image."
  value       = one(google_cloud_run_v2_worker_pool.this[*].name)
}
