# One account for each thing that runs, and what it needs, on the one object where it needs it. docs/deploy.md has the
# same table; tests/infra/terraform holds both to each other. No account has a key file: Google gives each its tokens.

resource "google_service_account" "function" {
  project      = var.project_id
  account_id   = split("@", var.function_service_account)[0]
  display_name = "The function ${var.function_name}"
}

resource "google_service_account" "lookup" {
  count = local.has_lookup ? 1 : 0

  project      = var.project_id
  account_id   = split("@", var.lookup_service_account)[0]
  display_name = "The function ${var.lookup_function_name}"
}

resource "google_service_account" "trigger" {
  project      = var.project_id
  account_id   = split("@", var.trigger_service_account)[0]
  display_name = "Calls ${var.function_name} for Pub/Sub"
}

resource "google_service_account" "build" {
  project      = var.project_id
  account_id   = split("@", var.build_service_account)[0]
  display_name = "Builds the images of ${var.function_name}"
}

resource "google_service_account" "pipeline" {
  count = local.has_pipeline ? 1 : 0

  project      = var.project_id
  account_id   = split("@", var.pipeline_service_account)[0]
  display_name = "Tests, packages and deploys ${var.function_name}"
}

# --- the function ---

resource "google_bigquery_table_iam_member" "function_writes_rows" {
  project    = var.project_id
  dataset_id = google_bigquery_dataset.this.dataset_id
  table_id   = google_bigquery_table.this.table_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.function.member
}

resource "google_pubsub_topic_iam_member" "function_publishes_dead_letters" {
  project = var.project_id
  topic   = google_pubsub_topic.dead_letter.name
  role    = "roles/pubsub.publisher"
  member  = google_service_account.function.member
}

resource "google_secret_manager_secret_iam_member" "function_reads_signing_key" {
  count = local.uses_secret ? 1 : 0

  project   = var.project_id
  secret_id = google_secret_manager_secret.signing_key[0].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function.member
}

resource "google_secret_manager_secret_iam_member" "function_reads_gateway_ca" {
  count = local.gateway_ca_secret == "" ? 0 : 1

  project   = local.gateway_ca_project
  secret_id = local.makes_ca_secret ? google_secret_manager_secret.gateway_ca[0].secret_id : local.gateway_ca_secret
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function.member
}

resource "google_secret_manager_secret_iam_member" "function_reads_pseudonym_key" {
  count = local.pseudonym_secret == "" ? 0 : 1

  project   = var.project_id
  secret_id = google_secret_manager_secret.pseudonym_key[0].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function.member
}

resource "google_kms_crypto_key_iam_member" "function_signs" {
  count = local.uses_kms ? 1 : 0

  crypto_key_id = google_kms_crypto_key.signing[0].id
  role          = "roles/cloudkms.signerVerifier"
  member        = google_service_account.function.member
}

# --- lookup: the gateway's CA and the signing key, and no data ---

resource "google_secret_manager_secret_iam_member" "lookup_reads_signing_key" {
  count = local.uses_secret && local.has_lookup ? 1 : 0

  project   = var.project_id
  secret_id = google_secret_manager_secret.signing_key[0].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.lookup[0].member
}

resource "google_secret_manager_secret_iam_member" "lookup_reads_gateway_ca" {
  count = local.gateway_ca_secret != "" && local.has_lookup ? 1 : 0

  project   = local.gateway_ca_project
  secret_id = local.makes_ca_secret ? google_secret_manager_secret.gateway_ca[0].secret_id : local.gateway_ca_secret
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.lookup[0].member
}

resource "google_kms_crypto_key_iam_member" "lookup_signs" {
  count = local.uses_kms && local.has_lookup ? 1 : 0

  crypto_key_id = google_kms_crypto_key.signing[0].id
  role          = "roles/cloudkms.signerVerifier"
  member        = google_service_account.lookup[0].member
}

# --- the trigger: one function, and no other ---

resource "google_cloud_run_v2_service_iam_member" "trigger_calls_function" {
  count = var.function_deployed ? 1 : 0

  project  = var.project_id
  location = var.region
  name     = var.function_name
  role     = "roles/run.invoker"
  member   = google_service_account.trigger.member
}

resource "google_project_iam_member" "trigger_receives_events" {
  count = var.function_trigger == "eventarc" ? 1 : 0

  project = var.project_id
  role    = "roles/eventarc.eventReceiver"
  member  = google_service_account.trigger.member
}

# --- the build ---

resource "google_project_iam_member" "build_builds" {
  project = var.project_id
  role    = "roles/cloudbuild.builds.builder"
  member  = google_service_account.build.member
}

# --- the pipeline: it deploys, and can set no policy anywhere ---

resource "google_project_iam_member" "pipeline_deploys" {
  count = local.has_pipeline ? 1 : 0

  project = var.project_id
  role    = "roles/cloudfunctions.developer"
  member  = google_service_account.pipeline[0].member
}

# Why: before a deployment it reads who may call the function, so that it writes no policy that is there already.
resource "google_project_iam_member" "pipeline_sees_callers" {
  count = local.has_pipeline ? 1 : 0

  project = var.project_id
  role    = "roles/run.viewer"
  member  = google_service_account.pipeline[0].member
}

resource "google_project_iam_member" "pipeline_sets_delivery" {
  count = local.has_pipeline ? 1 : 0

  project = var.project_id
  role    = "roles/pubsub.editor"
  member  = google_service_account.pipeline[0].member
}

