# The function logs no lookup key. Cloud Run's request log of lookup has the path of every request, and so have the
# mesh's access logs. Where keys name people, these logs are as sensitive as the profiles: they go to a dataset of
# their own, with few readers and an expiry.

locals {
  logs_with_keys = join(" OR ", [
    "(log_id(\"run.googleapis.com/requests\") AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.lookup_function_name}\")",
    "(log_id(\"server-accesslog-stackdriver\") AND resource.type=\"k8s_container\")",
    "(resource.type=\"k8s_container\" AND resource.labels.container_name=\"istio-proxy\" AND log_id(\"stdout\"))",
  ])
}

resource "google_bigquery_dataset" "request_logs" {
  count = var.keep_request_logs_apart ? 1 : 0

  project     = var.project_id
  dataset_id  = "${local.dataset}_request_logs"
  location    = coalesce(var.bigquery_location, var.region)
  description = "Request and access logs whose paths hold lookup keys."
  labels      = var.labels

  default_partition_expiration_ms = var.request_log_days * 24 * 60 * 60 * 1000

  access {
    role          = "OWNER"
    special_group = "projectOwners"
  }

  dynamic "default_encryption_configuration" {
    for_each = var.encryption_key == null ? [] : [var.encryption_key]

    content {
      kms_key_name = default_encryption_configuration.value
    }
  }

  # Why: tables that the sink makes are not Terraform's. The logs are kept for a short time anyway.
  delete_contents_on_destroy = true

  lifecycle {
    # Why: the sink's grant and those of the readers are made below, each as its own object.
    ignore_changes = [access]
  }
}

resource "google_logging_project_sink" "request_logs" {
  count = var.keep_request_logs_apart ? 1 : 0

  project     = var.project_id
  name        = "${var.function_name}-request-logs"
  description = "Logs whose paths hold lookup keys."
  destination = "bigquery.googleapis.com/${google_bigquery_dataset.request_logs[0].id}"
  filter      = local.logs_with_keys

  # Why: an account of its own, so that its grant holds for this sink alone.
  unique_writer_identity = true

  bigquery_options {
    use_partitioned_tables = true
  }
}

resource "google_bigquery_dataset_iam_member" "sink_writes_request_logs" {
  count = var.keep_request_logs_apart ? 1 : 0

  project    = var.project_id
  dataset_id = google_bigquery_dataset.request_logs[0].dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = google_logging_project_sink.request_logs[0].writer_identity
}

resource "google_bigquery_dataset_iam_member" "request_log_readers" {
  for_each = var.keep_request_logs_apart ? toset(var.request_log_readers) : toset([])

  project    = var.project_id
  dataset_id = google_bigquery_dataset.request_logs[0].dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = each.value
}

# Why: the exclusion holds for the sink `_Default`, which every viewer of the project reads.
resource "google_logging_project_exclusion" "request_logs" {
  count = var.keep_request_logs_apart ? 1 : 0

  project     = var.project_id
  name        = "${var.function_name}-request-logs"
  description = "Logs whose paths hold lookup keys: the sink of the same name has them."
  filter      = local.logs_with_keys

  # Why: first the copy, then the exclusion: no line is lost in between.
  depends_on = [google_bigquery_dataset_iam_member.sink_writes_request_logs]
}
