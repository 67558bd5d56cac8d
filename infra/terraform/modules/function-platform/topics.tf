# Three topics. Both last stops have a subscription from the start, because a topic without one keeps nothing.

locals {
  # The longest that Pub/Sub keeps a message: time to notice, mend and redrive.
  longest_retention = "2678400s"

  storage_regions = length(var.storage_regions) == 0 ? [var.region] : var.storage_regions
}

resource "google_pubsub_schema" "events" {
  count = var.event_schema == null ? 0 : 1

  project    = var.project_id
  name       = "${local.trigger_topic}-schema"
  type       = var.event_schema.type
  definition = var.event_schema.definition
}

resource "google_pubsub_topic" "trigger" {
  project      = var.project_id
  name         = local.trigger_topic
  labels       = var.labels
  kms_key_name = var.encryption_key

  # Why: the push subscription is made by the first deployment. Until then the topic itself keeps the events, and a
  # `seek` of the subscription to a time replays them.
  message_retention_duration = local.longest_retention

  # Why: personal data stays in these regions at rest. The default is wherever a publisher happens to be.
  message_storage_policy {
    allowed_persistence_regions = local.storage_regions
    enforce_in_transit          = var.enforce_in_transit
  }

  dynamic "schema_settings" {
    for_each = google_pubsub_schema.events

    content {
      schema   = schema_settings.value.id
      encoding = var.event_schema.encoding
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_pubsub_topic" "dead_letter" {
  project      = var.project_id
  name         = local.dead_letter_topic
  labels       = var.labels
  kms_key_name = var.encryption_key

  message_storage_policy {
    allowed_persistence_regions = local.storage_regions
    enforce_in_transit          = var.enforce_in_transit
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_pubsub_topic" "undelivered" {
  project      = var.project_id
  name         = local.undelivered_topic
  labels       = var.labels
  kms_key_name = var.encryption_key

  message_storage_policy {
    allowed_persistence_regions = local.storage_regions
    enforce_in_transit          = var.enforce_in_transit
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_pubsub_subscription" "dead_letter" {
  project = var.project_id
  name    = local.dead_letter_topic
  topic   = google_pubsub_topic.dead_letter.id
  labels  = var.labels

  message_retention_duration = local.longest_retention
  # Why: a redrive reads a message, publishes it and only then acknowledges it.
  ack_deadline_seconds = 60

  # Why: the default deletes a subscription, with its messages, after 31 days without a reader.
  expiration_policy {
    ttl = ""
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_pubsub_subscription" "undelivered" {
  project = var.project_id
  name    = local.undelivered_topic
  topic   = google_pubsub_topic.undelivered.id
  labels  = var.labels

  message_retention_duration = local.longest_retention
  ack_deadline_seconds       = 60

  expiration_policy {
    ttl = ""
  }

  lifecycle {
    prevent_destroy = true
  }
}

# Dead letters as rows, beside the subscription that is redriven from.
resource "google_pubsub_subscription" "dead_letters_to_bigquery" {
  count = var.dead_letters_in_bigquery ? 1 : 0

  project = var.project_id
  name    = "${local.dead_letter_topic}-to-bigquery"
  topic   = google_pubsub_topic.dead_letter.id
  labels  = var.labels

  message_retention_duration = local.longest_retention

  bigquery_config {
    table          = "${var.project_id}.${local.dataset}.${google_bigquery_table.dead_letters[0].table_id}"
    write_metadata = true
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [google_bigquery_table_iam_member.pubsub_writes_dead_letters]
}