resource "google_project_iam_member" "pipeline_finds_trigger" {
  count = local.has_pipeline && var.function_trigger == "eventarc" ? 1 : 0

  project = var.project_id
  role    = "roles/eventarc.viewer"
  member  = google_service_account.pipeline[0].member
}

resource "google_project_iam_member" "pipeline_logs" {
  count = local.has_pipeline ? 1 : 0

  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = google_service_account.pipeline[0].member
}

resource "google_project_iam_member" "pipeline_reads_sources" {
  count = local.has_pipeline ? 1 : 0

  project = var.project_id
  role    = "roles/storage.objectViewer"
  member  = google_service_account.pipeline[0].member
}

resource "google_artifact_registry_repository_iam_member" "pipeline_keeps_records" {
  count = local.has_pipeline ? 1 : 0

  project    = var.project_id
  location   = var.region
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.pipeline[0].member
}

# Why: the smoke test asks for the row of the event that it has sent.
resource "google_project_iam_member" "pipeline_runs_queries" {
  count = local.has_pipeline ? 1 : 0

  project = var.project_id
  role    = "roles/bigquery.jobUser"
  member  = google_service_account.pipeline[0].member
}

resource "google_bigquery_table_iam_member" "pipeline_reads_rows" {
  count = local.has_pipeline ? 1 : 0

  project    = var.project_id
  dataset_id = google_bigquery_dataset.this.dataset_id
  table_id   = google_bigquery_table.this.table_id
  role       = "roles/bigquery.dataViewer"
  member     = google_service_account.pipeline[0].member
}

# Why: deploy/verify reads everything back, and what it may not read ends the build. None of these roles reads a row, a message or a
# secret, and none changes anything.
resource "google_project_iam_member" "pipeline_verifies" {
  for_each = local.has_pipeline ? toset(concat(
    [
      "roles/bigquery.metadataViewer",
      "roles/browser",
      "roles/compute.networkViewer",
      "roles/iam.securityReviewer",
      "roles/iam.serviceAccountViewer",
      "roles/monitoring.viewer",
      "roles/secretmanager.viewer",
    ],
    var.function_egress == "connector" ? ["roles/vpcaccess.viewer"] : [],
  )) : toset([])

  project = var.project_id
  role    = each.value
  member  = google_service_account.pipeline[0].member
}

# Why: on the accounts and not on the project: there it would be the right to act as every account.
resource "google_service_account_iam_member" "pipeline_acts_as_function" {
  count = local.has_pipeline ? 1 : 0

  service_account_id = google_service_account.function.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.pipeline[0].member
}

resource "google_service_account_iam_member" "pipeline_acts_as_lookup" {
  count = local.has_pipeline && local.has_lookup ? 1 : 0

  service_account_id = google_service_account.lookup[0].name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.pipeline[0].member
}

resource "google_service_account_iam_member" "pipeline_acts_as_trigger" {
  count = local.has_pipeline ? 1 : 0

  service_account_id = google_service_account.trigger.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.pipeline[0].member
}

resource "google_service_account_iam_member" "pipeline_acts_as_build" {
  count = local.has_pipeline ? 1 : 0

  service_account_id = google_service_account.build.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.pipeline[0].member
}

# --- Google's service agents ---

# Why: these two let Pub/Sub hand over what it cannot deliver. Without them it tries until the event is too old and drops it.
resource "google_pubsub_topic_iam_member" "pubsub_publishes_undelivered" {
  project = var.project_id
  topic   = google_pubsub_topic.undelivered.name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "pubsub_acknowledges_undelivered" {
  count = var.function_deployed && var.function_trigger == "push" ? 1 : 0

  project      = var.project_id
  subscription = var.subscription_name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

resource "google_bigquery_table_iam_member" "pubsub_writes_dead_letters" {
  count = var.dead_letters_in_bigquery ? 1 : 0

  project    = var.project_id
  dataset_id = google_bigquery_dataset.this.dataset_id
  table_id   = google_bigquery_table.dead_letters[0].table_id
  role       = "roles/bigquery.dataEditor"
  member     = local.pubsub_agent
}

resource "google_compute_subnetwork_iam_member" "run_uses_shared_subnet" {
  count = var.shared_subnet == "" ? 0 : 1

  project    = split("/", var.shared_subnet)[1]
  region     = split("/", var.shared_subnet)[3]
  subnetwork = split("/", var.shared_subnet)[5]
  role       = "roles/compute.networkUser"
  member     = local.run_agent
}

# --- those who publish and those who read ---

resource "google_pubsub_topic_iam_member" "publishers" {
  for_each = toset(var.publishers)

  project = var.project_id
  topic   = google_pubsub_topic.trigger.name
  role    = "roles/pubsub.publisher"
  member  = each.value
}

resource "google_bigquery_table_iam_member" "readers" {
  for_each = toset(var.table_readers)

  project    = var.project_id
  dataset_id = google_bigquery_dataset.this.dataset_id
  table_id   = google_bigquery_table.this.table_id
  role       = "roles/bigquery.dataViewer"
  member     = each.value
}

resource "google_bigquery_table_iam_member" "view_readers" {
  for_each = toset(var.table_readers)

  project    = var.project_id
  dataset_id = google_bigquery_dataset.this.dataset_id
  table_id   = google_bigquery_table.deduplicated.table_id
  role       = "roles/bigquery.dataViewer"
  member     = each.value
}
