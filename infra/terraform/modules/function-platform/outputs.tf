output "function_subject" {
  description = "Unique id of the function's account: the subject that the mesh's policies name with google-id-token."
  value       = google_service_account.function.unique_id
}

output "lookup_subject" {
  description = "Unique id of lookup's account. Empty without one."
  value       = local.has_lookup ? google_service_account.lookup[0].unique_id : ""
}

output "signing_key_version" {
  description = "Cloud KMS key version that signs, for the SDK's `KMSKey`. Empty unless signing_key is `kms`."
  value       = local.uses_kms ? "${google_kms_crypto_key.signing[0].id}/cryptoKeyVersions/1" : ""
}

output "image_repository" {
  description = "Repository of the images, as `gcloud functions deploy --docker-repository` takes it."
  value       = google_artifact_registry_repository.images.id
}

output "image_repository_name" {
  description = "Name of the same repository in its project and region."
  value       = google_artifact_registry_repository.images.repository_id
}

output "topics" {
  description = "Full names of the three topics."
  value = {
    trigger     = google_pubsub_topic.trigger.id
    dead_letter = google_pubsub_topic.dead_letter.id
    undelivered = google_pubsub_topic.undelivered.id
  }
}

output "table" {
  description = "The table of the rows, PROJECT.DATASET.TABLE."
  value       = "${google_bigquery_table.this.project}.${google_bigquery_table.this.dataset_id}.${google_bigquery_table.this.table_id}"
}

output "notification_channels" {
  description = "Notification channels of this module's alert policies, for those of others."
  value       = local.channels
}

output "accounts" {
  description = "E-mail address of each account, by what it is for."
  value = merge(
    {
      function = google_service_account.function.email
      trigger  = google_service_account.trigger.email
      build    = google_service_account.build.email
    },
    { for account in google_service_account.lookup : "lookup" => account.email },
    { for account in google_service_account.pipeline : "pipeline" => account.email },
  )
}
