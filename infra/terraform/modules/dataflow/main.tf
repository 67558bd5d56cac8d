# The subscription of the streaming job, and the bucket of templates, staged files, temporary files and journals.

locals {
  dataset = split(".", var.bigquery_table)[1]
  table   = split(".", var.bigquery_table)[2]
}

resource "google_pubsub_subscription" "this" {
  project = var.project_id
  name    = var.subscription
  topic   = "projects/${var.project_id}/topics/${reverse(split("/", var.trigger_topic))[0]}"
  labels  = var.labels

  message_retention_duration = "${var.retention_s}s"
  # Why: Dataflow extends the deadline by itself. This is the one with which its guide begins.
  ack_deadline_seconds = 60

  # Why: neither dead-letter policy, backoff, ordering nor exactly-once delivery. Dataflow's reader supports none of them, and
  # delivers each event once by itself. https://cloud.google.com/dataflow/docs/concepts/streaming-with-cloud-pubsub
  enable_message_ordering      = false
  enable_exactly_once_delivery = false

  # Why: the default deletes a subscription, with its events, after 31 days without a reader.
  expiration_policy {
    ttl = ""
  }

  lifecycle {
    # Why: with the subscription go the events that wait in it.
    prevent_destroy = true
  }
}

resource "google_storage_bucket" "this" {
  project  = var.project_id
  name     = var.bucket
  location = var.region
  labels   = var.labels

  # Why: events lie in temporary files, and rows in files of load jobs. No object may be shared past the bucket's policy.
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  # Why: temporary files of jobs that were cancelled stay for ever otherwise, with events in them. Staged files stay, for a
  # streaming job needs them whenever a worker starts; so do templates and journals.
  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      age            = var.temporary_days
      matches_prefix = ["temp/", "source/"]
    }
  }

  # Why: a job that was deleted for its events must not live on in the bucket for a week.
  soft_delete_policy {
    retention_duration_seconds = 0
  }

  dynamic "encryption" {
    for_each = var.encryption_key == null ? [] : [var.encryption_key]

    content {
      default_kms_key_name = encryption.value
    }
  }
}
