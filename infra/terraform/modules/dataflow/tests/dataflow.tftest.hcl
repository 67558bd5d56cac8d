# Runs with a mocked provider: `terraform -chdir=infra/terraform/modules/dataflow test` needs no project and no credentials.
# Plans alone: the subscription has prevent_destroy, and a run that applies destroys at its end.

mock_provider "google" {}

variables {
  project_id        = "example-project"
  project_number    = "123456789012"
  region            = "europe-west1"
  job               = "meshpass-enrichment-dataflow"
  service_account   = "meshpass-dataflow@example-project.iam.gserviceaccount.com"
  subscription      = "meshpass-enrichment-dataflow"
  trigger_topic     = "user-events"
  dead_letter_topic = "projects/example-project/topics/user-events-dead-letter"
  bigquery_table    = "example-project.enrichment.user_events"
  bucket            = "example-project-dataflow"
  image_repository  = "meshpass"
  subnet            = "meshpass-functions"
}

run "a_stream" {
  command = plan

  assert {
    condition     = google_storage_bucket.this.uniform_bucket_level_access && google_storage_bucket.this.public_access_prevention == "enforced"
    error_message = "No object of the bucket can be public."
  }

  assert {
    condition     = length(google_pubsub_subscription.this.dead_letter_policy) == 0 && length(google_pubsub_subscription.this.retry_policy) == 0
    error_message = "Dataflow's reader supports neither."
  }

  assert {
    condition     = length(google_project_iam_member.runs_bigquery_jobs) == 0 && length(google_compute_subnetwork_iam_member.dataflow_uses_shared_subnet) == 0
    error_message = "A right that nothing needs is not granted."
  }
}

run "a_backfill_in_a_shared_network" {
  command = plan

  variables {
    subnet                 = "projects/acme-host/regions/europe-west1/subnetworks/functions"
    source_tables          = ["acme-raw.events.history"]
    source_buckets         = ["acme-archive"]
    redriven_subscriptions = ["user-events-dead-letter"]
    launchers              = ["group:data@example.com"]
    secrets                = { gateway_ca = { project = "example-project", secret = "gateway-ca" } }
  }

  assert {
    condition     = google_compute_subnetwork_iam_member.dataflow_uses_shared_subnet[0].project == "acme-host"
    error_message = "Dataflow's agent may use the subnet of the host project."
  }

  assert {
    condition     = google_bigquery_table_iam_member.reads_sources["acme-raw.events.history"].role == "roles/bigquery.dataViewer"
    error_message = "A source is read, and no more."
  }
}

run "wrong_values" {
  command = plan

  variables {
    service_account = "d@other-project.iam.gserviceaccount.com"
    launchers       = ["allAuthenticatedUsers"]
    source_tables   = ["events.history"]
    retention_s     = 60
    temporary_days  = 1
    worker_role     = "roles/editor"
  }

  expect_failures = [var.service_account, var.launchers, var.source_tables, var.retention_s, var.temporary_days, var.worker_role]
}
