# The account of the jobs' workers, and the rights of those who launch jobs.

resource "google_service_account" "dataflow" {
  project      = var.project_id
  account_id   = split("@", var.service_account)[0]
  display_name = "Workers of ${var.job}"
}

# Why: on the project, because Dataflow's work items have no smaller scope. roles/dataflow.worker has storage.objects.get and
# storage.objects.create as well, and so reads and creates objects of every bucket of the project. A role without them does:
# workers have their own bucket by its own grants. docs/dataflow.md makes one.
resource "google_project_iam_member" "works" {
  project = var.project_id
  role    = var.worker_role
  member  = google_service_account.dataflow.member
}

# Why: objectUser and not objectAdmin. The bucket has uniform access, so no object has a policy to administer.
resource "google_storage_bucket_iam_member" "stages_files" {
  bucket = google_storage_bucket.this.name
  role   = "roles/storage.objectUser"
  member = google_service_account.dataflow.member
}

# Why: a worker asks where the bucket lies. A worker_role without rights on every bucket leaves this out.
resource "google_storage_bucket_iam_member" "sees_bucket" {
  bucket = google_storage_bucket.this.name
  role   = "roles/storage.legacyBucketReader"
  member = google_service_account.dataflow.member
}

resource "google_pubsub_subscription_iam_member" "pulls" {
  project      = var.project_id
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.dataflow.member
}

# Dataflow reads the subscription's settings, and its backlog decides on the number of workers.
resource "google_pubsub_subscription_iam_member" "reads_settings" {
  project      = var.project_id
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.viewer"
  member       = google_service_account.dataflow.member
}

resource "google_pubsub_subscription_iam_member" "redrives" {
  for_each = toset(var.redriven_subscriptions)

  project      = var.project_id
  subscription = each.value
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.dataflow.member
}

resource "google_bigquery_table_iam_member" "writes_rows" {
  project    = var.project_id
  dataset_id = local.dataset
  table_id   = local.table
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.dataflow.member
}

# Why: only where a backfill reads BigQuery. A query or an export is a job, and jobs belong to the project.
resource "google_project_iam_member" "runs_bigquery_jobs" {
  count = length(var.source_tables) == 0 ? 0 : 1

  project = var.project_id
  role    = "roles/bigquery.jobUser"
  member  = google_service_account.dataflow.member
}

resource "google_bigquery_table_iam_member" "reads_sources" {
  for_each = toset(var.source_tables)

  project    = split(".", each.value)[0]
  dataset_id = split(".", each.value)[1]
  table_id   = split(".", each.value)[2]
  role       = "roles/bigquery.dataViewer"
  member     = google_service_account.dataflow.member
}

resource "google_storage_bucket_iam_member" "reads_source_files" {
  for_each = toset(var.source_buckets)

  bucket = each.value
  role   = "roles/storage.objectViewer"
  member = google_service_account.dataflow.member
}

resource "google_pubsub_topic_iam_member" "publishes_dead_letters" {
  project = split("/", var.dead_letter_topic)[1]
  topic   = split("/", var.dead_letter_topic)[3]
  role    = "roles/pubsub.publisher"
  member  = google_service_account.dataflow.member
}

# A worker reads the gateway's CA and the keys when it starts. The launcher runs as the same account.
resource "google_secret_manager_secret_iam_member" "reads_secrets" {
  for_each = var.secrets

  project   = each.value.project
  secret_id = each.value.secret
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.dataflow.member
}

resource "google_artifact_registry_repository_iam_member" "pulls_images" {
  project    = var.project_id
  location   = var.region
  repository = var.image_repository
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.dataflow.member
}

resource "google_compute_subnetwork_iam_member" "dataflow_uses_shared_subnet" {
  count = startswith(var.subnet, "projects/") ? 1 : 0

  project    = split("/", var.subnet)[1]
  region     = split("/", var.subnet)[3]
  subnetwork = split("/", var.subnet)[5]
  role       = "roles/compute.networkUser"
  member     = "serviceAccount:service-${var.project_number}@dataflow-service-producer-prod.iam.gserviceaccount.com"
}

# --- those who launch, update and end jobs ---

resource "google_project_iam_member" "launchers_launch" {
  for_each = toset(var.launchers)

  project = var.project_id
  role    = "roles/dataflow.developer"
  member  = each.value
}

# Why: deploy/dataflow reads that the subnet has Private Google Access before it launches workers without public addresses.
resource "google_project_iam_member" "launchers_see_subnet" {
  for_each = toset(var.launchers)

  project = var.project_id
  role    = "roles/compute.networkViewer"
  member  = each.value
}

# Why: on this account and not on the project, where it would be the right to act as every account.
resource "google_service_account_iam_member" "launchers_act_as_it" {
  for_each = toset(var.launchers)

  service_account_id = google_service_account.dataflow.name
  role               = "roles/iam.serviceAccountUser"
  member             = each.value
}

resource "google_storage_bucket_iam_member" "launchers_write_templates" {
  for_each = toset(var.launchers)

  bucket = google_storage_bucket.this.name
  role   = "roles/storage.objectUser"
  member = each.value
}

# deploy/dataflow reads that nothing in the bucket can be public.
resource "google_storage_bucket_iam_member" "launchers_see_bucket" {
  for_each = toset(var.launchers)

  bucket = google_storage_bucket.this.name
  role   = "roles/storage.legacyBucketReader"
  member = each.value
}

resource "google_pubsub_subscription_iam_member" "launchers_see_subscription" {
  for_each = toset(var.launchers)

  project      = var.project_id
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.viewer"
  member       = each.value
}

# deploy/dataflow reads the digest of the image, by which a job names it.
resource "google_artifact_registry_repository_iam_member" "launchers_see_images" {
  for_each = toset(var.launchers)

  project    = var.project_id
  location   = var.region
  repository = var.image_repository
  role       = "roles/artifactregistry.reader"
  member     = each.value
}
